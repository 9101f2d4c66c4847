import { Type } from 'typebox'
import { credentialsHeader } from './job.ts'
import { Digest, Nullable } from './package.ts'

const Text = () => Nullable(Type.String())
const Count = (description: string) => Type.Integer({ minimum: 0, description })

const ChartOverrides = Type.Object(
  {
    component: Type.String(),
    chart: Type.String(),
    namespace: Text(),
    values: Type.Array(Type.Object({ path: Type.String(), value: Type.Unknown() })),
    valuesFiles: Type.Array(Type.String()),
    variables: Type.Array(
      Type.Object({
        name: Type.String(),
        path: Type.String(),
        description: Text(),
        default: Type.Unknown({ description: 'Null where there is none.' }),
        type: Text(),
        sensitive: Type.Boolean(),
        source: Text(),
      }),
    ),
  },
  { description: 'What is set of one chart of one component.' },
)

const BundlePackage = Type.Object({
  name: Type.String(),
  description: Text(),
  repository: Nullable(Type.String({ description: 'Where it was taken from; or `path`.' })),
  path: Text(),
  ref: Type.String({ description: 'Tag and digest that it was taken by.' }),
  digest: Digest("Of the package's manifest."),
  version: Text(),
  architecture: Type.String(),
  flavor: Text(),
  namespace: Text(),
  timeout: Text(),
  optionalComponents: Type.Array(Type.String()),
  publicKey: Type.Boolean({ description: 'Whether a key is given that its signature is checked with.' }),
  keyless: Nullable(
    Type.Object({ identity: Text(), issuer: Text() }, { description: 'Whom its signature has to be by.' }),
  ),
  imports: Type.Array(Type.Object({ name: Type.String(), package: Type.String(), description: Text() })),
  exports: Type.Array(Type.Object({ name: Type.String(), description: Text() })),
  overrides: Type.Array(ChartOverrides),
  layers: Count('What its manifest names, what the bundle leaves out included.'),
  size: Count('Bytes of these and its config.'),
  signed: Type.Boolean({ description: 'Whether it says so; signatures are not checked here.' }),
  components: Type.Array(
    Type.Object({
      name: Type.String(),
      description: Text(),
      required: Type.Boolean(),
      default: Type.Boolean(),
      included: Type.Boolean({ description: 'Whether the bundle should have it.' }),
    }),
  ),
  images: Type.Array(Type.String(), { description: 'Of the components that the bundle should have.' }),
  variables: Type.Array(
    Type.Object({
      name: Type.String(),
      description: Text(),
      default: Text(),
      sensitive: Type.Boolean(),
      prompt: Type.Boolean(),
    }),
    { description: "Zarf's own, which a deploy may set." },
  ),
})

export const Bundle = Type.Object(
  {
    reference: Type.String({ description: 'oci://HOST/NS/NAME:TAG, or what was asked for.' }),
    indexDigest: Nullable(Digest('The index under the tag; null where there is none.')),
    digest: Digest("Of the bundle's root manifest."),
    name: Type.String(),
    version: Text(),
    architecture: Type.String(),
    architectures: Type.Array(Type.String(), { description: 'Of the tag.' }),
    tags: Nullable(Type.Array(Type.String(), { description: 'Of the repository; null where nobody lists them.' })),
    metadata: Type.Object({
      description: Text(),
      url: Text(),
      authors: Text(),
      documentation: Text(),
      source: Text(),
      vendor: Text(),
    }),
    build: Type.Object({ architecture: Text(), timestamp: Text(), version: Text() }),
    signed: Type.Boolean({ description: 'Whether it has a signature, which is not checked here.' }),
    layers: Count("All blobs that it and its packages' manifests name, each once, what it leaves out included."),
    size: Count('Their bytes.'),
    fileName: Type.String({ description: 'What uds calls its archive, and a pull that saves it.' }),
    packages: Type.Array(BundlePackage),
  },
  { $id: 'Bundle', description: 'A UDS bundle, as its metadata tell it.' },
)
export const getBundleSchema = {
  tags: ['packages'],
  operationId: 'getBundle',
  summary: 'What a UDS bundle is of, as `uds inspect` tells it',
  querystring: Type.Object(
    {
      ref: Type.String({
        minLength: 1,
        maxLength: 4096,
        description:
          'oci://host[:port]/repository:tag or @digest, store:sha256:..., upload:{id} or file:/absolute/path.',
      }),
      architecture: Type.Optional(
        Type.String({ minLength: 1, maxLength: 64, description: "Which of the tag's bundles." }),
      ),
      plainHttp: Type.Optional(Type.Boolean({ description: 'Speak plain HTTP to the registry.' })),
    },
    { additionalProperties: false },
  ),
  headers: Type.Object({ 'x-registry-auth': credentialsHeader }),
  response: { 200: Type.Ref('Bundle') },
}
