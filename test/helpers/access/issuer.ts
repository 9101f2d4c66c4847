import { createHash, randomUUID, timingSafeEqual } from 'node:crypto'
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import { text } from 'node:stream/consumers'
import { type CryptoKey, exportJWK, generateKeyPair, type JWK, type JWTPayload, SignJWT } from 'jose'
import { type Clock, systemClock } from '../../../src/lib/clock.ts'
import { type Cleanup, defer } from '../cleanup.ts'
import { listenOnLoopback } from '../network/listening.ts'

export interface IssuerKey {
  readonly alg: string
  readonly kid: string
  readonly private: CryptoKey
  readonly jwk: JWK
}

export interface TestClient {
  readonly id: string
  /** None: a public client. */
  readonly secret?: string
  readonly redirectUris: readonly string[]
}

export interface TestIssuer {
  /** http://127.0.0.1:PORT */
  readonly url: string
  /** Published now; the first signs. Change it to rotate. */
  keys: IssuerKey[]
  /** Whoever comes to log in; undefined: they say no. */
  user: JWTPayload | undefined
  readonly clients: Map<string, TestClient>
  /** How they show their secret. */
  clientAuthentication: 'client_secret_basic' | 'client_secret_post'
  /** Claims that every ID token has, in place of the right ones. */
  idClaims: JWTPayload
  /** How often each path was asked. */
  readonly asked: Map<string, number>
  /** In place of the right answer, by path. */
  readonly instead: Map<string, (request: IncomingMessage, response: ServerResponse) => void>
  /** A token as the issuer signs it: for `aud` `layerd`, an hour, of `sub` `ada`; claims that are undefined are left out. */
  token(claims?: JWTPayload, header?: Record<string, unknown>, key?: IssuerKey): Promise<string>
  /** Nobody listens until it is back, at the same port. */
  away(): Promise<void>
  back(): Promise<void>
}

export const DISCOVERY = '/.well-known/openid-configuration'
export const KEYS = '/keys'
export const AUTHORIZE = '/authorize'
export const TOKEN = '/token'

export async function createIssuerKey(alg = 'ES256', kid: string = randomUUID()): Promise<IssuerKey> {
  const pair = await generateKeyPair(alg, { extractable: true })
  return { alg, kid, private: pair.privateKey, jwk: { ...(await exportJWK(pair.publicKey)), alg, kid, use: 'sig' } }
}

interface Grant {
  readonly client: string
  readonly redirectUri: string
  readonly challenge: string
  readonly nonce: string | null
  readonly user: JWTPayload
}

/** An OIDC issuer that does what the specifications say, until it is told otherwise. Source: OpenID Connect Core 1.0; RFC 6749; RFC 7636. */
export async function startIssuer(t: Cleanup, clock: Clock = systemClock): Promise<TestIssuer> {
  const grants = new Map<string, Grant>()
  const server = createServer((request, response) => void answer(issuer, grants, request, response))
  const host = await listenOnLoopback(t, server)
  const asked = new Map<string, number>()
  const issuer: TestIssuer = {
    url: `http://${host}`,
    keys: [await createIssuerKey()],
    user: { sub: 'ada', groups: ['users'] },
    clients: new Map(),
    clientAuthentication: 'client_secret_basic',
    idClaims: {},
    asked,
    instead: new Map(),
    async token(claims = {}, header = {}, given?: IssuerKey) {
      const [key] = given ? [given] : issuer.keys
      if (!key) throw new Error('the issuer has no key')
      const iat = Math.floor(clock.now() / 1000)
      const whole = { iss: issuer.url, aud: 'layerd', sub: 'ada', iat, exp: iat + 3600, ...claims }
      const payload = JSON.parse(JSON.stringify(whole)) as JWTPayload
      return await new SignJWT(payload).setProtectedHeader({ alg: key.alg, kid: key.kid, ...header }).sign(key.private)
    },
    async away() {
      server.closeAllConnections()
      await new Promise<void>((resolve) => server.close(() => resolve()))
    },
    async back() {
      await new Promise<void>((resolve) => server.listen(Number(new URL(issuer.url).port), '127.0.0.1', resolve))
    },
  }
  defer(t, () => server.closeAllConnections())
  return issuer
}

async function answer(
  issuer: TestIssuer,
  grants: Map<string, Grant>,
  request: IncomingMessage,
  response: ServerResponse,
): Promise<void> {
  const url = new URL(request.url ?? '/', issuer.url)
  issuer.asked.set(url.pathname, (issuer.asked.get(url.pathname) ?? 0) + 1)
  const instead = issuer.instead.get(url.pathname)
  if (instead) return instead(request, response)
  if (url.pathname === DISCOVERY) return json(response, 200, discoveryOf(issuer))
  if (url.pathname === KEYS) return json(response, 200, { keys: issuer.keys.map((key) => key.jwk) })
  if (url.pathname === AUTHORIZE) return authorize(issuer, grants, url.searchParams, response)
  if (url.pathname === TOKEN && request.method === 'POST') return await redeem(issuer, grants, request, response)
  json(response, 404, { error: 'not_found' })
}

function json(response: ServerResponse, status: number, body: object): void {
  response.writeHead(status, { 'content-type': 'application/json', 'cache-control': 'no-store' })
  response.end(JSON.stringify(body))
}

export function discoveryOf({ url, clientAuthentication }: Pick<TestIssuer, 'url' | 'clientAuthentication'>) {
  return {
    issuer: url,
    jwks_uri: url + KEYS,
    authorization_endpoint: url + AUTHORIZE,
    token_endpoint: url + TOKEN,
    token_endpoint_auth_methods_supported: [clientAuthentication],
    response_types_supported: ['code'],
    subject_types_supported: ['public'],
    id_token_signing_alg_values_supported: ['ES256'],
  }
}

function authorize(
  issuer: TestIssuer,
  grants: Map<string, Grant>,
  asked: URLSearchParams,
  response: ServerResponse,
): void {
  const client = issuer.clients.get(asked.get('client_id') ?? '')
  const redirectUri = asked.get('redirect_uri') ?? ''
  // Source: RFC 6749 4.1.2.1: nobody is sent to an address that the client does not have.
  if (!client?.redirectUris.includes(redirectUri)) return json(response, 400, { error: 'invalid_request' })
  const back = new URL(redirectUri)
  const state = asked.get('state')
  if (state !== null) back.searchParams.set('state', state)
  const fault = faultOf(asked) ?? (issuer.user ? undefined : 'access_denied')
  if (fault === undefined && issuer.user) {
    const code = randomUUID()
    const challenge = asked.get('code_challenge') ?? ''
    grants.set(code, { client: client.id, redirectUri, challenge, nonce: asked.get('nonce'), user: issuer.user })
    back.searchParams.set('code', code)
  } else back.searchParams.set('error', fault ?? '')
  response.writeHead(302, { location: back.href }).end()
}

function faultOf(asked: URLSearchParams): string | undefined {
  if (asked.get('response_type') !== 'code') return 'unsupported_response_type'
  if (!asked.get('scope')?.split(' ').includes('openid')) return 'invalid_scope'
  const hasChallenge = asked.get('code_challenge_method') === 'S256' && asked.get('code_challenge')?.length === 43
  return hasChallenge ? undefined : 'invalid_request'
}

async function redeem(
  issuer: TestIssuer,
  grants: Map<string, Grant>,
  request: IncomingMessage,
  response: ServerResponse,
): Promise<void> {
  const form = new URLSearchParams(await text(request))
  const client = clientOf(issuer, request.headers.authorization, form)
  if (!client) return json(response, 401, { error: 'invalid_client' })
  if (form.get('grant_type') !== 'authorization_code') return json(response, 400, { error: 'unsupported_grant_type' })
  const code = form.get('code') ?? ''
  const grant = grants.get(code)
  grants.delete(code)
  const challenge = createHash('sha256')
    .update(form.get('code_verifier') ?? '')
    .digest('base64url')
  const isRight =
    grant?.client === client.id && grant.redirectUri === form.get('redirect_uri') && grant.challenge === challenge
  if (!isRight) return json(response, 400, { error: 'invalid_grant' })
  const nonce = grant.nonce === null ? {} : { nonce: grant.nonce }
  const idToken = await issuer.token({ aud: client.id, ...nonce, ...grant.user, ...issuer.idClaims })
  json(response, 200, { access_token: randomUUID(), token_type: 'Bearer', expires_in: 300, id_token: idToken })
}

/** client_secret_basic, client_secret_post, or none for a public client. Source: RFC 6749 2.3.1. */
function clientOf(issuer: TestIssuer, header: string | undefined, form: URLSearchParams): TestClient | undefined {
  const basic = Buffer.from(/^Basic (.+)$/.exec(header ?? '')?.[1] ?? '', 'base64').toString()
  const [id, secret] = basic === '' ? [form.get('client_id'), form.get('client_secret')] : basic.split(':').map(decoded)
  const client = issuer.clients.get(id ?? '')
  const isWrongWay = (issuer.clientAuthentication === 'client_secret_basic') !== (basic !== '')
  if (client?.secret !== undefined && isWrongWay) return undefined
  return client && sameText(client.secret ?? '', secret ?? '') ? client : undefined
}

function decoded(text: string): string {
  return new URLSearchParams(`x=${text}`).get('x') ?? ''
}

function sameText(a: string, b: string): boolean {
  const hash = (each: string) => createHash('sha256').update(each).digest()
  return timingSafeEqual(hash(a), hash(b))
}
