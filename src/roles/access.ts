import { type Authenticator, createAuthenticator } from '../access/authenticator.ts'
import { type Oidc, openOidc } from '../access/oidc/oidc.ts'
import { openTokenFile } from '../access/token-file.ts'
import type { RoleContext } from './context.ts'
import { issuerHttp } from './issuer-http.ts'

/** Who is who, and how browsers log in at the issuer, as the settings say. */
export interface Access {
  readonly authenticator: Authenticator
  /** Undefined where no issuer is set. */
  readonly oidc: Oidc | undefined
}

/** Throws CONFIG_INVALID. */
export async function openAccess(context: RoleContext): Promise<Access> {
  const { config, logger } = context
  const { tokensFile, oidc: settings } = config
  const file = tokensFile === undefined ? [] : [await openTokenFile(tokensFile, logger)]
  const oidc = settings && (await openOidc({ settings, http: issuerHttp(context), logger }))
  // Last: its refusals are errors, which end the asking.
  return { authenticator: createAuthenticator([...file, ...(oidc ? [oidc.source] : [])]), oidc }
}
