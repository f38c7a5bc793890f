/** A name that says what stands behind it, as in `password=…` and `"token": "…"`; `(using password: YES)` is none. */
const NAMED =
  /((?:pass(?:word|wd|phrase)?|pwd|secret|token|api_?key|authorization)["'`]?\s*[:=]\s*)(?!(?:yes|no)\b)("(?:[^"\\]|\\.)*"|'(?:[^'\\]|\\.)*'|[^\s,;&)}\]"'`]+)/gi
const QUOTED = /(["'`])[^"'`\n]*\1/g
const WORD = /[^\s"'`]+/g
/** Where an address begins, as far as it may be shown. */
const BEGINNING = /^[(<[{=,]*(?:[a-z][a-z0-9+.-]*:(?=\/\/))?\/*/i
/** Where a module lies may hold an `@` too, as in pnpm's folders and in scopes. */
const PATH = /^[(<[{=,]*(?:file:|node:|npm:|[a-z]:\\|webpack)/i

/**
 * A text without the passwords that it shows: behind their names, and in addresses, also in malformed ones, without a
 * scheme or with `/`, `#` and `@` in the password. Takes time in proportion to the text, whatever it is.
 */
export function withoutSecrets(text: string): string {
  if (!/[:=]/.test(text)) return text
  const unnamed = text.replace(NAMED, '$1***')
  if (!unnamed.includes('@')) return unnamed
  // Only quotes hold an address with spaces together.
  return unnamed
    .replace(QUOTED, (quoted, quote: string) =>
      quoted.includes('://') ? quote + withoutLogin(quoted.slice(1)) : quoted,
    )
    .replace(WORD, withoutLogin)
}

/** An address without what stands before its last `@`, where that has a colon in it. */
function withoutLogin(address: string): string {
  const end = address.lastIndexOf('@')
  const [beginning] = BEGINNING.exec(address) ?? ['']
  const colon = address.indexOf(':', beginning.length)
  if (colon < 0 || colon > end || PATH.test(address)) return address
  return `${beginning}***${address.slice(end)}`
}
