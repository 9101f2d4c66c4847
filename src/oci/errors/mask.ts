/** What stands in place of a secret, whatever its length. */
export const HIDDEN = '***'

/** Of a shorter secret, what is missing in a text would tell it: no text is told then. */
const MIN_LENGTH = 4
/** Who is told this much of a longer one is told too much: registries cut what they repeat, and so do we. Then no text is told. */
export const TELLING_LENGTH = 12
/** Those of requests under way, and of some before: a job may see thousands of tokens. */
const MAX_TOKENS = 16

/** The secrets that one caller shows one registry, and what the registry says without them. */
export interface Mask {
  /** What everybody sees of the caller from now on. */
  show(text: string): void
  /** Something that is a secret for as long as the mask is used. */
  keep(...secrets: readonly string[]): void
  /** A token; the sixteen newest are known. */
  add(token: string): void
  /**
   * A text that the far end chose, as it may be told. `seen`: what everybody sees of the request; a password that stands
   * there too would be told by its mask, so the whole text goes. `more`: secrets of this one request.
   */
  hide(text: string, options?: { seen?: string; more?: readonly string[] }): string
  /** Whether a word holds a secret, or is one. */
  holds(word: string): boolean
}

/**
 * A mask that knows nothing yet. Found are secrets as they are, in base64, and escaped as for URLs, JSON and HTML, in whatever
 * case; where one stands in part, or under several escapes, the whole text goes. `known`: what everybody sees of the caller and the registry.
 */
export function createMask(known = ''): Mask {
  const kept = new Map<string, Secret>()
  const tokens = new Map<string, Secret>()
  let shown = known
  const all = () => [...kept.values(), ...tokens.values()]
  return {
    show(text) {
      shown += ` ${text}`
    },
    keep(...secrets) {
      for (const secret of secrets) if (secret !== '') kept.set(secret, createSecret(secret))
    },
    add(token) {
      const secret = tokens.get(token) ?? createSecret(token)
      tokens.delete(token)
      tokens.set(token, secret)
      for (const oldest of tokens.keys()) {
        if (tokens.size <= MAX_TOKENS) return
        tokens.delete(oldest)
      }
    },
    hide: (text, { seen = '', more = [] } = {}) =>
      hide(text, [...all(), ...more.map(createSecret)], lower(`${shown} ${seen}`)),
    holds: (word) =>
      all().some((secret) => (secret.short ? lower(word) === secret.folded : has([lower(word)], secret))),
  }
}

/** For requests that show nothing. */
export const NO_SECRETS: Pick<Mask, 'hide' | 'holds'> = createMask()

interface Secret {
  /** In small letters. */
  readonly folded: string
  readonly short: boolean
  /** How it may stand in a text, in small letters. */
  forms(): readonly string[]
}

function createSecret(secret: string): Secret {
  let forms: readonly string[] | undefined
  return {
    folded: lower(secret),
    short: secret.length < MIN_LENGTH,
    // Few secrets are ever looked for.
    forms: () => (forms ??= formsOf(secret)),
  }
}

function hide(text: string, secrets: readonly Secret[], seen: string): string {
  if (text === '' || secrets.length === 0) return text
  if (secrets.some(({ short }) => short)) return HIDDEN
  const told = without(text, secrets, seen)
  if (told === undefined) return HIDDEN
  // Where escapes are nested or mixed, what is to be cut out is not known.
  const read = readings(told).map(lower)
  return read.length > 0 && secrets.some((secret) => has(read, secret)) ? HIDDEN : told
}

function has(folded: readonly string[], secret: Secret): boolean {
  return secret.forms().some((form) => folded.some((text) => text.includes(beginningOf(form))))
}

function formsOf(secret: string): string[] {
  const bytes = Buffer.from(secret)
  const forms = [
    secret,
    secret.trim(),
    encodeURIComponent(secret.toWellFormed()),
    new URLSearchParams([['', secret]]).toString().slice(1),
    JSON.stringify(secret).slice(1, -1),
    // As headers are read.
    bytes.toString('latin1'),
    bytes.toString('base64').replace(/=/g, ''),
    bytes.toString('base64url'),
  ]
  const long = forms.filter((form) => form.length >= MIN_LENGTH).map(lower)
  return [...new Set(long)]
}

/**
 * With the mask in place of each secret. Undefined where a text goes on in another way than the secret that it begins with, so
 * that its other half may stand there, and where a secret stands in `seen`.
 */
function without(text: string, secrets: readonly Secret[], seen: string): string | undefined {
  const all = secrets.flatMap((secret) => secret.forms().map((form) => ({ form, open: seen.includes(secret.folded) })))
  all.sort((a, b) => b.form.length - a.form.length)
  let told = text
  for (const beginning of new Set(all.map(({ form }) => beginningOf(form)))) {
    const folded = lower(told)
    let left = ''
    let from = 0
    for (let at = folded.indexOf(beginning); at !== -1; at = folded.indexOf(beginning, from)) {
      const found = all.find(({ form }) => folded.startsWith(form, at))
      if (found === undefined || found.open) return undefined
      left += told.slice(from, at) + HIDDEN
      from = at + found.form.length
      // How much base64 is filled up tells of its length.
      while (told[from] === '=') from += 1
    }
    told = left + told.slice(from)
  }
  return told
}

function beginningOf(form: string): string {
  return form.slice(0, TELLING_LENGTH)
}

/** The text with its escapes undone, by each rule alone, by all, and by all once more. */
function readings(text: string): string[] {
  if (!/[%\\&]/.test(text)) return []
  const every = (escaped: string) => RULES.reduce((read, rule) => rule(read), escaped)
  return [...RULES.map((rule) => rule(text)), every(text), every(every(text))]
}

const RULES: ReadonlyArray<(text: string) => string> = [unescapeUrl, unescapeJson, unescapeHtml]

function unescapeUrl(text: string): string {
  return text.replace(/(?:%[0-9A-Fa-f]{2})+/g, (run) => Buffer.from(run.replaceAll('%', ''), 'hex').toString('utf8'))
}

const CONTROLS: Readonly<Record<string, string>> = { n: '\n', r: '\r', t: '\t', b: '\b', f: '\f' }

function unescapeJson(text: string): string {
  return text.replace(/\\(?:u([0-9A-Fa-f]{4})|([^]))/g, (_, code: string | undefined, letter = '') =>
    code === undefined ? (CONTROLS[letter] ?? String(letter)) : String.fromCharCode(Number.parseInt(code, 16)),
  )
}

const ENTITIES: Readonly<Record<string, string>> = { amp: '&', lt: '<', gt: '>', quot: '"', apos: "'" }

function unescapeHtml(text: string): string {
  return text.replace(
    /&(?:#([0-9]{1,6})|#[xX]([0-9A-Fa-f]{1,5})|([a-z]{2,4}));/g,
    (found, decimal: string | undefined, hex: string | undefined, name: string | undefined) => {
      if (name !== undefined) return ENTITIES[name] ?? found
      return String.fromCodePoint(decimal === undefined ? Number.parseInt(hex ?? '0', 16) : Number(decimal))
    },
  )
}

/** Each character stays where it is, which toLowerCase does not promise. */
function lower(text: string): string {
  return text.replace(/[A-Z]+/g, (letters) => letters.toLowerCase())
}
