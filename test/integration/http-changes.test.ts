import assert from 'node:assert/strict'
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import type { Problem } from '../../src/jobs/model/definitions.ts'
import type { PackageChanges } from '../../src/http/schemas/package-views.ts'
import { changesText } from '../../src/cli/view/changes-text.ts'
import { FIXTURES } from '../helpers/packages/fixtures.ts'
import { type PackageOptions, writeArchive } from '../helpers/packages/package-builder.ts'
import { fillRegistry, pullFrom } from '../helpers/packages/pulling.ts'
import { CHANGED_BYTES, SHARED_BYTES, twoVersions } from '../helpers/packages/updating.ts'
import { startApp } from '../helpers/streams/http-app.ts'
import { tempDir } from '../helpers/temp-dir.ts'

type Rows = ReadonlyArray<readonly [type: string, name: string, version: string]>

/** A tar of SBOMs as Syft writes them, by name. */
async function sboms(t: TestContext, files: Readonly<Record<string, Rows | string>>): Promise<Buffer> {
  const path = join(await tempDir(t), 'sboms.tar')
  const text = (rows: Rows | string) =>
    typeof rows === 'string'
      ? rows
      : JSON.stringify({ artifacts: rows.map(([type, name, version]) => ({ type, name, version })) })
  await writeArchive(
    path,
    Object.entries(files).map(([name, rows]) => ({
      header: { name, mode: 0o644, mtime: new Date(0) },
      content: text(rows),
    })),
  )
  return await readFile(path)
}

function withImages(...images: string[]): Pick<PackageOptions, 'tamper'> {
  const list = images.map((image) => `\n      - ${image}`).join('')
  return { tamper: { definition: (text) => text.replace('required: true', `required: true\n    images:${list}`) } }
}

async function changesOf(t: TestContext, versions: Awaited<ReturnType<typeof twoVersions>>) {
  const { app, store } = await startApp(t)
  for (const version of ['1.0.0', '1.1.0']) await versions.pull(store, version)
  const answer = await app.inject(`/v1/packages/${versions.made}/changes?since=${versions.base}`)
  assert.equal(answer.statusCode, 200, answer.body)
  const update = await app.inject({
    method: 'HEAD',
    url: `/v1/packages/${versions.made}/archive?since=${versions.base}`,
  })
  return { changes: answer.json<PackageChanges>(), updateBytes: Number(update.headers['content-length']), app, store }
}

test('two versions are compared by images, software, files and bytes to move', async (t) => {
  const old = await sboms(t, {
    'nginx.json': [
      ['deb', 'openssl', '3.0.1'],
      ['deb', 'bash', '5.2'],
      ['deb', 'zlib', '1.3'],
    ],
    'compare.html': '<html></html>',
  })
  const made = await sboms(t, {
    'nginx.json': [
      ['deb', 'openssl', '3.0.2'],
      ['deb', 'bash', '5.2'],
    ],
    'other.json': [['npm', 'left-pad', '1.0.0']],
    'broken.json': '{"artifacts":',
    'odd.json': '{"artifacts":[null, 7, {"name": 3}, {"name": "x"}]}',
  })
  const versions = await twoVersions(t, {
    base: {
      ...withImages('docker.io/library/nginx:1.26', 'docker.io/library/redis:7'),
      files: { 'sboms.tar': old, 'gone.txt': 'a' },
    },
    made: {
      ...withImages('docker.io/library/nginx:1.27', 'docker.io/library/redis:7'),
      files: { 'sboms.tar': made, 'new.txt': 'b' },
    },
  })
  const { changes, updateBytes } = await changesOf(t, versions)
  assert.deepEqual([changes.since.version, changes.package.version], ['1.0.0', '1.1.0'])
  assert.deepEqual(changes.images, {
    added: ['docker.io/library/nginx:1.27'],
    removed: ['docker.io/library/nginx:1.26'],
    kept: 1,
  })
  assert.deepEqual(changes.software, {
    changed: [
      { type: 'npm', name: 'left-pad', before: [], after: ['1.0.0'] },
      { type: 'deb', name: 'openssl', before: ['3.0.1'], after: ['3.0.2'] },
      { type: '', name: 'x', before: [], after: [''] },
      { type: 'deb', name: 'zlib', before: ['1.3'], after: [] },
    ],
    leftOut: 0,
  })
  assert.equal(changes.softwareReason, null)
  const { files, bytes, update } = changes
  assert.deepEqual(
    [files.added.map(({ title }) => title), files.removed.map(({ title }) => title)],
    [['new.txt'], ['gone.txt']],
  )
  const changed = ['checksums.txt', 'data.bin', 'sboms.tar', 'zarf.yaml']
  assert.deepEqual([files.changed.map(({ title }) => title).toSorted(), files.kept], [changed, 2])
  assert.equal(bytes.kept, 2 * SHARED_BYTES)
  assert.ok(bytes.toMove > CHANGED_BYTES && bytes.toMove + bytes.kept === changes.package.size)
  assert.deepEqual(update, { fileName: 'layerd-update-sample-amd64-1.0.0-1.1.0.tar.zst', size: updateBytes })
  const text = changesText(changes)
  for (const line of [
    '+ docker.io/library/nginx:1.27',
    '~ openssl 3.0.1 -> 3.0.2 (deb)',
    '- zlib 1.3 (deb)',
    '+ new.txt',
  ]) {
    assert.ok(text.includes(line), `${line} in\n${text}`)
  }
})

test('without SBOMs in both, or where they are not stored, the rest is compared all the same', async (t) => {
  const { changes, app, store } = await changesOf(t, await twoVersions(t))
  assert.deepEqual([changes.software, changes.softwareReason], [null, 'sboms.tar is not in both packages'])
  assert.deepEqual(changes.images, { added: [], removed: [], kept: 0 })
  const [rows, other] = [
    await sboms(t, { 'a.json': [['deb', 'a', '1']] }),
    await sboms(t, { 'a.json': [['deb', 'a', '2']] }),
  ]
  const versions = await twoVersions(t, {
    base: { files: { 'sboms.tar': rows } },
    made: { files: { 'sboms.tar': other } },
  })
  await versions.pull(store, '1.1.0')
  const reference = `${versions.registry.host}/team/sample:1.0.0`
  await pullFrom(t, reference, { store, architecture: 'amd64', metadataOnly: true })
  const answer = await app.inject(`/v1/packages/${versions.made}/changes?since=${versions.base}`)
  const partly = answer.json<PackageChanges>()
  assert.deepEqual([answer.statusCode, partly.software], [200, null])
  assert.match(partly.softwareReason ?? '', /not stored for this package/)
})

test('packages that are no versions of one can be compared, and no update leads from one to the other', async (t) => {
  const versions = await twoVersions(t)
  const { app, store } = await changesOf(t, versions)
  await fillRegistry(versions.registry, { repository: 'team/nemo', tag: '1.2.0' }, [
    { path: FIXTURES.nemoAmd64, published: 'nemo' },
  ])
  const { outcome } = await pullFrom(t, `${versions.registry.host}/team/nemo:1.2.0`, { store, architecture: 'amd64' })
  const other = (
    await app.inject(`/v1/packages/${versions.made}/changes?since=${outcome.digest}`)
  ).json<PackageChanges>()
  assert.deepEqual([other.since.name, other.update], ['nemo', null])
  const same = await app.inject(`/v1/packages/${versions.made}/changes?since=${versions.made}`)
  assert.deepEqual([same.statusCode, same.json<Problem>().code], [400, 'REQUEST_INVALID'])
  const none = await app.inject(`/v1/packages/${versions.made}/changes?since=sha256:${'0'.repeat(64)}`)
  assert.deepEqual([none.statusCode, none.json<Problem>().code], [404, 'PACKAGE_NOT_STORED'])
})
