import { createHash, timingSafeEqual } from 'node:crypto'
import { readFile, stat } from 'node:fs/promises'
import { AppError } from '../../lib/errors.ts'
import type { Logger } from '../../lib/logger.ts'

/** Who asks. `scopes` holds "*" or single ones, which are not enforced yet. */
export interface Principal {
  name: string
  scopes: ReadonlySet<string>
}

export interface TokenFile {
  authenticate(token: string): Promise<Principal | undefined>
}

interface Entry extends Principal {
  hash: Buffer
}

const NAME = /^[A-Za-z0-9._@-]+$/
const MAX_NAME = 128
const HASH = /^[0-9a-fA-F]{64}$/

/**
 * Reads LAYERD_TOKENS_FILE: lines `name sha256-hex scope,...`, where the hash is of the token's bytes; `#` begins a
 * comment line. A changed file is read before the next request is judged. When the new content can't be read, the
 * tokens known before go on and the log says so: a half-saved file must lock nobody out.
 * Throws CONFIG_INVALID when the first reading fails.
 */
export async function openTokenFile(path: string, logger: Logger): Promise<TokenFile> {
  let version = await versionOf(path)
  let entries = await load(path)

  const refresh = async () => {
    const now = await versionOf(path)
    if (now === version) return
    // Set first: a faulty file is reported once, not with each request.
    version = now
    entries = await load(path)
    logger.info({ path, tokens: entries.length }, 'token file read again')
  }

  return {
    async authenticate(token) {
      await refresh().catch((error: unknown) => logger.error({ err: error, path }, 'token file not readable'))
      const hash = createHash('sha256').update(token).digest()
      let found: Entry | undefined
      // Each entry is compared in full, so that the time tells neither which one nor how much of it matched.
      for (const entry of entries) if (timingSafeEqual(entry.hash, hash)) found = entry
      return found
    },
  }
}

async function versionOf(path: string): Promise<string> {
  try {
    const { mtimeMs, size, ino } = await stat(path)
    return `${mtimeMs}-${size}-${ino}`
  } catch (error) {
    throw unreadable(path, error)
  }
}

async function load(path: string): Promise<Entry[]> {
  const text = await readFile(path, 'utf8').catch((error: unknown) => {
    throw unreadable(path, error)
  })
  const lines = text.split(/\r?\n/).map((line, index) => ({ text: line.trim(), number: index + 1 }))
  const entries = lines
    .filter((line) => line.text !== '' && !line.text.startsWith('#'))
    .map((line) => parse(path, line))
  if (entries.length > 0) return entries
  throw new AppError('CONFIG_INVALID', `the token file ${path} holds no token`, { hint: FORMAT_HINT })
}

const FORMAT_HINT =
  'Each line is "name sha256-hex scope,...", for example: echo "me $(printf %s "$TOKEN" | sha256sum | cut -d\' \' -f1) *".'

function parse(path: string, line: { text: string; number: number }): Entry {
  const [name = '', hash = '', scopes = '', ...rest] = line.text.split(/\s+/)
  const wellFormed = NAME.test(name) && name.length <= MAX_NAME && HASH.test(hash) && rest.length === 0
  if (!wellFormed || scopes.split(',').includes('')) {
    throw new AppError('CONFIG_INVALID', `line ${line.number} of the token file ${path} is not a token`, {
      hint: FORMAT_HINT,
    })
  }
  return { name, hash: Buffer.from(hash, 'hex'), scopes: new Set(scopes.split(',')) }
}

function unreadable(path: string, cause: unknown): AppError {
  return new AppError('CONFIG_INVALID', `the token file ${path} cannot be read`, {
    hint: 'LAYERD_TOKENS_FILE must name a file that the daemon may read.',
    cause,
  })
}
