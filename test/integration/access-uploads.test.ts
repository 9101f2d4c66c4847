import assert from 'node:assert/strict'
import { randomUUID } from 'node:crypto'
import { readFile, rm, writeFile } from 'node:fs/promises'
import { basename, join } from 'node:path'
import { type TestContext, test } from 'node:test'
import type { Problem } from '../../src/jobs/model/definitions.ts'
import { openUploadFolder, type Upload } from '../../src/files/upload-folder.ts'
import { FIXTURES } from '../helpers/packages/fixtures.ts'
import { startApp } from '../helpers/streams/http-app.ts'
import { ask, told, tokensFor, WORKS } from '../helpers/streams/principals.ts'

const PRINCIPALS = {
  ada: WORKS,
  eve: WORKS,
  near: `${WORKS} repositories=*/**`,
  sight: `${WORKS},system:read`,
  admin: '*',
}
const NAME = basename(FIXTURES.nemoAmd64)

async function withUpload(t: TestContext) {
  const started = await startApp(t, {
    tokensFile: await tokensFor(t, PRINCIPALS),
    kinds: new Set(['publish', 'verify']),
  })
  const { app } = started
  const sent = await ask(app, 'ada', {
    method: 'PUT',
    url: `/v1/uploads/${NAME}`,
    payload: await readFile(FIXTURES.nemoAmd64),
  })
  return { ...started, id: sent.json<Upload>().id }
}

/** Every way to name an upload. */
const WAYS = (id: string) => [
  { url: `/v1/uploads/${id}` },
  { url: `/v1/uploads/${id}/package` },
  { url: `/v1/uploads/${id}/package/definition` },
  { url: `/v1/uploads/${id}/package/sboms` },
  { url: `/v1/bundles?ref=upload:${id}` },
  {
    method: 'POST' as const,
    url: '/v1/jobs',
    payload: { kind: 'publish', source: `upload:${id}`, destination: 'oci://registry.example/team' },
  },
  { method: 'POST' as const, url: '/v1/jobs', payload: { kind: 'verify', source: `upload:${id}` } },
  { method: 'DELETE' as const, url: `/v1/uploads/${id}` },
]

test('an upload of another answers as one that is not there, whatever is asked of it', async (t) => {
  const { app, id } = await withUpload(t)
  const none = randomUUID()
  for (const who of ['eve', 'near']) {
    for (const [at, way] of WAYS(id).entries()) {
      const absent = WAYS(none)[at] as typeof way
      const hidden = await ask(app, who, way)
      assert.match(hidden.json<Problem>().code, /^(UPLOAD_)?NOT_FOUND$/, `${who} ${way.url} ${hidden.body}`)
      assert.deepEqual(told(hidden, id), told(await ask(app, who, absent), none), `${who} ${way.url}`)
    }
    assert.deepEqual((await ask(app, who, { url: '/v1/uploads' })).json(), { items: [] })
  }
})

test('its owner, and who sees the whole system, has it; only the owner and an administrator deletes it', async (t) => {
  const { app, id } = await withUpload(t)
  for (const who of ['ada', 'sight', 'admin']) {
    for (const way of WAYS(id).slice(0, 4)) {
      assert.equal((await ask(app, who, way)).statusCode, 200, `${who} ${way.url}`)
    }
    const { items } = (await ask(app, who, { url: '/v1/uploads' })).json<{ items: Upload[] }>()
    assert.deepEqual(
      items.map((upload) => upload.id),
      [id],
    )
    for (const way of WAYS(id).slice(5, 7))
      assert.equal((await ask(app, who, way)).statusCode, 202, `${who} ${way.url}`)
  }
  const remove = (who: string) => ask(app, who, { method: 'DELETE', url: `/v1/uploads/${id}` })
  const refused = await remove('sight')
  assert.deepEqual([refused.statusCode, refused.json<Problem>().code], [403, 'SCOPE_MISSING'])
  assert.equal((await remove('admin')).statusCode, 204)
  assert.equal((await ask(app, 'ada', { url: `/v1/uploads/${id}` })).statusCode, 404)
})

test('an upload from before owners is of nobody that has a token', async (t) => {
  const { app, id, uploadFolder } = await withUpload(t)
  const path = join(uploadFolder, id, 'upload.json')
  const { principal, ...older } = JSON.parse(await readFile(path, 'utf8')) as Upload
  assert.equal(principal, 'ada')
  await rm(path)
  await writeFile(path, JSON.stringify(older))
  const seen = async (who: string) => (await ask(app, who, { url: `/v1/uploads/${id}` })).statusCode
  assert.deepEqual([await seen('ada'), await seen('sight')], [404, 200])
  const open = await startApp(t, { uploads: await openUploadFolder({ folder: uploadFolder }) })
  assert.equal((await open.app.inject(`/v1/uploads/${id}`)).statusCode, 200)
})

test('pages of uploads tell nothing of those of others', async (t) => {
  const { app } = await withUpload(t)
  for (const who of ['eve', 'ada']) {
    for (const name of ['a.tar', 'z.tar']) {
      await ask(app, who, { method: 'PUT', url: `/v1/uploads/${name}`, payload: Buffer.from(who) })
    }
  }
  const names: string[] = []
  let url = '/v1/uploads?pageSize=1'
  for (;;) {
    const page = (await ask(app, 'eve', { url })).json<{ items: Upload[]; nextPageToken?: string }>()
    names.push(...page.items.map(({ name }) => name))
    if (page.nextPageToken === undefined) break
    url = `/v1/uploads?pageSize=1&pageToken=${page.nextPageToken}`
  }
  assert.deepEqual(names, ['a.tar', 'z.tar'])
})
