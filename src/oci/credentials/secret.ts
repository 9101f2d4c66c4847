import type { RegistryCredential } from './provider.ts'

/** A registry's secret as Docker's clients write it. */
export interface RegistrySecret {
  readonly username?: string | undefined
  readonly password?: string | undefined
  readonly identityToken?: string | undefined
  readonly registryToken?: string | undefined
}

/** The user name by which Docker's helpers say that the secret is an identity token. */
const TOKEN_USER = '<token>'

/** A ready-made registry token before an identity token before a password; undefined where there is none of them. */
export function toCredential(secret: RegistrySecret): RegistryCredential | undefined {
  const { username = '', password = '', identityToken = '', registryToken = '' } = secret
  if (registryToken !== '') return { kind: 'bearer', token: registryToken }
  if (identityToken !== '') return { kind: 'identity', username, token: identityToken }
  if (username === TOKEN_USER && password !== '') return { kind: 'identity', username, token: password }
  return username === '' ? undefined : { kind: 'basic', username, password }
}
