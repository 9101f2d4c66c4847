import type { JWTPayload } from 'jose'
import { isObject, jsonObject } from '../../lib/formats/json-object.ts'

/** Whom an issuer's token is of. */
export interface Identity {
  /** `oidc:SUBJECT`: the principal's. */
  readonly name: string
  readonly groups: readonly string[]
  /** When the token, or the log-in, counts no longer, ms since 1970. */
  readonly expiresAt: number
  /** What a token was signed with, and has to be signed with still. None: a log-in, which was looked at once. */
  readonly key?: string | undefined
}

export const KIND = 'oidc'

/**
 * It says all of the identity, so that each process knows it, and after a restart too: who keeps one says whom it lets in. None comes from
 * a caller.
 */
export function credentialOf({ name, groups, expiresAt, key }: Identity): string {
  const text = JSON.stringify({ name, groups, expiresAt, key } satisfies Identity)
  return `${KIND}:${Buffer.from(text).toString('base64url')}`
}

export function identityIn(credential: string): Identity | undefined {
  const found = jsonObject(Buffer.from(credential.slice(KIND.length + 1), 'base64url').toString())
  return found?.['name'] === undefined ? undefined : (found as unknown as Identity)
}

/** Source: OpenID Connect Core 1.0, 2: 255 ASCII characters at most. */
const MAX_SUBJECT = 255
const MAX_NAME = 300
/** More than anybody is in; some of them left out could let in by a rule that is further down. */
const MAX_GROUPS = 1000

/** What the owner of jobs and packages is called; undefined where the subject makes no name. Two subjects never have the same. */
export function nameOf(subject: unknown): string | undefined {
  if (typeof subject !== 'string' || subject === '' || subject.length > MAX_SUBJECT) return undefined
  // Half a character would become the same as any other half.
  if (!subject.isWellFormed()) return undefined
  const name = `oidc:${subject.replace(/[^\x21-\x7e]|[%,"\\]/gu, percentEncoded)}`
  return name.length <= MAX_NAME ? name : undefined
}

function percentEncoded(character: string): string {
  return [...Buffer.from(character)].map((byte) => `%${byte.toString(16).toUpperCase().padStart(2, '0')}`).join('')
}

/**
 * The groups of a claim: one text is one group. `claim`: the name of one, or a path by dots to one within others
 * (`realm_access.roles`). What is neither a text nor a list of texts, or has more than 1,000, is no group: nobody gets in by a part of it.
 */
export function groupsOf(payload: JWTPayload, claim: string): readonly string[] {
  const found = Object.hasOwn(payload, claim) ? payload[claim] : atPath(payload, claim.split('.'))
  const groups = typeof found === 'string' ? [found] : found
  if (!Array.isArray(groups) || groups.length > MAX_GROUPS) return []
  return groups.every((group) => typeof group === 'string') ? groups : []
}

function atPath(from: unknown, names: readonly string[]): unknown {
  let found = from
  for (const name of names) {
    if (!isObject(found)) return undefined
    found = found[name]
  }
  return found
}
