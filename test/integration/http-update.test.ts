import assert from 'node:assert/strict'
import { type TestContext, test } from 'node:test'
import type { Problem } from '../../src/jobs/model/definitions.ts'
import { FIXTURES, publishedManifest } from '../helpers/packages/fixtures.ts'
import { fillRegistry, pullFrom } from '../helpers/packages/pulling.ts'
import { putVersion, twoVersions } from '../helpers/packages/updating.ts'
import { startApp } from '../helpers/streams/http-app.ts'
import { digestOf } from '../../src/content/digest.ts'

async function bed(t: TestContext) {
  const versions = await twoVersions(t)
  const started = await startApp(t)
  for (const version of ['1.0.0', '1.1.0']) await versions.pull(started.store, version)
  const url = (since: string, more = '') => `/v1/packages/${versions.made}/archive?since=${since}${more}`
  return { ...versions, ...started, url }
}

test('an update is served as any archive: with its name, an ETag of its own, ranges, and HEAD', async (t) => {
  const { app, base, made, url } = await bed(t)
  const whole = await app.inject(url(base))
  assert.equal(whole.statusCode, 200)
  const head = await app.inject({ method: 'HEAD', url: url(base) })
  for (const name of ['content-length', 'etag', 'content-disposition', 'content-type']) {
    assert.equal(head.headers[name], whole.headers[name], name)
  }
  assert.equal(whole.headers['content-type'], 'application/zstd')
  const disposition = 'attachment; filename="layerd-update-sample-amd64-1.0.0-1.1.0.tar.zst"'
  assert.equal(whole.headers['content-disposition'], disposition)
  assert.equal(whole.headers['etag'], `"${made}-since-${base}-1"`)
  const { length } = whole.rawPayload
  const all = await app.inject(`/v1/packages/${made}/archive`)
  assert.ok(length < all.rawPayload.length / 2, `${length} of ${all.rawPayload.length} bytes`)
  for (const [start, end] of [
    [0, 1],
    [1000, 70_000],
    [length - 1000, length],
  ] as const) {
    const part = await app.inject({ url: url(base), headers: { range: `bytes=${start}-${end - 1}` } })
    assert.equal(part.statusCode, 206)
    assert.ok(part.rawPayload.equals(whole.rawPayload.subarray(start, end)))
  }
  const known = await app.inject({ url: url(base), headers: { 'if-none-match': whole.headers['etag'] } })
  assert.equal(known.statusCode, 304)
})

test('what no update can be made of is refused with what to do', async (t) => {
  const { app, store, base, made, url, registry } = await bed(t)
  const other = await putVersion(t, registry, { name: 'other' })
  await pullFrom(t, `${registry.host}/team/other:1.0.0`, { store, architecture: 'amd64' })
  await fillRegistry(registry, { repository: 'team/nemo', tag: '1.2.0' }, [
    { path: FIXTURES.nemoArm64, published: 'nemo', architecture: 'arm64' },
  ])
  await pullFrom(t, `${registry.host}/team/nemo:1.2.0`, { store, architecture: 'arm64' })
  const arm64 = digestOf(publishedManifest('nemo', 'arm64'))
  const absent = `sha256:${'0'.repeat(64)}`
  const cases: Array<[string, number, string, RegExp]> = [
    [url(made), 400, 'REQUEST_INVALID', /is the package itself/],
    [url(other), 400, 'REQUEST_INVALID', /is other for amd64, and the package is sample for amd64/],
    [url(arm64), 400, 'REQUEST_INVALID', /is nemo for arm64/],
    [url(absent), 404, 'PACKAGE_NOT_STORED', /does not hold the package sha256:0000/],
    [url('sha256:12'), 400, 'REQUEST_INVALID', /since/],
    [url(base, '&components=layer-0000'), 400, 'REQUEST_INVALID', /nothing else can be chosen/],
    [url(base, '&metadataOnly=true'), 400, 'REQUEST_INVALID', /nothing else can be chosen/],
    [
      `/v1/packages/${absent}/archive?since=${base}`,
      404,
      'PACKAGE_NOT_STORED',
      /does not hold the package sha256:0000/,
    ],
  ]
  for (const [address, status, code, message] of cases) {
    const answer = await app.inject(address)
    const problem = answer.json<Problem>()
    assert.deepEqual([answer.statusCode, problem.code], [status, code], address)
    assert.match(problem.detail, message)
  }
})

test('a job that applies is refused where it can be told at once', async (t) => {
  const made = `sha256:${'1'.repeat(64)}`
  const strict = await startApp(t, { kinds: new Set(['apply']) })
  const post = async (body: object) => {
    const answer = await strict.app.inject({ method: 'POST', url: '/v1/jobs', payload: { kind: 'apply', ...body } })
    return answer.json<Problem>()
  }
  const cases: Array<[object, number, string, RegExp]> = [
    [{ source: `store:${made}` }, 400, 'BODY_INVALID', /is not where an update lies/],
    [{ source: 'oci://registry.example/team/sample:1.0.0' }, 400, 'BODY_INVALID', /is not where an update lies/],
    [
      { source: `file:${FIXTURES.nemoAmd64}`, destination: 'oci://registry.example/team' },
      400,
      'BODY_INVALID',
      /is not applied to/,
    ],
    [{ source: 'https://web.example/layerd-update-a.tar.zst' }, 400, 'BODY_INVALID', /"sha256" is missing/],
    [{ source: 'upload:none' }, 422, 'UPLOAD_NOT_FOUND', /none/],
    [{ source: `file:${FIXTURES.nemoAmd64}` }, 403, 'PACKAGE_OUTSIDE_ROOTS', /./],
    [{ source: 'upload:none', options: { tag: '1' } }, 400, 'BODY_INVALID', /takes no option "tag"/],
  ]
  for (const [body, status, code, message] of cases) {
    const problem = await post(body)
    assert.deepEqual([problem.status, problem.code], [status, code], JSON.stringify(body))
    assert.match(problem.detail, message)
  }
})
