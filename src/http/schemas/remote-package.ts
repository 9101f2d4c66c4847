import { type Static, Type } from 'typebox'
import { credentialsHeader } from './job.ts'
import { Digest, identity, Nullable } from './package.ts'
import { inspected } from './package-views.ts'

export const RemotePackage = Type.Object(
  {
    reference: Type.String({ description: 'oci://HOST/NS/NAME:TAG' }),
    indexDigest: Nullable(Digest('The index under the tag; null for a manifest that lies there directly.')),
    architectures: Type.Array(Type.String(), { description: 'Of the tag.' }),
    tags: Nullable(
      Type.Array(Type.String(), { description: 'Of the repository; null where the registry does not list them.' }),
    ),
    ...inspected,
  },
  { $id: 'RemotePackage', description: 'A package in a registry, as its metadata layers tell it.' },
)
export type RemotePackage = Static<typeof RemotePackage>

export const RemoteRepository = Type.Object(
  {
    reference: Type.String({ description: 'oci://HOST/NS/NAME' }),
    tags: Type.Array(Type.String(), {
      description: "All, in the registry's order; none where it knows no such repository.",
    }),
    packages: Type.Array(
      Type.Object({
        tag: Type.String(),
        kind: Type.Enum(['package', 'bundle', 'other'], { description: 'other: an image, say.' }),
        digest: Digest('Of what lies under the tag.'),
        name: Nullable(Type.String()),
        version: identity.version,
        flavor: identity.flavor,
        architectures: Type.Array(Type.String()),
      }),
      { description: 'What the tags of this page are, the highest first.' },
    ),
    problems: Type.Array(Type.Object({ tag: Type.String(), code: Type.String(), detail: Type.String() }), {
      description: 'Tags of this page that could not be looked into.',
    }),
    versions: Type.Array(Type.String(), { description: "Of this page's packages." }),
    flavors: Type.Array(Type.String(), { description: "Of this page's packages." }),
    architectures: Type.Array(Type.String(), { description: "Of this page's packages." }),
    nextPageToken: Type.Optional(Type.String({ description: 'Absent on the last page.' })),
  },
  { $id: 'RemoteRepository', description: 'What a repository of a registry holds.' },
)
export type RemoteRepository = Static<typeof RemoteRepository>

export const RemoteReferrers = Type.Object(
  {
    reference: Type.String({ description: 'oci://HOST/NS/NAME:TAG' }),
    digest: Digest('What is referred to: the index under the tag, or the manifest that was asked for.'),
    from: Type.Enum(['api', 'tag'], {
      description: 'Who keeps the list: the registry, or its clients under a tag, as it keeps none.',
    }),
    referrers: Type.Array(
      Type.Object({
        digest: Type.String(),
        mediaType: Type.String(),
        artifactType: Nullable(Type.String()),
        size: Type.Integer({ minimum: 0 }),
        annotations: Type.Record(Type.String(), Type.String()),
      }),
    ),
  },
  { $id: 'RemoteReferrers', description: 'What refers to a manifest in its registry, by its subject.' },
)
export type RemoteReferrers = Static<typeof RemoteReferrers>

/** How many tags of a repository are looked into. */
export const MAX_TAGS_PAGE = 50
export const DEFAULT_TAGS_PAGE = 20

const RemoteQuery = {
  ref: Type.String({
    minLength: 1,
    maxLength: 1024,
    description: 'oci://host[:port]/repository:tag or @digest; without either, what the repository holds.',
  }),
  architecture: Type.Optional(
    Type.String({ minLength: 1, maxLength: 64, description: "Which of the tag's packages." }),
  ),
  plainHttp: Type.Optional(Type.Boolean({ description: 'Speak plain HTTP to the registry.' })),
}
const RemotePackageQuery = Type.Object(
  {
    ...RemoteQuery,
    pageSize: Type.Optional(
      Type.Integer({
        minimum: 0,
        default: DEFAULT_TAGS_PAGE,
        description: `Of a repository, how many tags are looked into; 0: none. More than ${MAX_TAGS_PAGE} reads as that.`,
      }),
    ),
    pageToken: Type.Optional(
      Type.String({ maxLength: 4096, description: '`nextPageToken` of the page before; of a repository.' }),
    ),
  },
  { additionalProperties: false },
)
/** Of every view of a package in its registry. */
export const remoteRequest = {
  querystring: {
    ...RemoteQuery,
    ref: Type.String({
      minLength: 1,
      maxLength: 1024,
      description: 'oci://host[:port]/repository:tag or @digest.',
    }),
  },
  headers: { 'x-registry-auth': credentialsHeader },
}
const ReferrersQuery = Type.Object(
  {
    ref: Type.String({
      minLength: 1,
      maxLength: 1024,
      description: 'oci://host[:port]/repository:tag or @digest.',
    }),
    architecture: Type.Optional(
      Type.String({
        minLength: 1,
        maxLength: 64,
        description: "What refers to the tag's package for it. Default: to what lies under the tag, an index.",
      }),
    ),
    artifactType: Type.Optional(
      Type.String({ minLength: 1, maxLength: 255, description: 'Those of this type alone.' }),
    ),
    plainHttp: Type.Optional(Type.Boolean({ description: 'Speak plain HTTP to the registry.' })),
  },
  { additionalProperties: false },
)

const tags = ['packages']

export const getRemotePackageSchema = {
  tags,
  operationId: 'getRemotePackage',
  summary: 'A package in its registry; without tag and digest, what the repository holds',
  description:
    'What is answered comes from manifest and zarf.yaml alone: no other layer is fetched. Of a repository all tags are listed, and a page of them looked into.',
  querystring: RemotePackageQuery,
  headers: Type.Object({ 'x-registry-auth': credentialsHeader }),
  response: {
    200: {
      description: 'The package, or what the repository holds.',
      content: {
        'application/json': { schema: Type.Union([Type.Ref('RemotePackage'), Type.Ref('RemoteRepository')]) },
      },
    },
  },
}

export const listReferrersSchema = {
  tags,
  operationId: 'listReferrers',
  summary: 'What refers to a manifest in its registry, such as signatures',
  description: 'At most 10,000 of them.',
  querystring: ReferrersQuery,
  headers: Type.Object({ 'x-registry-auth': credentialsHeader }),
  response: { 200: Type.Ref('RemoteReferrers') },
}
