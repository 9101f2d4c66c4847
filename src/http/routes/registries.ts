import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import { parseDestination } from '../../content/reference.ts'
import { AppError } from '../../lib/errors.ts'
import { at } from '../requests/package-reference.ts'
import { readRegistryAuth } from '../requests/registry-auth.ts'
import { pingRegistrySchema, type RegistryPing } from '../schemas/registry.ts'
import type { RegistryAccess } from './remote-packages.ts'

/** What is wrong with a registry; rejects only when the caller goes. */
export type RegistryPinger = (
  request: { registry: string; repository: string | undefined },
  access: RegistryAccess,
) => Promise<RegistryPing>

export interface RegistryRoutesOptions {
  ping: RegistryPinger
  /** Throws REGISTRY_NOT_ALLOWED for a registry that callers may not name. */
  mayName: (registry: string) => void
  closing: AbortSignal
}

/** The registries themselves. */
export const registryRoutes: FastifyPluginAsyncTypebox<RegistryRoutesOptions> = async (app, options) => {
  const { ping, mayName, closing } = options

  app.post(
    '/v1/registries/:host/ping',
    { schema: pingRegistrySchema, config: { scope: 'registries:admin' } },
    async (request, reply) => {
      const registry = at('/host', registryNamed, request.params.host)
      const { repository, plainHttp = false } = request.body ?? {}
      if (repository !== undefined) at('/repository', parseDestination, `oci://${registry}/${repository}`)
      at('/host', mayName, registry)
      const header = request.headers['x-registry-auth']
      const credentials = readRegistryAuth(typeof header === 'string' ? header : undefined, registry)
      void reply.header('cache-control', 'no-store')
      const signal = AbortSignal.any([closing, request.signal])
      return await ping({ registry, repository }, { credentials, plainHttp, signal })
    },
  )
}

/** Throws REFERENCE_INVALID. */
function registryNamed(host: string): string {
  const { registry, namespace } = parseDestination(`oci://${host}`)
  if (namespace === '') return registry
  throw new AppError('REFERENCE_INVALID', `"${host}" is more than the host of a registry`, {
    hint: 'It is host[:port], percent-encoded; a repository goes into the body.',
  })
}
