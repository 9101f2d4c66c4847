import type { WireExchange } from '../../../content/wire-request.ts'
import { onEnd, onRequest } from '../../request/hooks.ts'
import type { RegistryRequest, RegistryResponse } from '../../request/transport.ts'
import { directExchange, isLarge } from './direct-exchange.ts'
import { type Exchange, exchange } from './exchange.ts'
import { isSmall, smallExchange } from './small-exchange.ts'
import type { OwnConnections } from './ways.ts'

type Carry = (call: Exchange) => Promise<RegistryResponse>

/** A way to carry a request. `to` is undefined where it can't be gone. */
interface ExchangeKind {
  readonly name: WireExchange
  takes(request: RegistryRequest): boolean
  to(url: URL, connections: OwnConnections): Carry | undefined
}

/** The first that takes a request carries it. */
const EXCHANGES: readonly ExchangeKind[] = [
  { name: 'small', takes: isSmall, to: bySmall },
  {
    name: 'direct',
    takes: isLarge,
    to(url, { direct }) {
      const connections = direct(url)
      return connections && ((call) => directExchange(call, connections))
    },
  },
  { name: 'undici', takes: () => true, to: () => exchange },
]

function bySmall(url: URL, { small }: OwnConnections): Carry | undefined {
  const connections = small(url)
  return connections && ((call) => smallExchange(call, connections))
}

/** What is known to be small on both ways. As `exchange`. */
export function carrySmall(call: Exchange, connections: OwnConnections): Promise<RegistryResponse> {
  const own = bySmall(call.facts.url, connections)
  return own ? followed(call, 'small', own) : carryByUndici(call)
}

/** Whatever it is. As `exchange`. */
export function carryByUndici(call: Exchange): Promise<RegistryResponse> {
  return followed(call, 'undici', exchange)
}

/** One request and its answer, by the exchange that fits. As `exchange`. */
export function carry(
  request: RegistryRequest,
  call: Exchange,
  connections: OwnConnections,
): Promise<RegistryResponse> {
  for (const kind of EXCHANGES) {
    const way = kind.takes(request) ? kind.to(call.facts.url, connections) : undefined
    if (way) return followed(call, kind.name, way)
  }
  throw new Error('the last exchange takes every request')
}

/** What has an answer ends with the answer's body (toResponse). */
async function followed(call: Exchange, name: WireExchange, way: Carry): Promise<RegistryResponse> {
  const { hooks, facts, headers, body, guard } = call
  const streams = typeof body === 'function' || guard !== undefined
  const bytes = streams ? undefined : (body?.length ?? 0)
  onRequest(hooks, facts, { call: call.call, exchange: name, headers, bytes })
  try {
    return await way(call)
  } catch (error) {
    onEnd(hooks, facts, error)
    throw error
  }
}
