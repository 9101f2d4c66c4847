import assert from 'node:assert/strict'
import { test } from 'node:test'
import { type Descriptor, TITLE_ANNOTATION } from '../../../../src/content/descriptor.ts'
import { digestOf } from '../../../../src/content/digest.ts'
import { textsOf } from '../../../../src/transfer/inspect/tars.ts'
import type { InnerFile, InnerFiles } from '../../../../src/zarf/inner-files.ts'

const COMPONENTS = 200
const name = (at: number) => `component-${at}`

const YAML = Buffer.from(
  [
    'kind: ZarfPackageConfig',
    `metadata: {name: many, version: 1.0.0, architecture: amd64, aggregateChecksum: ${'0'.repeat(64)}}`,
    'build: {architecture: amd64, version: v0.84.0}',
    'components:',
    ...Array.from({ length: COMPONENTS }, (_, at) => `- name: ${name(at)}`),
  ].join('\n'),
)

const layer = (title: string, size: number): Descriptor => ({
  mediaType: 'a/layer',
  digest: digestOf(Buffer.from(title)),
  size,
  annotations: { [TITLE_ANNOTATION]: title },
})

test('of a package of many components the tars of a few are held at once, and their texts', async () => {
  const layers = [
    layer('zarf.yaml', YAML.length),
    layer('checksums.txt', 1),
    ...Array.from({ length: COMPONENTS }, (_, at) => layer(`components/${name(at)}.tar`, 2 ** 24)),
  ]
  const held = { now: 0, most: 0 }
  /** Until its files were looked through. */
  const filesOf = (title: string): InnerFiles => {
    const path = `${title.slice('components/'.length, -'.tar'.length)}/manifests/a.yaml`
    const files = new Map<string, InnerFile>([[path, { path, size: 6, offset: 512 }]])
    held.now += 1
    held.most = Math.max(held.most, held.now)
    const values = files.values.bind(files)
    files.values = () => {
      held.now -= 1
      return values()
    }
    return { files, kept: new Map([[path, Buffer.from('kind: ')]]) }
  }
  const found = {
    where: 'the package',
    digest: digestOf(YAML),
    layers: {
      config: undefined,
      layers,
      byTitle: new Map(layers.map((each) => [each.annotations?.[TITLE_ANNOTATION] ?? '', each])),
    },
    signal: new AbortController().signal,
    read: async () => YAML,
    inner: async ({ annotations = {} }: Descriptor) => filesOf(annotations[TITLE_ANNOTATION] ?? ''),
    stream: () => assert.fail('nothing is streamed'),
  }
  const texts = await textsOf(found, 'manifests', [])
  assert.deepEqual(
    texts.map((each) => [each.name, each.files]),
    Array.from({ length: COMPONENTS }, (_, at) => [name(at), [{ name: 'a.yaml', size: 6, content: 'kind: ' }]]),
  )
  assert.deepEqual(held, { now: 0, most: 4 })
})
