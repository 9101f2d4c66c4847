import { createHash } from 'node:crypto'
import { sameOrigin } from './redirect.ts'

export interface ClientCertificate {
  /** PEM, with what signed it where the registry has to be shown that too. */
  readonly certificate: string
  /** PEM. */
  readonly key: string
}

/** No proxy, whatever the environment names. */
export const DIRECT = 'direct'

/** How one registry is reached, where it is not as all others are. */
export interface RegistryWayOptions {
  /** Where this is kept, for errors: `/v1/registries/HOST`. */
  readonly place: string
  /** PEM: believed beside what the process believes. */
  readonly ca?: string
  readonly clientCertificate?: ClientCertificate
  /** URL of a proxy, with its user and password, or DIRECT. */
  readonly proxy?: string
}

/** What connections are made with; those that were made one way serve no other. */
export interface Way {
  /** Equal for equal ways alone; the common one's is empty. No secret can be read from it. */
  readonly id: string
  readonly place: string
  readonly ca: string | undefined
  readonly clientCertificate: ClientCertificate | undefined
  readonly proxy: string | undefined
  /** It leads to what the registry names and not to itself: NO_PROXY and loopback go past its proxy. */
  readonly named: boolean
}

/** Both ways of one registry (docs/adr/0019). */
export interface RegistryWay {
  /** To its own origin. */
  readonly own: Way
  /** To what it names: token services, redirects, locations elsewhere. None of them is shown a client certificate. */
  readonly named: Way
}

const COMMON: Way = {
  id: '',
  place: '',
  ca: undefined,
  clientCertificate: undefined,
  proxy: undefined,
  named: false,
}

/** As the process reaches all registries that nothing is said of. */
export const COMMON_WAY: RegistryWay = { own: COMMON, named: COMMON }

export function registryWay(options: RegistryWayOptions): RegistryWay {
  const { clientCertificate, ...others } = options
  return {
    own: wayOf({ ...others, ...(clientCertificate ? { clientCertificate } : {}) }, false),
    named: wayOf(others, true),
  }
}

function wayOf({ place, ca, clientCertificate, proxy }: RegistryWayOptions, named: boolean): Way {
  if (ca === undefined && clientCertificate === undefined && proxy === undefined) return COMMON
  const parts = [place, ca ?? null, clientCertificate ?? null, proxy ?? null, named]
  const id = createHash('sha256').update(JSON.stringify(parts)).digest('base64url')
  return { id, place, ca, clientCertificate, proxy, named }
}

/** The way to `target` for a registry at `base`. */
export function wayTo({ own, named }: RegistryWay, base: URL, target: URL): Way {
  return sameOrigin(base, target) ? own : named
}
