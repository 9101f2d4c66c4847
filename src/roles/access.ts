import { type Authenticator, createAuthenticator, type TokenSource } from '../access/authenticator.ts'
import { createIssuedTokens, type IssuedTokens } from '../access/issued-tokens.ts'
import type { LinkRecords } from '../access/links.ts'
import { openOidc } from '../access/oidc/oidc.ts'
import { openTokenFile } from '../access/token-file.ts'
import type { RateCounter, RateSettings } from '../access/rates.ts'
import { type AccessConnectionOptions, openAccessConnection } from '../jobs/access/connection.ts'
import { createLinkRecords } from '../jobs/access/link-records.ts'
import { createRateCounts } from '../jobs/access/rate-counts.ts'
import { createTokenRecords } from '../jobs/access/token-records.ts'
import { type OpenedSessions, openSessions, type SessionsShared } from './browser-sessions.ts'
import type { RoleContext } from './context.ts'
import { issuerHttp } from './issuer-http.ts'

/** Who is who, and how browsers log in, as the settings say. */
export interface Access extends OpenedSessions {
  /** Those that layerd issues. */
  readonly tokens: IssuedTokens
  readonly linkRecords: LinkRecords
  /** How often who may ask; undefined where nobody has to be known. */
  readonly rates: (RateSettings & { readonly counter: RateCounter }) | undefined
}

/** Throws CONFIG_INVALID. */
export async function openAccess(
  context: RoleContext,
  shared: AccessConnectionOptions & SessionsShared,
): Promise<Access & { closeAccess: () => void }> {
  const { config, logger } = context
  const oidc = config.oidc && (await openOidc({ settings: config.oidc, http: issuerHttp(context), logger }))
  const file = config.tokensFile === undefined ? undefined : await openTokenFile(config.tokensFile, logger)
  const connection = openAccessConnection(shared)
  const tokens = createIssuedTokens(createTokenRecords(connection))
  const authenticator = authenticatorOf({ file, tokens, issuer: oidc?.source })
  return {
    ...openSessions(connection, { authenticator, codeFlow: oidc?.codeFlow }, shared),
    tokens,
    linkRecords: createLinkRecords(connection),
    rates: authenticator.required ? { ...config.rates, counter: createRateCounts(connection) } : undefined,
    closeAccess: () => connection.close(),
  }
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
