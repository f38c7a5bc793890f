/** Line breaks, terminal commands, marks that turn the direction of writing, and halves of characters. */
const UNSEEN = /[\p{Cc}\p{Cs}\u2028\u2029\u202a-\u202e\u2066-\u2069]/gu
const NAMED: Readonly<Record<string, string>> = { '\n': '\\n', '\r': '\\r', '\t': '\\t' }

/** A text that can neither begin a line of its own in a log nor command a terminal. */
export function oneLine(text: string): string {
  return text.replace(UNSEEN, (unseen) => NAMED[unseen] ?? `\\u${unseen.charCodeAt(0).toString(16).padStart(4, '0')}`)
}
