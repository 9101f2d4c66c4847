import assert from 'node:assert/strict'
import { test } from 'node:test'
import { type CataloguePage, putArtifact, startCatalogue } from '../helpers/catalogue/catalogue-bed.ts'
import { startDockerRegistry } from '../helpers/registries/docker-registry.ts'
import { ask, tokensFor } from '../helpers/streams/principals.ts'
import { waitFor } from '../helpers/wait-for.ts'

test('a token sees of the catalogue what it may touch, and no count of more; who steers it may touch all of a registry', async (t) => {
  const { host } = await startDockerRegistry(t)
  for (const repository of ['team/oar', 'team/sail', 'other/mast', 'root']) {
    await putArtifact(t, { host, repository, tag: '1.0.0' })
  }
  const rights = 'packages:read,registries:read,registries:admin'
  const tokensFile = await tokensFor(t, {
    ops: '*',
    team: `${rights} repositories=${host}/team/**`,
    one: `${rights} repositories=${host}/other/mast`,
    whole: `${rights} registries=${host}`,
    elsewhere: `${rights} repositories=other.example/**`,
    nothing: 'jobs:read',
  })
  const bed = await startCatalogue(t, { tokensFile })
  bed.refresher()
  const registry = `/v1/catalog/registries/${encodeURIComponent(host)}`
  const put = (who: string) =>
    ask(bed.app, who, { method: 'PUT', url: registry, headers: { 'if-none-match': '*' }, payload: {} })
  for (const who of ['team', 'one', 'elsewhere']) assert.equal((await put(who)).json().code, 'TOKEN_LIMITED', who)
  assert.equal((await put('nothing')).json().code, 'SCOPE_MISSING')
  assert.equal((await put('whole')).statusCode, 201)
  await waitFor('the refresh', async () => {
    const state = (await ask(bed.app, 'ops', { url: registry })).json()
    return state.state === 'ready'
  })
  const seen = async (who: string, query = '') => {
    const page = (await ask(bed.app, who, { url: `/v1/catalog?${query}` })).json<CataloguePage>()
    return [page.items.map(({ repository }) => repository), page.registries.map((one) => one.host), page.nextPageToken]
  }
  const all = ['other/mast', 'root', 'team/oar', 'team/sail']
  assert.deepEqual(await seen('ops'), [all, [host], undefined])
  assert.deepEqual(await seen('whole'), [all, [host], undefined])
  assert.deepEqual(await seen('team'), [['team/oar', 'team/sail'], [host], undefined])
  assert.deepEqual(await seen('one', 'pageSize=1'), [['other/mast'], [host], undefined])
  assert.deepEqual(await seen('one', 'q=oar'), [[], [host], undefined])
  assert.deepEqual(await seen('elsewhere'), [[], [], undefined])
  assert.equal((await ask(bed.app, 'nothing', { url: '/v1/catalog' })).json().code, 'SCOPE_MISSING')
  // A token of another's page leads nowhere else.
  const token = String((await seen('ops', 'pageSize=1'))[2])
  assert.deepEqual(await seen('team', `pageToken=${token}`), [['team/oar', 'team/sail'], [host], undefined])

  const code = async (who: string, url: string, method: 'GET' | 'POST' = 'GET', payload?: object) => {
    const answer = await ask(bed.app, who, { url, method, ...(payload ? { payload } : {}) })
    return answer.json().code ?? answer.statusCode
  }
  const versions = (repository: string) =>
    `/v1/catalog/versions?ref=${encodeURIComponent(`oci://${host}/${repository}`)}`
  assert.equal(await code('team', versions('team/oar')), 200)
  assert.equal(await code('team', versions('other/mast')), 'TOKEN_LIMITED')
  assert.equal(await code('team', versions('team/nothing')), 'NOT_FOUND')
  assert.equal(await code('team', registry), 'TOKEN_LIMITED')
  assert.deepEqual((await ask(bed.app, 'team', { url: '/v1/catalog/registries' })).json().items, [])
  assert.equal((await ask(bed.app, 'whole', { url: '/v1/catalog/registries' })).json().items.length, 1)
  assert.equal(await code('team', `${registry}/refresh`, 'POST', {}), 'TOKEN_LIMITED')
  assert.equal(await code('team', `${registry}/refresh`, 'POST', { repository: 'other/mast' }), 'TOKEN_LIMITED')
  assert.equal(await code('team', `${registry}/refresh`, 'POST', { repository: 'team/oar' }), 202)
  assert.equal(await code('team', `${registry}/refresh`, 'POST', { repository: 'team/../x' }), 'REFERENCE_INVALID')
})
