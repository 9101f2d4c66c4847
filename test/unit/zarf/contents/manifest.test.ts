import assert from 'node:assert/strict'
import { test } from 'node:test'
import { digestOf, sha256Digest } from '../../../../src/content/digest.ts'
import { descriptorTitle } from '../../../../src/content/descriptor.ts'
import { compareBytes, encodeText } from '../../../../src/zarf/definition/go-json.ts'
import type { DefinitionOutline } from '../../../../src/zarf/definition/outline.ts'
import { buildManifest } from '../../../../src/zarf/contents/manifest.ts'

const reading = (outline: DefinitionOutline) => ({ outline, config: Buffer.from('{}') })

/** Build timestamps and what Go's time.Parse with RFC1123Z makes of them, in UTC. */
const TIMES: [timestamp: string, created: string][] = [
  ['Tue, 02 Jan 2024 03:04:05 -0500', '2024-01-02T08:04:05Z'],
  ['Mon, 23 Nov 2026 22:37:10 +0000', '2026-11-23T22:37:10Z'],
  ['Thu, 29 Feb 2024 23:59:59 -0130', '2024-03-01T01:29:59Z'],
  ['mon, 01 jan 2024 1:00:00 +0530', '2023-12-31T19:30:00Z'],
  ['Tue, 02 Jan 2024 03:04:05.123 -0500', '2024-01-02T08:04:05Z'],
  ['Sat, 01 Jan 0099 00:00:00 +0000', '0099-01-01T00:00:00Z'],
  ['Thu, 30 Feb 2023 00:00:00 +0000', '0001-01-01T00:00:00Z'],
  ['Tue, 00 Jan 2024 03:04:05 -0500', '0001-01-01T00:00:00Z'],
  ['Tue, 02 Jan 2024 24:04:05 -0500', '0001-01-01T00:00:00Z'],
  ['Tue, 02 Jan 2024 03:60:05 -0500', '0001-01-01T00:00:00Z'],
  ['Tue, 2 Jan 2024 03:04:05 -0500', '0001-01-01T00:00:00Z'],
  ['2024-01-02T03:04:05Z', '0001-01-01T00:00:00Z'],
  ['', '0001-01-01T00:00:00Z'],
]

for (const [timestamp, created] of TIMES) {
  test(`built at "${timestamp}" is created at ${created}`, async () => {
    const { manifest } = await buildManifest(reading({ metadata: { name: 'a' }, build: { timestamp } }), [])
    const { annotations } = JSON.parse(manifest.bytes.toString()) as { annotations: Record<string, string> }
    assert.equal(annotations['org.opencontainers.image.created'], created)
  })
}

test('layers are sorted by digest, equal ones by title', async () => {
  const file = (path: string, hex: string) => ({ path, size: 1, digest: sha256Digest(hex.repeat(64)) })
  const { layers } = await buildManifest(reading({ metadata: { name: 'a' } }), [
    file('z', '1'),
    file('b', '2'),
    file('a', '2'),
    file('c', '0'),
  ])
  assert.deepEqual(layers.map(descriptorTitle), ['c', 'z', 'a', 'b'])
})

test('title and description are there even when empty, others only when filled', async () => {
  const { manifest } = await buildManifest(reading({ metadata: { name: 'a', url: '', vendor: 'v' } }), [])
  assert.match(
    manifest.bytes.toString(),
    /"annotations":\{"org\.opencontainers\.image\.created":"[^"]+","org\.opencontainers\.image\.description":"","org\.opencontainers\.image\.title":"a","org\.opencontainers\.image\.vendor":"v"\}\}$/,
  )
  assert.equal(manifest.digest, digestOf(manifest.bytes))
})

test('strings are escaped as Go does, keys sorted by bytes', () => {
  assert.equal(
    encodeText('<&>\u2028\u2029\b\f\n\r\t"\\\u0001\u007fé😀'),
    String.raw`"\u003c\u0026\u003e\u2028\u2029\b\f\n\r\t\"\\\u0001`.concat('\u007fé😀"'),
  )
  // UTF-16 order, which JavaScript sorts by, has these the other way round.
  assert.ok(compareBytes('\uFFFD', '😀') < 0)
  const texts = [
    '',
    'a',
    'ab',
    'é',
    '\ud7ff',
    '\ue000',
    '\uffff',
    '😀',
    '😀a',
    'a😀',
    'a\uffff',
    '\ud83d',
    '\ude00',
    '\ud83da',
  ]
  for (const a of texts) {
    for (const b of texts) {
      assert.equal(compareBytes(a, b), Buffer.compare(Buffer.from(a), Buffer.from(b)), JSON.stringify([a, b]))
    }
  }
})
