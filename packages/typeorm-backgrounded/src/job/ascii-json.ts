/**
 * JSON in ASCII: no charset of a connection, and no encoding of a database, can change it. mysql2 makes six replacement
 * characters of an emoji where the connection is `utf8`.
 */
export function asciiJson(value: unknown): string {
  const json = JSON.stringify(value) as string | undefined
  return json === undefined || isAscii(json) ? (json as string) : json.replace(/[^\0-\x7f]+/g, escaped)
}

/** Counting bytes takes a fraction of what a regular expression takes. */
export function isAscii(text: string): boolean {
  return Buffer.byteLength(text) === text.length
}

function escaped(characters: string): string {
  let text = ''
  for (let index = 0; index < characters.length; index++)
    text += `\\u${characters.charCodeAt(index).toString(16).padStart(4, '0')}`
  return text
}
