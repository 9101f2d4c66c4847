import assert from 'node:assert/strict'
import { test } from 'node:test'
import { putArtifact, putIndex, startCatalogue } from '../helpers/catalogue/catalogue-bed.ts'
import { FIXTURES } from '../helpers/packages/fixtures.ts'
import { publishTo } from '../helpers/packages/publishing.ts'
import { registryPrograms, startDockerRegistry } from '../helpers/registries/docker-registry.ts'
import { waitFor } from '../helpers/wait-for.ts'

const CHART = 'application/vnd.cncf.helm.config.v1+json'

for (const program of registryPrograms()) {
  test(`what a registry holds is told as packages: ${program}`, async (t) => {
    const { host } = await startDockerRegistry(t, { program })
    const publish = (path: string, namespace: string, more = {}) =>
      publishTo(t, path, { registry: host, namespace }, more)
    await publish(FIXTURES.nemoAmd64, 'team')
    await publish(FIXTURES.nemoArm64, 'team')
    await publish(FIXTURES.signedNemo, 'signed')
    await publish(FIXTURES.pilotBrass, 'team')
    await publish(FIXTURES.pilotIron, 'team')
    await publish(FIXTURES.init, 'team')
    await publish(FIXTURES.armadaBundle, 'bundles')
    const layers = [Buffer.alloc(1000, 'x')]
    const chart = { name: 'sails', version: '3.1.0', description: 'All\u001b[31m the\n sails' }
    await putArtifact(
      t,
      { host, repository: 'charts/sails', tag: '3.1.0' },
      { configType: CHART, config: chart, layers },
    )
    const created = '2026-03-01T12:00:00Z'
    const images = []
    for (const architecture of ['amd64', 'arm64']) {
      const image = await putArtifact(
        t,
        { host, repository: 'images/oar' },
        { config: { architecture, created }, layers },
      )
      images.push({ ...image, platform: { os: 'linux', architecture } })
    }
    await putIndex(t, { host, repository: 'images/oar', tag: 'v1.0.0' }, images)
    await putIndex(t, { host, repository: 'images/oar', tag: 'latest' }, images)
    await putArtifact(
      t,
      { host, repository: 'things/map', tag: 'chart-of-the-sea' },
      { configType: 'application/vnd.example.map.v1+json', layers },
    )

    const bed = await startCatalogue(t)
    await bed.add(host)
    assert.deepEqual((await bed.search()).registries, [{ host, state: 'waiting', refreshedAt: null, error: null }])
    bed.refresher()
    const state = await bed.refreshed(host)
    assert.deepEqual(
      [state.state, state.repositoryCount, state.tagCount, state.waiting, state.problemCount, state.truncated],
      ['ready', 8, 10, 0, 0, false],
    )
    const { items, nextPageToken } = await bed.search()
    assert.equal(nextPageToken, undefined)
    assert.deepEqual(
      items.map((one) => [one.repository, one.kind, one.name, one.version, one.signed, one.architectures.join()]),
      [
        ['bundles/armada', 'bundle', 'armada', '0.2.0', false, 'amd64'],
        ['charts/sails', 'chart', 'sails', '3.1.0', null, ''],
        ['images/oar', 'image', 'oar', 'v1.0.0', null, 'amd64,arm64'],
        ['signed/nemo', 'package', 'nemo', '1.2.0', true, 'amd64'],
        ['team/init', 'init', 'init', '0.0.9', false, 'amd64'],
        ['team/nemo', 'package', 'nemo', '1.2.0', false, 'amd64,arm64'],
        ['team/pilot', 'package', 'pilot', '2.0.0-rc.7', false, 'amd64'],
        ['things/map', 'other', 'map', null, null, ''],
      ],
    )
    const [, sails, oar, , , nemo, pilot] = items
    assert.equal(sails?.description, 'All [31m the  sails')
    assert.equal(oar?.created, '2026-03-01T12:00:00.000Z')
    assert.equal(oar?.size, 1000 + JSON.stringify({ architecture: 'amd64', created }).length)
    assert.deepEqual(pilot?.flavors, ['brass', 'iron'])
    assert.equal(nemo?.reference, `oci://${host}/team/nemo:1.2.0`)
    assert.ok(nemo?.created)
    const remote = await bed.app.inject(
      `/v1/remote-packages?ref=${encodeURIComponent(`oci://${host}/team/nemo:1.2.0`)}`,
    )
    const looked = remote.json<{ indexDigest: string; digest: string; size: number }>()
    assert.equal(nemo?.digest, looked.indexDigest)
    const { items: tags } = await bed.versions(`oci://${host}/team/nemo`)
    assert.equal(tags.length, 1)
    const own = tags[0]?.architectures.find(({ digest }) => digest === looked.digest)
    assert.equal(own?.size, looked.size)
  })
}

test('search goes by words, name, kind, architecture, flavor, registry and by what is newer', async (t) => {
  const { host } = await startDockerRegistry(t)
  for (const version of ['1.0.0', '1.1.0', '2.0.0-rc.1', '2.0.0', 'v2.1.0', '1.10.0', 'nightly']) {
    const annotations = { 'org.opencontainers.image.description': 'The Great Oar', version }
    await putArtifact(
      t,
      { host, repository: 'team/oar', tag: version },
      { config: { architecture: 'amd64' }, annotations },
    )
  }
  await putArtifact(t, { host, repository: 'team/sail', tag: '2.0.0-uds.1' }, { config: { architecture: 'arm64' } })
  await publishTo(t, FIXTURES.pilotIron, { registry: host, namespace: 'zarf' })
  const bed = await startCatalogue(t)
  bed.refresher()
  await bed.add(host)
  await bed.refreshed(host)
  const names = async (query: string) => (await bed.search(query)).items.map(({ repository }) => repository)
  assert.deepEqual(await names('q=GREAT%20team'), ['team/oar'])
  assert.deepEqual(await names('q=team%20missing'), [])
  assert.deepEqual(await names('name=sail'), ['team/sail'])
  assert.deepEqual(await names('name=sai'), [])
  assert.deepEqual(await names('kind=package'), ['zarf/pilot'])
  assert.deepEqual(await names('architecture=arm64'), ['team/sail'])
  assert.deepEqual(await names('flavor=iron'), ['zarf/pilot'])
  assert.deepEqual(await names('registry=other.example'), [])
  assert.deepEqual(await names(`registry=${host}`), ['team/oar', 'team/sail', 'zarf/pilot'])

  const newer = async (query: string) => (await bed.search(`name=oar&${query}`)).items[0]?.versions
  const [oar] = (await bed.search('name=oar')).items
  assert.deepEqual(oar?.versions, ['v2.1.0', '2.0.0', '2.0.0-rc.1', '1.10.0', '1.1.0', '1.0.0', 'nightly'])
  assert.deepEqual([oar?.version, oar?.tag, oar?.versionCount, oar?.tagCount], ['v2.1.0', 'v2.1.0', 7, 7])
  assert.deepEqual(await newer('newerThan=1.1'), ['v2.1.0', '2.0.0', '1.10.0'])
  assert.deepEqual(await newer('newerThan=v1.10.0&prereleases=true'), ['v2.1.0', '2.0.0', '2.0.0-rc.1'])
  assert.deepEqual(await newer('newerThan=2.0.0-rc.0'), ['v2.1.0', '2.0.0', '2.0.0-rc.1'])
  assert.equal(await newer('newerThan=2.1.0'), undefined)
  assert.deepEqual(await names('newerThan=2.0.0-uds.0'), ['team/oar', 'team/sail'])
  const refused = await bed.app.inject('/v1/catalog?newerThan=nightly')
  assert.deepEqual([refused.statusCode, refused.json().code], [400, 'REQUEST_INVALID'])

  const page = await bed.versions(`oci://${host}/team/oar`, '&pageSize=2&newerThan=1.0.0')
  assert.deepEqual(
    page.items.map(({ tag }) => tag),
    ['v2.1.0', '2.0.0'],
  )
  const next = await bed.versions(
    `oci://${host}/team/oar`,
    `&pageSize=2&newerThan=1.0.0&pageToken=${page.nextPageToken}`,
  )
  assert.deepEqual([next.items.map(({ tag }) => tag), next.nextPageToken], [['1.10.0', '1.1.0'], undefined])

  const seen: string[] = []
  let token = ''
  do {
    const { items, nextPageToken } = await bed.search(`pageSize=1${token}`)
    seen.push(...items.map(({ repository }) => repository))
    token = nextPageToken === undefined ? '' : `&pageToken=${nextPageToken}`
  } while (token !== '')
  assert.deepEqual(seen, ['team/oar', 'team/sail', 'zarf/pilot'])

  const first = await bed.app.inject('/v1/catalog')
  const etag = first.headers.etag as string
  assert.equal((await bed.app.inject({ url: '/v1/catalog', headers: { 'if-none-match': etag } })).statusCode, 304)
})

test('what is the same as before is asked for by one HEAD; what has changed, come and gone is known after a refresh', async (t) => {
  const registry = await startDockerRegistry(t)
  const { host } = registry
  const put = (tag: string, text: string) => putArtifact(t, { host, repository: 'team/oar', tag }, { config: { text } })
  await put('1.0.0', 'a')
  await put('1.1.0', 'b')
  await putArtifact(t, { host, repository: 'team/gone', tag: '1.0.0' })
  const bed = await startCatalogue(t)
  bed.refresher()
  await bed.add(host)
  await bed.refreshed(host)
  const before = registry.logs().length
  await bed.refreshed(host, true)
  const asked = () => registry.logs().slice(before)
  const manifests = await waitFor('the log', () => {
    const found = asked().match(/"(?:GET|HEAD) \/v2\/team\/[a-z]+\/(?:manifests|blobs)\/[^ ]+/g) ?? []
    return found.length >= 3 ? found : undefined
  })
  assert.deepEqual(new Set(manifests.map((line) => line.slice(1, 5))), new Set(['HEAD']))

  await put('1.1.0', 'c')
  await put('1.2.0', 'd')
  const head = await fetch(`${registry.url}/v2/team/gone/manifests/1.0.0`, {
    method: 'HEAD',
    headers: { accept: 'application/vnd.oci.image.manifest.v1+json' },
  })
  const digest = head.headers.get('docker-content-digest')
  assert.equal((await fetch(`${registry.url}/v2/team/gone/manifests/${digest}`, { method: 'DELETE' })).status, 202)
  const old = (await bed.versions(`oci://${host}/team/oar`)).items
  const state = await bed.refreshed(host, true)
  const { items } = await bed.versions(`oci://${host}/team/oar`)
  assert.deepEqual(
    items.map(({ tag }) => tag),
    ['1.2.0', '1.1.0', '1.0.0'],
  )
  assert.notEqual(items[1]?.digest, old[0]?.digest)
  assert.equal(items[2]?.digest, old[1]?.digest)
  assert.deepEqual(
    (await bed.search()).items.map(({ repository }) => repository),
    ['team/oar'],
  )
  assert.deepEqual([state.repositoryCount, state.tagCount], [1, 3])
})
