import type { CallFacts } from '../../errors/errors.ts'
import type { CloudAnswer, CloudRequest } from '../../request/cloud-call.ts'
import type { Outbound } from '../../request/outbound.ts'
import { COMMON_WAY } from '../../request/registry-way.ts'
import { carrySmall } from '../exchanges/choose.ts'
import type { Schemes } from './scheme.ts'
import { limited, type SharedCalls } from './shared-calls.ts'

/** A password of ECR has some 2 KiB, a token of Entra rarely more. */
const MAX_ANSWER = 128 * 1024

export interface CloudCallOptions {
  schemes: Schemes
  outbound: Outbound
  /** For the whole answer. */
  limitMs: number
}

/** See CloudCall. */
export async function callCloud(
  calls: SharedCalls,
  request: CloudRequest,
  { schemes, outbound, limitMs }: CloudCallOptions,
): Promise<CloudAnswer> {
  const { op, registry, method, target, plainHttp = false, way = COMMON_WAY, headers, body, mask } = request
  const own = outbound.own(registry)
  const asked = typeof target === 'string' ? { asked: target } : {}
  const reach = typeof target === 'string' ? own : request.reach
  const unending = new AbortController().signal
  const base = typeof target === 'string' && (await schemes.base({ registry, plainHttp, way }, unending))
  const url = base ? new URL(target, base) : new URL(target)
  const facts: CallFacts = { op, registry, method, url, ...asked, mask }
  return await limited(facts, limitMs, async (signal) => {
    const ways = calls.ways.of(reach, base ? way.own : way.named)
    const call = {
      call: request,
      dispatcher: ways.pick('control', url),
      facts,
      headers: { accept: 'application/json', ...headers, 'user-agent': calls.userAgent, 'accept-encoding': 'identity' },
      ...(body === undefined ? {} : { body }),
      hooks: calls.hooks,
      signal,
      ...calls.lane,
    }
    const response = await carrySmall(call, ways)
    const text = (await response.bytes(MAX_ANSWER)).toString('utf8')
    return { status: response.status, url: response.url, header: (name) => response.header(name), text }
  })
}
