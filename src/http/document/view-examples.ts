const DIGEST = 'sha256:7199104b0e3d1ada9ba3527be3f6bd52b9e3ba05698f2eab989b115dea989aa5'
const LAYER = 'sha256:3d3fa079e821afe23af8d17af2a2d757a86e67ab7509d78a72ba0c519d999796'
const IMAGE = 'registry.example/team/app:1'

export const IDENTITY = { digest: DIGEST, name: 'nemo', version: '1.2.0', flavor: null, architecture: 'amd64' }

export const DEFINITION = { kind: 'ZarfPackageConfig', metadata: { name: 'nemo', version: '1.2.0' } }

const COMPONENT = { name: 'vessel', description: null, required: true, default: false, group: null, images: [IMAGE] }

/** Of a package, wherever it lies. */
export const INSPECTED = {
  ...IDENTITY,
  components: [COMPONENT],
  images: [IMAGE],
  layers: [{ title: 'zarf.yaml', digest: LAYER, size: 900 }],
  size: 2_621_440,
  signed: false,
  fileName: 'zarf-package-nemo-amd64-1.2.0.tar.zst',
  definition: DEFINITION,
}

const SIGNATURES = {
  signed: true,
  signatures: [
    {
      form: 'bundle',
      identity: { san: 'release@example.org', issuer: 'https://issuer.example' },
      verified: null,
      reason: 'it was not checked: no key or identity was given',
    },
  ],
}

const VARIABLE = { description: null, autoIndent: false, pattern: null }

const VIEWS: Readonly<Record<string, unknown>> = {
  Overview: INSPECTED,
  Digest: { digest: DIGEST, layers: 19, size: 2_621_440 },
  Definition: DEFINITION,
  Checksums: `${LAYER.slice('sha256:'.length)} components/vessel.tar\n`,
  Files: { files: INSPECTED.layers },
  Components: { components: [COMPONENT] },
  Images: { images: [IMAGE], components: [{ name: 'vessel', images: [IMAGE] }] },
  Sizes: {
    size: 2_621_440,
    images: 1_048_576,
    components: [{ name: 'vessel', size: 1_051_648, files: 3072, images: 1_048_576 }],
  },
  Variables: {
    variables: [{ ...VARIABLE, name: 'GREETING', default: 'ahoy', prompt: false, sensitive: false, type: null }],
    constants: [{ ...VARIABLE, name: 'PORT', value: '8080' }],
  },
  Manifests: {
    components: [{ name: 'vessel', files: [{ name: 'greeting-0.yaml', size: 16, content: 'kind: ConfigMap\n' }] }],
  },
  Values: {
    package: [{ name: 'values.yaml', size: 12, content: 'replicas: 1\n' }],
    components: [{ name: 'vessel', files: [{ name: 'diver-0.3.1-0', size: 12, content: 'replicas: 2\n' }] }],
  },
  Documentation: { files: [{ name: 'README.md', size: 1200 }] },
  Sboms: {
    files: [
      { name: 'registry.example_team_app_1.json', size: 6046, kind: 'sbom' },
      { name: 'sbom-viewer-registry.example_team_app_1.html', size: 120_737, kind: 'viewer' },
    ],
  },
  Signatures: SIGNATURES,
  Sbom: { artifacts: [], descriptor: { name: 'syft' } },
  Document: {},
  Manifest: {},
  ValuesFile: {},
}

/** Between two packages of the store. */
export const CHANGES = {
  package: { ...IDENTITY, size: 2_621_440 },
  since: { ...IDENTITY, digest: LAYER, version: '1.1.0', size: 2_600_000 },
  bytes: { toMove: 700_000, kept: 1_921_440 },
  update: { fileName: 'layerd-update-nemo-amd64-1.1.0-1.2.0.tar.zst', size: 712_000 },
  files: {
    added: [],
    removed: [],
    changed: [{ title: 'zarf.yaml', digest: LAYER, size: 900, before: { digest: DIGEST, size: 880 } }],
    kept: 17,
  },
  images: { added: [IMAGE], removed: ['registry.example/team/app:0'], kept: 3 },
  components: { added: [], removed: [], kept: 1 },
  software: { changed: [{ type: 'deb', name: 'openssl', before: ['3.0.1'], after: ['3.0.2'] }], leftOut: 0 },
  softwareReason: null,
}

/** By operation. */
export const VIEW_EXAMPLES: Readonly<Record<string, unknown>> = Object.fromEntries(
  ['Package', 'RemotePackage', 'UploadedPackage'].flatMap((place) =>
    Object.entries(VIEWS).map(([view, example]) => [`get${place}${view}`, example] as const),
  ),
)
