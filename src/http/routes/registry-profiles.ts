import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import { createHash } from 'node:crypto'
import { requireAllBelow, requireRegistry } from '../../access/limits.ts'
import { at } from '../requests/package-reference.ts'
import { registryNamed } from '../requests/registry-named.ts'
import {
  deleteRegistryProfileSchema,
  getRegistryProfileSchema,
  type RegistryProfile,
} from '../schemas/registry-profile.ts'

/** What is known of the ways of registries. */
export interface RegistryProfiles {
  of(registry: string): Promise<RegistryProfile>
  /** What was learnt of it, for all processes. Throws QUEUE_UNAVAILABLE. */
  forget(registry: string): Promise<void>
}

export interface RegistryProfileRoutesOptions {
  profiles: RegistryProfiles
}

export const registryProfileRoutes: FastifyPluginAsyncTypebox<RegistryProfileRoutesOptions> = async (
  app,
  { profiles },
) => {
  const path = '/v1/registries/:host/profile'
  app.get(
    path,
    { schema: getRegistryProfileSchema, config: { scope: ['registries:read'] } },
    async (request, reply) => {
      const host = at('/host', registryNamed, request.params.host)
      at('/host', () => requireRegistry(request.caller, host), undefined)
      void reply.header('cache-control', 'no-store')
      return reply.send(await profiles.of(host))
    },
  )

  app.delete(
    path,
    { schema: deleteRegistryProfileSchema, config: { scope: ['registries:admin'] } },
    async (request, reply) => {
      const host = at('/host', registryNamed, request.params.host)
      at('/host', () => requireAllBelow(request.caller, { registry: host, path: '' }), undefined)
      await profiles.forget(host)
      request.log.info({ registry: host, principal: request.caller.name }, 'what was learnt of a registry is forgotten')
      return reply.code(204).send(null)
    },
  )
}

/**
 * The tag of a registry's answer changes with its profile too, which changes by itself; a write goes by what is kept alone, so
 * that nobody's edit is refused for what a job has learnt meanwhile.
 */
export function etagWith(revision: string, profile: RegistryProfile): string {
  const hash = createHash('sha256').update(JSON.stringify(profile)).digest('hex')
  return `"${revision}.${hash.slice(0, 8)}"`
}

/** Of If-Match, the tags without what a profile adds to them. */
export function withoutProfile(header: string | undefined): string | undefined {
  return header?.replaceAll(/\.[0-9a-f]{8}"/g, '"')
}
