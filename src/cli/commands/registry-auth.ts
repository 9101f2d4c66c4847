import { type CommandContext, type RegistryOptions, UsageError } from '../client/context.ts'

/** X-Registry-Auth (the Docker Engine's header) from --username and the password on standard input. */
export async function registryAuth(
  { terminal }: CommandContext,
  reference: string,
  { username, passwordStdin }: RegistryOptions,
): Promise<Record<string, string>> {
  if (username === undefined) {
    if (passwordStdin) throw new UsageError('--password-stdin needs --username')
    return {}
  }
  if (!passwordStdin) throw new UsageError('--username needs --password-stdin')
  const chunks: Buffer[] = []
  for await (const chunk of terminal.stdin) chunks.push(Buffer.from(chunk))
  const password = Buffer.concat(chunks)
    .toString('utf8')
    .replace(/\r?\n$/, '')
  const serveraddress = reference.replace(/^oci:\/\//, '').split('/')[0]
  const json = JSON.stringify({ username, password, serveraddress })
  return { 'x-registry-auth': Buffer.from(json).toString('base64url') }
}
