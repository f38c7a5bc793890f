/** Line breaks, control characters, marks that change the writing direction, and lone surrogates. */
const UNSEEN = /[\p{Cc}\p{Cs}\u2028\u2029\u202a-\u202e\u2066-\u2069]/gu
const NAMED: Readonly<Record<string, string>> = { '\n': '\\n', '\r': '\\r', '\t': '\\t' }

/** The text on one line, so that it can neither forge a line of a log nor send commands to a terminal. */
export function oneLine(text: string): string {
  return text.replace(UNSEEN, (unseen) => NAMED[unseen] ?? `\\u${unseen.charCodeAt(0).toString(16).padStart(4, '0')}`)
}
