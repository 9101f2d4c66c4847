import { type Static, Type } from 'typebox'
import { credentialsHeader } from './job.ts'
import { Digest, identity, Nullable } from './package.ts'

export const RemotePackage = Type.Object(
  {
    reference: Type.String({ description: 'oci://HOST/NS/NAME:TAG' }),
    indexDigest: Nullable(Digest('The index under the tag; null for a manifest that lies there directly.')),
    ...identity,
    architectures: Type.Array(Type.String(), { description: 'Of the tag.' }),
    tags: Nullable(
      Type.Array(Type.String(), { description: 'Of the repository; null where the registry does not list them.' }),
    ),
    components: Type.Array(
      Type.Object({
        name: Type.String(),
        description: Nullable(Type.String()),
        required: Type.Boolean(),
        default: Type.Boolean(),
        group: Nullable(Type.String()),
        images: Type.Array(Type.String()),
      }),
    ),
    images: Type.Array(Type.String()),
    layers: Type.Array(
      Type.Object({ title: Type.String(), digest: Type.String(), size: Type.Integer({ minimum: 0 }) }),
    ),
    size: Type.Integer({ minimum: 0, description: 'Bytes of layers and config, each digest once.' }),
    signed: Type.Boolean({ description: 'Whether it says so; signatures are not checked here.' }),
    fileName: Nullable(Type.String({ description: 'What zarf calls its archive, and a pull that saves it.' })),
    definition: Type.Unknown({ description: 'zarf.yaml, as JSON.' }),
  },
  { $id: 'RemotePackage', description: 'A package in a registry, as its metadata layers tell it.' },
)
export type RemotePackage = Static<typeof RemotePackage>

export const RemoteRepository = Type.Object(
  {
    reference: Type.String({ description: 'oci://HOST/NS/NAME' }),
    tags: Type.Array(Type.String(), {
      description: "In the registry's order; none where it knows no such repository.",
    }),
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

const RemotePackageQuery = Type.Object(
  {
    ref: Type.String({
      minLength: 1,
      maxLength: 1024,
      description: 'oci://host[:port]/repository:tag or @digest; without either, what the repository holds.',
    }),
    architecture: Type.Optional(
      Type.String({ minLength: 1, maxLength: 64, description: "Which of the tag's packages." }),
    ),
    plainHttp: Type.Optional(Type.Boolean({ description: 'Speak plain HTTP to the registry.' })),
  },
  { additionalProperties: false },
)
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
  summary: 'A package in its registry; without tag and digest, the tags of the repository',
  description: 'What is answered comes from manifest and zarf.yaml alone: no other layer is fetched.',
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

export const getRemoteSignaturesSchema = {
  tags,
  operationId: 'getRemotePackageSignatures',
  summary: 'What a package in its registry is signed with, unverified',
  description: 'Of its layers zarf.yaml and the signatures are fetched.',
  querystring: RemotePackageQuery,
  headers: Type.Object({ 'x-registry-auth': credentialsHeader }),
  response: { 200: Type.Ref('PackageSignatures') },
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
