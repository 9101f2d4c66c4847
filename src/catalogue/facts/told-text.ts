import { withoutUnseen } from '../../lib/text.ts'

/** A text of others, without what is obeyed rather than seen, and cut; null where nothing is left. */
export function toldText(text: string | null | undefined, most: number): string | null {
  if (typeof text !== 'string') return null
  const plain = withoutUnseen(text.slice(0, 4 * most))
    .trim()
    .slice(0, most)
    .toWellFormed()
  return plain === '' ? null : plain
}

const EARLIEST = Date.UTC(2000, 0)
const LATEST = Date.UTC(2200, 0)

/** RFC 3339 of a time as annotations, configs and zarf.yaml have it; null for what is none. */
export function toldTime(text: string | null | undefined): string | null {
  if (typeof text !== 'string' || text.length > 64) return null
  const at = Date.parse(text)
  // Reproducible builds say that they were made in 1970 or in the year 1.
  return at >= EARLIEST && at < LATEST ? new Date(at).toISOString() : null
}
