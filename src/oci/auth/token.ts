import type { AppError } from '../../lib/errors.ts'
import { jsonObject } from '../../lib/formats/json-object.ts'
import { isHeaderWord } from '../../lib/text.ts'
import { createMask, type Mask } from '../errors/mask.ts'
import type { RegistryCredential } from '../credentials/provider.ts'
import type { Answer, Verdict } from '../errors/errors.ts'
import { tokenRefusal } from './refusal.ts'
import type { IssuedToken, TokenKey } from './token-cache.ts'

/** One call to a token service; the answer's body is cut at 128 KiB with an error. */
export type TokenCall = (request: TokenRequest) => Promise<TokenAnswer>

export interface TokenRequest {
  method: 'GET' | 'POST'
  url: URL
  headers: Record<string, string>
  /** A form with a secret in it. */
  body?: Buffer
}

interface TokenAnswer extends Answer {
  /** What a text of the token service may be told as. */
  told(text: string): string
  error(more?: Partial<Pick<Answer, 'text' | 'complaint' | 'verdict'>>): AppError
}

/** What the token protocol promises when nothing is said. Source: distribution "Token Authentication Specification". */
const DEFAULT_LIFETIME_MS = 60_000
const CLIENT_ID = 'layerd'
/** How token services say that they take no POST, or not this grant: GCR, Artifactory, ACR, and by rule. */
const NO_POST = new Set([400, 401, 404, 405])

/**
 * Gets a token: OAuth2 POST for identity tokens, else GET with Basic, or without anything for anonymous access.
 * Throws REGISTRY_UNAUTHORIZED when the service refuses (never worth a retry), other REGISTRY_* else.
 * Source: distribution "Token Authentication Specification" and "OAuth2 Token Authentication".
 */
export async function fetchToken(key: TokenKey, call: TokenCall, now: number): Promise<IssuedToken> {
  const { credential } = key
  const pair = basicPair(credential)
  if (credential?.kind === 'identity') {
    const answer = await callPost(key, credential.token, call)
    // ACR takes its refresh token as an ordinary password too; services without POST need that way.
    const refused = NO_POST.has(answer.status) || isRedirect(answer.status)
    if (!refused || pair === undefined) return readToken(answer, now, tokenRefusal(answer, key, 'POST'))
  }
  const answer = await callGet(key, pair, call)
  return readToken(answer, now, tokenRefusal(answer, key, 'GET'))
}

/** One that a form does not follow: elsewhere, or to another method. */
function isRedirect(status: number): boolean {
  return status >= 300 && status < 400
}

function callGet(key: TokenKey, pair: Pair | undefined, call: TokenCall): Promise<TokenAnswer> {
  const url = new URL(key.realm)
  if (key.service !== undefined) url.searchParams.set('service', key.service)
  for (const scope of key.scopes) url.searchParams.append('scope', scope)
  if (pair) url.searchParams.set('account', pair.username)
  return call({ method: 'GET', url, headers: pair ? { authorization: basicHeader(pair) } : {} })
}

function callPost(key: TokenKey, refreshToken: string, call: TokenCall): Promise<TokenAnswer> {
  const form = new URLSearchParams({
    grant_type: 'refresh_token',
    client_id: CLIENT_ID,
    refresh_token: refreshToken,
    scope: key.scopes.join(' '),
    ...(key.service === undefined ? {} : { service: key.service }),
  })
  return call({
    method: 'POST',
    url: new URL(key.realm),
    headers: { 'content-type': 'application/x-www-form-urlencoded' },
    body: Buffer.from(form.toString()),
  })
}

function readToken(answer: TokenAnswer, now: number, refusal: Verdict | undefined): IssuedToken {
  if (answer.status >= 300) throw answer.error(refusal && { verdict: refusal })
  const json = jsonObject(answer.text)
  const value = [json?.token, json?.access_token].find((found) => typeof found === 'string' && found !== '')
  // A text beside it is not told: it may be a token in a form of its own.
  if (json === undefined || typeof value !== 'string')
    throw answer.error({ text: '', complaint: 'the answer holds no token' })
  // A token that cannot stand in a header would fail later in a way nobody understands.
  if (!isHeaderWord(value)) {
    throw answer.error({ text: '', complaint: 'the answer holds a token that cannot be sent' })
  }
  const refreshToken = json.refresh_token
  return {
    value,
    lifetimeMs: lifetimeMs(json.expires_in, value, now),
    ...(typeof refreshToken === 'string' && refreshToken !== '' ? { refreshToken } : {}),
  }
}

/** Counted from our receipt, so that the service's clock does not matter: `issued_at` and `iat` are only subtracted. */
export function lifetimeMs(expiresIn: unknown, token: string, now: number): number {
  const seconds = Number(expiresIn ?? Number.NaN)
  if (Number.isFinite(seconds) && seconds > 0) return seconds * 1000
  const claims = jsonObject(Buffer.from(token.split('.')[1] ?? '', 'base64url').toString('utf8'))
  if (typeof claims?.exp !== 'number') return DEFAULT_LIFETIME_MS
  const issued = typeof claims.iat === 'number' ? claims.iat : now / 1000
  const life = (claims.exp - issued) * 1000
  return life > 0 ? life : DEFAULT_LIFETIME_MS
}

interface Pair {
  username: string
  password: string
}

/** A user and a secret for Basic, where the credential has such. "<token>" as the user only marks an identity token. */
export function basicPair(credential: RegistryCredential | undefined): Pair | undefined {
  if (credential?.kind === 'basic') return { username: credential.username, password: credential.password }
  if (credential?.kind !== 'identity' || credential.username === '' || credential.username === '<token>')
    return undefined
  return { username: credential.username, password: credential.token }
}

export function basicHeader(pair: Pair): string {
  return `Basic ${basicValue(pair)}`
}

function basicValue({ username, password }: Pair): string {
  return Buffer.from(`${username}:${password}`).toString('base64')
}

/** What must not be told of what somebody with this credential says to a registry. */
export function maskFor(registry: string, credential: RegistryCredential | undefined): Mask {
  const mask = createMask(registry)
  maskCredential(mask, credential)
  return mask
}

/** What the mask has to know before anything of the credential is shown. */
export function maskCredential(mask: Mask, credential: RegistryCredential | undefined): void {
  if (credential === undefined) return
  if (credential.kind !== 'bearer') mask.show(credential.username)
  mask.keep(...secretsOf(credential))
}

/** What requests show of a credential. */
function secretsOf(credential: RegistryCredential | undefined): string[] {
  if (credential === undefined) return []
  const pair = basicPair(credential)
  const secret = credential.kind === 'basic' ? credential.password : credential.token
  return secret === '' ? [] : [secret, ...(pair ? [basicValue(pair)] : [])]
}
