/** A secret after its name, as in `password=…` and `"token": "…"`, but not `(using password: YES)`. */
const NAMED =
  /((?:pass(?:word|wd|phrase)?|pwd|secret|token|api_?key|authorization)["'`]?\s*[:=]\s*)(?!(?:yes|no)\b)("(?:[^"\\]|\\.)*"|'(?:[^'\\]|\\.)*'|[^\s,;&)}\]"'`]+)/gi
const QUOTED = /(["'`])[^"'`\n]*\1/g
const WORD = /[^\s"'`]+/g
/** The beginning of an address, up to where its login may begin. */
const BEGINNING = /^[(<[{=,]*(?:[a-z][a-z0-9+.-]*:(?=\/\/))?\/*/i
/** The path of a module, which may hold an `@` too, as in pnpm's folders and in scopes. */
const PATH = /^[(<[{=,]*(?:file:|node:|npm:|[a-z]:\\|webpack)/i

/**
 * The text without passwords, both after their names and in addresses. The addresses may be malformed, lack a scheme, or
 * have `/`, `#` and `@` in the password. Takes time in proportion to the length of any text.
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

/** An address without the part before its last `@`, if that part has a colon in it. */
function withoutLogin(address: string): string {
  const end = address.lastIndexOf('@')
  const [beginning] = BEGINNING.exec(address) ?? ['']
  const colon = address.indexOf(':', beginning.length)
  if (colon < 0 || colon > end || PATH.test(address)) return address
  return `${beginning}***${address.slice(end)}`
}
