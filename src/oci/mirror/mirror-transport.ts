import type { RegistryRequest, RegistryTransport } from '../request/transport.ts'

/** The parts of `host[:port][/path]`; the path stands before the repository. */
export function mirrorPlace(mirror: string): { host: string; path: string } {
  const [host = '', ...path] = mirror.split('/')
  return { host, path: path.map((part) => `${part}/`).join('') }
}

/** Content, by the paths of the distribution spec. */
const CONTENT = /^\/v2\/.+\/(?:blobs|manifests)\/[^/?]+$/

/**
 * Tells a mirror whose content is wanted, as one that serves several registries needs to know. Source: containerd's `ns`
 * query, which pull-through registries know.
 */
export function mirrorTransport(transport: RegistryTransport, registry: string): RegistryTransport {
  const named = (request: RegistryRequest): RegistryRequest => {
    const { method, target } = request
    const reads = method === 'GET' || method === 'HEAD'
    if (!reads || typeof target !== 'string' || !CONTENT.test(target)) return request
    return { ...request, target: `${target}?ns=${encodeURIComponent(registry)}` }
  }
  return { ...transport, send: (request, options) => transport.send(named(request), options) }
}
