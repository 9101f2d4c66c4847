import { AZURE_TOKEN_USER, type AzurePrincipal, type AzureSecret } from '../../../content/clouds.ts'
import { AppError } from '../../../lib/errors.ts'
import { jsonObject } from '../../../lib/formats/json-object.ts'
import { isLoopback } from '../../../lib/loopback.ts'
import { createMask } from '../../errors/mask.ts'
import type { CloudAnswer, CloudRequest } from '../../request/cloud-call.ts'
import type { RegistryCredential } from '../provider.ts'
import type { CloudAsking } from './asking.ts'
import { CLOCK, passes, refused, senseless, textOf, unanswered, waitOf, type Wanted } from './failure.ts'
import type { Derived } from './shelf.ts'

/** What Entra gives tokens for to those who exchange them at a registry, in all of its clouds. Source: azure-containerregistry. */
const SCOPE = 'https://containerregistry.azure.net/.default'
/** Of the refresh token, where it does not tell. Source: Azure's "Authenticate with an Azure container registry". */
const LIFETIME_MS = 3 * 60 * 60_000
const FORM = { 'content-type': 'application/x-www-form-urlencoded' }

/** A refresh token is shown as it is. */
export function readyRefreshToken(secret: AzureSecret): RegistryCredential | undefined {
  return 'refreshToken' in secret ? identity(secret.refreshToken) : undefined
}

/**
 * A service principal's secret for an access token of Entra, and that for a refresh token of the registry. Throws
 * CREDENTIALS_INVALID. Source: Microsoft identity platform "OAuth 2.0 client credentials flow", Azure Container Registry "AAD-OAuth".
 */
export async function azurePassword(secret: AzurePrincipal, asking: CloudAsking): Promise<Derived> {
  const { registry, plainHttp, clock } = asking
  const { tenantId, clientId, clientSecret } = secret
  const mask = createMask(`${registry} ${tenantId} ${clientId}`)
  mask.keep(clientSecret)
  const wanted: Wanted = { what: 'a refresh token of Azure', registry, mask }
  const authority = authorityOf(asking, wanted)
  const grant = { grant_type: 'client_credentials', client_id: clientId, client_secret: clientSecret, scope: SCOPE }
  const access = await posted(asking, wanted, {
    op: 'get a token of Entra',
    target: new URL(`/${encodeURIComponent(tenantId)}/oauth2/v2.0/token`, authority.url),
    reach: authority.reach,
    form: grant,
  })
  const token = textOf(tokenOf(access, { wanted, now: clock.now(), refusal: entraRefusal })['access_token'])
  if (token === undefined) throw senseless(wanted, access.url.host, 'answered without an access token')
  mask.keep(token)
  const given = await posted(asking, wanted, {
    op: 'exchange a token of Entra',
    target: '/oauth2/exchange',
    plainHttp,
    reach: 0,
    form: { grant_type: 'access_token', service: serviceOf(registry), tenant: tenantId, access_token: token },
  })
  const refresh = textOf(tokenOf(given, { wanted, now: clock.now(), refusal: exchangeRefusal })['refresh_token'])
  if (refresh === undefined) throw senseless(wanted, given.url.host, 'exchanged a token of Entra for none of its own')
  return { credential: identity(refresh), lifetimeMs: lifeOf(refresh) ?? LIFETIME_MS }
}

function identity(token: string): RegistryCredential {
  return { kind: 'identity', username: AZURE_TOKEN_USER, token }
}

/** Entra's of the cloud that the registry is in, or the one that the environment names. Source: @azure/identity. */
function authorityOf({ registry, env }: CloudAsking, wanted: Wanted): { url: URL; reach: CloudRequest['reach'] } {
  const named = env['AZURE_AUTHORITY_HOST']
  const place = /\.azurecr\.(cn|us)$/i.exec(registry)?.[1]?.toLowerCase() ?? ''
  if (!named) return { url: new URL(`https://${AUTHORITIES[place] ?? PUBLIC}`), reach: 1 }
  const url = URL.parse(named.includes('://') ? named : `https://${named}`)
  if (url && (url.protocol === 'https:' || (url.protocol === 'http:' && isLoopback(url.hostname)))) {
    return { url, reach: 2 }
  }
  throw new AppError(
    'CREDENTIALS_INVALID',
    `${wanted.what} for ${registry} could not be had: AZURE_AUTHORITY_HOST names no https address`,
    {
      hint: 'It is a host such as https://login.microsoftonline.com, or left out.',
    },
  )
}

const PUBLIC = 'login.microsoftonline.com'
/** By the end of the registry's name: azurecr.cn, azurecr.us. */
const AUTHORITIES: Readonly<Record<string, string>> = {
  cn: 'login.chinacloudapi.cn',
  us: 'login.microsoftonline.us',
}

/** As the registry's challenges have it: without a port of its own only where that is https'. */
function serviceOf(registry: string): string {
  return registry.replace(/:443$/, '')
}

async function posted(
  { registry, way, call }: CloudAsking,
  wanted: Wanted,
  { form, ...request }: Pick<CloudRequest, 'op' | 'target' | 'plainHttp' | 'reach'> & { form: Record<string, string> },
): Promise<CloudAnswer> {
  const body = Buffer.from(new URLSearchParams(form).toString())
  try {
    return await call({ ...request, registry, way, method: 'POST', headers: FORM, body, mask: wanted.mask })
  } catch (error) {
    throw unanswered(wanted, error)
  }
}

interface Judging {
  wanted: Wanted
  now: number
  refusal: (answer: CloudAnswer) => { code: string | undefined; said: string | undefined; hint: string }
}

function tokenOf(answer: CloudAnswer, { wanted, now, refusal }: Judging): Record<string, unknown> {
  const { status, url, text } = answer
  if (status === 200) return jsonObject(text) ?? {}
  const transient = passes(status)
  const { code, said, hint } = refusal(answer)
  const requestId = answer.header('x-ms-correlation-request-id') ?? answer.header('x-ms-request-id')
  const told = { host: url.host, status, code, said, hint: transient ? PASSES : hint, transient, requestId }
  throw refused(wanted, { ...told, ...waitOf(answer, now) })
}

/** The first line says what is wrong; those after it repeat when and by which correlation. */
function entraRefusal({ text }: CloudAnswer): ReturnType<Judging['refusal']> {
  const json = jsonObject(text)
  const said = textOf(json?.['error_description'])?.split(/[\r\n]/, 1)[0]
  const number = /\bAADSTS\d{4,7}\b/.exec(said ?? '')?.[0]
  return { code: textOf(json?.['error']), said, hint: (number && ENTRA[number]) || CHECK_PRINCIPAL }
}

/** Source: Microsoft Entra "Authentication and authorization error codes". */
const ENTRA: Readonly<Record<string, string>> = {
  AADSTS7000215: 'The client secret is wrong: keep its value, not its id.',
  AADSTS7000222: 'The client secret has run out: make a new one and keep it.',
  AADSTS700016: 'The tenant knows no such application: check clientId and tenantId.',
  AADSTS90002: 'There is no such tenant: check tenantId.',
  AADSTS900023: 'There is no such tenant: check tenantId.',
  AADSTS700024: CLOCK,
}
const PASSES = 'The service fails at the moment; it is tried again.'
const CHECK_PRINCIPAL = 'Check tenantId, clientId and clientSecret of the service principal, and keep them anew.'

function exchangeRefusal({ status, text }: CloudAnswer): ReturnType<Judging['refusal']> {
  const json = jsonObject(text)
  const first = (json?.['errors'] as unknown[] | undefined)?.[0] as Record<string, unknown> | undefined
  const code = textOf(first?.['code']) ?? textOf(json?.['error'])
  const said = textOf(first?.['message']) ?? textOf(json?.['error_description'])
  return { code, said, hint: status === 404 || status === 405 ? NO_EXCHANGE : NO_ROLE }
}

const NO_EXCHANGE = 'This is no registry of Azure: it exchanges no tokens of Entra. Keep username and password for it.'
const NO_ROLE =
  'Entra took the service principal and the registry did not: give it AcrPush or AcrPull there, and check that tenantId is the tenant of the registry.'

/** By its claims, of which only the difference counts. */
function lifeOf(jwt: string): number | undefined {
  const claims = jsonObject(Buffer.from(jwt.split('.')[1] ?? '', 'base64url').toString('utf8'))
  const life = (Number(claims?.['exp']) - Number(claims?.['iat'] ?? claims?.['nbf'])) * 1000
  return life > 0 ? life : undefined
}
