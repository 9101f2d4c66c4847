import { flag, textOption, UsageError } from './arguments.ts'
import type { CommandContext } from './context.ts'

/** X-Registry-Auth (the Docker Engine's header) from --username and the password on standard input. */
export async function registryAuth(
  { invocation, terminal }: CommandContext,
  reference: string,
): Promise<Record<string, string>> {
  const username = textOption(invocation, 'username')
  if (username === undefined) {
    if (flag(invocation, 'password-stdin')) throw new UsageError('--password-stdin needs --username')
    return {}
  }
  if (!flag(invocation, 'password-stdin')) throw new UsageError('--username needs --password-stdin')
  const chunks: Buffer[] = []
  for await (const chunk of terminal.stdin) chunks.push(Buffer.from(chunk))
  const password = Buffer.concat(chunks)
    .toString('utf8')
    .replace(/\r?\n$/, '')
  const serveraddress = reference.replace(/^oci:\/\//, '').split('/')[0]
  const json = JSON.stringify({ username, password, serveraddress })
  return { 'x-registry-auth': Buffer.from(json).toString('base64url') }
}
