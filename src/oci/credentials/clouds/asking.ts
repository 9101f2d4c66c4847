import type { Clock } from '../../../lib/clock.ts'
import type { CloudCall } from '../../request/cloud-call.ts'
import type { RegistryWay } from '../../request/registry-way.ts'

/** For which registry a cloud is asked, and how. */
export interface CloudAsking {
  readonly registry: string
  /** May the registry itself be spoken to over plain HTTP. */
  readonly plainHttp: boolean
  /** How the registry is reached, and so its cloud; undefined: as all are. */
  readonly way: RegistryWay | undefined
  readonly call: CloudCall
  readonly clock: Clock
  /** The process's: the clouds' own variables are read. */
  readonly env: Readonly<Record<string, string | undefined>>
}
