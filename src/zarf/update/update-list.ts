import { type Static, Type } from 'typebox'
import { Compile } from 'typebox/compile'
import type { Descriptor } from '../../content/descriptor.ts'
import { isDigest } from '../../content/digest.ts'
import { AppError } from '../../lib/errors.ts'
import { beyondBounds } from '../../lib/loop/json-bounds.ts'
import { UPDATE_LIST } from '../layout/metadata-files.ts'

/** Of the format's version. What comes after it is told apart by the number in it. Source: docs/adr/0031. */
export const UPDATE_MEDIA_TYPE = 'application/vnd.layerd.update.v1+json'
const ANY_FORMAT = /^application\/vnd\.layerd\.update\.v([0-9]{1,6})\+json$/

/** Twice what a manifest may have: of each layer it says what the manifest says, and little beside. */
export const MAX_UPDATE_LIST_BYTES = 8 * 1024 * 1024
const BOUNDS = { values: 300_000, keys: 10_000, depth: 16 }

export interface UpdatedPackage {
  readonly name: string
  readonly version: string | null
  readonly flavor: string | null
  readonly architecture: string
}

/** What an update's archive says of itself. */
export interface UpdateList {
  /** What it makes. */
  readonly package: UpdatedPackage
  /** Of the package's manifest, which comes first of all blobs. */
  readonly manifest: Descriptor
  /** The package that it is to be put together with, by its manifest. */
  readonly base: Descriptor & { readonly version: string | null }
  /** Blobs that follow, in their order, each digest once. */
  readonly included: readonly Descriptor[]
  /** Blobs of the new package that the base has. */
  readonly fromBase: readonly Descriptor[]
}

const Text = Type.String({ maxLength: 1024 })
const OptionalText = Type.Union([Text, Type.Null()])
const Blob = Type.Object({
  mediaType: Type.String({ maxLength: 255 }),
  digest: Type.String({ maxLength: 160 }),
  size: Type.Integer({ minimum: 0, maximum: Number.MAX_SAFE_INTEGER }),
  annotations: Type.Optional(Type.Record(Type.String(), Type.String())),
})
/** What is not named here is passed over: a later layerd may say more in the same format. */
const ListShape = Type.Object({
  mediaType: Type.Literal(UPDATE_MEDIA_TYPE),
  package: Type.Object({ name: Text, version: OptionalText, flavor: OptionalText, architecture: Text }),
  manifest: Blob,
  base: Type.Object({ ...Blob.properties, version: OptionalText }),
  included: Type.Array(Blob),
  fromBase: Type.Array(Blob),
})
const listCheck = Compile(ListShape)

/** The same list always gives the same bytes. */
export function encodeUpdateList({ package: made, manifest, base, included, fromBase }: UpdateList): Buffer {
  const { name, version, flavor, architecture } = made
  const list = {
    mediaType: UPDATE_MEDIA_TYPE,
    package: { name, version, flavor, architecture },
    manifest: entryOf(manifest),
    base: { ...entryOf(base), version: base.version },
    included: included.map(entryOf),
    fromBase: fromBase.map(entryOf),
  }
  return Buffer.from(`${JSON.stringify(list)}\n`)
}

/** `where`: what errors call the archive. Throws PACKAGE_FORMAT_UNSUPPORTED for another format, PACKAGE_INVALID. */
export function parseUpdateList(bytes: Buffer, where: string): UpdateList {
  const value = parseJson(bytes, where)
  checkFormat(value, where)
  if (!listCheck.Check(value)) throw invalidUpdate(where, `its ${UPDATE_LIST} lacks what one of this format has`)
  const { package: made, manifest, base, included, fromBase } = value
  const blob = (entry: Static<typeof Blob>) => descriptorOf(entry, where)
  return {
    package: made,
    manifest: blob(manifest),
    base: { ...blob(base), version: base.version },
    included: included.map(blob),
    fromBase: fromBase.map(blob),
  }
}

/** PACKAGE_INVALID. */
export function invalidUpdate(where: string, why: string, details: Readonly<Record<string, unknown>> = {}): AppError {
  return new AppError('PACKAGE_INVALID', `${where} is not a valid update: ${why}`, {
    hint: 'It was damaged, or not made by layerd: download it again (layerd download DIGEST --since BASE).',
    details,
  })
}

function entryOf({ mediaType, digest, size, annotations }: Descriptor): Static<typeof Blob> {
  return { mediaType, digest, size, ...(annotations ? { annotations: { ...annotations } } : {}) }
}

function descriptorOf({ mediaType, digest, size, annotations }: Static<typeof Blob>, where: string): Descriptor {
  if (!isDigest(digest)) throw invalidUpdate(where, `its ${UPDATE_LIST} has a digest that is none`)
  return { mediaType, digest, size, ...(annotations ? { annotations } : {}) }
}

function parseJson(bytes: Buffer, where: string): unknown {
  const why = beyondBounds(bytes, BOUNDS)
  if (why !== undefined) throw invalidUpdate(where, `its ${UPDATE_LIST} ${why}`)
  try {
    return JSON.parse(bytes.toString('utf8'))
  } catch {
    // The parser's message quotes its input.
    throw invalidUpdate(where, `its ${UPDATE_LIST} is not JSON`)
  }
}

function checkFormat(value: unknown, where: string): void {
  const mediaType = (value as { mediaType?: unknown } | null)?.mediaType
  if (typeof mediaType !== 'string') throw invalidUpdate(where, `its ${UPDATE_LIST} does not say its format`)
  if (mediaType === UPDATE_MEDIA_TYPE) return
  const [, format] = ANY_FORMAT.exec(mediaType) ?? []
  if (format === undefined) throw invalidUpdate(where, `its ${UPDATE_LIST} is of no format of updates`)
  throw new AppError('PACKAGE_FORMAT_UNSUPPORTED', `${where} is an update of format ${format}; this layerd reads 1`, {
    hint: 'Apply it with a newer layerd, or make it with one of the age of this.',
    details: { format: Number(format), known: [1] },
  })
}
