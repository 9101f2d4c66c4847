import { type Authenticator, createAuthenticator } from '../access/authenticator.ts'
import { openTokenFile } from '../access/token-file.ts'
import type { RoleContext } from './context.ts'

/** Who is who, as the settings say. Throws CONFIG_INVALID. */
export async function openAuthenticator({ config, logger }: RoleContext): Promise<Authenticator> {
  const { tokensFile } = config
  return createAuthenticator(tokensFile === undefined ? [] : [await openTokenFile(tokensFile, logger)])
}
