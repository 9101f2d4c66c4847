import { type Static, Type } from 'typebox'

/** What jobs come to: their results, and what went wrong. Source: api.md "Decided". */
export const Nullable = <T extends Parameters<typeof Type.Union>[0][number]>(schema: T) =>
  Type.Union([schema, Type.Null()])
export const Bytes = (description: string) => Type.Integer({ minimum: 0, description })

export const Upstream = Type.Object(
  {
    registry: Type.Optional(Type.String()),
    repository: Type.Optional(Type.String()),
    method: Type.Optional(Type.String()),
    url: Type.Optional(Type.String()),
    status: Type.Optional(Type.Integer()),
    ociCode: Type.Optional(Type.String()),
    message: Type.Optional(Type.String()),
    digest: Type.Optional(Type.String()),
    reference: Type.Optional(Type.String()),
    offset: Type.Optional(Type.Integer()),
    attempt: Type.Optional(Type.Integer()),
    requestId: Type.Optional(Type.String()),
  },
  { description: 'What the registry said, and where.' },
)

/** RFC 9457, with layerd's members. */
export const Problem = Type.Object(
  {
    type: Type.String({ description: '/docs/errors#CODE' }),
    title: Type.String(),
    status: Type.Integer({ description: 'HTTP status.' }),
    detail: Type.String(),
    instance: Type.Optional(Type.String()),
    code: Type.String({ description: 'Stable; docs/errors.md lists each.' }),
    hint: Type.Optional(Type.String({ description: 'What to do about it.' })),
    retryable: Type.Boolean({ description: 'Whether the same request may succeed later.' }),
    requestId: Type.Optional(Type.String()),
    op: Type.Optional(Type.String({ description: 'What was being done.' })),
    side: Type.Optional(Type.Enum(['source', 'destination'])),
    upstream: Type.Optional(Upstream),
    details: Type.Optional(Type.Record(Type.String(), Type.Unknown())),
    errors: Type.Optional(
      Type.Array(
        Type.Object({
          pointer: Type.String({ description: 'JSON pointer into the body.' }),
          detail: Type.String(),
          code: Type.String(),
        }),
      ),
    ),
  },
  { $id: 'Problem', description: 'RFC 9457 problem document.' },
)
export type Problem = Static<typeof Problem>

export const Signature = Type.Object(
  {
    form: Type.Enum(['bundle', 'base64'], { description: 'zarf.bundle.sig, or the old zarf.yaml.sig.' }),
    key: Type.Optional(
      Type.Object(
        { fingerprint: Nullable(Type.String({ description: "sha256:hex of the key's DER form." })) },
        { description: 'By a key; while it is not verified, the one that the signature itself names.' },
      ),
    ),
    identity: Type.Optional(
      Type.Object(
        {
          san: Nullable(Type.String({ description: 'Whom the certificate names.' })),
          issuer: Nullable(Type.String({ description: 'Who vouched for them.' })),
        },
        { description: 'By an identity; while it is not verified, as the certificate itself says.' },
      ),
    ),
    verified: Nullable(Type.Boolean({ description: 'null: it was not checked.' })),
    reason: Nullable(Type.String({ description: 'Why it is not verified.' })),
  },
  { $id: 'Signature', description: 'One signature of a package.' },
)
export type Signature = Static<typeof Signature>

export const TransferPlan = Type.Object(
  {
    blobs: Type.Integer({ minimum: 0, description: 'Layers and config, each digest once.' }),
    bytes: Bytes('Of these.'),
    blobsToMove: Type.Integer({ minimum: 0 }),
    bytesToMove: Bytes('What would be sent or fetched; what could not be looked at counts here.'),
    blobsToMount: Type.Integer({ minimum: 0 }),
    bytesToMount: Bytes('What the registry has elsewhere and may link from there; if it does not, it is sent.'),
    mountFrom: Type.Array(Type.String(), { description: 'Repositories of the same registry.' }),
    blobsThere: Type.Integer({ minimum: 0 }),
    bytesThere: Bytes('What is there.'),
    fits: Nullable(
      Type.Boolean({
        description:
          'pull: whether there is room, counting what nobody refers to any more. publish: whether one manifest may name it all. copy: null, as it needs no room.',
      }),
    ),
    problems: Type.Array(Type.Ref('Problem'), {
      description:
        'What would fail the job, at most 100. None is no proof: the right to push shows when something is pushed.',
    }),
  },
  { $id: 'TransferPlan', description: 'What a publish, pull or copy would do.' },
)

const Removed = Type.Object({
  kind: Type.Enum(['tag', 'entry', 'manifest'], {
    description: 'entry: of the index under the tag, which was written anew without it.',
  }),
  tag: Type.Optional(Type.String()),
  digest: Type.String({ description: 'What lay under the tag; the manifest of the entry; the manifest.' }),
  architecture: Type.Optional(Type.String({ description: 'Of an entry.' })),
  why: Type.String(),
})

export const Removal = Type.Object(
  {
    dryRun: Type.Boolean({ description: 'Nothing of this was done.' }),
    removed: Type.Array(Removed, { description: 'What went, or would go.' }),
    kept: Type.Array(Type.Object({ tag: Type.Optional(Type.String()), digest: Type.String(), why: Type.String() }), {
      description: 'What was looked at and stays, at most 1,000.',
    }),
    keptCount: Type.Integer({ minimum: 0, description: 'All of these.' }),
    problems: Type.Array(Type.Ref('Problem'), { description: 'What the registry did not do, or does not tell.' }),
    more: Type.Optional(
      Type.Integer({ minimum: 0, description: 'retention: tags that would go too; at most 500 go in one job.' }),
    ),
  },
  { $id: 'Removal', description: 'What a delete or retention took away, or would.' },
)

export const JobResult = Type.Object({
  reference: Type.String({ description: 'oci://HOST/NS/NAME:TAG; mirror: oci://HOST/NS; apply: store:sha256:...' }),
  digest: Type.String({
    description: "The package's manifest; of a copy of several architectures the index, by patterns of tags empty.",
  }),
  indexDigest: Type.Optional(Type.String({ description: 'publish and copy: the index under the tag.' })),
  since: Type.Optional(Type.String({ description: "apply: the base's manifest." })),
  architecture: Type.String({ description: 'copy: multi where there are several, empty where it says none.' }),
  architectures: Type.Optional(Type.Array(Type.String(), { description: 'copy: those that were copied.' })),
  referrers: Type.Optional(
    Type.Integer({ minimum: 0, description: 'copy: signatures and whatever else refers to it that went along.' }),
  ),
  tags: Type.Optional(Type.Array(Type.String(), { description: 'copy by patterns of tags: those that were copied.' })),
  tagsThere: Type.Optional(Type.Integer({ minimum: 0, description: 'The same: how many were there.' })),
  name: Type.Optional(Type.String({ description: 'pull, verify, mirror; publish of a bundle.' })),
  version: Type.Optional(Nullable(Type.String())),
  images: Type.Optional(
    Type.Array(
      Type.Object({
        image: Type.String({ description: 'As zarf.yaml names it.' }),
        digest: Type.String({ description: 'What lies under its tags: a manifest, or an index of several.' }),
        references: Type.Array(Type.String(), {
          description: "oci://HOST/PATH:TAG, that with zarf's checksum first; by its digest where it is named by that.",
        }),
      }),
      { description: 'mirror: where each image of the package is now.' },
    ),
  ),
  packages: Type.Optional(
    Type.Array(Type.Object({ name: Type.String(), digest: Type.String() }), {
      description: 'Of a UDS bundle: its packages, by the digests of their manifests.',
    }),
  ),
  flavor: Type.Optional(Nullable(Type.String())),
  components: Type.Optional(
    Type.Array(Type.String(), { description: 'deploy, remove: those that the program said it was at, in order.' }),
  ),
  archive: Type.Optional(Type.String({ description: 'pull into the store: where its archive is served.' })),
  path: Type.Optional(Type.String({ description: 'pull into a folder: the file written.' })),
  artifactType: Type.Optional(
    Type.String({ description: 'Of what is neither a package nor a bundle: what kind of artifact it calls itself.' }),
  ),
  layers: Type.Integer({ minimum: 0 }),
  bytes: Bytes('Layers and config.'),
  manifest: Type.Optional(
    Type.Enum(['image', 'artifact'], { description: 'publish with options.manifest: which of the two was published.' }),
  ),
  signed: Type.Optional(
    Type.Boolean({
      description: 'verify: whether the package says that it is signed. publish, copy: it was signed here.',
    }),
  ),
  signatures: Type.Optional(
    Type.Array(Type.Ref('Signature'), {
      description: 'verify, pull and publish with options.verify, publish with options.sign.',
    }),
  ),
  checksums: Type.Optional(
    Type.Object(
      {
        aggregate: Type.String({
          description: 'Digest of checksums.txt, as zarf.yaml has it; of a bundle of its uds-bundle.yaml.',
        }),
        files: Type.Integer({ minimum: 0, description: 'Of the package.' }),
        hashed: Type.Integer({
          minimum: 0,
          description:
            'Those whose bytes were read. In a registry the small ones alone: for the others its digests are those of checksums.txt.',
        }),
        hashedBytes: Bytes('Of these.'),
      },
      { description: 'verify: what holds the package together; all of it was found right.' },
    ),
  ),
  plan: Type.Optional(Type.Ref('TransferPlan')),
  removal: Type.Optional(Type.Ref('Removal')),
  durationMs: Type.Integer({ minimum: 0 }),
})
export type TransferPlan = Omit<Static<typeof TransferPlan>, 'problems'> & { problems: Problem[] }
export type Removal = Omit<Static<typeof Removal>, 'problems'> & { problems: Problem[] }
export type JobResult = Omit<Static<typeof JobResult>, 'signatures' | 'plan' | 'removal'> & {
  signatures?: Signature[]
  plan?: TransferPlan
  removal?: Removal
}
