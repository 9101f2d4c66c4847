import type { RemotePackage } from '../http/schemas/package.ts'
import { flag, textOption } from './arguments.ts'
import type { CommandContext } from './context.ts'

/** Looks at the package that a command names, in its registry. Throws ApiProblem. */
export function lookAt(
  { invocation, client }: CommandContext,
  reference: string,
  headers: Record<string, string>,
): Promise<RemotePackage> {
  const architecture = textOption(invocation, 'architecture')
  const query = new URLSearchParams({
    ref: reference,
    ...(architecture === undefined ? {} : { architecture }),
    ...(flag(invocation, 'plain-http') ? { plainHttp: 'true' } : {}),
  })
  return client.json<RemotePackage>('GET', `/v1/remote-packages?${query.toString()}`, { headers })
}
