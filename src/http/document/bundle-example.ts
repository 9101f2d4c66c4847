const digestOf = (character: string): string => `sha256:${character.repeat(64)}`

const NOTHING = { description: null, url: null, authors: null, documentation: null, source: null, vendor: null }

/** What getBundle answers. */
export const BUNDLE = {
  reference: 'oci://registry.example/team/armada:0.2.0',
  indexDigest: digestOf('a'),
  digest: digestOf('8'),
  name: 'armada',
  version: '0.2.0',
  architecture: 'amd64',
  architectures: ['amd64'],
  tags: ['0.2.0'],
  metadata: { ...NOTHING, description: 'Two packages in one bundle' },
  build: { architecture: 'amd64', timestamp: 'Mon, 23 Nov 2026 22:37:10 +0000', version: 'v0.35.1' },
  signed: false,
  layers: 31,
  size: 2_621_440,
  fileName: 'uds-bundle-armada-amd64-0.2.0.tar.zst',
  packages: [
    {
      name: 'nemo',
      description: null,
      repository: 'registry.example/team/nemo',
      path: null,
      ref: `1.2.0@${digestOf('7')}`,
      namespace: null,
      timeout: null,
      flavor: null,
      optionalComponents: ['reef'],
      publicKey: false,
      keyless: null,
      imports: [],
      exports: [],
      overrides: [
        {
          component: 'reef',
          chart: 'reef',
          namespace: null,
          values: [{ path: 'replicas', value: 2 }],
          valuesFiles: [],
          variables: [
            {
              name: 'REEF_HOST',
              path: 'ingress.host',
              description: null,
              default: 'reef.example',
              type: null,
              sensitive: false,
              source: null,
            },
          ],
        },
      ],
      digest: digestOf('7'),
      version: '1.2.0',
      architecture: 'amd64',
      layers: 19,
      size: 2_610_000,
      signed: false,
      components: [{ name: 'reef', description: null, required: false, default: false, included: true }],
      images: ['registry.example/team/app:1'],
      variables: [{ name: 'DOMAIN', description: null, default: 'example', sensitive: false, prompt: false }],
    },
  ],
}
