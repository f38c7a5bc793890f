import type { Class } from './registry'

/**
 * Minifiers and bundlers rename classes, and the next build may give the same name to another class. A job that is
 * stored under such a name would then run on another entity's row. Renamed classes can be recognised by their source:
 *
 * - terser, swc and esbuild make names of 1 to 3 ASCII characters, and nearly always leave out the white space;
 * - esbuild leaves decorated classes without a name in the source (`let User = class { … }`), adds a number to the
 *   second of two classes with the same name, and adds an underscore to a class that refers to itself by name.
 *
 * @returns where the name seems to come from, or undefined for a name that the next build is likely to keep
 */
export function buildNameOf(name: string, source: string): string | undefined {
  if (name === '') return 'the class has no name in the source'
  if (isMangled(name, source)) return 'a minifier seems to have chosen it'
  if (/^_+[A-Z]/.test(name) || (isAnonymous(source) && /\D([2-9]|[1-9]\d+)$/.test(name))) {
    return 'a bundler seems to have chosen it'
  }
  return undefined
}

/** Whether a method's name was chosen by a minifier that also renames properties. */
export function isMangledProperty(property: string, source: string): boolean {
  return property.length <= 2 && isCompact(source)
}

export function sourceOf(target: Class): string {
  return Function.prototype.toString.call(target)
}

function isMangled(name: string, source: string): boolean {
  if (!/^[\w$]{1,3}$/.test(name)) return false
  const isCapitalised = /^[A-Z][a-z]+$/.test(name)
  if (isCompact(source)) return name.length < 3 || !isCapitalised || !/[aeiouy]/i.test(name)
  if (name.length === 1) return isAnonymous(source) || !/[A-Z]/.test(name)
  return name.length === 2 && !isCapitalised && (isAnonymous(source) || !/^[A-Z]/.test(name))
}

/** Whether there is no white space after the brace, which nobody writes by hand. */
function isCompact(source: string): boolean {
  return /^class\b[^{]*\{[^\s}]/.test(source)
}

function isAnonymous(source: string): boolean {
  return /^class\s*(\{|extends\b)/.test(source)
}
