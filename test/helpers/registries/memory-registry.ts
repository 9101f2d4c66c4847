import type { IncomingMessage } from 'node:http'
import { DIST28, DIST3 } from './kit/distribution.ts'
import type { Answer } from './kit/exchange.ts'
import { createFakeRegistry, type FakeRegistry } from './kit/fake-registry.ts'
import { override, type RegistryWays } from './kit/ways.ts'

/**
 * What a session is worth after its connection was cut. dist3: every byte that arrived is kept, and a status request
 * tells where it stands. dist2.8: no URL carries the true offset, so the session can't be used any more.
 */
export type SessionSemantics = 'dist2.8' | 'dist3'

export interface MemoryRegistryOptions {
  /** Default 'dist3': a cut upload keeps its bytes. 'dist2.8': a cut upload can't be used any more. */
  sessions?: SessionSemantics
  /** Basic authentication, as htpasswd gives it. Default none. */
  basic?: { username: string; password: string }
  /** Decides about each request in place of `basic`: undefined lets it in, else it is the answer. */
  authorize?: (request: IncomingMessage) => Answer | undefined
  /** Default true. False answers every blob GET with 200 and the whole blob. */
  ranges?: boolean
  /** Takes POST ?digest= with the blob in it, as zot does. Default false: 202, the body thrown away, as distribution does. */
  singlePost?: boolean
  /**
   * Links blobs of other repositories. Default true, of the one that is named; 'anywhere' of whichever has it, as zot does;
   * false answers 202 with a session.
   */
  mount?: boolean | 'anywhere'
  /** Takes an index whose manifests are not there, which distribution refuses. Default false. */
  danglingIndexes?: boolean
  /** Takes artifact manifests, which distribution refuses, and checks their blobs. Default false. */
  artifactManifests?: boolean
  /** A front end takes each body before the registry sees it, and answers 413 to larger ones. */
  maxBodyBytes?: number
  /** What Location looks like. Default 'absolute', as distribution does. */
  locations?: 'absolute' | 'relative'
  /** Default any free one. */
  port?: number
}

export interface MemoryRegistry extends FakeRegistry {
  /** Sessions that were opened and neither finished nor canceled. */
  readonly openSessions: number
}

/**
 * The kit's distribution, 2.8 or 3, for tests that are about layerd rather than about a registry
 * (test/contract/registry.test.ts holds both and the real programs to one suite), with faults on demand.
 */
export async function startMemoryRegistry(options: MemoryRegistryOptions = {}): Promise<MemoryRegistry> {
  const { basic, authorize, port } = options
  const registry = await createFakeRegistry({
    ways: waysOf(options),
    ...(basic ? { users: { [basic.username]: basic.password } } : {}),
    ...(authorize ? { authorize } : {}),
    ...(port === undefined ? {} : { port }),
  })
  return Object.defineProperty(registry as MemoryRegistry, 'openSessions', { get: () => registry.sessions().length })
}

function waysOf(options: MemoryRegistryOptions): RegistryWays {
  const { sessions = 'dist3', mount = true, maxBodyBytes } = options
  const refusal = { status: 413, style: 'html', message: '413 Request Entity Too Large' } as const
  return override(sessions === 'dist3' ? DIST3 : DIST28, {
    ...(options.basic ? { auth: { kind: 'basic', challenge: ['Basic realm="Registry Realm"'] } } : {}),
    uploads: {
      singlePost: options.singlePost ?? false,
      mount: mount === true ? 'named' : mount === false ? 'never' : mount,
      location: options.locations ?? 'absolute',
    },
    blobs: { ranges: options.ranges ?? true },
    manifests: {
      danglingIndexes: options.danglingIndexes ?? false,
      artifacts: options.artifactManifests ?? false,
    },
    ...(maxBodyBytes === undefined ? {} : { front: { maxBytes: maxBodyBytes, early: false, refusal } }),
  })
}
