import { readdir, readFile, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { type Static, Type } from 'typebox'
import { Compile } from 'typebox/compile'
import type { Descriptor } from '../../content/descriptor.ts'
import { type Digest, isDigest, parseDigest } from '../../content/digest.ts'
import { OCI_INDEX } from '../../content/media-types.ts'
import { syncFolder, writeFileAtomic } from '../../lib/atomic-file.ts'
import type { StoreLayout } from '../files/layout.ts'

const Nullable = <T extends Parameters<typeof Type.Union>[0][number]>(schema: T) => Type.Union([schema, Type.Null()])

const PACKAGE_SCHEMA = 1
/**
 * Of records with `nested`: who does not know that would collect what only these name, and collects nothing for records it
 * can't read.
 */
const NESTED_SCHEMA = 2

/** What one owner's pulls brought of a package; each field as the package's own, which has those of all owners together. */
const ShareShape = Type.Object({
  /** Of a principal. */
  name: Type.String(),
  references: Type.Array(Type.String()),
  components: Type.Array(Type.String()),
  images: Type.Optional(Type.Array(Type.String())),
  storedAt: Type.String(),
  holders: Type.Optional(Type.Array(Type.String())),
  without: Type.Optional(Type.Array(Type.String())),
  lacks: Type.Optional(Type.Array(Type.String())),
})
export type Share = Static<typeof ShareShape>

/** A stored package. One file each, so that writers of different packages never meet. */
const RecordShape = Type.Object({
  /** Of this file's format. */
  schema: Type.Union([Type.Literal(PACKAGE_SCHEMA), Type.Literal(NESTED_SCHEMA)]),
  /** Of the package's manifest. */
  digest: Type.String(),
  manifestMediaType: Type.String(),
  manifestSize: Type.Integer({ minimum: 0 }),
  name: Type.String(),
  version: Nullable(Type.String()),
  flavor: Nullable(Type.String()),
  architecture: Type.String(),
  /** Where it was pulled from, the newest last. */
  references: Type.Array(Type.String()),
  /** Bytes of layers and config, each digest once, of the whole package. */
  size: Type.Integer({ minimum: 0 }),
  layers: Type.Integer({ minimum: 0 }),
  signed: Type.Boolean(),
  /** Names of its components; of a partial pull, those chosen. */
  components: Type.Array(Type.String()),
  /** The same of its images. Absent: written before this was kept. */
  images: Type.Optional(Type.Array(Type.String())),
  /** Whether every layer was stored. */
  complete: Type.Boolean(),
  /** RFC 3339. */
  storedAt: Type.String(),
  /** It goes when the last of these has let go of it. Absent: it stays. */
  holders: Type.Optional(Type.Array(Type.String())),
  /** What it is. Absent: a package. */
  kind: Type.Optional(Type.Literal('bundle')),
  /** Blobs of it that are manifests: what they name is needed, too, but for `without`. Absent: none. */
  nested: Type.Optional(Type.Array(Type.String())),
  /** Digests that these name and that it leaves out by itself. Absent: none. */
  without: Type.Optional(Type.Array(Type.String())),
  /** Digests of what its manifest names and no pull of it has brought, whoever else has. Absent: none. */
  lacks: Type.Optional(Type.Array(Type.String())),
  /**
   * Who has pulled it, and what that brought, the newest last. Absent: all of it is of `anonymous`. An older layerd that pulls it again
   * leaves this out, and drops nothing else.
   */
  owners: Type.Optional(Type.Array(ShareShape, { minItems: 1 })),
})

/** Compiled: others chose how many components there are. */
const recordCheck = Compile(RecordShape)

export type StoredPackage = Omit<Static<typeof RecordShape>, 'digest' | 'schema'> & { digest: Digest }

/** The annotation under which index.json repeats a record, so that each of the two can be mended from the other. */
const RECORD_ANNOTATION = 'dev.layerd.package'
const REF_NAME = 'org.opencontainers.image.ref.name'

export interface PackageRecords {
  /** Those that can be read, by name, version, flavor, architecture. */
  list(): Promise<StoredPackage[]>
  get(digest: Digest): Promise<StoredPackage | undefined>
  /** Like remove, leaves index.json to writeIndex. */
  put(record: StoredPackage): Promise<void>
  remove(digest: Digest): Promise<void>
  /** Files that should be records and are not. */
  broken(): Promise<string[]>
  /** What index.json repeats, for mending. */
  indexed(): Promise<StoredPackage[]>
  /** Whether index.json is what the records make it. */
  indexIsCurrent(): Promise<boolean>
  /** `except`: a package that is about to go. */
  writeIndex(except?: Digest): Promise<void>
}

export function packageRecords(layout: StoreLayout): PackageRecords {
  const files = async () => (await readdir(layout.packages)).filter((name) => name.endsWith('.json')).toSorted()
  const read = async (file: string) => parseRecord(await readText(join(layout.packages, file)))
  const list = async () => {
    const records = await Promise.all((await files()).map(read))
    return records.filter((record) => record !== undefined).toSorted(byName)
  }
  return {
    list,
    async get(digest) {
      return parseRecord(await readText(layout.record(digest)))
    },
    async put(record) {
      await writeFileAtomic(layout.record(record.digest), recordText(record))
    },
    async remove(digest) {
      await rm(layout.record(digest), { force: true })
      await syncFolder(layout.packages)
    },
    async broken() {
      const found = await Promise.all((await files()).map(async (file) => ((await read(file)) ? undefined : file)))
      return found.filter((file) => file !== undefined)
    },
    async indexed() {
      return recordsOfIndex(await readText(layout.index))
    },
    async indexIsCurrent() {
      const [text, packages] = await Promise.all([readText(layout.index), list()])
      // The first package brings it.
      return text === undefined ? packages.length === 0 : text === indexText(packages)
    },
    async writeIndex(except) {
      await writeFileAtomic(layout.index, indexText((await list()).filter(({ digest }) => digest !== except)))
    },
  }
}

/** The descriptor of a stored package's manifest. */
export function manifestDescriptor(
  record: Pick<StoredPackage, 'digest' | 'manifestMediaType' | 'manifestSize'>,
): Descriptor {
  return { mediaType: record.manifestMediaType, digest: record.digest, size: record.manifestSize }
}

function recordText(record: StoredPackage): string {
  return `${JSON.stringify({ schema: schemaOf(record), ...record }, null, 2)}\n`
}

function schemaOf({ nested }: StoredPackage): number {
  return nested ? NESTED_SCHEMA : PACKAGE_SCHEMA
}

function parseRecord(text: string | undefined): StoredPackage | undefined {
  if (text === undefined) return undefined
  try {
    return toRecord(JSON.parse(text))
  } catch {
    return undefined
  }
}

function toRecord(value: unknown): StoredPackage | undefined {
  if (!recordCheck.Check(value) || !isDigest(value.digest)) return undefined
  const { schema: _, digest, ...rest } = value
  return { digest: parseDigest(digest), ...rest }
}

/** Other tools see packages that are whole; records of partial ones would name blobs that are not there. */
function indexText(records: readonly StoredPackage[]): string {
  const manifests = records
    .filter((record) => record.complete)
    .map((record) => ({
      ...manifestDescriptor(record),
      platform: { architecture: record.architecture, os: 'multi' },
      annotations: {
        [REF_NAME]: (record.references.at(-1) ?? record.name).replace(/^oci:\/\//, ''),
        [RECORD_ANNOTATION]: JSON.stringify({ schema: schemaOf(record), ...record }),
      },
    }))
  return JSON.stringify({ schemaVersion: 2, mediaType: OCI_INDEX, manifests })
}

function recordsOfIndex(text: string | undefined): StoredPackage[] {
  try {
    const { manifests } = JSON.parse(text ?? '{}') as { manifests?: { annotations?: Record<string, string> }[] }
    return (manifests ?? [])
      .map(({ annotations }) => parseRecord(annotations?.[RECORD_ANNOTATION]))
      .filter((record) => record !== undefined)
  } catch {
    return []
  }
}

function byName(a: StoredPackage, b: StoredPackage): number {
  const key = (record: StoredPackage) =>
    [record.name, record.version ?? '', record.flavor ?? '', record.architecture, record.digest].join('\0')
  return key(a) < key(b) ? -1 : 1
}

async function readText(path: string): Promise<string | undefined> {
  try {
    return await readFile(path, 'utf8')
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined
    throw error
  }
}
