import { sign } from 'node:crypto'
import { type GoogleSecret, isGoogleTokenService } from '../../../content/clouds.ts'
import { AppError } from '../../../lib/errors.ts'
import { jsonObject } from '../../../lib/formats/json-object.ts'
import { isLoopback } from '../../../lib/loopback.ts'
import { isHeaderWord } from '../../../lib/text.ts'
import { createMask } from '../../errors/mask.ts'
import type { CloudAnswer } from '../../request/cloud-call.ts'
import { CLOCK, passes, refused, senseless, textOf, unanswered, waitOf, type Wanted } from './failure.ts'
import type { CloudAsking } from './asking.ts'
import type { Derived } from './shelf.ts'

const GRANT = 'urn:ietf:params:oauth:grant-type:jwt-bearer'
const SCOPE = 'https://www.googleapis.com/auth/cloud-platform'
/** Google takes no longer ones. */
const ASSERTION_S = 3600
/** The user under whom Artifact Registry takes access tokens. Source: its "Set up authentication for Docker". */
const USER = 'oauth2accesstoken'

/**
 * A service account's key for an access token, by an assertion that it signs. Throws CREDENTIALS_INVALID. Source: Google's "Using
 * OAuth 2.0 for Server to Server Applications" (without a client library), RFC 7523 2.1.
 */
export async function googlePassword(
  secret: GoogleSecret,
  { registry, way, call, clock }: CloudAsking,
): Promise<Derived> {
  const mask = createMask(`${registry} ${secret.clientEmail}`)
  const wanted: Wanted = { what: 'a Google access token', registry, mask }
  if (!isGoogleTokenService(secret.tokenUri, registry)) throw elsewhere(wanted)
  const url = new URL(secret.tokenUri)
  const assertion = signed(secret, Math.floor(clock.now() / 1000))
  mask.keep(assertion, secret.privateKey)
  const form = new URLSearchParams({ grant_type: GRANT, assertion })
  const answer = await call({
    way,
    op: 'get a Google access token',
    registry,
    method: 'POST',
    target: url,
    headers: { 'content-type': 'application/x-www-form-urlencoded' },
    body: Buffer.from(form.toString()),
    mask,
    reach: isLoopback(url.hostname) ? 2 : 1,
  }).catch((error: unknown) => {
    throw unanswered(wanted, error)
  })
  if (answer.status !== 200) throw refusal(wanted, answer, clock.now())
  const json = jsonObject(answer.text)
  const token = textOf(json?.['access_token'])
  if (token === undefined || !isHeaderWord(token)) throw senseless(wanted, url.host, 'answered without an access token')
  const seconds = Number(json?.['expires_in'])
  const lifetimeMs = seconds > 0 ? seconds * 1000 : ASSERTION_S * 1000
  return { credential: { kind: 'basic', username: USER, password: token }, lifetimeMs }
}

function signed({ clientEmail, privateKeyId, privateKey, tokenUri }: GoogleSecret, now: number): string {
  const head = { alg: 'RS256', typ: 'JWT', ...(privateKeyId === null ? {} : { kid: privateKeyId }) }
  const claims = { iss: clientEmail, scope: SCOPE, aud: tokenUri, iat: now, exp: now + ASSERTION_S }
  const text = [head, claims].map((part) => Buffer.from(JSON.stringify(part)).toString('base64url')).join('.')
  return `${text}.${sign('RSA-SHA256', Buffer.from(text), privateKey).toString('base64url')}`
}

function refusal(wanted: Wanted, answer: CloudAnswer, now: number): AppError {
  const { status, url, text } = answer
  const json = jsonObject(text)
  const code = textOf(json?.['error'])
  const said = textOf(json?.['error_description'])
  const transient = passes(status) || code === 'temporarily_unavailable' || code === 'internal_failure'
  const hint = transient ? PASSES : hintOf(code, said)
  return refused(wanted, { host: url.host, status, code, said, hint, transient, ...waitOf(answer, now) })
}

function hintOf(code: string | undefined, said = ''): string {
  if (code === 'invalid_grant' && /reasonable timeframe|iat|exp\b/i.test(said)) return CLOCK
  if (code === 'invalid_grant' && /signature/i.test(said)) return KEY_GONE
  if (code === 'invalid_grant') return ACCOUNT_GONE
  return OTHER
}

const PASSES = "Google's token service fails at the moment; it is tried again."
const KEY_GONE =
  'The key was deleted or is not of this account: make a new one and keep it (PUT /v1/registries/{host}).'
const ACCOUNT_GONE =
  'The service account was deleted or turned off, or its key was: look at it in the console, and keep a new key.'
const OTHER = 'Check the service account and its key in the console, and keep a new key.'

function elsewhere({ registry }: Wanted): AppError {
  return new AppError(
    'CREDENTIALS_INVALID',
    `the service account's key for ${registry} names a token service that is none of Google's`,
    { hint: 'token_uri is https://oauth2.googleapis.com/token in keys that Google gives out: keep one of those.' },
  )
}
