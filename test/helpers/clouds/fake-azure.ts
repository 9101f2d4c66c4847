import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import { text } from 'node:stream/consumers'
import type { AzurePrincipal } from '../../../src/content/clouds.ts'
import type { Cleanup } from '../cleanup.ts'
import { listenOnLoopback } from '../network/listening.ts'

interface Scripted {
  status: number
  body: string
}

export interface FakeAzure {
  /** For AZURE_AUTHORITY_HOST. */
  readonly authority: string
  /** `127.0.0.1:port` of the registry, which lets in who has a token of its token service. */
  readonly registry: string
  readonly principal: AzurePrincipal
  /** What Entra, the exchange and the token service were asked, by their paths. */
  readonly asked: Array<{ path: string; form: URLSearchParams; authorization: string | undefined }>
  readonly refreshTokens: string[]
  /** The next request to this path is answered so. */
  answerNext(path: string, answer: Scripted): void
}

const TENANT = '11111111-2222-3333-4444-555555555555'
const CLIENT = '99999999-8888-7777-6666-555555555555'
const CLIENT_SECRET = 'Xq8~client.secret-of_the~principal'
export const EXCHANGE = '/oauth2/exchange'
export const ENTRA = `/${TENANT}/oauth2/v2.0/token`

/** Entra and one registry. Source: "OAuth 2.0 client credentials flow", Azure Container Registry "AAD-OAuth", registries.md 10. */
export async function startFakeAzure(t: Cleanup): Promise<FakeAzure> {
  const asked: FakeAzure['asked'] = []
  const refreshTokens: string[] = []
  const scripted = new Map<string, Scripted[]>()
  const entraToken = `eyJ0eXAiOiJKV1QifQ.${'e'.repeat(40)}.entra`
  let registry = ''

  const entra = (form: URLSearchParams): Scripted => {
    const right = form.get('client_id') === CLIENT && form.get('client_secret') === CLIENT_SECRET
    const scope = form.get('scope') === 'https://containerregistry.azure.net/.default'
    if (!right || !scope) return json(401, { error: 'invalid_client', error_description: WRONG_SECRET })
    return json(200, { token_type: 'Bearer', expires_in: 3599, access_token: entraToken })
  }
  const exchange = (form: URLSearchParams): Scripted => {
    const right = form.get('access_token') === entraToken && form.get('tenant') === TENANT
    if (!right || form.get('service') !== registry || form.get('grant_type') !== 'access_token') return unauthorized()
    const iat = Math.floor(Date.now() / 1000)
    const claims = Buffer.from(JSON.stringify({ iat, exp: iat + 10_800, jti: refreshTokens.length })).toString(
      'base64url',
    )
    refreshTokens.push(`eyJhbGciOiJSUzI1NiJ9.${claims}.${'r'.repeat(40)}`)
    return json(200, { refresh_token: refreshTokens.at(-1) })
  }
  const token = (form: URLSearchParams): Scripted =>
    refreshTokens.includes(form.get('refresh_token') ?? '')
      ? json(200, { access_token: 'acr-access-token' })
      : unauthorized()

  const handle = async (request: IncomingMessage, response: ServerResponse): Promise<void> => {
    const path = (request.url ?? '').split('?', 1)[0] ?? ''
    const form = new URLSearchParams(await text(request))
    const { authorization } = request.headers
    if (path.startsWith('/v2/')) {
      const bearer = `Bearer realm="http://${registry}/oauth2/token",service="${registry}"`
      if (authorization === 'Bearer acr-access-token') response.end('{}')
      else response.writeHead(401, { 'www-authenticate': bearer }).end(unauthorized().body)
      return
    }
    asked.push({ path, form, authorization })
    const script = scripted.get(path)?.shift()
    const routes: Record<string, (form: URLSearchParams) => Scripted> = {
      [ENTRA]: entra,
      [EXCHANGE]: exchange,
      '/oauth2/token': token,
    }
    const { status, body } = script ?? routes[path]?.(form) ?? json(404, {})
    response.writeHead(status, { 'content-type': 'application/json', 'x-ms-correlation-request-id': 'c-1' }).end(body)
  }
  registry = await listenOnLoopback(
    t,
    createServer((request, response) => {
      handle(request, response).catch((error: unknown) => response.destroy(error as Error))
    }),
  )
  return {
    authority: `http://${registry}`,
    registry,
    principal: { kind: 'azure', tenantId: TENANT, clientId: CLIENT, clientSecret: CLIENT_SECRET },
    asked,
    refreshTokens,
    answerNext: (path, answer) => void scripted.set(path, [...(scripted.get(path) ?? []), answer]),
  }
}

const WRONG_SECRET =
  'AADSTS7000215: Invalid client secret provided. Ensure the secret being sent in the request is the client secret value, not the client secret ID, for a secret added to app.\r\nTrace ID: t-1\r\nCorrelation ID: c-1\r\nTimestamp: 2026-11-01 10:00:00Z'

function json(status: number, body: object): Scripted {
  return { status, body: JSON.stringify(body) }
}

function unauthorized(): Scripted {
  return json(401, {
    errors: [
      {
        code: 'UNAUTHORIZED',
        message: 'authentication required, visit https://aka.ms/acr/authorization for more information.',
      },
    ],
  })
}
