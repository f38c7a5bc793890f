/** Defines an own property, also where the name has a meaning of its own, as `__proto__` has. */
export function defineOwn(holder: object, name: string, value: unknown): void {
  Object.defineProperty(holder, name, { value, writable: true, enumerable: true, configurable: true })
}
