const QUOTED_VALUE = /"(?:[^"\\]|\\.)*"|'(?:[^'\\]|\\.)*'|`(?:[^`\\]|\\.)*`|\\"[^"]*"/.source
const PLAIN_VALUE = /[^\s,;&)}\]"'`]+/.source
/** What stands between a name and its value, also in JSON inside of JSON. */
const ASSIGNED = /\\?["'`]?\s*[:=]\s*/.source
const NAME = /pass(?:word|wd|phrase|code)?|pwd|secret|token|credentials?|(?:api|private|access|secret)[_-]?key/.source
/** A secret after its name, as in `password=…` and `"token": "…"`, but not `(using password: YES)`. */
const NAMED = new RegExp(`((?:${NAME})${ASSIGNED})(?!(?:yes|no)\\b)(?:${QUOTED_VALUE}|${PLAIN_VALUE})`, 'gi')
const SCHEME = /(?:basic|bearer|digest|negotiate|ntlm|token|apikey|aws4-hmac-sha256)\s+/.source
/** A header, whose value may begin with the name of a scheme. */
const HEADER = new RegExp(`(authorization${ASSIGNED})(?:${QUOTED_VALUE}|(${SCHEME})?${PLAIN_VALUE})`, 'gi')
const BEARER = /\b(bearer\s+)[\w.~+/=-]{16,}/gi
/** Redis's command, but not a sentence about it. */
const AUTH =
  /\b(AUTH\s+)(?!<|(?:failed|failure|called|command|required|needed|is|not|error|mechanism|method)\b)\S+(?:[ \t]+\S+)?/g
/** Without one of these, a text holds no secret. */
const SIGN = /[:=]|AUTH|bearer/i
/** An address with a scheme, whose password may hold spaces and quotes; but not one with a port and, later on, an `@`. */
const LOGIN =
  /\b([a-z][a-z0-9+.-]{0,30}:\/\/)[^\s/:@?#"'`]{0,200}:(?!\s|\d{1,5}(?:[\s/?#,;)\]}"'`]|$))[^@\n]{0,200}@(?:[^\s@"'`]*@)*/gi
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
  if (!SIGN.test(text)) return text
  const unnamed = text
    .replace(HEADER, (_, name: string, scheme = '') => `${name}${scheme}***`)
    .replace(NAMED, '$1***')
    .replace(BEARER, '$1***')
    .replace(AUTH, '$1***')
  if (!unnamed.includes('@')) return unnamed
  // Only quotes hold an address with spaces together.
  return unnamed
    .replace(LOGIN, '$1***@')
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
