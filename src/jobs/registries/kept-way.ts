import { createHash } from 'node:crypto'
import { AppError } from '../../lib/errors.ts'
import { COMMON_WAY, type ToldWay, type WaySecrets, type WaySettings } from '../model/registry-way.ts'
import type { Vault } from '../record/credentials.ts'

/** A way to a registry as it lies in Redis. */
export interface KeptWay {
  readonly host: string
  readonly plainHttp: boolean
  readonly way: ToldWay
  /** WaySecrets, beside what may be told: nobody else has made this way up. Null for the common one. */
  readonly sealedWay: string | null
}

/** What credentials are sealed under: who can write to Redis can move them neither to another registry nor to another way there. */
export function placeName({ host, plainHttp, way: { ca, proxy, mirror } }: Omit<KeptWay, 'sealedWay'>): string {
  const place = `registry ${plainHttp ? 'http' : 'https'}://${host}`
  return ca === null && proxy === null && mirror === null ? place : `${place} ${digestOf([ca, proxy, mirror])}`
}

/** Throws CREDENTIALS_INVALID for what was not sealed here. */
export function openedWay(vault: Vault, kept: KeptWay): WaySecrets {
  if (isCommon(kept.way)) return {}
  return vault.open(wayName(kept), kept.sealedWay ?? '') as WaySecrets
}

export function sealedWay(vault: Vault, kept: Omit<KeptWay, 'sealedWay'>, secrets: WaySecrets): string | null {
  return isCommon(kept.way) ? null : vault.seal(wayName(kept), secrets)
}

/** What the settings make of the way, as it may be told. */
export function toldWay(settings: WaySettings | undefined, before: ToldWay | undefined): ToldWay {
  if (settings === undefined) return { ...COMMON_WAY, clientCertificate: before?.clientCertificate ?? null }
  const { ca, clientCertificate, proxy, mirror } = settings
  const kept = clientCertificate === undefined ? before?.clientCertificate : clientCertificate?.certificate
  return { ca, clientCertificate: kept ?? null, proxy: proxy === null ? null : withoutPassword(proxy), mirror }
}

/**
 * What goes with it that may not. Throws BODY_INVALID where a secret that is kept would go another way than it was given for;
 * `before` opens what is kept.
 */
export function waySecrets(
  { host, settings, moves }: { host: string; settings: WaySettings | undefined; moves: readonly string[] },
  before: { way: ToldWay; open: () => WaySecrets } | undefined,
): WaySecrets {
  const { clientCertificate, proxy = null } = settings ?? {}
  return { ...keyOf(), ...(proxy === null ? {} : { proxy: proxyOf(proxy) }) }

  function keyOf(): Pick<WaySecrets, 'key'> {
    if (clientCertificate !== undefined) return clientCertificate ? { key: clientCertificate.key } : {}
    if (!before || before.way.clientCertificate === null) return {}
    if (moves.length > 0) throw wantedAgain(host, { moves, pointer: '/clientCertificate', what: 'client certificate' })
    const { key } = before.open()
    return key === undefined ? {} : { key }
  }

  /** What a GET has told may be written back. */
  function proxyOf(given: string): string {
    if (before?.way.proxy !== given || !URL.parse(given)?.username) return given
    const known = before.open().proxy ?? given
    if (known !== given && moves.length > 0)
      throw wantedAgain(host, { moves, pointer: '/proxy', what: 'proxy password' })
    return known
  }
}

export function wantedAgain(
  host: string,
  { moves, pointer, what }: { moves: readonly string[]; pointer: string; what: string },
): AppError {
  return new AppError(
    'BODY_INVALID',
    `${moves.join(' and ')} of ${host} changes, and what is kept was given for the other way: its ${what}`,
    { hint: `Give the ${what} again with it, or null for none.`, details: { pointer } },
  )
}

function withoutPassword(proxy: string): string {
  const url = URL.parse(proxy)
  if (url === null || url.password === '') return proxy
  url.password = ''
  return url.href
}

function isCommon({ ca, clientCertificate, proxy, mirror }: ToldWay): boolean {
  return [ca, clientCertificate, proxy, mirror].every((part) => part === null)
}

function wayName(kept: Omit<KeptWay, 'sealedWay'>): string {
  const { ca, clientCertificate, proxy, mirror } = kept.way
  return `way of ${placeName(kept)} ${digestOf([ca, clientCertificate, proxy, mirror])}`
}

function digestOf(parts: readonly (string | null)[]): string {
  return createHash('sha256').update(JSON.stringify(parts)).digest('base64url')
}
