import { connect, isIP } from 'node:net'
import { notAllowed } from '../errors/not-allowed.ts'
import { errorCode, networkError } from '../errors/network-errors.ts'
import { addressCloseness } from '../request/network-address.ts'
import type { Finding, Looked } from './check.ts'
import { factsOf, type RegistryPlace } from './place.ts'

/** More are not tried: a name with so many is balanced over machines that are alike. */
const MAX_ADDRESSES = 8

/** Which addresses the name stands for. Those that may not be contacted are not told. */
export async function nameCheck(place: RegistryPlace): Promise<Looked<readonly string[]>> {
  const { host } = place
  if (isIP(host) !== 0) return { state: 'ok', detail: `${host} is an address, no name`, value: [host] }
  const addresses = await addressesOf(place)
  const told = addresses.some((address) => isTooClose(place, address)) ? 'is known' : `is at ${listed(addresses)}`
  return { state: 'ok', detail: `${host} ${told}`, value: addresses }
}

/** Whether the addresses may be contacted. Throws REGISTRY_NOT_ALLOWED in the one sentence that all of them have. */
export async function outboundCheck(
  place: RegistryPlace,
  addresses: readonly string[],
): Promise<Looked<readonly string[]>> {
  if (addresses.some((address) => isTooClose(place, address))) throw notAllowed(factsOf(place, 'check the address'))
  return { state: 'ok', detail: 'layerd may contact it', value: addresses }
}

/** A place that takes a connection. */
export interface Route {
  readonly address: string
  readonly port: number
}

/** Which addresses take a TCP connection. */
export async function routeCheck(
  place: RegistryPlace,
  addresses: readonly string[],
  signal: AbortSignal,
): Promise<Looked<Route>> {
  let tried: readonly Tried[] = []
  for (const port of place.ports) {
    tried = await Promise.all(addresses.slice(0, MAX_ADDRESSES).map((address) => connected(address, port, signal)))
    const open = tried.find(({ fault }) => fault === undefined)
    if (open) return { ...openFinding(tried, port), value: { address: open.address, port } }
  }
  const ports = place.ports.join(' or ')
  return {
    state: 'failed',
    detail: `nobody takes a connection at port ${ports}: ${tried.map(outcome).join('; ')}`,
    hint: routeHint(tried),
  }
}

interface Tried {
  readonly address: string
  /** Undefined: it took the connection. */
  readonly fault: string | undefined
}

const NO_SUCH_ROUTE = new Set(['ENETUNREACH', 'EHOSTUNREACH', 'EADDRNOTAVAIL'])

function openFinding(tried: readonly Tried[], port: number): Finding {
  const open = tried.filter(({ fault }) => fault === undefined).map(({ address }) => address)
  const shut = tried.filter(({ fault }) => fault !== undefined)
  const detail = `port ${port} takes connections at ${listed(open)}`
  if (shut.length === 0) return { state: 'ok', detail }
  // Most often IPv6 addresses, on a machine that has none of its own.
  const usual = shut.every(({ fault }) => NO_SUCH_ROUTE.has(fault ?? ''))
  return {
    state: usual ? 'ok' : 'warning',
    detail: `${detail}; ${shut.map(outcome).join('; ')}`,
    ...(usual
      ? {}
      : { hint: 'Connections go to whichever answers, later than they could: take the dead ones out of the DNS.' }),
  }
}

function outcome({ address, fault }: Tried): string {
  if (fault === undefined) return `${address} takes it`
  if (fault === 'ECONNREFUSED') return `${address} refuses it`
  if (NO_SUCH_ROUTE.has(fault)) return `${address} cannot be reached from here (${fault})`
  return fault === 'ETIMEDOUT' ? `${address} does not answer` : `${address} failed (${fault})`
}

function routeHint(tried: readonly Tried[]): string {
  if (tried.every(({ fault }) => fault === 'ECONNREFUSED'))
    return 'The machine is there, and no program listens at this port: check the port, and that the registry runs.'
  if (tried.every(({ fault }) => NO_SUCH_ROUTE.has(fault ?? '')))
    return 'No network of this machine leads there: check routes, VPN and container networks.'
  return 'Nothing comes back: check firewalls on the way, and whether a proxy has to be used (HTTPS_PROXY).'
}

/** Short of the check's own limit, so that a silent address leaves the others to be told. */
const CONNECT_MS = 4000

function connected(address: string, port: number, signal: AbortSignal): Promise<Tried> {
  return new Promise((resolve) => {
    const socket = connect({ host: address, port, signal: AbortSignal.any([signal, AbortSignal.timeout(CONNECT_MS)]) })
    const settle = (fault: string | undefined) => {
      socket.destroy()
      resolve({ address, fault })
    }
    socket.once('connect', () => settle(undefined))
    socket.once('error', (error) =>
      settle(error.name === 'AbortError' ? 'ETIMEDOUT' : (errorCode(error) ?? error.name)),
    )
  })
}

function addressesOf(place: RegistryPlace): Promise<string[]> {
  return new Promise((resolve, reject) => {
    place.lookup(place.host, { all: true }, (error, found) => {
      if (error) return reject(networkError(factsOf(place, 'look up the name'), error))
      const all = Array.isArray(found) ? found.map(({ address }) => address) : [found]
      resolve([...new Set(all)])
    })
  })
}

function isTooClose({ reach }: RegistryPlace, address: string): boolean {
  return addressCloseness(address) > reach
}

function listed(addresses: readonly string[]): string {
  const more = addresses.length - 4
  return addresses.slice(0, 4).join(', ') + (more > 0 ? ` and ${more} more` : '')
}
