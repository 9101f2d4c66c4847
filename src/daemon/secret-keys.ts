import { AppError } from '../lib/errors.ts'

/** Of each. */
export const KEY_BYTES = 32
/** Each text that says no key is tried with all of them. */
const MOST_KEYS = 16
const BASE64 = /^[A-Za-z0-9+/_-]{43}=?$/

/**
 * Of the content of LAYERD_SECRET_KEY_FILE, the keys: one a line, the first one seals and all of them open. Empty lines and those that begin with # are
 * passed over. Throws CONFIG_INVALID that names file and line, and nothing of what stands there.
 */
export function parseSecretKeys(content: string, file: string): Buffer[] {
  const lines = content.split('\n').map((text, at) => ({ text: text.trim(), line: at + 1 }))
  const seen = new Map<string, number>()
  for (const { text, line } of lines.filter((one) => one.text !== '' && !one.text.startsWith('#'))) {
    const where = `${file}, line ${line},`
    if (!BASE64.test(text)) throw invalid(`${where} does not hold ${KEY_BYTES} bytes as base64`)
    const key = Buffer.from(text, 'base64').toString('hex')
    const before = seen.get(key)
    if (before !== undefined) throw invalid(`${where} is the key of line ${before} again`)
    if (seen.size === MOST_KEYS) throw invalid(`${where} is one key too many: ${MOST_KEYS} are read`)
    seen.set(key, line)
  }
  if (seen.size === 0) throw invalid(`${file} does not hold ${KEY_BYTES} bytes as base64`)
  return [...seen.keys()].map((key) => Buffer.from(key, 'hex'))
}

function invalid(what: string): AppError {
  return new AppError('CONFIG_INVALID', `LAYERD_SECRET_KEY_FILE: ${what}`, {
    hint: 'One key a line, the newest first. Make one with: head -c 32 /dev/urandom | base64',
  })
}
