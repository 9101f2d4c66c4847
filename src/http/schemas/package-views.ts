import { type Static, Type } from 'typebox'
import { identity, Nullable } from './package.ts'

const Size = (description: string) => Type.Integer({ minimum: 0, description })
const name = Type.String()

const Component = Type.Object({
  name,
  description: Nullable(Type.String()),
  required: Type.Boolean(),
  default: Type.Boolean(),
  group: Nullable(Type.String()),
  images: Type.Array(Type.String()),
})
const Layer = Type.Object({ title: Type.String(), digest: Type.String(), size: Type.Integer({ minimum: 0 }) })

/** What a package says of itself, wherever it lies. */
export const inspected = {
  ...identity,
  components: Type.Array(Component),
  images: Type.Array(Type.String()),
  layers: Type.Array(Layer),
  size: Size('Bytes of layers and config, each digest once.'),
  signed: Type.Boolean({ description: 'Whether it says so; signatures are not checked here.' }),
  fileName: Nullable(Type.String({ description: 'What zarf calls its archive, and a pull that saves it.' })),
  definition: Type.Unknown({ description: 'zarf.yaml, as JSON.' }),
}

export const InspectedPackage = Type.Object(inspected, {
  $id: 'InspectedPackage',
  description: 'A package, as its metadata files tell it.',
})
export type InspectedPackage = Static<typeof InspectedPackage>

export const PackageDigest = Type.Object(
  { digest: identity.digest, layers: Type.Integer({ minimum: 0 }), size: inspected.size },
  { $id: 'PackageDigest', description: 'Which package it is.' },
)
export type PackageDigest = Static<typeof PackageDigest>

export const PackageFiles = Type.Object(
  { files: Type.Array(Layer, { description: "In the manifest's order." }) },
  { $id: 'PackageFiles', description: 'Every file of a package, a layer each.' },
)
export type PackageFiles = Static<typeof PackageFiles>

export const PackageComponents = Type.Object(
  { components: Type.Array(Component) },
  { $id: 'PackageComponents', description: 'The components of a package, in its order.' },
)
export type PackageComponents = Static<typeof PackageComponents>

export const PackageImages = Type.Object(
  {
    images: Type.Array(Type.String(), { description: 'Each once.' }),
    components: Type.Array(Type.Object({ name, images: Type.Array(Type.String()) })),
  },
  { $id: 'PackageImages', description: 'The images of a package, as zarf.yaml names them.' },
)
export type PackageImages = Static<typeof PackageImages>

export const PackageSizes = Type.Object(
  {
    size: inspected.size,
    images: Size('Bytes of all images, each blob once.'),
    components: Type.Array(
      Type.Object({
        name,
        size: Size('Bytes that it alone brings: its files, and the blobs of its images each once.'),
        files: Size('Of its tar.'),
        images: Size('Of its images; components may share some.'),
      }),
    ),
  },
  { $id: 'PackageSizes', description: 'How much of a package each component is.' },
)
export type PackageSizes = Static<typeof PackageSizes>

const Variable = Type.Object({
  name,
  description: Nullable(Type.String()),
  default: Nullable(Type.String()),
  prompt: Type.Boolean(),
  sensitive: Type.Boolean(),
  autoIndent: Type.Boolean(),
  pattern: Nullable(Type.String()),
  type: Nullable(Type.String()),
})
const Constant = Type.Object({
  name,
  value: Type.String(),
  description: Nullable(Type.String()),
  autoIndent: Type.Boolean(),
  pattern: Nullable(Type.String()),
})

export const PackageVariables = Type.Object(
  { variables: Type.Array(Variable), constants: Type.Array(Constant) },
  { $id: 'PackageVariables', description: 'What a deployment can set, and what it cannot.' },
)
export type PackageVariables = Static<typeof PackageVariables>

const ListedFile = { name, size: Size('Bytes.') }
const PackedText = Type.Object({
  ...ListedFile,
  content: Nullable(
    Type.String({
      description: 'Null for what is no text, and beyond 1 MiB each and 8 MiB together: fetch it by its name.',
    }),
  ),
})
const Texts = Type.Array(Type.Object({ name, files: Type.Array(PackedText) }))

export const PackageManifests = Type.Object(
  { components: Texts },
  { $id: 'PackageManifests', description: 'Kubernetes manifests as they were packed, not rendered.' },
)
export type PackageManifests = Static<typeof PackageManifests>

export const PackageValues = Type.Object(
  {
    package: Type.Array(PackedText, { description: 'values.yaml and values.schema.json of the whole package.' }),
    components: Texts,
  },
  { $id: 'PackageValues', description: 'Values files of charts as they were packed.' },
)
export type PackageValues = Static<typeof PackageValues>

export const PackageSboms = Type.Object(
  {
    files: Type.Array(
      Type.Object({
        ...ListedFile,
        kind: Type.Enum(['sbom', 'viewer', 'other'], { description: 'viewer: a page that shows one.' }),
      }),
    ),
  },
  { $id: 'PackageSboms', description: 'SBOMs and their viewer pages; none where the package was made without.' },
)
export type PackageSboms = Static<typeof PackageSboms>

export const PackageDocumentation = Type.Object(
  { files: Type.Array(Type.Object(ListedFile)) },
  { $id: 'PackageDocumentation', description: 'The documentation that came with a package.' },
)
export type PackageDocumentation = Static<typeof PackageDocumentation>

const ComparedPackage = Type.Object({ ...identity, size: Size('Bytes of layers and config, each digest once.') })
const ChangedNames = (description: string) =>
  Type.Object(
    { added: Type.Array(Type.String()), removed: Type.Array(Type.String()), kept: Type.Integer({ minimum: 0 }) },
    { description },
  )

export const PackageChanges = Type.Object(
  {
    package: ComparedPackage,
    since: ComparedPackage,
    bytes: Type.Object(
      {
        toMove: Size(
          'What the one has and the other lacks, and what vouches for it; an update has as much, and its list.',
        ),
        kept: Size('What both have.'),
      },
      { description: 'Layers and config, each digest once.' },
    ),
    update: Nullable(
      Type.Object(
        { fileName: Type.String(), size: Size('Bytes of the archive.') },
        {
          description:
            'What the archive with since is. null: the two are no versions of one package for one architecture.',
        },
      ),
    ),
    files: Type.Object({
      added: Type.Array(Layer),
      removed: Type.Array(Layer),
      changed: Type.Array(
        Type.Object({
          ...Layer.properties,
          before: Type.Object({ digest: Type.String(), size: Type.Integer({ minimum: 0 }) }),
        }),
      ),
      kept: Type.Integer({ minimum: 0 }),
    }),
    images: ChangedNames('As zarf.yaml names them: another tag or digest is another image.'),
    components: ChangedNames('By name.'),
    software: Nullable(
      Type.Object(
        {
          changed: Type.Array(
            Type.Object({
              type: Type.String({ description: 'As Syft calls it: deb, apk, npm, go-module.' }),
              name,
              before: Type.Array(Type.String(), { description: 'Versions that are gone; none of what is new.' }),
              after: Type.Array(Type.String(), { description: 'Versions that are new; none of what is gone.' }),
            }),
            { description: 'By name, at most 5,000.' },
          ),
          leftOut: Type.Integer({ minimum: 0, description: 'How many there are beside these.' }),
        },
        { description: 'By the SBOMs of both, all images and components of each together.' },
      ),
    ),
    softwareReason: Nullable(Type.String({ description: 'Why software is null.' })),
  },
  { $id: 'PackageChanges', description: 'What is another between two stored packages.' },
)
export type PackageChanges = Static<typeof PackageChanges>

/** Of app.addSchema. */
export const PACKAGE_VIEWS = [
  PackageChanges,
  InspectedPackage,
  PackageDigest,
  PackageFiles,
  PackageComponents,
  PackageImages,
  PackageSizes,
  PackageVariables,
  PackageManifests,
  PackageValues,
  PackageSboms,
  PackageDocumentation,
]

export const ComponentsQuery = Type.Optional(
  Type.Array(Type.String({ maxLength: 13_000 }), {
    maxItems: 100,
    description: 'Names or patterns, * ? [a-c], -name leaves out; separated by commas or repeated. Default: all.',
  }),
)

const binary = { schema: Type.Unsafe<never>({ type: 'string', format: 'binary' }) }
const fileHeaders = {
  ETag: { type: 'string' },
  'Content-Disposition': { type: 'string', description: 'attachment, but for viewer pages.' },
  'Content-Security-Policy': {
    type: 'string',
    description: 'A sandbox: what comes out of a package is foreign, and reaches nothing of layerd.',
  },
  'Accept-Ranges': { type: 'string' },
}

/** Of one file out of a package. */
export const fileResponse = {
  200: {
    description: 'The file.',
    headers: fileHeaders,
    content: {
      'application/octet-stream': binary,
      'application/json': { schema: Type.Unknown() },
      'application/yaml': { schema: Type.String() },
      'text/html': { schema: Type.String() },
      'text/markdown': { schema: Type.String() },
    },
  },
  206: {
    description: 'The range.',
    headers: { ...fileHeaders, 'Content-Range': { type: 'string' } },
    content: { 'application/octet-stream': binary },
  },
  304: Type.Null({ description: 'It still has this ETag.' }),
}
export const fileRequestHeaders = {
  'if-none-match': Type.Optional(Type.String()),
  'if-range': Type.Optional(Type.String()),
  range: Type.Optional(Type.String({ description: 'bytes=FIRST-LAST' })),
}
export const InnerName = Type.String({ minLength: 1, maxLength: 1024, description: 'As it is listed.' })
