import type { Mask } from '../errors/mask.ts'
import type { Reach } from './outbound.ts'
import type { RegistryWay } from './registry-way.ts'

/** A request to a cloud's own services, for a password of one of its registries. */
export interface CloudRequest {
  /** For errors: what is being done, "get an ECR password". */
  readonly op: string
  readonly registry: string
  readonly method: 'GET' | 'POST'
  /** A path at the registry itself, or an address of its cloud. */
  readonly target: string | URL
  /** May the registry be spoken to over plain HTTP. Default false. */
  readonly plainHttp?: boolean
  /** How the registry is reached; its cloud by what holds for whatever it names. Default: as all are. */
  readonly way?: RegistryWay | undefined
  readonly headers: Readonly<Record<string, string>>
  readonly body?: Buffer
  /** Knows all secrets in the request. */
  readonly mask: Mask
  /** How close to this machine an address may be. The registry's own path has the reach of the registry. */
  readonly reach: Reach
}

export interface CloudAnswer {
  readonly status: number
  readonly url: URL
  readonly header: (name: string) => string | undefined
  /** At most 128 KiB. */
  readonly text: string
}

/**
 * One request and its answer, within 30 s and whatever the status; redirects are not followed, as there is a secret in each. Over
 * layerd's connections: outbound policy, proxies, CAs and traces hold for it. Throws REGISTRY_* where there is no answer.
 */
export type CloudCall = (request: CloudRequest) => Promise<CloudAnswer>
