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
  const password = await secretFrom(terminal)
  const [serveraddress] = withoutScheme(reference).split('/')
  const json = JSON.stringify({ username, password, serveraddress })
  return { 'x-registry-auth': Buffer.from(json).toString('base64url') }
}

/** `host[:port]/...` of what a caller may name with oci:// before it, in whatever case. */
export function withoutScheme(reference: string): string {
  return reference.replace(/^oci:\/\//i, '')
}

/** A registry, or a path of it, as one part of the address of a call. Source: Registry.id of the API. */
export function idOf(place: string): string {
  return place.replaceAll(/[/[\]]/g, '~')
}

/** All of standard input, without the line end that `echo` leaves. */
export async function secretFrom({ stdin }: CommandContext['terminal']): Promise<string> {
  const chunks: Buffer[] = []
  for await (const chunk of stdin) chunks.push(Buffer.from(chunk))
  return Buffer.concat(chunks)
    .toString('utf8')
    .replace(/\r?\n$/, '')
}
