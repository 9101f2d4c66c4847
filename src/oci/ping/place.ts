import type { LookupFunction } from 'node:net'
import { bareHost, isLoopback } from '../../lib/loopback.ts'
import type { CallFacts } from '../errors/errors.ts'
import { NO_SECRETS } from '../errors/mask.ts'
import { apiHost } from '../facts/registry-name.ts'
import type { Reach } from '../request/outbound.ts'

/** Where a registry is, as its name has it. */
export interface RegistryPlace {
  /** `host[:port]` as the reference names it. */
  readonly registry: string
  readonly url: URL
  /** Without brackets and port. */
  readonly host: string
  /** The one for TLS first; that of plain HTTP after it where it may be spoken and no port is named. */
  readonly ports: readonly number[]
  /** Plain HTTP may be spoken there. */
  readonly plain: boolean
  readonly loopback: boolean
  /** How close to this machine it may be. */
  readonly reach: Reach
  readonly lookup: LookupFunction
}

export function placeOf(
  registry: string,
  { plainHttp, reach, lookup }: { plainHttp: boolean; reach: Reach; lookup: LookupFunction },
): RegistryPlace {
  const url = new URL(`https://${apiHost(registry)}`)
  const loopback = isLoopback(url.hostname)
  const plain = plainHttp || loopback
  // URL drops the port that https has anyway.
  const named = /:\d+$/.test(registry)
  const ports = named ? [Number(url.port || 443)] : plain ? [443, 80] : [443]
  return { registry, url, host: bareHost(url.hostname), ports, plain, loopback, reach, lookup }
}

export function factsOf({ registry, url }: RegistryPlace, op: string): CallFacts {
  return { op, registry, method: 'GET', url, mask: NO_SECRETS }
}
