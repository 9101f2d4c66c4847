import { untilAborted } from '../../../lib/abort.ts'
import { isAppError } from '../../../lib/errors.ts'
import { createSingleFlight } from '../../../lib/single-flight.ts'
import { errorCode, isTlsRefusal, OUTBOUND_REFUSED } from '../../errors/network-errors.ts'
import { isLoopback } from '../../../lib/loopback.ts'
import { apiHost } from '../../facts/registry-name.ts'

/** Where a registry's API is: `https://host[:port]`. */
export interface Schemes {
  /** https, except for loopback registries and those allowed to speak plain HTTP, which are asked once. */
  base(registry: string, plainHttp: boolean, signal: AbortSignal): Promise<URL>
  /** Asks again the next time: what listens there may have changed. */
  forget(registry: string): void
}

/** The status of an answer of any kind from the URL of a registry; rejects with the network's error. */
type Probe = (url: URL, registry: string) => Promise<number>

export function createSchemes(probe: Probe): Schemes {
  const learnt = new Map<string, URL>()
  const secured = new Map<string, URL>()
  const flights = createSingleFlight<URL>()

  const learn = async (host: string): Promise<URL> => {
    const base = (await speaksTls(probe, host)) ? new URL(`https://${host}`) : new URL(`http://${host}`)
    learnt.set(host, base)
    return base
  }

  return {
    async base(registry, plainHttp, signal) {
      const host = apiHost(registry)
      const secure = secured.get(host) ?? new URL(`https://${host}`)
      secured.set(host, secure)
      if (!plainHttp && !isLoopback(secure.hostname)) return secure
      return (
        learnt.get(host) ??
        untilAborted(
          flights.run(host, () => learn(host)),
          signal,
        )
      )
    },
    forget(registry) {
      learnt.delete(apiHost(registry))
    },
  }
}

/**
 * zarf's rule: any answer over https wins, else plain HTTP when that answers. A certificate that does not hold or a TLS
 * alert is an answer too: such a port speaks TLS, and credentials must not go there in clear.
 */
async function speaksTls(probe: Probe, host: string): Promise<boolean> {
  try {
    await probe(new URL(`https://${host}/v2/`), host)
    return true
  } catch (error) {
    const code = errorCode(error)
    // A handshake that did not end is no SocketError: it was TLS that this connection broke off under.
    if (isTlsRefusal(code) || code === 'UND_ERR_SOCKET') return true
    if (NOBODY_THERE.has(code ?? '')) throw error
    const status = await statusInClear(probe, host)
    // 400 is what Go's and nginx's TLS ports answer to plain HTTP.
    if (status === undefined || status === 400) throw error
    return false
  }
}

/** Undefined when the port says no more; a connection that breaks says nothing, and the question is put again. */
async function statusInClear(probe: Probe, host: string): Promise<number | undefined> {
  try {
    return await probe(new URL(`http://${host}/v2/`), host)
  } catch (error) {
    // What is neither TLS nor HTTP is another program's port.
    if (isAppError(error) && (error.retry === 'transient' || error.code === 'REGISTRY_PROTOCOL_VIOLATION')) throw error
    return undefined
  }
}

/** The other scheme would meet the same. */
const NOBODY_THERE = new Set([
  'ECONNREFUSED',
  'ENOTFOUND',
  'EAI_AGAIN',
  'EHOSTUNREACH',
  'ENETUNREACH',
  'UND_ERR_CLOSED',
  'UND_ERR_DESTROYED',
  OUTBOUND_REFUSED,
])
