/** How a registry is reached, as far as it may be told; null: as all are. */
export interface ToldWay {
  /** PEM, certificate by certificate. */
  readonly ca: string | null
  /** PEM, its own certificate first. */
  readonly clientCertificate: string | null
  /** URL without its password, or `direct`. */
  readonly proxy: string | null
  /** `host[:port][/path]`. */
  readonly mirror: string | null
}

/** The same as it is given. */
export interface WaySettings extends Omit<ToldWay, 'clientCertificate'> {
  /** Undefined: the one that is kept stays. */
  readonly clientCertificate: { readonly certificate: string; readonly key: string } | null | undefined
  /** URL with its password; without one, that of the same proxy stays. */
  readonly proxy: string | null
}

/** What may not be told of a way. */
export interface WaySecrets {
  /** PEM. */
  readonly key?: string
  /** URL with its password, or `direct`. */
  readonly proxy?: string
}

export const COMMON_WAY: ToldWay = { ca: null, clientCertificate: null, proxy: null, mirror: null }

/** What changes the way that credentials go; of two that are the same the client certificates may differ. */
export function isSameWay(a: Leading, b: Leading): boolean {
  return changedParts(a, b).length === 0
}

type Leading = { readonly plainHttp: boolean; readonly way: ToldWay }

export function changedParts(a: Leading, b: Leading): string[] {
  const ways = (['ca', 'proxy', 'mirror'] as const).filter((part) => a.way[part] !== b.way[part])
  return [...(a.plainHttp === b.plainHttp ? [] : ['plainHttp']), ...ways]
}
