import { type Grant, requireIncluded } from '../../access/grants.ts'
import type { TokenWish } from '../../access/issued-tokens.ts'
import { type Limits, NO_LIMITS } from '../../access/limits.ts'
import { ANONYMOUS, type Principal } from '../../access/principal.ts'
import type { UploadFolder } from '../../files/upload-folder.ts'
import type { JobQueue } from '../../jobs/queue.ts'
import type { ContentStore } from '../../store/content-store.ts'
import { isPlacePattern } from '../../content/repository-pattern.ts'
import { AppError } from '../../lib/errors.ts'
import { hasUnseen } from '../../lib/text.ts'
import type { TokenBody } from '../schemas/token.ts'
import { at } from './package-reference.ts'
import { registryNamed } from './registry-named.ts'

export interface WishOptions {
  caller: Principal
  /** Ms since 1970. */
  now: number
  /** Whether a name is of a principal that gets no tokens here. */
  reserves: (name: string) => Promise<boolean>
}

/** What is to be issued. Throws BODY_INVALID, TOKEN_NAME_TAKEN, SCOPE_MISSING, TOKEN_LIMITED. */
export async function tokenWish(body: TokenBody, { caller, now, reserves }: WishOptions): Promise<TokenWish> {
  const { name, scopes, description = null } = body
  if (description !== null && hasUnseen(description)) {
    throw invalid('the description has characters that are obeyed rather than seen', '/description')
  }
  const limits = limitsOf(body.limits ?? {})
  const expiresAt = endOf(body, now)
  if (name === ANONYMOUS.name || (await reserves(name))) throw nameTaken(name)
  requireIncluded(caller, { scopes: new Set(scopes), limits })
  requireNotLonger(caller, expiresAt)
  return { name, scopes: [...scopes].toSorted(), limits, description, createdBy: caller.name, expiresAt }
}

/** Where things lie that belong to somebody. */
export interface OwnedThings {
  queue: Pick<JobQueue, 'list'>
  uploads: Pick<UploadFolder, 'list'>
  store: Pick<ContentStore, 'packages'>
}

/** Whether anything is there of who was called so: whoever is called so next has it. */
export async function ownsAnything(name: string, { queue, uploads, store }: OwnedThings): Promise<boolean> {
  const itself = { name, scopes: new Set<string>(), limits: NO_LIMITS, credential: 'none' }
  if ((await queue.list({}, { size: 1 }, itself)).items.length > 0) return true
  if ((await uploads.list()).some(({ principal }) => principal === name)) return true
  return (await store.packages.list((share) => share.name === name)).length > 0
}

/**
 * For a name that others have, or had: whoever has it sees and changes what is theirs. `owns`: things are there of that name; where
 * nobody knows what its tokens had (they stood in the file), it is for who may change what others own. Throws TOKEN_NAME_TAKEN.
 */
export function requireName(
  caller: Principal,
  name: string,
  { others, owns }: { others: readonly Grant[]; owns: boolean },
): void {
  try {
    for (const other of others) requireIncluded(caller, other)
    if (owns && others.length === 0) requireIncluded(caller, { scopes: new Set(['system:admin']), limits: NO_LIMITS })
  } catch (error) {
    throw new AppError(
      'TOKEN_NAME_TAKEN',
      `the name "${name}" is of tokens that have, or had, more than "${caller.name}" has`,
      {
        hint: 'Take another name: whoever has it sees and changes what is theirs. One that was taken away keeps it for 90 days, and for as long as there is anything of it.',
        details: { pointer: '/name' },
        cause: error,
      },
    )
  }
}

function limitsOf({ registries, repositories, kinds }: NonNullable<TokenBody['limits']>): Limits {
  const named = registries?.map((one, index) => at(`/limits/registries/${index}`, registryNamed, one))
  repositories?.forEach((one, index) => {
    if (!isPlacePattern(one) || !isHost(one.slice(0, one.indexOf('/')))) {
      throw invalid(`"${one}" is no pattern of repositories, such as ghcr.io/team/**`, `/limits/repositories/${index}`)
    }
  })
  return {
    ...(named ? { registries: named } : {}),
    ...(repositories ? { repositories } : {}),
    ...(kinds ? { kinds } : {}),
  }
}

function isHost(text: string): boolean {
  try {
    return text === '*' || registryNamed(text) !== ''
  } catch {
    return false
  }
}

function endOf({ expiresAt, expiresInSeconds }: TokenBody, now: number): string | null {
  if (expiresAt !== undefined && expiresInSeconds !== undefined) {
    throw invalid('expiresAt and expiresInSeconds exclude each other', '/expiresAt')
  }
  if (expiresInSeconds !== undefined) return new Date(now + expiresInSeconds * 1000).toISOString()
  if (expiresAt === undefined) return null
  if (Date.parse(expiresAt) > now) return new Date(expiresAt).toISOString()
  throw invalid(`${expiresAt} is not in the future`, '/expiresAt')
}

/** A log-in's end, of a browser or an issuer, is not that of what its person may do. */
function requireNotLonger({ name, issuesUntil }: Principal, wanted: string | null): void {
  if (issuesUntil === undefined || (wanted !== null && Date.parse(wanted) <= issuesUntil)) return
  const last = new Date(issuesUntil).toISOString()
  throw new AppError('TOKEN_LIMITED', `the token of "${name}" ends at ${last}, and issues none that lasts longer`, {
    hint: `Give an expiresAt of ${last} or earlier, or ask with a token that lasts.`,
    details: { pointer: '/expiresAt' },
  })
}

function nameTaken(name: string): AppError {
  return new AppError('TOKEN_NAME_TAKEN', `the name "${name}" is not for tokens that are issued`, {
    hint: 'It is of a token of LAYERD_TOKENS_FILE, or of everybody. Take another one.',
    details: { pointer: '/name' },
  })
}

function invalid(what: string, pointer: string): AppError {
  return new AppError('BODY_INVALID', what, { details: { pointer } })
}
