import type { RegistrySecret, ToldSecret } from '../model/registry-record.ts'

/** As much of it as may be told. */
export function toldSecret(secret: RegistrySecret): ToldSecret {
  const { kind } = secret
  if (kind === 'aws') {
    const { keys, roleArn, metadata } = secret
    const role = roleArn === undefined ? {} : { roleArn }
    return { kind, username: keys?.accessKeyId ?? null, ...role, ...(metadata ? { metadata } : {}) }
  }
  if (kind === 'google') return { kind, username: secret.clientEmail }
  if (kind === 'azure') return { kind, username: 'clientId' in secret ? secret.clientId : null }
  return { kind, username: 'username' in secret ? secret.username : null }
}
