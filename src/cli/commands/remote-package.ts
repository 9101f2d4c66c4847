import type { RemotePackage, RemoteRepository } from '../client/contract.ts'
import { answer } from '../client/calls.ts'
import type { CommandContext, RegistryOptions } from '../client/context.ts'
import { registryAuth } from './registry-auth.ts'

export interface LookOptions extends RegistryOptions {
  architecture?: string
  /** Of a repository, how many tags are looked into. */
  pageSize?: number
}

/** What the registry has under a reference: a package, or without tag and digest the tags. Throws ApiProblem. */
export async function lookAt(
  context: CommandContext,
  reference: string,
  options: LookOptions,
  headers?: Record<string, string>,
): Promise<RemotePackage | RemoteRepository> {
  const { architecture, plainHttp, pageSize } = options
  const query = {
    ref: reference,
    ...(architecture === undefined ? {} : { architecture }),
    ...(plainHttp ? { plainHttp } : {}),
    ...(pageSize === undefined ? {} : { pageSize }),
  }
  const login = headers ?? (await registryAuth(context, reference, options))
  return answer(context.client.calls.GET('/v1/remote-packages', { params: { query }, headers: login }))
}

export function isRepository(found: RemotePackage | RemoteRepository): found is RemoteRepository {
  return !('digest' in found)
}
