import { nextTurn } from '../../lib/loop/breathe.ts'
import { beyondBounds, type JsonBounds } from '../../lib/loop/json-bounds.ts'

/** Names in a page of a list that a registry sends as JSON. */
export interface NamesPage {
  readonly names: readonly string[]
  readonly bytes: number
}

/**
 * Reads `{"FIELD": ["...", ...]}`; null and nothing are an empty list. `refuse` is told what is wrong, and throws.
 */
export async function readNames(
  bytes: Buffer,
  { field, bounds, refuse }: { field: string; bounds: JsonBounds; refuse: (why: string) => never },
): Promise<NamesPage> {
  const why = beyondBounds(bytes, bounds)
  if (why !== undefined) refuse(`a list of ${field} that ${why}`)
  await nextTurn()
  return { names: namesIn(bytes, field) ?? refuse(`something that is no list of ${field}`), bytes: bytes.length }
}

function namesIn(bytes: Buffer, field: string): readonly string[] | undefined {
  try {
    const body: unknown = JSON.parse(bytes.toString('utf8'))
    if (typeof body !== 'object' || body === null || Array.isArray(body)) return undefined
    const names = (body as Record<string, unknown>)[field]
    if (names === undefined || names === null) return []
    return Array.isArray(names) && names.every((name) => typeof name === 'string') ? names : undefined
  } catch {
    return undefined
  }
}
