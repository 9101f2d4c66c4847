import assert from 'node:assert/strict'
import { mkdir, symlink, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { test } from 'node:test'
import type { Job, Problem } from '../../src/jobs/model/definitions.ts'
import { NO_JOB, post, withPackage } from '../helpers/streams/http-jobs.ts'

test('a publish of files is accepted with what it says, its files in the roots or uploads of any name', async (t) => {
  const server = await withPackage(t)
  await writeFile(join(server.root, 'notes.txt'), 'notes')
  const sent = await server.app.inject({
    method: 'PUT',
    url: '/v1/uploads/sbom.json?as=file',
    payload: Buffer.from('{}'),
  })
  assert.equal(sent.statusCode, 201, sent.body)
  const { id } = sent.json<{ id: string }>()
  const options = {
    name: 'my_notes.v2',
    tag: '1',
    artifactType: 'application/vnd.example.notes',
    annotations: { 'org.example.a': 'b' },
    files: [
      { source: `file:${server.root}/notes.txt`, title: 'docs/notes.txt', mediaType: 'text/plain' },
      { source: `upload:${id}`, annotations: { 'org.example.c': 'd' } },
    ],
    config: { source: `upload:${id}`, mediaType: 'application/json' },
  }
  const response = await post(server, {
    kind: 'publish',
    source: 'files:',
    destination: server.body.destination,
    options,
  })
  assert.equal(response.statusCode, 202, response.body)
  assert.deepEqual(response.json<Job>().options, options)
})

test('what can be known wrong of files beforehand is refused by name of the field, and makes no job', async (t) => {
  const server = await withPackage(t, { kinds: new Set(['publish', 'pull'] as const) })
  const { root } = server
  await mkdir(join(root, 'folder'))
  await writeFile(join(root, 'a.txt'), '')
  await writeFile(join(root, '..', 'outside.txt'), '')
  await symlink(join(root, '..', 'outside.txt'), join(root, 'leak.txt'))
  const file = { source: `file:${root}/a.txt` }
  const options = { name: 'notes', tag: '1', files: [file] }
  const body = { kind: 'publish', source: 'files:', destination: server.body.destination, options }
  const other = (more: object) => ({ options: { ...options, ...more } })
  const pull = { kind: 'pull', source: 'oci://r.example/x:1' }
  const form = { form: 'files' }
  const cases: Array<[changes: object, status: number, code: string, pointer: string]> = [
    [other({ name: undefined }), 400, 'BODY_INVALID', '/options/name'],
    [other({ name: '../x' }), 400, 'BODY_INVALID', '/options/name'],
    [other({ name: 'a..b' }), 400, 'REFERENCE_INVALID', '/options/name'],
    [other({ tag: undefined }), 400, 'BODY_INVALID', '/options/tag'],
    [other({ tag: 'a+b' }), 422, 'TAG_INVALID', '/options/tag'],
    [other({ subject: 'a+b' }), 400, 'BODY_INVALID', '/options/subject'],
    [other({ files: undefined }), 400, 'BODY_INVALID', '/options/files'],
    [other({ files: Array.from({ length: 257 }, () => file) }), 400, 'BODY_INVALID', '/options/files'],
    [other({ files: [file, { source: '/a.txt' }] }), 400, 'BODY_INVALID', '/options/files/1/source'],
    [other({ files: [{ source: `file:${root}/gone` }] }), 422, 'PACKAGE_NOT_FOUND', '/options/files/0/source'],
    [other({ files: [{ source: `file:${root}/folder` }] }), 400, 'BODY_INVALID', '/options/files/0/source'],
    [other({ files: [{ source: `file:${root}/leak.txt` }] }), 403, 'PACKAGE_OUTSIDE_ROOTS', '/options/files/0/source'],
    [other({ files: [{ source: 'file:/etc/passwd' }] }), 403, 'PACKAGE_OUTSIDE_ROOTS', '/options/files/0/source'],
    [other({ files: [{ source: `upload:${NO_JOB}` }] }), 422, 'UPLOAD_NOT_FOUND', '/options/files/0/source'],
    [other({ config: { source: 'file:/etc/passwd' } }), 403, 'PACKAGE_OUTSIDE_ROOTS', '/options/config/source'],
    [other({ files: [{ ...file, title: '../a' }] }), 422, 'PACKAGE_UNSAFE_PATH', '/options/files/0/title'],
    [other({ files: [{ ...file, title: '/a' }] }), 422, 'PACKAGE_UNSAFE_PATH', '/options/files/0/title'],
    [other({ files: [{ ...file, mediaType: 'text' }] }), 400, 'BODY_INVALID', '/options/files/0/mediaType'],
    [other({ annotations: { 'a b': 'c' } }), 400, 'BODY_INVALID', '/options/annotations/a b'],
    [other({ scan: true }), 400, 'BODY_INVALID', '/options/scan'],
    [other({ verify: { mode: 'never' } }), 400, 'BODY_INVALID', '/options/verify'],
    [{ destination: 'oci://registry.example/x:1' }, 400, 'REFERENCE_INVALID', '/destination'],
    [{ ...server.body, options: { files: [] } }, 400, 'BODY_INVALID', '/options/files'],
    [{ ...server.body, options: { annotations: {} } }, 400, 'BODY_INVALID', '/options/annotations'],
    [{ ...server.body, options: { name: 'a.b' } }, 400, 'BODY_INVALID', '/options/name'],
    [{ ...pull, destination: undefined, options: form }, 400, 'BODY_INVALID', '/destination'],
    [{ ...pull, destination: 'store:', options: form }, 400, 'BODY_INVALID', '/destination'],
    [{ ...pull, destination: 'file:/etc/', options: form }, 403, 'PACKAGE_OUTSIDE_ROOTS', '/destination'],
    [
      { ...pull, destination: `file:${root}/x/`, options: { ...form, components: [] } },
      400,
      'BODY_INVALID',
      '/options/components',
    ],
  ]
  for (const [changes, status, code, pointer] of cases) {
    const response = await post(server, { ...body, ...changes })
    const problem = response.json<Problem>()
    assert.deepEqual([response.statusCode, problem.code], [status, code], `${JSON.stringify(changes)} ${response.body}`)
    assert.deepEqual(
      problem.errors?.map((error) => error.pointer),
      [pointer],
      JSON.stringify(changes).slice(0, 300),
    )
  }
  assert.deepEqual((await server.app.inject('/v1/jobs')).json(), { items: [] })
})

test('a chart is known by its name, sent as a package is, and takes no options of others', async (t) => {
  const server = await withPackage(t)
  const sent = await server.app.inject({ method: 'PUT', url: '/v1/uploads/a-1.0.0.tgz', payload: Buffer.from('x') })
  assert.equal(sent.statusCode, 201, sent.body)
  const body = { ...server.body, source: `upload:${sent.json<{ id: string }>().id}` }
  for (const [options, pointer] of [
    [{ sign: { keyRef: 'x' } }, '/options/sign/keyRef'],
    [{ manifest: 'artifact' }, '/options/manifest'],
    [{ sha256: '0'.repeat(64) }, '/options/sha256'],
    [{ artifactType: 'a/b' }, '/options/artifactType'],
    [{ files: [] }, '/options/files'],
  ] as const) {
    const refused = await post(server, { ...body, options })
    assert.deepEqual(
      refused.json<Problem>().errors?.map((error) => error.pointer),
      [pointer],
      refused.body,
    )
  }
  const accepted = await post(server, { ...body, options: { annotations: { a: 'b' } } })
  assert.equal(accepted.statusCode, 202, accepted.body)
})

test('a file for an artifact is sent by its word alone, and is no package', async (t) => {
  const server = await withPackage(t)
  const put = (url: string) => server.app.inject({ method: 'PUT', url, payload: Buffer.from('x') })
  for (const [url, status, code] of [
    ['/v1/uploads/a.json', 422, 'PACKAGE_FORMAT_UNSUPPORTED'],
    ['/v1/uploads/a.json?as=package', 422, 'PACKAGE_FORMAT_UNSUPPORTED'],
    ['/v1/uploads/a.tar?as=thing', 400, 'REQUEST_INVALID'],
    ['/v1/uploads/..%2Fa.json?as=file', 400, 'REQUEST_INVALID'],
    ['/v1/uploads/.a?as=file', 400, 'REQUEST_INVALID'],
  ] as const) {
    const refused = await put(url)
    assert.deepEqual([refused.statusCode, refused.json<Problem>().code], [status, code], url)
  }
  const { id } = (await put('/v1/uploads/a.json?as=file')).json<{ id: string }>()
  const job = await post(server, { ...server.body, source: `upload:${id}` })
  assert.deepEqual([job.statusCode, job.json<Problem>().code], [422, 'PACKAGE_FORMAT_UNSUPPORTED'])
})
