const STORED = /^(?:store:)?(sha(?:256:[0-9a-f]{64}|512:[0-9a-f]{128}))$/

/** Of a package of the daemon's store, with `store:` before it or not; undefined for what is no digest. */
export function storedDigest(text: string): string | undefined {
  return STORED.exec(text)?.[1]
}
