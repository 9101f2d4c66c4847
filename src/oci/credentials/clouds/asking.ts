import type { Clock } from '../../../lib/clock.ts'
import type { CloudCall } from '../../request/cloud-call.ts'

/** For which registry a cloud is asked, and how. */
export interface CloudAsking {
  readonly registry: string
  /** May the registry itself be spoken to over plain HTTP. */
  readonly plainHttp: boolean
  readonly call: CloudCall
  readonly clock: Clock
  /** The process's: the clouds' own variables are read. */
  readonly env: Readonly<Record<string, string | undefined>>
}
