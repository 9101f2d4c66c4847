import { type Authenticator, createAuthenticator, type TokenSource } from '../access/authenticator.ts'
import { createIssuedTokens, type IssuedTokens } from '../access/issued-tokens.ts'
import { openOidc } from '../access/oidc/oidc.ts'
import { openTokenFile } from '../access/token-file.ts'
import type { RateCounter, RateSettings } from '../access/rates.ts'
import { createRateCounts } from '../jobs/access/rate-counts.ts'
import { createTokenRecords } from '../jobs/access/token-records.ts'
import { type OpenedSessions, openSessions, type SessionsShared } from './browser-sessions.ts'
import type { RoleContext } from './context.ts'
import { issuerHttp } from './issuer-http.ts'

/** Who is who, and how browsers log in, as the settings say. */
export interface Access extends Pick<OpenedSessions, 'authenticator' | 'sessions' | 'logIn'> {
  /** Those that layerd issues. */
  readonly tokens: IssuedTokens
  /** How often who may ask; undefined where nobody has to be known. */
  readonly rates: (RateSettings & { readonly counter: RateCounter }) | undefined
}

/** Opens connections to Redis. Throws CONFIG_INVALID. */
export async function openAccess(
  context: RoleContext,
  shared: SessionsShared,
): Promise<Access & { closeAccess: () => void }> {
  const { config, logger } = context
  const oidc = config.oidc && (await openOidc({ settings: config.oidc, http: issuerHttp(context), logger }))
  const file = config.tokensFile === undefined ? undefined : await openTokenFile(config.tokensFile, logger)
  const records = createTokenRecords({ ...shared, role: 'starting' })
  const tokens = createIssuedTokens(records)
  const authenticator = authenticatorOf({ file, tokens, issuer: oidc?.source })
  const { closeSessions, ...sessions } = openSessions({ authenticator, codeFlow: oidc?.codeFlow }, shared)
  const counter = authenticator.required ? createRateCounts(shared) : undefined
  const closeAccess = (): void => {
    counter?.close()
    closeSessions()
    records.close()
  }
  return { ...sessions, tokens, rates: counter && { ...config.rates, counter }, closeAccess }
}

interface Sources {
  readonly file: TokenSource | undefined
  readonly tokens: TokenSource
  readonly issuer: TokenSource | undefined
}

/** Issued tokens count where others do: somebody has to issue the first. */
function authenticatorOf({ file, tokens, issuer }: Sources): Authenticator {
  if (file === undefined && issuer === undefined) return createAuthenticator([])
  // The issuer last: its refusals are errors, which end the asking.
  return createAuthenticator([...(file ? [file] : []), tokens, ...(issuer ? [issuer] : [])])
}
