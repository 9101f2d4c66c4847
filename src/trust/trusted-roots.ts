import { open, readdir } from 'node:fs/promises'
import { join } from 'node:path'
import { TrustedRoot as RootMessage } from '@sigstore/protobuf-specs'
import { type TrustMaterial, toTrustMaterial } from '@sigstore/verify'
import { AppError } from '../lib/errors.ts'
import { beyondBounds } from '../lib/loop/json-bounds.ts'

/** Whose certificates, logs and timestamps count. */
export interface TrustedRoot {
  readonly name: string
  readonly material: TrustMaterial
}

/** The trusted roots of this machine, by name. */
export interface TrustedRoots {
  /** Throws TRUSTED_ROOT_NOT_FOUND, TRUSTED_ROOT_INVALID. */
  read(name: string): Promise<TrustedRoot>
}

/** That of the public Sigstore has some 10 KiB. */
const MAX_BYTES = 1024 * 1024
const BOUNDS = { values: 20_000, keys: 1000, depth: 24 }
const MAX_AUTHORITIES = 200
const MEDIA_TYPE = /^application\/vnd\.dev\.sigstore\.trustedroot(?:\+json;version=0\.\d|\.v0\.\d\+json)$/
const MAX_TOLD = 20

/**
 * Reads `<name>.json` of a folder each time it is asked, so that a new root counts at once. Undefined: there are none.
 * Nothing is fetched: a root that has changed elsewhere is put there by hand.
 */
export function openTrustedRoots(folder: string | undefined): TrustedRoots {
  return {
    async read(name) {
      if (folder === undefined) throw notFound(name, 'LAYERD_TRUSTED_ROOTS, the folder that they lie in, is not set')
      const path = join(folder, `${name}.json`)
      return { name, material: readTrustedRoot(await readFile(path, { name, folder }), name) }
    },
  }
}

/** What a trusted_root.json says. Throws TRUSTED_ROOT_INVALID. Source: sigstore/protobuf-specs sigstore_trustroot.proto. */
export function readTrustedRoot(bytes: Buffer, name: string): TrustMaterial {
  const root = parse(bytes, name)
  const { certificateAuthorities, tlogs, ctlogs, timestampAuthorities } = root
  const parties = [certificateAuthorities, tlogs, ctlogs, timestampAuthorities]
  if (parties.some((list) => list.length > MAX_AUTHORITIES))
    throw invalid(name, `names more than ${MAX_AUTHORITIES} of a kind`)
  if (certificateAuthorities.length === 0) throw invalid(name, 'names no certificate authority')
  if (tlogs.length === 0 && timestampAuthorities.length === 0) {
    throw invalid(
      name,
      'names neither a log nor a timestamp authority, so nothing would tell when a signature was made',
    )
  }
  const since = [
    ...[...certificateAuthorities, ...timestampAuthorities].map(({ validFor }) => validFor?.start),
    ...[...tlogs, ...ctlogs].map(({ publicKey }) => publicKey?.validFor?.start),
  ]
  // The library would take it for one that has always counted.
  if (since.includes(undefined)) throw invalid(name, 'names a log or authority without saying since when it counts')
  try {
    const material = toTrustMaterial(root)
    if (material.certificateAuthorities.some(({ certChain }) => certChain.length === 0))
      throw new Error('no certificates')
    return material
  } catch (cause) {
    throw invalid(name, 'holds a certificate or key that cannot be read', cause)
  }
}

function parse(bytes: Buffer, name: string): RootMessage {
  if (bytes.length > MAX_BYTES) throw invalid(name, `has more than ${MAX_BYTES} bytes`)
  const beyond = beyondBounds(bytes, BOUNDS)
  if (beyond !== undefined) throw invalid(name, beyond)
  try {
    const json = JSON.parse(bytes.toString('utf8')) as { mediaType?: unknown } | null
    if (!MEDIA_TYPE.test(String(json?.mediaType))) throw new Error('its mediaType is not that of a trusted root')
    return RootMessage.fromJSON(json)
  } catch (cause) {
    throw invalid(name, 'is not a trusted root', cause)
  }
}

async function readFile(path: string, { name, folder }: { name: string; folder: string }): Promise<Buffer> {
  try {
    await using file = await open(path, 'r')
    const { size } = await file.stat()
    if (size > MAX_BYTES) throw invalid(name, `has more than ${MAX_BYTES} bytes`)
    const { bytesRead, buffer } = await file.read({ buffer: Buffer.alloc(size), position: 0 })
    return buffer.subarray(0, bytesRead)
  } catch (error) {
    if (error instanceof AppError) throw error
    const code = (error as NodeJS.ErrnoException).code
    if (code === 'ENOENT') throw notFound(name, await namesIn(folder))
    throw new AppError(
      'TRUSTED_ROOT_INVALID',
      `the trusted root "${name}" cannot be read (${code ?? 'unknown reason'})`,
      {
        cause: error,
      },
    )
  }
}

async function namesIn(folder: string): Promise<string> {
  const files = await readdir(folder).catch(() => [])
  const names = files.filter((file) => file.endsWith('.json')).map((file) => file.slice(0, -'.json'.length))
  return names.length === 0 ? 'there are none' : `there are ${names.toSorted().slice(0, MAX_TOLD).join(', ')}`
}

function notFound(name: string, why: string): AppError {
  return new AppError('TRUSTED_ROOT_NOT_FOUND', `there is no trusted root "${name}": ${why}`, {
    hint: 'A trusted root is a file NAME.json in the folder of LAYERD_TRUSTED_ROOTS, on every machine that has workers.',
    details: { trustedRoot: name },
  })
}

function invalid(name: string, why: string, cause?: unknown): AppError {
  return new AppError('TRUSTED_ROOT_INVALID', `the trusted root "${name}" ${why}`, {
    hint: 'It has to be a trusted_root.json as Sigstore publishes it, or "cosign trusted-root create" makes it.',
    details: { trustedRoot: name },
    ...(cause === undefined ? {} : { cause }),
  })
}
