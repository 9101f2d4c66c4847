import { createHash, randomBytes } from 'node:crypto'
import type { Clock } from '../../lib/clock.ts'
import { AppError } from '../../lib/errors.ts'
import { jsonObject } from '../../lib/formats/json-object.ts'
import type { FollowedFile } from '../followed-file.ts'
import type { Principal } from '../principal.ts'
import type { GroupRule } from './groups-file.ts'
import type { Identity } from './identity.ts'
import type { IssuerHttp } from './issuer-http.ts'
import type { Issuer, Metadata } from './issuer.ts'
import { principalOf } from './token-source.ts'
import { type Expected, peek, refused, verify } from './verify.ts'

/** What a browser's log-in under way is known by; kept where nobody but that browser and layerd can read or change it. */
export interface FlowState {
  /** What the issuer hands back as `state`: who comes with another has not begun this. */
  readonly state: string
  readonly nonce: string
  /** Of PKCE: it is shown to the issuer with the code. */
  readonly verifier: string
}

/**
 * The authorization code flow with PKCE, without cookies and routes. `begin` gives the address that the browser is sent to and what has to
 * be kept until it comes back (ten minutes are enough) with `?code=...&state=...` or `?error=...&state=...`. The caller compares `state`
 * and tells its own `redirectUri`, the same both times.
 *
 *     const { url, state } = await flow.begin({ redirectUri })
 *     // state into a cookie; 302 to url; later, where query.state === state.state:
 *     const principal = await flow.finish({ code: query.code, redirectUri, state })
 *     sessions.begin(principal)
 *
 * Its credential may be kept (44 KiB at most, some hundred bytes as a rule): `current` of the token source says in any process, and after a
 * restart, what it may by the groups file as it is then. It counts for half a day from the log-in, not for the minutes of its ID token:
 * whom the issuer has shut out meanwhile is let in until then. Source: OpenID Connect Core 1.0, 3.1; RFC 7636; RFC 9700 2.1.
 */
export interface CodeFlow {
  /** Throws ISSUER_UNAVAILABLE. */
  begin(request: { redirectUri: string }): Promise<{ url: string; state: FlowState }>
  /**
   * Throws UNAUTHENTICATED where the issuer refuses the code or its answer is not right, ISSUER_UNAVAILABLE, and CONFIG_INVALID where the
   * issuer does not take layerd's client id or secret. None tells code, verifier, tokens or secret.
   */
  finish(request: { code: string; redirectUri: string; state: FlowState }): Promise<Principal>
}

export interface CodeFlowOptions {
  issuer: Issuer
  http: IssuerHttp
  clock: Clock
  clientId: string
  /** None: a public client, which has PKCE alone. */
  clientSecret: string | undefined
  /** Separated by spaces; openid among them. */
  scopes: string
  groupsClaim: string
  groups: FollowedFile<GroupRule>
}

const MAX_CODE = 4096
/** It comes by no header, and may hold many groups. */
const MAX_ID_TOKEN = 32 * 1024
const MAX_AGE_SECONDS = 300
/** Whose groups have changed has to log in again the next day. */
const LOGIN_MS = 12 * 3_600_000
/** What the fault is with, by RFC 6749 5.2; other words of an issuer are not repeated. */
const REFUSALS: ReadonlySet<unknown> = new Set([
  'invalid_request',
  'invalid_grant',
  'unsupported_grant_type',
  'invalid_scope',
])
const CLIENT_REFUSALS: ReadonlySet<unknown> = new Set(['invalid_client', 'unauthorized_client'])

export function createCodeFlow(options: CodeFlowOptions): CodeFlow {
  const { issuer, clientId, scopes } = options
  return {
    async begin({ redirectUri }) {
      const { authorization } = await issuer.metadata.get()
      if (!authorization) throw issuer.unavailable(new Error('it names no authorization_endpoint'))
      const state = { state: random(), nonce: random(), verifier: random() }
      const url = new URL(authorization)
      const asked = {
        response_type: 'code',
        response_mode: 'query',
        client_id: clientId,
        redirect_uri: redirectUri,
        scope: scopes,
        state: state.state,
        nonce: state.nonce,
        code_challenge: createHash('sha256').update(state.verifier).digest('base64url'),
        code_challenge_method: 'S256',
      }
      for (const [name, value] of Object.entries(asked)) url.searchParams.set(name, value)
      return { url: url.href, state }
    },
    async finish({ code, redirectUri, state }) {
      if (code === '' || code.length > MAX_CODE) throw failed('the code is none')
      const token = await redeem(options, { code, redirectUri, verifier: state.verifier })
      return await principalOf(await identityOf(token, state.nonce, options), options.groups)
    },
  }
}

function random(): string {
  return randomBytes(32).toString('base64url')
}

interface Redemption {
  code: string
  redirectUri: string
  verifier: string
}

/** The ID token for a code. */
async function redeem(options: CodeFlowOptions, { code, redirectUri, verifier }: Redemption): Promise<string> {
  const { issuer, http, clientSecret = '' } = options
  const { token: url, clientAuthentication } = await issuer.metadata.get()
  if (!url) throw issuer.unavailable(new Error('it names no token_endpoint'))
  const client = authentication(options, clientAuthentication)
  const form = { grant_type: 'authorization_code', code, redirect_uri: redirectUri, code_verifier: verifier }
  const { status, text } = await http({
    op: 'redeem a code at the OIDC issuer',
    method: 'POST',
    url,
    headers: { 'content-type': 'application/x-www-form-urlencoded', ...client.headers },
    body: new URLSearchParams({ ...form, ...client.form }).toString(),
    secrets: [code, verifier, clientSecret],
  }).catch((error: unknown) => {
    throw issuer.unavailable(error)
  })
  const answer = jsonObject(text)
  if (status >= 500 || status === 429) throw issuer.unavailable(new Error(`${url.host} answered ${status}`))
  if (status !== 200) throw refusal(issuer.name, answer?.['error'], status)
  const token = answer?.['id_token']
  if (typeof token !== 'string') throw failed('the issuer gave no ID token')
  return token
}

/** Source: RFC 6749 2.3.1. */
function authentication(
  { clientId, clientSecret }: CodeFlowOptions,
  methods: Metadata['clientAuthentication'],
): { headers: Record<string, string>; form: Record<string, string> } {
  if (clientSecret === undefined) return { headers: {}, form: { client_id: clientId } }
  const isPosted = methods.includes('client_secret_post') && !methods.includes('client_secret_basic')
  if (isPosted) return { headers: {}, form: { client_id: clientId, client_secret: clientSecret } }
  const basic = Buffer.from(`${formEncoded(clientId)}:${formEncoded(clientSecret)}`).toString('base64')
  return { headers: { authorization: `Basic ${basic}` }, form: {} }
}

function formEncoded(text: string): string {
  return new URLSearchParams({ '': text }).toString().slice(1)
}

async function identityOf(token: string, nonce: string, options: CodeFlowOptions): Promise<Identity> {
  const { issuer, clock, clientId: audience, groupsClaim } = options
  const expected: Expected = { audience, groupsClaim, maxLength: MAX_ID_TOKEN, maxAge: MAX_AGE_SECONDS }
  const header = peek(token, issuer.name, MAX_ID_TOKEN)
  if (!header) throw failed('the ID token is none of the issuer, or too long')
  const { identity, claims } = await verify(token, header, { issuer, clock, expected })
  const { azp, aud } = claims
  if (claims['nonce'] !== nonce) throw refused('is of another log-in')
  const wantsParty = Array.isArray(aud) && aud.length > 1
  if ((wantsParty || azp !== undefined) && azp !== audience) throw refused('is for another client')
  const { name, groups } = identity
  return { name, groups, expiresAt: clock.now() + LOGIN_MS }
}

function refusal(issuer: string, word: unknown, status: number): AppError {
  if (!CLIENT_REFUSALS.has(word) && status !== 401) {
    return failed(`the issuer refused the code (${REFUSALS.has(word) ? String(word) : status})`)
  }
  return new AppError('CONFIG_INVALID', `the OIDC issuer ${issuer} does not take the client id or secret of layerd`, {
    hint: 'Whoever runs layerd sets them by LAYERD_OIDC_CLIENT_ID and LAYERD_OIDC_CLIENT_SECRET_FILE.',
  })
}

function failed(why: string): AppError {
  return new AppError('UNAUTHENTICATED', `the log-in failed: ${why}`, { hint: 'Log in again.' })
}
