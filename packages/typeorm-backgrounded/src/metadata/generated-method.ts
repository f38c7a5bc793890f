import { callListener } from './registry'

const generated = new WeakSet<object>()

/** Defines `<property>Backgrounded` on `holder`, as a method that is not enumerable and has its proper name. */
export function defineBackgroundedMethod(holder: object, property: string): void {
  const name = generatedName(property)
  const { [name]: method } = {
    // Not async, because that would make a second promise for every call.
    [name](this: object, ...args: unknown[]): Promise<unknown> {
      try {
        return callListener()(this, property, args)
      } catch (error) {
        return Promise.reject(error as Error)
      }
    },
  }
  generated.add(method as object)
  Object.defineProperty(holder, name, { value: method, writable: true, configurable: true, enumerable: false })
}

export function generatedName(property: string): string {
  return `${property}Backgrounded`
}

export function isGenerated(value: unknown): boolean {
  return typeof value === 'function' && generated.has(value)
}
