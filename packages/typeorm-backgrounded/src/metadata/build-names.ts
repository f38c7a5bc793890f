import type { Class } from './registry'

/**
 * Minifiers and bundlers give classes names of their own, and give them to other classes in the next build: a job that
 * is stored under such a name would then run on another entity's row. What they leave in the class tells them:
 *
 * - terser, swc and esbuild make names of 1 to 3 characters, and nearly always leave out the white space;
 * - esbuild leaves decorated classes without a name in the source (`let User = class { … }`), adds a number to the
 *   second of two classes of one name, and an underscore to a class that names itself.
 *
 * @returns how the name seems to have come about, or undefined for one that is likely to be there in the next build
 */
export function buildNameOf(name: string, source: string): string | undefined {
  if (name === '') return 'it has none'
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
  if (name.length > 3) return false
  const isCapitalised = /^[A-Z][a-z]+$/.test(name)
  if (isCompact(source)) return name.length < 3 || !isCapitalised
  if (name.length === 1) return isAnonymous(source) || !/[A-Z]/.test(name)
  return name.length === 2 && !isCapitalised && (isAnonymous(source) || !/^[A-Z]/.test(name))
}

/** Without white space after the brace, as nobody writes a class that has members. */
function isCompact(source: string): boolean {
  return /^class\b[^{]*\{[^\s}]/.test(source)
}

function isAnonymous(source: string): boolean {
  return /^class\s*(\{|extends\b)/.test(source)
}
