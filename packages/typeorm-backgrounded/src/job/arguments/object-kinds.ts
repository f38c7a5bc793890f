/** Whether a value is a plain object of this realm, as nearly all objects are. */
export function isPlain(value: object): boolean {
  return Object.getPrototypeOf(value) === Object.prototype
}

/** Whether this is the `Object.prototype` of any realm. */
export function isPlainPrototype(prototype: unknown): boolean {
  return prototype === Object.prototype || Object.getPrototypeOf(prototype) === null
}

/** Whether a Date, Map or Set is a direct instance, because one of a subclass would not come back as what it was. */
export function isOwnKind(value: object): boolean {
  return isPlainPrototype(Object.getPrototypeOf(Object.getPrototypeOf(value)))
}

export function hasSymbols(value: object): boolean {
  return Object.getOwnPropertySymbols(value).length > 0
}
