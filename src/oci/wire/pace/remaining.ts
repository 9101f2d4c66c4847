/** What a far end says that it still lets in, before it refuses. */
export interface Remaining {
  readonly remaining: number
  /** Of so many; undefined: it does not say. */
  readonly limit: number | undefined
  /** Until that many may go again; undefined: it does not say. */
  readonly resetMs: number | undefined
  /** The time that `limit` is for. */
  readonly windowMs: number | undefined
  /** pulls: GETs of manifests alone, as Docker Hub counts them (oci-client.md E4). */
  readonly counts: 'requests' | 'pulls'
}

type Header = (name: string) => string | undefined

/** More of a header is nobody's quota. */
const MOST_TEXT = 512

/**
 * Reads what answers say of their limits; undefined where they say nothing that can be used. Sources: draft-ietf-httpapi-ratelimit-headers-10
 * (`RateLimit: "default";r=50;t=30`), -07 (`RateLimit: limit=100, remaining=50, reset=5`), -06 (`RateLimit-Remaining`, Docker Hub's too), and
 * Azure's documentation.
 */
export function remainingOf(header: Header): Remaining | undefined {
  const azure = header('x-ms-ratelimit-remaining-calls-per-second')
  if (azure !== undefined) return perSecond(azure)
  const items = header('ratelimit')
  if (items !== undefined) return ofItems(items.slice(0, MOST_TEXT), header('ratelimit-policy') ?? '')
  const remaining = header('ratelimit-remaining')
  return remaining === undefined ? undefined : ofThree(remaining, header)
}

function perSecond(text: string): Remaining | undefined {
  const remaining = numberIn(/^\s*(\d{1,9}(?:\.\d{1,9})?)\s*$/, text)
  if (remaining === undefined) return undefined
  return { remaining: Math.floor(remaining), limit: undefined, resetMs: 1000, windowMs: 1000, counts: 'requests' }
}

/** Three headers, or Docker Hub's two, whose window stands behind the number and which say nothing of its end. */
function ofThree(text: string, header: Header): Remaining | undefined {
  const remaining = numberIn(/^\s*(\d{1,12})(?:\s*;|\s*$)/, text)
  if (remaining === undefined) return undefined
  const limits = (header('ratelimit-limit') ?? '').slice(0, MOST_TEXT)
  const window = numberIn(/;\s*w=(\d{1,9})(?:\D|$)/, text) ?? numberIn(/;\s*w=(\d{1,9})(?:\D|$)/, limits)
  const reset = numberIn(/^\s*(\d{1,9})\s*$/, header('ratelimit-reset') ?? '')
  return {
    remaining,
    limit: numberIn(/^\s*(\d{1,12})(?:[\s;,]|$)/, limits),
    resetMs: inMs(reset),
    windowMs: inMs(window),
    counts: header('docker-ratelimit-source') === undefined ? 'requests' : 'pulls',
  }
}

/** Of several policies the one with the least left. */
function ofItems(text: string, policies: string): Remaining | undefined {
  const named = numberIn(/(?:^|[\s,;])remaining=(\d{1,12})(?:\D|$)/, text)
  if (named !== undefined) {
    return {
      remaining: named,
      limit: numberIn(/(?:^|[\s,;])limit=(\d{1,12})(?:\D|$)/, text),
      resetMs: inMs(numberIn(/(?:^|[\s,;])reset=(\d{1,9})(?:\D|$)/, text)),
      windowMs: inMs(numberIn(/;\s*w=(\d{1,9})(?:\D|$)/, policies.slice(0, MOST_TEXT))),
      counts: 'requests',
    }
  }
  const quotas = new Map(itemsOf(policies.slice(0, MOST_TEXT)))
  const found = itemsOf(text).flatMap(([name, values]): Remaining[] => {
    const remaining = values.get('r')
    if (remaining === undefined) return []
    const quota = quotas.get(name)
    const [limit, resetMs, windowMs] = [quota?.get('q'), inMs(values.get('t')), inMs(quota?.get('w'))]
    return [{ remaining, limit, resetMs, windowMs, counts: 'requests' }]
  })
  return found.toSorted((one, other) => one.remaining - other.remaining)[0]
}

/** `"name";a=1;b=2, ...`; whoever names a policy with a comma is not understood. */
function itemsOf(text: string): Array<[string, Map<string, number>]> {
  return text.split(',').map((item) => {
    const [name = '', ...parameters] = item.split(';').map((part) => part.trim())
    const values = parameters.flatMap((parameter): Array<[string, number]> => {
      const [, key, value] = /^([a-z]{1,4})=(\d{1,12})$/.exec(parameter) ?? []
      return key === undefined ? [] : [[key, Number(value)]]
    })
    return [name, new Map(values)]
  })
}

function numberIn(pattern: RegExp, text: string): number | undefined {
  const found = pattern.exec(text)?.[1]
  return found === undefined ? undefined : Number(found)
}

function inMs(seconds: number | undefined): number | undefined {
  return seconds === undefined ? undefined : seconds * 1000
}
