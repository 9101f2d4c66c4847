import { randomUUID } from 'node:crypto'
import { writeFile } from 'node:fs/promises'
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'
import type { Cleanup } from '../cleanup.ts'
import { listenOnLoopback } from '../network/listening.ts'
import { tempDir } from '../temp-dir.ts'
import { createTokenKey, type TokenKey, type TokenKeyOptions } from './token-key.ts'

export interface TokenServerOptions {
  /** Passwords by user; a user's tokens allow all that is asked, unless `rights` says otherwise. */
  users?: Readonly<Record<string, string>>
  /** Identity tokens and the users they stand for, taken by POST. */
  identityTokens?: Readonly<Record<string, string>>
  /** Which of the asked actions a user gets (undefined: nobody logged in). Default: users all, others pull. */
  rights?: (user: string | undefined, repository: string, action: string) => boolean
  /** Default 300. Changeable on the running server. */
  ttlSeconds?: number
  /** Seconds after which distribution refuses a token, whatever the answer says. Default: a minute after ttlSeconds. */
  believedSeconds?: number
  /** Default: ES256, told by the certificate. */
  key?: TokenKeyOptions
  /** The answer's fields beside the token. Default expires_in and issued_at. */
  silentAboutLife?: boolean
  /** Under which name the token comes. Default 'token'. */
  field?: 'token' | 'access_token' | 'both'
  /** What POST answers; registries differ. Default 200 with a token. */
  postStatus?: number
  /** What a wrong password is answered with. Default 401. */
  wrongPassword?: 401 | 403
  /** Actions that may be asked for; others are answered with 400. Default: all. */
  actions?: readonly string[]
  /** A token gives all that its user may do in the repository, whatever was asked for. */
  grantsAll?: boolean
  /** When it is, ms. Default: the system's time. */
  now?: () => number
  /** Told of each request. */
  onRequest?: (request: IncomingMessage) => void
}

export interface TokenRequest {
  readonly method: string
  /** As asked, in order. */
  readonly scopes: readonly string[]
  readonly service: string | undefined
  readonly account: string | undefined
  readonly grantType: string | undefined
  readonly refreshToken: string | undefined
  readonly authorization: string | undefined
  readonly status: number
}

export interface TokenServer {
  readonly realm: string
  readonly service: string
  readonly issuer: string
  /** Path of a PEM file, for `auth: token` of a real registry. */
  readonly rootCertBundle: string
  /** Path of a JSON file, as distribution 3 may have in place of that. */
  readonly jwks: string
  readonly requests: TokenRequest[]
  ttlSeconds: number
  /** The next request is answered so, whatever it asks. */
  answerNext(status: number, body: string, headers?: Record<string, string>): void
  /** Whether a bearer token is one of ours, not out of date, and allows the action. */
  allows(authorization: string | undefined, repository: string, action: string): boolean
  /** Whether a bearer token is one of ours, and not out of date. */
  knows(authorization: string | undefined): boolean
  /** Each answer brings this identity token as the new one. */
  rotateTo(refreshToken: string): void
  /** Every token given out so far is void for `allows`. */
  revokeAll(): void
}

/**
 * A token service as Docker's and distribution's documentation has it ("Token Authentication Specification", "OAuth2
 * Token Authentication"). Tokens that carry their certificate are checked by distribution 2.8 and 3 alike; a key's name alone
 * means something to 2.8 with the certificate, to 3 with the JWKS.
 */
export async function startTokenServer(t: Cleanup, options: TokenServerOptions = {}): Promise<TokenServer> {
  const key = createTokenKey(options.key)
  const folder = await tempDir(t, 'token-server')
  const [rootCertBundle, jwks] = [join(folder, 'root.pem'), join(folder, 'jwks.json')]
  await writeFile(rootCertBundle, key.certPem)
  await writeFile(jwks, key.jwks)
  const requests: TokenRequest[] = []
  const scripted: Array<{ status: number; body: string; headers: Record<string, string> }> = []
  const issued = new Map<string, { access: Access[]; expiresAt: number }>()
  const { now = Date.now, field = 'token' } = options
  const state: { ttlSeconds: number; rotated?: string } = { ttlSeconds: options.ttlSeconds ?? 300 }
  const current = (authorization: string | undefined) => {
    const token = issued.get(authorization?.replace(/^Bearer /, '') ?? '')
    return token !== undefined && token.expiresAt > now() ? token : undefined
  }
  const service = 'registry.test'
  const issuer = 'token-server.test'

  const serve = async (request: IncomingMessage, response: ServerResponse): Promise<void> => {
    options.onRequest?.(request)
    const asked = await readRequest(request)
    const script = scripted.shift()
    const login = identify(asked, options)
    const status = script?.status ?? login.status
    requests.push({ ...asked, status })
    if (script) {
      response.writeHead(status, script.headers).end(script.body)
      return
    }
    response.writeHead(status, { 'content-type': 'application/json' })
    if (status !== 200) {
      response.end(REFUSED)
      return
    }
    const access = grant(asked.scopes, login.user, options)
    const { believedSeconds = state.ttlSeconds + LEEWAY } = options
    const expiresIn = believedSeconds - LEEWAY
    const token = createToken(key, { issuer, service, access, expiresIn, user: login.user })
    issued.set(token, { access, expiresAt: now() + state.ttlSeconds * 1000 })
    const life = options.silentAboutLife ? {} : { expires_in: state.ttlSeconds, issued_at: new Date().toISOString() }
    const fields = field === 'both' ? ['token', 'access_token'] : [field]
    const tokens = Object.fromEntries(fields.map((name) => [name, token]))
    response.end(JSON.stringify({ ...tokens, refresh_token: state.rotated, ...life }))
  }
  const server = createServer((request, response) => {
    serve(request, response).catch((error: unknown) => response.destroy(error as Error))
  })
  const host = await listenOnLoopback(t, server)

  return {
    realm: `http://${host}/token`,
    service,
    issuer,
    rootCertBundle,
    jwks,
    requests,
    get ttlSeconds() {
      return state.ttlSeconds
    },
    set ttlSeconds(seconds) {
      state.ttlSeconds = seconds
    },
    answerNext: (status, body, headers = {}) => scripted.push({ status, body, headers }),
    knows: (authorization) => current(authorization) !== undefined,
    allows(authorization, repository, action) {
      const token = current(authorization)
      if (token === undefined) return false
      return token.access.some(({ name, actions }) => name === repository && actions.includes(action))
    },
    rotateTo(refreshToken) {
      state.rotated = refreshToken
    },
    revokeAll: () => issued.clear(),
  }
}

const REFUSED = JSON.stringify({ errors: [{ code: 'UNAUTHORIZED', message: 'incorrect username or password' }] })

interface Access {
  type: string
  name: string
  actions: string[]
}

type Asked = Omit<TokenRequest, 'status'>

async function readRequest(request: IncomingMessage): Promise<Asked> {
  const query = new URL(request.url ?? '/', 'http://localhost').searchParams
  const form = request.method === 'POST' ? new URLSearchParams(await text(request)) : query
  const scopes = form.getAll('scope').flatMap((scope) => scope.split(' '))
  return {
    method: request.method ?? '',
    scopes: scopes.filter((scope) => scope !== ''),
    service: form.get('service') ?? undefined,
    account: form.get('account') ?? undefined,
    grantType: form.get('grant_type') ?? undefined,
    refreshToken: form.get('refresh_token') ?? undefined,
    authorization: request.headers.authorization,
  }
}

function identify(asked: Asked, options: TokenServerOptions): { status: number; user?: string } {
  if (asked.method === 'POST') {
    if (options.postStatus !== undefined && options.postStatus !== 200) return { status: options.postStatus }
    const user = options.identityTokens?.[asked.refreshToken ?? '']
    return user === undefined ? { status: 401 } : { status: 200, user }
  }
  const { actions, wrongPassword = 401 } = options
  const wanted = asked.scopes.flatMap((scope) => scope.split(':').at(-1)?.split(',') ?? [])
  if (actions && wanted.some((action) => !actions.includes(action))) return { status: 400 }
  if (asked.authorization === undefined) return { status: 200 }
  const pair = Buffer.from(asked.authorization.replace(/^Basic /, ''), 'base64').toString()
  const user = pair.slice(0, pair.indexOf(':'))
  return options.users?.[user] === pair.slice(user.length + 1) ? { status: 200, user } : { status: wrongPassword }
}

/** What a registry may be asked to allow. */
const ACTIONS = ['pull', 'push', 'delete', 'metadata_read', '*']

function grant(scopes: readonly string[], user: string | undefined, options: TokenServerOptions): Access[] {
  const rights = options.rights ?? ((name, _repository, action) => name !== undefined || action === 'pull')
  return scopes.flatMap((scope) => {
    const [, type, name, actions] = /^([^:]+):(.+):([^:]*)$/.exec(scope) ?? []
    if (type === undefined || name === undefined || actions === undefined) return []
    const wanted = options.grantsAll ? ACTIONS : actions.split(',')
    const granted = wanted.filter((action) => rights(user, name, action))
    return granted.length === 0 ? [] : [{ type, name, actions: granted }]
  })
}

/** Seconds that distribution adds to a token's life. Source: distribution 2.8.2 and 3.1.1 registry/auth/token/token.go. */
const LEEWAY = 60

function createToken(
  key: TokenKey,
  claims: { issuer: string; service: string; access: Access[]; expiresIn: number; user: string | undefined },
): string {
  const now = Math.floor(Date.now() / 1000)
  return key.token({
    iss: claims.issuer,
    sub: claims.user ?? '',
    aud: claims.service,
    iat: now,
    nbf: now - 10,
    exp: now + claims.expiresIn,
    jti: randomUUID(),
    access: claims.access,
  })
}

/** A registry's 401 with this challenge. */
export function refuse(
  response: ServerResponse,
  challenge: string | readonly string[] | undefined,
  status = 401,
): void {
  if (challenge !== undefined) response.setHeader('www-authenticate', challenge)
  response.writeHead(status).end('{"errors":[{"code":"UNAUTHORIZED","message":"authentication required"}]}')
}

/** The challenge of a registry that sends to this token service. */
export function bearer(tokens: TokenServer, more = ''): string {
  return `Bearer realm="${tokens.realm}",service="${tokens.service}"${more}`
}
