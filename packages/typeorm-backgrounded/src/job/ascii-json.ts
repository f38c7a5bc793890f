/**
 * JSON in ASCII, which neither the charset of a connection nor the encoding of a database can change. On a `utf8`
 * connection, for example, mysql2 would turn an emoji into six replacement characters.
 */
export function asciiJson(value: unknown): string {
  const json = JSON.stringify(value) as string | undefined
  return json === undefined || isAscii(json) ? (json as string) : json.replace(/[^\0-\x7f]+/g, escaped)
}

/** Counts bytes because that takes a fraction of the time of a regular expression. */
export function isAscii(text: string): boolean {
  return Buffer.byteLength(text) === text.length
}

function escaped(characters: string): string {
  let text = ''
  for (let index = 0; index < characters.length; index++)
    text += `\\u${characters.charCodeAt(index).toString(16).padStart(4, '0')}`
  return text
}
