import { type Static, Type } from 'typebox'
import { MANIFEST_KINDS } from '../../content/manifest.ts'
import { KEY_NAME } from './key-record.ts'
import { Retention } from './retention.ts'

/** Source: RFC 6838 4.2; parameters are refused by registries (oci-client.md G4). */
const MEDIA_TYPE = '^[A-Za-z0-9][A-Za-z0-9!#$&^_.+-]{0,126}/[A-Za-z0-9][A-Za-z0-9!#$&^_.+-]{0,126}$'

/** Of a Zarf package. Source: zarf src/api/v1alpha1 (variable names: [A-Z0-9_]+). */
const VARIABLE = '^[A-Z0-9_]{1,128}$'

const Identity = (description: string) =>
  Type.Optional(
    Type.Object(
      {
        san: Type.String({ minLength: 1, maxLength: 512, description: 'Who signed: a mail address or a URI.' }),
        issuer: Type.String({ minLength: 1, maxLength: 512, description: 'Who vouched for them: the OIDC issuer.' }),
      },
      { additionalProperties: false, description },
    ),
  )

const Verify = Type.Object(
  {
    mode: Type.Optional(
      Type.Enum(['never', 'if-possible', 'always'], {
        description:
          'always, the default, needs a key or an identity. if-possible lets pass what cannot be checked as neither was given; with one it is as always.',
      }),
    ),
    key: Type.Optional(
      Type.String({ minLength: 1, maxLength: 8192, description: 'The PEM of one public key: ECDSA, RSA or Ed25519.' }),
    ),
    keyRef: Type.Optional(
      Type.String({ pattern: KEY_NAME, description: 'The name of a key that is kept (/v1/keys), in place of key.' }),
    ),
    identity: Identity('Signed without a key of their own (keyless), by exactly these.'),
    identityPattern: Identity("The same as patterns of the whole text, by Go's path.Match: a star passes no slash."),
    trustedRoot: Type.Optional(
      Type.String({
        minLength: 1,
        maxLength: 63,
        description: 'For an identity: whose certificates and logs count, NAME.json of LAYERD_TRUSTED_ROOTS; default.',
      }),
    ),
  },
  {
    additionalProperties: false,
    description:
      "pull, copy, publish, apply, verify, mirror: what has to hold of the package's signature before anything moves.",
  },
)

const Annotations = (description: string) =>
  Type.Optional(
    Type.Record(Type.String({ pattern: '^[!-~]{1,255}$' }), Type.String({ maxLength: 4096 }), {
      maxProperties: 64,
      additionalProperties: false,
      description,
    }),
  )

const fileMembers = {
  source: Type.String({
    minLength: 1,
    maxLength: 4096,
    description: 'file:/absolute/path or upload:{id}.',
  }),
  mediaType: Type.Optional(
    Type.String({ pattern: MEDIA_TYPE, maxLength: 255, description: 'Default: what oras calls it.' }),
  ),
}

/** One file of an artifact. */
export const ArtifactFile = Type.Object(
  {
    ...fileMembers,
    title: Type.Optional(
      Type.String({
        minLength: 1,
        maxLength: 1024,
        description: "Its path in a folder that the artifact is pulled into. Default: the file's name.",
      }),
    ),
    annotations: Annotations("Of its layer, beside the title's."),
  },
  { additionalProperties: false },
)
export type ArtifactFile = Static<typeof ArtifactFile>

/** What the files of an artifact are to be, and what it says of itself. */
const artifactOptions = {
  files: Type.Optional(
    Type.Array(ArtifactFile, {
      maxItems: 256,
      description: 'publish of files (source "files:"): each a layer, in this order.',
    }),
  ),
  config: Type.Optional(
    Type.Object(
      { ...fileMembers, annotations: Annotations('Of the config.') },
      { additionalProperties: false, description: 'publish of files: its config. Default: an empty one.' },
    ),
  ),
  annotations: Annotations('publish of files or of a chart: of the manifest.'),
}

/** Options of a job as a caller may give them. Those of kinds not built yet are not accepted. */
export const JobOptions = Type.Object(
  {
    tag: Type.Optional(
      Type.String({ minLength: 1, maxLength: 128, description: 'publish, copy: replaces the whole tag.' }),
    ),
    name: Type.Optional(
      Type.String({
        pattern: '^[a-z0-9][a-z0-9._-]*$',
        maxLength: 255,
        description:
          "publish: the package's name, where the file name does not tell it; of files the repository's, below the destination.",
      }),
    ),
    sha256: Type.Optional(
      Type.String({
        pattern: '^[0-9a-fA-F]{64}$',
        description: 'publish, apply: of the whole archive, hexadecimal; an https: source needs it, others take none.',
      }),
    ),
    scan: Type.Optional(
      Type.Boolean({ description: 'publish: read the archive once before sending, so that the plan is known.' }),
    ),
    concurrency: Type.Optional(
      Type.Integer({ minimum: 1, maximum: 32, description: 'Layers at once; 6 unless given.' }),
    ),
    manifest: Type.Optional(
      Type.Enum([...MANIFEST_KINDS], {
        description:
          "publish: image, zarf's own form, is the default. artifact writes the OCI artifact manifest of zarf v0.25, which zarf of today cannot read; auto writes it where the registry takes it, else an image manifest.",
      }),
    ),
    artifactType: Type.Optional(
      Type.String({
        pattern: MEDIA_TYPE,
        maxLength: 255,
        description: "publish: what kind of artifact the manifest calls itself; its digest is then not that of zarf's.",
      }),
    ),
    ...artifactOptions,
    subject: Type.Optional(
      Type.String({
        minLength: 1,
        maxLength: 255,
        description:
          "publish: a tag or digest in the repository that it goes to, which the manifest is to refer to; its digest is then not that of zarf's. Files that refer need no tag.",
      }),
    ),
    plainHttp: Type.Optional(Type.Boolean({ description: 'Speak plain HTTP to the registry.' })),
    trace: Type.Optional(
      Type.Boolean({
        description:
          'Keep what each request to the registry did, at most 5,000 or 2 MiB of them: /v1/jobs/{id}/trace.har. Of a job that fails the last 50 are kept without it.',
      }),
    ),
    architecture: Type.Optional(
      Type.String({ minLength: 1, maxLength: 64, description: "pull, verify, mirror: which of the tag's packages." }),
    ),
    architectures: Type.Optional(
      Type.Union(
        [Type.Array(Type.String({ minLength: 1, maxLength: 64 }), { minItems: 1, maxItems: 100 }), Type.Literal('all')],
        {
          description:
            "copy: which of an index's entries; all unless given, and the index as it is. delete: these go out of it, and the tag stays for the others.",
        },
      ),
    ),
    tags: Type.Optional(
      Type.Array(Type.String({ minLength: 1, maxLength: 64 }), {
        minItems: 1,
        maxItems: 10,
        description:
          'copy of a repository: patterns of tags, * ? [0-9] as in Go. All that match are copied, but those that are there.',
      }),
    ),
    components: Type.Optional(
      Type.Array(Type.String({ minLength: 1, maxLength: 128 }), {
        maxItems: 100,
        description:
          "pull: only these components and what is required; * ? [a-c] as in Go, -name takes away. Default: the whole package. mirror: images of these components alone. deploy, remove: these, as zarf's --components says; default: those that are required and its defaults.",
      }),
    ),
    images: Type.Optional(
      Type.Array(Type.String({ minLength: 1, maxLength: 512 }), {
        maxItems: 100,
        description:
          "pull: only these images, names as in zarf.yaml, in full or as Docker shortens them; * ? [a-c] and -name as for components. With components: of these alone, and an empty list brings none. Without: no component's files come along. mirror: only these images.",
      }),
    ),
    imageChecksum: Type.Optional(
      Type.Boolean({
        description:
          "mirror: whether each image has a second tag with zarf's checksum of its name, which zarf's agent asks for in a cluster. Default: true.",
      }),
    ),
    form: Type.Optional(
      Type.Enum(['files'], {
        description:
          'pull: files writes each layer of whatever lies there as a file of the destination folder, by its title. Default: the archive of a package or bundle.',
      }),
    ),
    metadataOnly: Type.Optional(
      Type.Boolean({
        description:
          'pull: what describes the package and vouches for it alone: zarf.yaml, checksums.txt, signatures, values.yaml and its schema. Neither with components nor with images.',
      }),
    ),
    verify: Type.Optional(Verify),
    sign: Type.Optional(
      Type.Object(
        { keyRef: Type.String({ pattern: KEY_NAME, description: 'The name of a key that is kept (/v1/keys).' }) },
        {
          additionalProperties: false,
          description:
            'publish, copy: sign the package, in place of what it was signed with before. It becomes another package: its digest is not that of what came.',
        },
      ),
    ),
    dryRun: Type.Optional(
      Type.Boolean({
        description:
          'publish, pull, copy, mirror: says in result.plan what would be done, and writes nothing: not to a registry, the store or a folder. delete, retention: lists in result.removal what would go.',
      }),
    ),
    retention: Type.Optional(Retention),
    force: Type.Optional(
      Type.Boolean({
        description: 'retention: also where a pattern takes every tag, or no tag would be left.',
      }),
    ),
    set: Type.Optional(
      Type.Record(Type.String({ pattern: VARIABLE }), Type.String({ maxLength: 65_536 }), {
        maxProperties: 200,
        additionalProperties: false,
        description:
          "deploy, remove: values of the package's variables, by their names in capitals. What each variable is for the package says.",
      }),
    ),
    sensitive: Type.Optional(
      Type.Array(Type.String({ pattern: VARIABLE }), {
        maxItems: 200,
        description:
          'deploy, remove: names in set whose values are kept sealed until the job has ended, shown to nobody, and masked in what the program writes.',
      }),
    ),
    adopt: Type.Optional(
      Type.Boolean({ description: 'deploy: take over what is in the cluster already, as zarf --take-ownership does.' }),
    ),
    timeoutSeconds: Type.Optional(
      Type.Integer({
        minimum: 10,
        maximum: 86_400,
        description:
          'deploy, remove: how long the program may take before it is ended, with all that it started; 3600.',
      }),
    ),
    stepTimeoutSeconds: Type.Optional(
      Type.Integer({
        minimum: 10,
        maximum: 86_400,
        description: "deploy: how long one step of Helm may take, as zarf's --timeout; zarf's own are 15 minutes.",
      }),
    ),
    overwrite: Type.Optional(Type.Boolean({ description: 'pull: replace a file that exists.' })),
    transient: Type.Optional(
      Type.Boolean({
        description:
          'pull into the store: the package goes once the archive in the result has been fetched to its end (or after 24 h), unless something else wants it.',
      }),
    ),
  },
  { additionalProperties: false },
)
export type JobOptions = Static<typeof JobOptions>
