import type { RemotePackage, RemoteRepository } from '../../http/schemas/package.ts'
import type { CommandContext, RegistryOptions } from '../client/context.ts'
import { registryAuth } from './registry-auth.ts'

export interface LookOptions extends RegistryOptions {
  architecture?: string
}

/** What the registry has under a reference: a package, or without tag and digest the tags. Throws ApiProblem. */
export async function lookAt(
  context: CommandContext,
  reference: string,
  options: LookOptions,
  headers?: Record<string, string>,
): Promise<RemotePackage | RemoteRepository> {
  const { architecture, plainHttp } = options
  const query = new URLSearchParams({
    ref: reference,
    ...(architecture === undefined ? {} : { architecture }),
    ...(plainHttp ? { plainHttp: 'true' } : {}),
  })
  const login = headers ?? (await registryAuth(context, reference, options))
  return context.client.json('GET', `/v1/remote-packages?${query.toString()}`, { headers: login })
}

export function isRepository(found: RemotePackage | RemoteRepository): found is RemoteRepository {
  return !('digest' in found)
}
