const DIGEST = 'sha256:7199104b0e3d1ada9ba3527be3f6bd52b9e3ba05698f2eab989b115dea989aa5'
const TIME = '2026-03-01T12:00:00.000Z'
const NEMO = {
  reference: 'oci://registry.example/team/nemo:1.2.0',
  kind: 'package',
  name: 'nemo',
  description: 'Dives deep',
  version: '1.2.0',
  tag: '1.2.0',
  digest: DIGEST,
  signed: true,
  created: TIME,
}
const REGISTRY = {
  id: 'registry.example',
  host: 'registry.example',
  source: 'auto',
  repositories: ['team/**'],
  refreshSeconds: 3600,
  updatedAt: TIME,
  state: 'ready',
  repositoryCount: 12,
  tagCount: 240,
  waiting: 0,
  truncated: false,
  startedAt: TIME,
  refreshedAt: TIME,
  nextAt: '2026-03-01T13:00:00.000Z',
  error: null,
  problems: [
    { repository: 'team/old', tag: '0.1.0', code: 'MANIFEST_NOT_FOUND', detail: 'there is no oci://... any more' },
  ],
  problemCount: 1,
}

/** Of the catalogue. */
export const CATALOG_EXAMPLES = {
  searchCatalog: {
    items: [
      {
        ...NEMO,
        registry: 'registry.example',
        repository: 'team/nemo',
        size: 2_621_440,
        versions: ['1.2.0', '1.1.0'],
        versionCount: 2,
        tagCount: 2,
        flavors: [],
        architectures: ['amd64', 'arm64'],
      },
    ],
    registries: [{ host: 'registry.example', state: 'ready', refreshedAt: TIME, error: null }],
  },
  listCatalogVersions: {
    items: [
      {
        ...NEMO,
        flavor: null,
        artifactType: null,
        architectures: [{ architecture: 'amd64', digest: DIGEST, size: 2_621_440, signed: true }],
      },
    ],
  },
  listCatalogRegistries: { items: [REGISTRY] },
  getCatalogRegistry: REGISTRY,
  putCatalogRegistry: REGISTRY,
  refreshCatalogRegistry: { ...REGISTRY, state: 'refreshing', waiting: 12, nextAt: null },
} as const
