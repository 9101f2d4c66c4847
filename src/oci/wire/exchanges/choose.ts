import type { RegistryRequest, RegistryResponse } from '../../request/transport.ts'
import { directExchange, isLarge } from './direct-exchange.ts'
import { type Exchange, exchange } from './exchange.ts'
import { isSmall, smallExchange } from './small-exchange.ts'
import type { OwnConnections } from './ways.ts'

/** A way to carry a request. `send` is undefined where it can't be gone. */
interface ExchangeKind {
  takes(request: RegistryRequest): boolean
  send(call: Exchange, connections: OwnConnections): Promise<RegistryResponse> | undefined
}

/** The first that takes a request carries it. */
const EXCHANGES: readonly ExchangeKind[] = [
  {
    takes: isSmall,
    send(call, { small }) {
      const connections = small(call.facts.url)
      return connections && smallExchange(call, connections)
    },
  },
  {
    takes: isLarge,
    send(call, { direct }) {
      const connections = direct(call.facts.url)
      return connections && directExchange(call, connections)
    },
  },
  { takes: () => true, send: exchange },
]

/** What is known to be small on both ways. As `exchange`. */
export function carrySmall(call: Exchange, connections: OwnConnections): Promise<RegistryResponse> {
  const own = connections.small(call.facts.url)
  return own ? smallExchange(call, own) : exchange(call)
}

/** One request and its answer, by the exchange that fits. As `exchange`. */
export function carry(
  request: RegistryRequest,
  call: Exchange,
  connections: OwnConnections,
): Promise<RegistryResponse> {
  for (const kind of EXCHANGES) {
    const answer = kind.takes(request) ? kind.send(call, connections) : undefined
    if (answer) return answer
  }
  throw new Error('the last exchange takes every request')
}
