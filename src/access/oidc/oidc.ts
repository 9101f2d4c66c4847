import { type Clock, systemClock } from '../../lib/clock.ts'
import type { Logger } from '../../lib/logger.ts'
import type { TokenSource } from '../authenticator.ts'
import { type CodeFlow, createCodeFlow } from './code-flow.ts'
import { followGroupsFile } from './groups-file.ts'
import type { IssuerHttp } from './issuer-http.ts'
import { createIssuer } from './issuer.ts'
import { createTokenSource } from './token-source.ts'

/** As LAYERD_OIDC_* say. */
export interface OidcSettings {
  /** As its tokens write it. https, or loopback. */
  readonly issuer: string
  readonly audience: string
  /** None: nobody logs in by a browser. */
  readonly clientId: string | undefined
  readonly clientSecret: string | undefined
  readonly scopes: string
  readonly groupsClaim: string
  readonly groupsFile: string
}

/** One issuer, whose tokens let in. */
export interface Oidc {
  /** Knows those who logged in too. */
  readonly source: TokenSource
  /** For browsers; undefined where no client is set. */
  readonly codeFlow: CodeFlow | undefined
}

export interface OidcOptions {
  settings: OidcSettings
  http: IssuerHttp
  logger: Logger
  clock?: Clock
}

/** A header has no room for more. */
const MAX_TOKEN = 16 * 1024

/** The issuer is not asked before a token or a log-in comes. Throws CONFIG_INVALID for the groups file. */
export async function openOidc({ settings, http, logger, clock = systemClock }: OidcOptions): Promise<Oidc> {
  const { clientId, groupsClaim, audience } = settings
  const groups = await followGroupsFile({ path: settings.groupsFile, logger, clock })
  const issuer = createIssuer({ issuer: settings.issuer, http, logger, clock })
  const expected = { audience, groupsClaim, maxLength: MAX_TOKEN }
  return {
    source: createTokenSource({ issuer, expected, groups, clock }),
    codeFlow:
      clientId === undefined ? undefined : createCodeFlow({ ...settings, issuer, http, clock, clientId, groups }),
  }
}
