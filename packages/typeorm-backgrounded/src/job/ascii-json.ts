/**
 * JSON in ASCII: no charset of a connection, and no encoding of a database, can change it. mysql2 makes six replacement
 * characters of an emoji where the connection is `utf8`.
 */
export function asciiJson(value: unknown): string {
  const json = JSON.stringify(value)
  return isAscii(json) ? json : json.replace(OTHERS, escaped)
}

export function isAscii(text: string): boolean {
  return !NOT_ASCII.test(text)
}

// eslint-disable-next-line no-control-regex -- ASCII has control characters
const NOT_ASCII = /[^\0-\x7f]/
const OTHERS = new RegExp(NOT_ASCII, 'g')

function escaped(codeUnit: string): string {
  return `\\u${codeUnit.charCodeAt(0).toString(16).padStart(4, '0')}`
}
