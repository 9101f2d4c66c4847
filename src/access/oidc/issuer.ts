import type { Clock } from '../../lib/clock.ts'
import { AppError, isAppError } from '../../lib/errors.ts'
import { isObject } from '../../lib/formats/json-object.ts'
import type { Logger } from '../../lib/logger.ts'
import { isLoopback } from '../../lib/loopback.ts'
import type { IssuerHttp } from './issuer-http.ts'
import { createKept, type Kept } from './kept.ts'
import { readSigningKeys, type SigningKeys } from './signing-keys.ts'

/** What an issuer says of itself. Source: OpenID Connect Discovery 1.0, 3. */
export interface Metadata {
  readonly keys: URL
  /** Where there is none, nobody can log in by a browser. */
  readonly authorization: URL | undefined
  readonly token: URL | undefined
  readonly clientAuthentication: readonly string[]
}

export interface Issuer {
  /** As the setting and its tokens write it. */
  readonly name: string
  readonly metadata: Kept<Metadata>
  readonly keys: Kept<SigningKeys>
  /** ISSUER_UNAVAILABLE. */
  unavailable(cause: unknown): AppError
}

export interface IssuerOptions {
  issuer: string
  http: IssuerHttp
  logger: Logger
  clock: Clock
}

/** Ways to fail. */
const MAX_TOLD = 100

/** Nothing is asked before somebody needs it: layerd starts whether its issuer is there or not. */
export function createIssuer({ issuer: name, http, logger, clock }: IssuerOptions): Issuer {
  /** Since it answered last. */
  const told = new Set<string>()
  const onFailure = (error: unknown) => {
    // Of a reading within this one, which has told.
    if (isAppError(error) && error.code === 'ISSUER_UNAVAILABLE') return
    const said = error instanceof Error ? error.message : String(error)
    if (told.has(said) || told.size >= MAX_TOLD) return
    told.add(said)
    logger.warn({ issuer: name, reason: said }, 'the OIDC issuer cannot be asked')
  }
  const unavailable = (cause: unknown) =>
    new AppError('ISSUER_UNAVAILABLE', `the OIDC issuer ${name} cannot be asked for its keys and addresses`, {
      hint: "Try again in a few seconds; tokens of layerd's own go on working. The log of layerd says what is wrong.",
      details: { issuer: name },
      cause,
    })
  const shared = { unavailable, onFailure, clock }
  const read = async (url: URL, op: string): Promise<unknown> => {
    const { status, text } = await http({ op, method: 'GET', url })
    if (status !== 200) throw new Error(`${url.href} was answered with ${status}`)
    try {
      return JSON.parse(text)
    } catch {
      throw new Error(`${url.href} is not JSON`)
    }
  }
  const metadata = createKept({
    ...shared,
    read: async () => readMetadata(name, await read(discoveryOf(name), 'look up the OIDC issuer')),
  })
  const keys = createKept({
    ...shared,
    async read() {
      const { keys: url } = await metadata.get()
      const found = readSigningKeys(await read(url, 'get the keys of the OIDC issuer'))
      if (!found) throw new Error(`${url.href} is no JWK Set`)
      told.clear()
      return found
    },
  })
  return { name, metadata, keys, unavailable }
}

function discoveryOf(issuer: string): URL {
  return new URL(`${issuer.endsWith('/') ? issuer.slice(0, -1) : issuer}/.well-known/openid-configuration`)
}

function readMetadata(issuer: string, found: unknown): Metadata {
  if (!isObject(found)) throw new Error('the discovery document is no object')
  if (found['issuer'] !== issuer) {
    throw new Error(`the discovery document is of another issuer: ${JSON.stringify(found['issuer'])?.slice(0, 300)}`)
  }
  const methods = found['token_endpoint_auth_methods_supported']
  return {
    keys: endpoint(found, 'jwks_uri', issuer),
    authorization: optionalEndpoint(found, 'authorization_endpoint', issuer),
    token: optionalEndpoint(found, 'token_endpoint', issuer),
    // Source: OpenID Connect Discovery 1.0, 3: the default.
    clientAuthentication: Array.isArray(methods) ? methods.map(String) : ['client_secret_basic'],
  }
}

function optionalEndpoint(found: Record<string, unknown>, name: string, issuer: string): URL | undefined {
  return found[name] === undefined ? undefined : endpoint(found, name, issuer)
}

/** Plain HTTP leads an issuer of this machine to this machine, and none anywhere else. */
function endpoint(found: Record<string, unknown>, name: string, issuer: string): URL {
  const text = found[name]
  const url = typeof text === 'string' && URL.canParse(text) ? new URL(text) : undefined
  if (url?.protocol === 'https:') return url
  if (url?.protocol === 'http:' && isLoopback(url.hostname) && isLoopback(new URL(issuer).hostname)) return url
  throw new Error(`the discovery document's ${name} is no https URL`)
}
