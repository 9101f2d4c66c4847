import assert from 'node:assert/strict'
import { readdir, readFile, utimes, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, test, type TestContext } from 'node:test'
import { gzipSync } from 'node:zlib'
import { openChart } from '../../src/artifact/chart.ts'
import { parseManifest } from '../../src/content/manifest.ts'
import { OCI_MANIFEST } from '../../src/content/media-types.ts'
import { openSource } from '../../src/files/opened-file.ts'
import { padding, tarHeader } from '../../src/zarf/archive/tar-writer.ts'
import { publishArtifactTo, pullFilesFrom } from '../helpers/packages/artifacts.ts'
import { failsWith } from '../helpers/packages/pull-bed.ts'
import { registryPrograms, startDockerRegistry } from '../helpers/registries/docker-registry.ts'
import { startMemoryRegistry } from '../helpers/registries/memory-registry.ts'
import { openRepository } from '../helpers/registries/oci-client.ts'
import { tempDir } from '../helpers/temp-dir.ts'

const { signal } = new AbortController()
const YAML = 'apiVersion: v2\nname: buoy\nversion: 1.2.0+b.1\ndescription: "a <b> & c"\n'

function tar(files: Record<string, string | Buffer>): Buffer {
  const entries = Object.entries(files).map(([path, content]) => {
    const bytes = Buffer.from(content)
    return Buffer.concat([tarHeader(path, bytes.length), bytes, Buffer.alloc(padding(bytes.length))])
  })
  return Buffer.concat([...entries, Buffer.alloc(1024)])
}

function chart(yaml = YAML): Buffer {
  return gzipSync(tar({ 'buoy/Chart.yaml': yaml, 'buoy/templates/a.yaml': 'a: 1\n' }))
}

async function opened(
  t: TestContext,
  name: string,
  bytes: Buffer,
  more: Partial<Parameters<typeof openChart>[0]> = {},
) {
  const path = join(await tempDir(t), name)
  await writeFile(path, bytes)
  await utimes(path, 1_700_000_000, 1_700_000_000)
  const source = await openSource(path)
  assert.ok('file' in source)
  return await openChart({ file: source.file, ...more }, signal)
}

for (const program of registryPrograms()) {
  test(`${program}: a chart lies under its name and version, and comes back under helm's file name`, async (t) => {
    const { host } = await startDockerRegistry(t, { program })
    const bytes = chart()
    const { outcome } = await publishArtifactTo(t, await opened(t, 'buoy-1.2.0+b.1.tgz', bytes), `${host}/charts`)
    assert.equal(outcome.reference, `oci://${host}/charts/buoy:1.2.0_b.1`)
    assert.equal(outcome.artifactType, 'application/vnd.cncf.helm.config.v1+json')
    const repository = await openRepository(t, host, { repository: 'charts/buoy' })
    const raw = await repository.getManifest('1.2.0_b.1', { signal })
    assert.ok(raw)
    const manifest = parseManifest(raw, 'chart')
    assert.ok(manifest.kind === 'manifest')
    assert.deepEqual(manifest.annotations, {
      'org.opencontainers.image.description': 'a <b> & c',
      'org.opencontainers.image.title': 'buoy',
      'org.opencontainers.image.version': '1.2.0+b.1',
    })
    const { root } = await pullFilesFrom(t, `${host}/charts/buoy:1.2.0_b.1`)
    assert.deepEqual(await readdir(root), ['buoy-1.2.0+b.1.tgz'])
    assert.deepEqual(await readFile(join(root, 'buoy-1.2.0+b.1.tgz')), bytes)
  })
}

describe('a chart that lies, or is none, is refused before anything is asked of a registry', () => {
  const cases: Array<[what: string, name: string, bytes: () => Buffer, says: RegExp]> = [
    ['a file named after another chart', 'podinfo-6.4.0.tgz', chart, /another chart: it is buoy 1\.2\.0\+b\.1/],
    ['a file named after another version', 'buoy-1.3.0.tgz', chart, /another chart/],
    ['a name that leads out', 'c.tgz', () => chart(YAML.replace('buoy', '../x')), /its name "\.\.\/x"/],
    ['a name with a slash', 'c.tgz', () => chart(YAML.replace('buoy', 'a/b')), /its name/],
    ['no name', 'c.tgz', () => chart('apiVersion: v2\nversion: 1.0.0\n'), /its name ""/],
    ['a version that is none', 'c.tgz', () => chart(YAML.replace('1.2.0+b.1', 'latest')), /its version "latest"/],
    ['a version that is a number', 'c.tgz', () => chart(YAML.replace('1.2.0+b.1', '1.2')), /"version" in Chart\.yaml/],
    ['a type that is none', 'c.tgz', () => chart(`${YAML}type: virus\n`), /its type "virus"/],
    ['a list for a Chart.yaml', 'c.tgz', () => chart('- a\n'), /not a mapping/],
    ['YAML that is broken', 'c.tgz', () => chart('a: [\n'), /is no chart/],
    ['YAML that stands for gigabytes', 'c.tgz', () => chart(bomb()), /is no chart/],
    ['a Chart.yaml beyond its limit', 'c.tgz', () => chart(`${YAML}#${'x'.repeat(70_000)}`), /70\d{3} bytes/],
    ['no Chart.yaml', 'c.tgz', () => gzipSync(tar({ 'buoy/values.yaml': '' })), /has no Chart\.yaml/],
    ['a Chart.yaml in another folder', 'c.tgz', () => gzipSync(tar({ 'a/b/Chart.yaml': YAML })), /has no Chart\.yaml/],
    [
      'a path that leads out',
      'c.tgz',
      () => gzipSync(tar({ 'buoy/Chart.yaml': YAML, '../x': '' })),
      /leaves the package/,
    ],
    ['what is not compressed', 'c.tgz', () => tar({ 'buoy/Chart.yaml': YAML }), /incorrect header/],
    ['what is cut', 'c.tgz', () => chart().subarray(0, 120), /unexpected end of file/],
    ['an empty file', 'c.tgz', () => Buffer.alloc(0), /is no chart/],
    ['more than helm unpacks', 'c.tgz', () => gzipSync(tar({ a: Buffer.alloc(101 * 1024 * 1024) })), /unpacks to more/],
    ['a file beyond the limit', 'c.tgz', () => Buffer.alloc(21 * 1024 * 1024), /22020096 bytes/],
  ]
  for (const [what, name, bytes, says] of cases) {
    test(what, async (t) => {
      await assert.rejects(opened(t, name, bytes()), failsWith('ARTIFACT_INVALID', says))
    })
  }

  test('another name or tag than its own', async (t) => {
    const registry = await startMemoryRegistry()
    t.after(() => registry.close())
    for (const more of [{ name: 'podinfo' }, { tag: 'latest' }]) {
      const asked = publishArtifactTo(t, await opened(t, 'c.tgz', chart()), registry.host, more)
      await assert.rejects(asked, failsWith('ARTIFACT_INVALID'))
    }
    assert.ok(!registry.requests.some(({ path }) => path.includes('/blobs/') && !path.includes('/uploads/')))
  })
})

test('a chart that lies under the name or the version of another is not pulled under either', async (t) => {
  const registry = await startMemoryRegistry()
  t.after(() => registry.close())
  await publishArtifactTo(t, await opened(t, 'c.tgz', chart()), `${registry.host}/charts`)
  const held = registry.manifests.get('charts/buoy', '1.2.0_b.1')
  assert.ok(held)
  registry.manifests.put('charts/buoy', '9.9.9', OCI_MANIFEST, held.bytes)
  const asked = pullFilesFrom(t, `${registry.host}/charts/buoy:9.9.9`)
  await assert.rejects(asked, failsWith('ARTIFACT_INVALID', /another chart: buoy 1\.2\.0/))
  await publishArtifactTo(t, await opened(t, 'c.tgz', chart(YAML.replace('buoy', 'other'))), `${registry.host}/charts`)
  const other = registry.manifests.get('charts/other', '1.2.0_b.1')
  assert.ok(other)
  registry.manifests.put('charts/buoy', '1.2.0_b.1', OCI_MANIFEST, other.bytes)
  const lies = pullFilesFrom(t, `${registry.host}/charts/buoy:1.2.0_b.1`)
  await assert.rejects(lies, (error: { code: string }) => ['ARTIFACT_INVALID', 'BLOB_NOT_FOUND'].includes(error.code))
})

function bomb(): string {
  const lines = ['a0: &a0 [x, x, x, x, x, x, x, x, x, x]']
  for (let at = 1; at < 12; at += 1)
    lines.push(
      `a${at}: &a${at} [${Array(10)
        .fill(`*a${at - 1}`)
        .join(', ')}]`,
    )
  return `${YAML}${lines.join('\n')}\n`
}
