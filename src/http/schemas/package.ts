import { type Static, Type } from 'typebox'
import type { Signature } from '../../jobs/model/definitions.ts'
import { pageOf, pageQuery } from './page.ts'

export const Nullable = <T extends Parameters<typeof Type.Union>[0][number]>(schema: T) =>
  Type.Union([schema, Type.Null()])
export const Digest = (description: string) => Type.String({ description })

/** Who a package is. */
export const identity = {
  digest: Digest("Of the package's manifest; `zarf package inspect digest` prints the same."),
  name: Type.String(),
  version: Nullable(Type.String()),
  flavor: Nullable(Type.String()),
  architecture: Type.String(),
}

export const StoredPackage = Type.Object(
  {
    kind: Type.Enum(['package', 'bundle'], { description: 'A Zarf package, or a UDS bundle of them.' }),
    ...identity,
    references: Type.Array(Type.String(), { description: 'Where it was pulled from, the newest last.' }),
    size: Type.Integer({
      minimum: 0,
      description: 'Bytes of layers and config, each digest once, of the whole package.',
    }),
    layers: Type.Integer({ minimum: 0 }),
    signed: Type.Boolean(),
    components: Type.Array(Type.String(), { description: 'Those that were pulled; of a bundle none.' }),
    images: Type.Optional(
      Type.Array(Type.String(), {
        description: 'Those that were pulled; absent for a package that was stored before this was kept.',
      }),
    ),
    complete: Type.Boolean({ description: 'Whether every layer is stored.' }),
    storedAt: Type.String({ format: 'date-time' }),
    owners: Type.Array(Type.String(), {
      description:
        'Who pulled it, of those whose pulls the caller may see; the other fields tell of these pulls alone.',
    }),
    transient: Type.Boolean({ description: 'It goes once the archive that a job asked for has been fetched.' }),
    archive: Type.String({ description: 'Where its archive is served.' }),
  },
  { $id: 'StoredPackage', description: 'A package or a bundle in the content store.' },
)
export type StoredPackage = Static<typeof StoredPackage>

const PackageQuery = Type.Object(
  {
    ...pageQuery,
    ref: Type.Optional(
      Type.String({ minLength: 1, maxLength: 1024, deprecated: true, description: 'Moved to /v1/remote-packages.' }),
    ),
    architecture: Type.Optional(Type.String({ maxLength: 64, deprecated: true, description: 'With ref.' })),
    plainHttp: Type.Optional(Type.Boolean({ deprecated: true, description: 'With ref.' })),
  },
  { additionalProperties: false },
)

const DIGEST = '^(sha256:[a-f0-9]{64}|sha512:[a-f0-9]{128})$'

export const PackageParams = Type.Object({
  digest: Type.String({ pattern: DIGEST, description: "The manifest's." }),
})
/** Another stored package, to compare with. */
export const sinceParameter = (description: string) => Type.String({ pattern: DIGEST, description })

const ArchiveQuery = Type.Object(
  {
    components: Type.Optional(
      Type.Array(Type.String({ maxLength: 13_000 }), {
        maxItems: 100,
        description: 'As `options.components` of a pull, at most 100; separated by commas or repeated.',
      }),
    ),
    images: Type.Optional(
      Type.Array(Type.String({ maxLength: 52_000 }), {
        maxItems: 100,
        description: 'As `options.images` of a pull, at most 100; separated by commas or repeated.',
      }),
    ),
    metadataOnly: Type.Optional(Type.Boolean({ description: 'As `options.metadataOnly` of a pull.' })),
    since: Type.Optional(
      sinceParameter(
        'Of another version that is stored: only what that one lacks, as layerd-update-NAME-ARCHITECTURE-FROM-TO.tar.zst, which a job of the kind apply puts together with it. Nothing can be chosen beside it.',
      ),
    ),
    forJob: Type.Optional(
      Type.String({
        format: 'uuid',
        description: 'The transient pull that it is fetched for; in the result as it is.',
      }),
    ),
    link: Type.Optional(
      Type.String({
        maxLength: 128,
        description:
          'Of a link (createPackageLink): in place of any other credential, and of what else is chosen here.',
      }),
    ),
  },
  { additionalProperties: false },
)

const tags = ['packages']

export const listPackagesSchema = {
  tags,
  operationId: 'listPackages',
  summary: 'The packages in the content store',
  querystring: PackageQuery,
  response: {
    200: pageOf('StoredPackage'),
    308: {
      description: 'With ref: a look at a registry has moved.',
      headers: { Location: { type: 'string' } },
      content: { 'application/json': { schema: Type.Null() } },
    },
  },
}

export const getPackageSchema = {
  tags,
  operationId: 'getPackage',
  summary: 'One stored package',
  params: PackageParams,
  response: { 200: Type.Ref('StoredPackage') },
}

export const deletePackageSchema = {
  tags,
  operationId: 'deletePackage',
  summary: 'Forget a stored package and free what no other one shares',
  description:
    "Of a package that several have pulled: one's own pulls; it goes with the last one. Who has not pulled it ends those of others: with `system:admin` all, with a token that is limited to the repositories those.",
  params: PackageParams,
  response: { 204: Type.Null({ description: 'Gone.' }) },
}

export const PackageSignatures = Type.Object(
  {
    signed: Type.Boolean({ description: 'Whether the package says that it is.' }),
    signatures: Type.Array(Type.Ref('Signature'), {
      description: 'As they call themselves: nothing is verified here, which a job of the kind verify does.',
    }),
  },
  { $id: 'PackageSignatures', description: 'What a package is signed with.' },
)
export interface PackageSignatures {
  signed: boolean
  signatures: Signature[]
}

const archiveHeaders = {
  ETag: { type: 'string', description: 'Strong; of the whole archive or of the chosen components.' },
  'Content-Disposition': { type: 'string', description: 'The file name that zarf gives the archive.' },
  'Accept-Ranges': { type: 'string' },
}
const archiveContent = {
  'application/zstd': { schema: Type.Unsafe<never>({ type: 'string', format: 'binary' }) },
  'application/x-tar': { schema: Type.Unsafe<never>({ type: 'string', format: 'binary' }) },
}
const archiveRequest = {
  tags,
  params: PackageParams,
  querystring: ArchiveQuery,
  headers: Type.Object({
    'if-none-match': Type.Optional(Type.String()),
    'if-range': Type.Optional(Type.String({ description: 'The ETag; another one gets the whole archive.' })),
    range: Type.Optional(Type.String({ description: 'bytes=FIRST-LAST; several ranges get the whole archive.' })),
  }),
}

export const getArchiveSchema = {
  ...archiveRequest,
  operationId: 'getPackageArchive',
  summary: "The package's archive as zarf reads it, .tar.zst or .tar; ranges at no cost, several at once",
  response: {
    200: { description: 'All of it.', headers: archiveHeaders, content: archiveContent },
    206: {
      description: 'The range.',
      headers: { ...archiveHeaders, 'Content-Range': { type: 'string' } },
      content: archiveContent,
    },
    304: Type.Null({ description: 'It still has this ETag.' }),
  },
}

export const packageChangesSchema = {
  tags,
  operationId: 'getPackageChanges',
  summary: 'What is another between two stored packages: images, software, files, bytes to move',
  params: PackageParams,
  querystring: Type.Object(
    { since: sinceParameter('The other one, from which it is told; of any name and architecture.') },
    { additionalProperties: false },
  ),
  response: { 200: Type.Ref('PackageChanges') },
}

export const headArchiveSchema = {
  ...archiveRequest,
  operationId: 'headPackageArchive',
  summary: "The archive's size, name and ETag",
  response: {
    200: { description: 'As GET without Range, without the bytes.', headers: archiveHeaders },
    304: Type.Null({ description: 'It still has this ETag.' }),
  },
}

export const DEFAULT_LINK_SECONDS = 600

export const PackageLink = Type.Object(
  {
    url: Type.String({
      description: 'Where the archive is served to who has this address; absolute where LAYERD_PUBLIC_URL is set.',
    }),
    expiresAt: Type.String({
      format: 'date-time',
      description: 'It ends sooner with the credential that made it, and with the package.',
    }),
  },
  { $id: 'PackageLink', description: 'An address with a secret in it: whoever has it may fetch one archive.' },
)
export type PackageLink = Static<typeof PackageLink>

const names = (maxLength: number) => Type.Array(Type.String({ minLength: 1, maxLength }), { maxItems: 100 })

const LinkOptions = Type.Object(
  {
    expiresInSeconds: Type.Optional(Type.Integer({ minimum: 60, maximum: 3600, default: DEFAULT_LINK_SECONDS })),
    components: Type.Optional({ ...names(128), description: 'As of a pull; then the link is of this part alone.' }),
    images: Type.Optional({ ...names(512), description: 'As of a pull.' }),
    metadataOnly: Type.Optional(Type.Boolean({ description: 'As of a pull.' })),
  },
  { additionalProperties: false },
)

/** Or none. */
const LinkBody = Type.Unsafe<Static<typeof LinkOptions> | null>({ ...LinkOptions, type: ['object', 'null'] })

export const createLinkSchema = {
  tags,
  operationId: 'createPackageLink',
  summary: 'A link to the archive that needs no other credential, for some minutes',
  description:
    'For a browser or another machine: GET and HEAD of this one archive, with this one choice, by ranges too. At most 1,000 open ones of a caller.',
  params: PackageParams,
  body: LinkBody,
  response: {
    201: {
      description: 'Made; the address is told this once.',
      content: { 'application/json': { schema: Type.Ref('PackageLink') } },
    },
  },
}
