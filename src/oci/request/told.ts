import type { TransportCaller } from './transport.ts'

type Told = Pick<TransportCaller, 'mayUse' | 'onWait' | 'onBody' | 'onWarning' | 'trace'>

/** Those of a caller's listeners that there are. */
export function toldOf({
  mayUse,
  onWait,
  onBody,
  onWarning,
  trace,
}: { [Name in keyof Told]: Told[Name] | undefined }): Told {
  return {
    ...(mayUse ? { mayUse } : {}),
    ...(onWait ? { onWait } : {}),
    ...(onBody ? { onBody } : {}),
    ...(onWarning ? { onWarning } : {}),
    ...(trace ? { trace } : {}),
  }
}
