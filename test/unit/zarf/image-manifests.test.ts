import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { type Descriptor, TITLE_ANNOTATION } from '../../../src/content/descriptor.ts'
import { digestOf } from '../../../src/content/digest.ts'
import { OCI_INDEX, OCI_MANIFEST } from '../../../src/content/media-types.ts'
import type { AppError, ErrorCode } from '../../../src/lib/errors.ts'
import { openImages } from '../../../src/zarf/select.ts'

const MIB = 1024 * 1024
const BASE = 'org.opencontainers.image.base.name'

const titleOf = (digest: string) => `images/blobs/${digest.replace(':', '/')}`
const layer = (title: string, bytes: Buffer, size = bytes.length): Descriptor => ({
  mediaType: 'a/layer',
  digest: digestOf(bytes),
  size,
  annotations: { [TITLE_ANNOTATION]: title },
})

/** A package of images whose manifests have so many bytes; `size`: what its own manifest says of images/index.json. */
function imagesOf(count: number, { bytes = 0, size }: { bytes?: number; size?: number }) {
  const manifests = Array.from({ length: count }, (_, at) =>
    Buffer.from(
      JSON.stringify({ schemaVersion: 2, config: config(), layers: [], annotations: { at: `${at} `.padEnd(bytes) } }),
    ),
  )
  const entries = manifests.map((manifest, at) => ({
    mediaType: OCI_MANIFEST,
    digest: digestOf(manifest),
    size: manifest.length,
    annotations: { [BASE]: `docker.io/library/image-${at}:1` },
  }))
  const index = Buffer.from(JSON.stringify({ schemaVersion: 2, mediaType: OCI_INDEX, manifests: entries }))
  const files = new Map<string, Buffer>([...manifests, CONFIG, index].map((each) => [digestOf(each), each]))
  const layers = [
    layer('images/index.json', index, size),
    ...[...manifests, CONFIG].map((each) => layer(titleOf(digestOf(each)), each)),
  ]
  const asked: string[] = []
  return {
    asked,
    names: entries.map((_, at) => `image-${at}:1`),
    source: {
      byTitle: new Map(layers.map((each) => [each.annotations?.[TITLE_ANNOTATION] ?? '', each])),
      read: async ({ digest, annotations }: Descriptor) => {
        asked.push(annotations?.[TITLE_ANNOTATION] ?? '')
        return files.get(digest) ?? assert.fail(digest)
      },
    },
  }
}

const CONFIG = Buffer.from('{}')
const config = () => ({ mediaType: 'a/config', digest: digestOf(CONFIG), size: CONFIG.length })
const isRefused = (code: ErrorCode, says: RegExp) => (error: AppError) =>
  error.code === code && says.test(error.message)

describe('the manifests of a package, whose sizes and names others chose', () => {
  test('one that says it has terabytes is not read', async () => {
    const { source, asked } = imagesOf(1, { size: 2 ** 42 })
    await assert.rejects(
      openImages(source),
      isRefused('MANIFEST_TOO_LARGE', /images\/index\.json has 4398046511104 bytes/),
    )
    assert.deepEqual(asked, [])
  })

  test('of many large ones 64 MiB are read', async () => {
    const { source, asked, names } = imagesOf(18, { bytes: 4 * MIB - 4096 })
    const images = await openImages(source)
    await assert.rejects(images.titlesOf(names), isRefused('PACKAGE_TOO_LARGE', /more than 67108864 bytes together/))
    assert.equal(asked.length, 17)
  })

  test('one that many components name is read once', async () => {
    const { source, asked, names } = imagesOf(1, {})
    const images = await openImages(source)
    for (let turn = 0; turn < 5; turn++) assert.equal((await images.titlesOf(names)).size, 2)
    assert.equal(asked.length, 2)
  })
})
