import assert from 'node:assert/strict'
import { readFile } from 'node:fs/promises'
import { type TestContext, test } from 'node:test'
import type { Problem } from '../../src/jobs/model/definitions.ts'
import { file, inspectedPackage, noise, putBuilt, SBOM, VIEWER } from '../helpers/packages/inspected.ts'
import { pullFrom, readPackage } from '../helpers/packages/pulling.ts'
import { startMemoryRegistry } from '../helpers/registries/memory-registry.ts'
import { startApp } from '../helpers/streams/http-app.ts'

const FOREIGN_CSP =
  "sandbox allow-scripts; default-src 'none'; script-src 'unsafe-inline'; style-src 'unsafe-inline'; img-src data:"

/** One package in a registry, in the store, and uploaded, compressed. */
async function withPackage(t: TestContext, format: 'tar' | 'tar.zst' = 'tar.zst') {
  const built = await inspectedPackage(t, { format })
  const registry = await startMemoryRegistry()
  t.after(() => registry.close())
  const digest = await putBuilt(registry, { repository: 'team/nemo', tag: '1.2.0' }, built.path)
  const started = await startApp(t)
  const reference = `${registry.host}/team/nemo:1.2.0`
  await pullFrom(t, reference, { architecture: 'amd64', store: started.store })
  const payload = await readFile(built.path)
  const sent = await started.app.inject({ method: 'PUT', url: `/v1/uploads/${built.fileName}`, payload })
  const { id } = sent.json<{ id: string }>()
  const at =
    (prefix: string, query = '') =>
    (view: string, more = '') =>
      `${prefix}${view === '' ? '' : `/${view}`}${query}${more === '' ? '' : `${query === '' ? '?' : '&'}${more}`}`
  const places = {
    remote: at('/v1/remote-packages', `?ref=${encodeURIComponent(`oci://${reference}`)}`),
    stored: at(`/v1/packages/${digest}`),
    uploaded: at(`/v1/uploads/${id}/package`),
  }
  return { ...started, registry, built, digest, places }
}

for (const format of ['tar.zst', 'tar'] as const) {
  test(`every view answers the same of a package in its registry, in the store and uploaded as .${format}`, async (t) => {
    const { app, places, built, digest } = await withPackage(t, format)
    const asked = [
      'digest',
      'overview',
      'checksums',
      'definition',
      'files',
      'components',
      'images',
      'sizes',
      'variables',
      'manifests',
      'values',
      'documentation',
      'sboms',
      'signatures',
    ]
    const answers = new Map<string, unknown>()
    for (const view of asked) {
      const found = await Promise.all(Object.values(places).map((place) => app.inject(place(view))))
      assert.deepEqual(
        found.map(({ statusCode }) => statusCode),
        [200, 200, 200],
        `${view}: ${found[0]?.body}`,
      )
      assert.deepEqual(new Set(found.map(({ body }) => body)).size, 1, view)
      assert.equal(found[0]?.headers['cache-control'], 'no-cache')
      answers.set(view, view === 'checksums' || view === 'definition' ? found[0]?.body : found[0]?.json())
    }
    assert.equal((answers.get('digest') as { digest: string }).digest, digest)
    const { files } = await readPackage(built.path)
    assert.equal(answers.get('definition'), files.get('zarf.yaml')?.toString())
    assert.deepEqual(answers.get('documentation'), {
      files: [
        { name: 'README.md', size: 7 },
        { name: 'NOTES', size: 6 },
      ],
    })
    const sboms = answers.get('sboms') as { files: { name: string; kind: string }[] }
    assert.deepEqual(
      sboms.files.map(({ kind }) => kind),
      ['sbom', 'sbom', 'viewer', 'viewer', 'sbom'],
    )
    const variables = answers.get('variables') as { variables: object[]; constants: object[] }
    assert.deepEqual(variables.constants, [
      { name: 'PORT', value: '8080', description: null, autoIndent: false, pattern: '^[0-9]+$' },
    ])
    assert.deepEqual(answers.get('manifests'), {
      components: [
        {
          name: 'vessel',
          files: [
            { name: 'greeting-0.yaml', size: 16, content: 'kind: ConfigMap\n' },
            { name: 'large-1.yaml', size: 2 ** 20 + 1, content: null },
            { name: 'raw-2.yaml', size: 2, content: null },
          ],
        },
        { name: 'tender', files: [{ name: 'b-0.yaml', size: 14, content: 'kind: Service\n' }] },
        { name: 'bare', files: [] },
      ],
    })
    assert.deepEqual(answers.get('values'), {
      package: [{ name: 'values.yaml', size: 5, content: 'a: 1\n' }],
      components: [
        { name: 'vessel', files: [{ name: 'diver-0.3.1-0', size: 12, content: 'replicas: 2\n' }] },
        { name: 'tender', files: [] },
        { name: 'bare', files: [] },
      ],
    })
  })
}

test('files out of a package come alike from everywhere, as attachments or in a sandbox, whole and by range', async (t) => {
  const { app, places } = await withPackage(t)
  const cases: ReadonlyArray<readonly [string, Buffer, string, string]> = [
    ['sboms/b.json', Buffer.from(SBOM), 'application/json', 'attachment; filename="b.json"'],
    ['sboms/a.json', noise(2 ** 20, 3), 'application/json', 'attachment; filename="a.json"'],
    [
      'sboms/sbom-viewer-b.html',
      Buffer.from(VIEWER),
      'text/html; charset=utf-8',
      'inline; filename="sbom-viewer-b.html"',
    ],
    [
      'documentation/README.md',
      Buffer.from('# Nemo\n'),
      'text/markdown; charset=utf-8',
      'attachment; filename="README.md"',
    ],
    ['documentation/NOTES', Buffer.from('plain\n'), 'application/octet-stream', 'attachment; filename="NOTES"'],
    [
      'manifests/vessel/large-1.yaml',
      Buffer.alloc(2 ** 20 + 1, 'a'),
      'application/yaml',
      'attachment; filename="large-1.yaml"',
    ],
    [
      'values/vessel/diver-0.3.1-0',
      Buffer.from('replicas: 2\n'),
      'application/octet-stream',
      'attachment; filename="diver-0.3.1-0"',
    ],
  ]
  for (const place of Object.values(places)) {
    for (const [view, bytes, type, disposition] of cases) {
      const url = place(view)
      const whole = await app.inject({ url, headers: { 'accept-encoding': 'gzip' } })
      assert.equal(whole.statusCode, 200, url)
      assert.ok(whole.rawPayload.equals(bytes), url)
      const { headers } = whole
      assert.deepEqual(
        [headers['content-type'], headers['content-disposition'], headers['content-security-policy']],
        [type, disposition, FOREIGN_CSP],
      )
      assert.equal(headers['x-content-type-options'], 'nosniff')
      const part = await app.inject({ url, headers: { range: 'bytes=3-5' } })
      assert.deepEqual([part.statusCode, part.rawPayload.equals(bytes.subarray(3, 6))], [206, true], url)
      const head = await app.inject({ method: 'HEAD', url })
      assert.deepEqual(
        [head.statusCode, head.headers['content-length'], head.rawPayload.length],
        [200, `${bytes.length}`, 0],
      )
      const known = await app.inject({ url, headers: { 'if-none-match': String(headers['etag']) } })
      assert.equal(known.statusCode, 304)
      assert.equal((await app.inject({ url, headers: { range: `bytes=${bytes.length}-` } })).statusCode, 416)
    }
  }
})

test('what is not there is told with what there is', async (t) => {
  const { app, places } = await withPackage(t)
  for (const place of Object.values(places)) {
    const wrong: ReadonlyArray<readonly [string, string, number, string]> = [
      ['manifests', 'components=nope', 422, 'COMPONENTS_INVALID'],
      ['manifests/nope/a.yaml', '', 422, 'COMPONENTS_INVALID'],
      ['values/vessel/nope', '', 404, 'NOT_FOUND'],
      ['manifests/bare/nope.yaml', '', 404, 'NOT_FOUND'],
      ['sboms/nope.json', '', 404, 'NOT_FOUND'],
      [`sboms/${encodeURIComponent('../zarf.yaml')}`, '', 404, 'NOT_FOUND'],
      ['documentation/a.json', '', 404, 'NOT_FOUND'],
      ['manifests', 'component=vessel', 400, 'REQUEST_INVALID'],
    ]
    for (const [view, query, status, code] of wrong) {
      const answer = await app.inject(place(view, query))
      const { code: found, details } = answer.json<Problem & { details?: { components?: string[] } }>()
      assert.deepEqual([answer.statusCode, found], [status, code], place(view, query))
      assert.match(String(answer.headers['content-type']), /^application\/problem\+json/)
      if (code === 'COMPONENTS_INVALID') assert.deepEqual(details?.components, ['vessel', 'tender', 'bare'])
    }
    const chosen = async (components: string) => {
      const answer = await app.inject(place('manifests', `components=${encodeURIComponent(components)}`))
      return answer.json<{ components: { name: string }[] }>().components.map(({ name }) => name)
    }
    assert.deepEqual(await chosen('tender'), ['tender'], 'required ones are chosen as the others are')
    assert.deepEqual(await chosen('-vessel'), ['tender', 'bare'])
    assert.deepEqual(await chosen('*e*,-t*'), ['vessel', 'bare'])
  }
})

test('names that lead out of sboms.tar, links and devices are neither listed nor served', async (t) => {
  const link = (name: string, type: 'link' | 'symlink' | 'fifo') => ({ header: { name, type, linkname: 'b.json' } })
  const sboms = [
    ...['../evil.json', '/abs.json', 'a/../../b.json', 'tab\there.json', 'turn\u202eed.json'].map((name) =>
      file(name, '{}'),
    ),
    link('hard.json', 'link'),
    link('soft.json', 'symlink'),
    link('pipe.json', 'fifo'),
    file('sub/plain.json', '{"plain":true}'),
    file('b.json', '{"twice":true}'),
  ]
  const { path, fileName } = await inspectedPackage(t, { bulk: 4096, sboms })
  const { app } = await startApp(t)
  const sent = await app.inject({ method: 'PUT', url: `/v1/uploads/${fileName}`, payload: await readFile(path) })
  const url = `/v1/uploads/${sent.json<{ id: string }>().id}/package/sboms`
  const { files } = (await app.inject(url)).json<{ files: { name: string }[] }>()
  assert.deepEqual(
    files.map(({ name }) => name),
    ['a.json', 'b.json', 'sbom-viewer-a.html', 'sbom-viewer-b.html', 'sub/plain.json', 'zarf-component-vessel.json'],
  )
  assert.equal((await app.inject(`${url}/sub%2Fplain.json`)).body, '{"plain":true}')
  assert.equal((await app.inject(`${url}/b.json`)).body, '{"twice":true}', 'the last counts, as for who unpacks it')
  for (const name of ['../evil.json', '/abs.json', 'hard.json', 'soft.json', 'pipe.json', 'tab\there.json']) {
    assert.equal((await app.inject(`${url}/${encodeURIComponent(name)}`)).statusCode, 404, name)
  }
})

test('of a package that was pulled in part, what was pulled is told, and what was not is a conflict', async (t) => {
  const registry = await startMemoryRegistry()
  t.after(() => registry.close())
  const { path } = await inspectedPackage(t, { bulk: 4096 })
  const digest = await putBuilt(registry, { repository: 'team/nemo', tag: '1.2.0' }, path)
  const { app, store } = await startApp(t)
  await pullFrom(t, `${registry.host}/team/nemo:1.2.0`, { architecture: 'amd64', store, components: ['bare'] })
  const get = (view: string) => app.inject(`/v1/packages/${digest}/${view}`)
  for (const view of ['overview', 'definition', 'sboms', 'manifests?components=vessel,bare']) {
    assert.equal((await get(view)).statusCode, 200, view)
  }
  for (const view of ['manifests', 'values?components=tender', 'manifests/tender/b-0.yaml']) {
    const answer = await get(view)
    const { code, details } = answer.json<Problem & { details: { missing: string[] } }>()
    assert.deepEqual([answer.statusCode, code, details.missing], [409, 'PACKAGE_INCOMPLETE', ['components/tender.tar']])
  }
})

test('what was kept of an upload is not told once that is gone', async (t) => {
  const { app, places } = await withPackage(t)
  const { uploaded } = places
  assert.equal((await app.inject(uploaded('sboms'))).statusCode, 200)
  const upload = uploaded('').replace(/\/package$/, '')
  assert.equal((await app.inject({ method: 'DELETE', url: upload })).statusCode, 204)
  for (const view of ['sboms', 'definition', 'sboms/b.json', '']) {
    assert.deepEqual((await app.inject(uploaded(view))).statusCode, 404, view)
  }
})
