import { untilAborted } from '../../../lib/abort.ts'
import { isAppError } from '../../../lib/errors.ts'
import { createSingleFlight } from '../../../lib/single-flight.ts'
import { errorCode, isTlsRefusal } from '../../errors/network-errors.ts'
import { OUTBOUND_REFUSED } from '../../errors/refused-address.ts'
import { isLoopback } from '../../../lib/loopback.ts'
import type { RegistryWay } from '../../request/registry-way.ts'
import { apiHost } from '../../facts/registry-name.ts'

/** Where a registry's API is: `https://host[:port]`. */
export interface Schemes {
  /** https, except for loopback registries and those allowed to speak plain HTTP, which are asked once. */
  base(asked: AskedScheme, signal: AbortSignal): Promise<URL>
  /** Where a port has to be asked first, both of its addresses are at the same `host`; undefined: nobody has to be. */
  asks(asked: AskedScheme): URL | undefined
  /** Asks again the next time: what listens there may have changed. */
  forget(asked: Omit<AskedScheme, 'plainHttp'>): void
}

export interface AskedScheme {
  readonly registry: string
  readonly plainHttp: boolean
  /** Another one may lead to another server. */
  readonly way: RegistryWay
}

/**
 * The status of an answer of any kind from the URL of a registry, however late it comes; rejects with the network's error, and
 * soon where there is no connection. `onConnected`: it is there, TLS and all, and nothing was sent.
 */
type Probe = (url: URL, asked: ProbedPlace, onConnected: () => void) => Promise<number>

type ProbedPlace = Pick<AskedScheme, 'way'> & { readonly host: string }

/** `silenceMs`: how long a port that is known to speak no TLS is listened to, whether it speaks HTTP. */
export function createSchemes(probe: Probe, silenceMs: number): Schemes {
  const learnt = new Map<string, URL>()
  const secured = new Map<string, URL>()
  const flights = createSingleFlight<URL>()

  const learn = async (place: ProbedPlace): Promise<URL> => {
    const speaks = await speaksTls({ probe, silenceMs }, place)
    const base = new URL(`${speaks ? 'https' : 'http'}://${place.host}`)
    learnt.set(nameOf(place), base)
    return base
  }
  const nameOf = ({ host, way }: ProbedPlace): string => `${host} ${way.own.id}`

  const secureOf = (host: string): URL => {
    const secure = secured.get(host) ?? new URL(`https://${host}`)
    secured.set(host, secure)
    return secure
  }
  const mayBePlain = (secure: URL, plainHttp: boolean): boolean => plainHttp || isLoopback(secure.hostname)

  return {
    asks({ registry, plainHttp, way }) {
      const host = apiHost(registry)
      const secure = secureOf(host)
      return mayBePlain(secure, plainHttp) && !learnt.has(nameOf({ host, way })) ? secure : undefined
    },
    async base({ registry, plainHttp, way }, signal) {
      const host = apiHost(registry)
      const place = { host, way }
      const secure = secureOf(host)
      if (!mayBePlain(secure, plainHttp)) return secure
      return (
        learnt.get(nameOf(place)) ??
        untilAborted(
          flights.run(nameOf(place), () => learn(place)),
          signal,
        )
      )
    },
    forget({ registry, way }) {
      learnt.delete(nameOf({ host: apiHost(registry), way }))
    },
  }
}

interface Asking {
  probe: Probe
  silenceMs: number
}

/**
 * zarf's rule: TLS wins, else plain HTTP when that answers. The handshake is what counts, not the answer, for which a
 * registry may take its time. A certificate that does not hold or a TLS alert says so too: such a port speaks TLS, and
 * credentials must not go there in clear.
 */
async function speaksTls(asking: Asking, place: ProbedPlace): Promise<boolean> {
  try {
    const { promise: connected, resolve } = Promise.withResolvers<void>()
    await Promise.race([connected, asking.probe(new URL(`https://${place.host}/v2/`), place, resolve)])
    return true
  } catch (error) {
    const code = errorCode(error) ?? ''
    // A handshake that did not end is no SocketError: it was TLS that this connection broke off under.
    if (isTlsRefusal(code) || code === 'UND_ERR_SOCKET') return true
    if (NOBODY_THERE.has(code)) throw error
    const status = await statusInClear(asking, place, NOT_TLS.has(code))
    // 400 is what Go's and nginx's TLS ports answer to plain HTTP.
    if (status === undefined || status === 400) throw error
    return false
  }
}

/** What answered the handshake with something else than TLS. */
const NOT_TLS = new Set(['EPROTO', 'ERR_SSL_WRONG_VERSION_NUMBER', 'ERR_SSL_PACKET_LENGTH_TOO_LONG'])

/**
 * Undefined when the port says no more; a connection that breaks says nothing, and the question is put again. One that was
 * silent to TLS, as a server is that waits for the end of a line, has to answer; one that has `spoken` in clear may think.
 */
async function statusInClear(
  { probe, silenceMs }: Asking,
  place: ProbedPlace,
  spoken: boolean,
): Promise<number | 'silent' | undefined> {
  let timer: NodeJS.Timeout | undefined
  const silence = Promise.withResolvers<'silent'>()
  const onConnected = (): void => {
    if (spoken) timer = setTimeout(() => silence.resolve('silent'), silenceMs)
  }
  try {
    return await Promise.race([silence.promise, probe(new URL(`http://${place.host}/v2/`), place, onConnected)])
  } catch (error) {
    // What is neither TLS nor HTTP is another program's port.
    if (isAppError(error) && (error.retry === 'transient' || error.code === 'REGISTRY_PROTOCOL_VIOLATION')) throw error
    return undefined
  } finally {
    clearTimeout(timer)
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
