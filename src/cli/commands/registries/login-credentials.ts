import { jsonObject } from '../../../lib/formats/json-object.ts'
import { type CommandContext, UsageError } from '../../client/context.ts'
import type { KeptCredentials } from '../../client/contract.ts'
import { secretFrom } from '../registry-auth.ts'

export const LOGIN_KINDS = ['password', 'identity-token', 'registry-token', 'aws', 'google', 'azure'] as const
export type LoginKind = (typeof LOGIN_KINDS)[number]

export interface CredentialOptions {
  username?: string
  passwordStdin?: boolean
  /** Of what comes on standard input. */
  kind: LoginKind
}

/** Throws UsageError; of a screen's keyboard nothing is read, as what is typed would be seen. */
export async function credentialsFrom(
  { terminal }: CommandContext,
  options: CredentialOptions,
): Promise<KeptCredentials> {
  const { username, passwordStdin, kind } = options
  if (kind === 'password' && username === undefined) throw new UsageError('a password needs --username')
  if (kind !== 'password' && kind !== 'identity-token' && username !== undefined) {
    throw new UsageError(`${NAMES[kind]} has no --username`)
  }
  if (passwordStdin !== true && terminal.stdin.isTTY === true) {
    throw new UsageError('the password comes on standard input: layerd login HOST -u NAME --password-stdin < FILE')
  }
  const secret = await secretFrom(terminal)
  if (secret === '') throw new UsageError('standard input is empty, and the password has to come from there')
  if (kind === 'google') return { google: { serviceAccountKey: secret } }
  if (kind === 'aws') return { aws: fieldsOf(secret, kind) }
  if (kind === 'azure') return { azure: fieldsOf(secret, kind) }
  if (kind === 'registry-token') return { registryToken: secret }
  const user = username === undefined ? {} : { username }
  return kind === 'password' ? { ...user, password: secret } : { ...user, identityToken: secret }
}

const NAMES = {
  'registry-token': 'a registry token',
  aws: 'a key of AWS',
  google: 'a key of Google',
  azure: 'a key of Azure',
} as const

/** What the daemon refuses of them it says itself. Throws UsageError, with nothing of the text. */
function fieldsOf(text: string, kind: 'aws' | 'azure'): object {
  const value = jsonObject(text)
  if (value) return value
  throw new UsageError(`--kind ${kind} reads JSON from standard input: ${EXAMPLES[kind]}`)
}

const EXAMPLES = {
  aws: '{"accessKeyId": "...", "secretAccessKey": "..."} or {"chain": true}',
  azure: '{"tenantId": "...", "clientId": "...", "clientSecret": "..."}',
} as const
