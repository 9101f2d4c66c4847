import { UsageError } from './context.ts'

const STORED = /^(?:store:)?(sha(?:256:[0-9a-f]{64}|512:[0-9a-f]{128}))$/

/** Of a package of the daemon's store, with `store:` before it or not; undefined for what is no digest. */
export function storedDigest(text: string): string | undefined {
  return STORED.exec(text)?.[1]
}

/** The same where nothing else can be meant. Throws UsageError. */
export function requireStoredDigest(text: string): string {
  const digest = storedDigest(text)
  if (digest !== undefined) return digest
  throw new UsageError(`"${text.slice(0, 100)}" is no digest of a stored package: layerd packages lists them`)
}
