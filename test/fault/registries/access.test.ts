import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { AppError } from '../../../src/lib/errors.ts'
import type { Repository } from '../../../src/oci/registry.ts'
import { type ProfileName, PROFILE_NAMES } from '../../helpers/registries/kit/profiles.ts'
import { profileScene, REPOSITORY, USER } from '../../helpers/registries/kit/scene.ts'
import { someBytes, testBlob } from '../../helpers/registries/oci-client.ts'

const { signal } = new AbortController()
const HOUR = 3_600_000

function push(repository: Repository, seed = 1, bytes = 100_000) {
  const blob = testBlob(someBytes(bytes, seed))
  return repository.push(blob.descriptor, blob.open, { signal })
}

/** Rejects so, and for good. */
const failsAs = (code: string, says: RegExp) => (error: AppError) => {
  assert.deepEqual([error.code, error.retry], [code, 'permanent'], error.stack)
  assert.match(`${error.message} ${error.hint}`, says)
  return true
}

const LOGGED_IN = PROFILE_NAMES.filter((name) => !['zot', 'dist28', 'dist3'].includes(name))

for (const name of LOGGED_IN) {
  test(`${name}: a wrong password is told as one, and asked with no more than twice`, async (t) => {
    const { registry, repository } = await profileScene(t, name, { password: () => 'a wrong password' })
    await assert.rejects(push(await repository()), failsAs('REGISTRY_UNAUTHORIZED', /did not take the user "AWS"|log/i))
    const shown = registry.requests.filter(({ headers }) => /^basic/i.test(headers.authorization ?? ''))
    assert.ok(shown.length <= 2, `${shown.length} requests with the password`)
  })
}

/** Where the right is missing, and what says so. Source: registries.md 2 to 17. */
const DENIED: Partial<Record<ProfileName, string>> = {
  ghcr: 'assumption:ghcr:2',
  gar: 'assumption:gar:2',
  nexus: 'assumption:nexus:denied',
}
for (const name of LOGGED_IN) {
  const assumed = DENIED[name] === undefined ? '' : ` [${DENIED[name]}]`
  test(`${name}: who may only read is told of rights before a byte moves${assumed}`, async (t) => {
    const rights = (_user: unknown, _repository: string, action: string) => action === 'pull'
    const { repository, sent } = await profileScene(t, name, { rights })
    const target = await repository()
    await assert.rejects(target.preparePush({ signal }), failsAs('REGISTRY_DENIED', /right/))
    assert.equal(sent(), 0)
  })
}

for (const name of LOGGED_IN.filter((name) => !['ecr', 'nexus', 'cloudflare'].includes(name))) {
  test(`${name}: a token that has run out between two requests is replaced by one more`, async (t) => {
    const { registry, repository } = await profileScene(t, name)
    const target = await repository()
    await push(target)
    registry.advance(10 * HOUR)
    await push(target, 2)
    await push(target, 3)
    assert.equal(registry.tokens?.requests.length, 2)
  })
}

// registries.md 20.2 (1): 403 DENIED, and not a 401.
test('ecr: a password that has run out is looked up again; without a new one the failure says what to do [assumption:ecr:1]', async (t) => {
  const passwords = [USER.password]
  const { registry, repository } = await profileScene(t, 'ecr', { password: () => passwords.at(-1) })
  const target = await repository()
  await push(target)
  registry.expirePasswords()
  await assert.rejects(push(target, 2), failsAs('REGISTRY_UNAUTHORIZED', /has run out: get a new one/))
  passwords.push('the next password')
  registry.users[USER.username] = 'the next password'
  await push(target, 3)
})

// registries.md 20.4 (1, 2, 7).
test('harbor: a token that has run out is answered with Basic, and the next request comes with a token again', async (t) => {
  const { registry, repository } = await profileScene(t, 'harbor')
  const target = await repository()
  await push(target)
  registry.advance(HOUR)
  await push(target, 2)
  const shown = registry.requests.filter(({ origin, headers }) => origin === 'registry' && headers.authorization)
  assert.ok(shown.every(({ headers }) => headers.authorization?.startsWith('Bearer ')))
})

test('harbor: a project that is not there is an empty challenge, and the failure says so', async (t) => {
  const { repository } = await profileScene(t, 'harbor', { names: ['elsewhere'] })
  const target = await repository()
  await assert.rejects(target.preparePush({ signal }), failsAs('REGISTRY_UNAUTHORIZED', /project may not exist/))
})

// registries.md 20.5 (1): its tokens know pull, push and * alone.
test('quay: nothing is asked for that it does not know, also where an upload is given up', async (t) => {
  const { registry, repository } = await profileScene(t, 'quay')
  const target = await repository()
  await target.preparePush({ signal })
  await target.releasePush()
  const asked = registry.tokens?.requests.flatMap(({ scopes }) => scopes) ?? []
  assert.ok(asked.length > 0)
  for (const scope of asked) assert.match(scope, /:(?:pull|push|pull,push)$/)
  assert.deepEqual(registry.sessions(), [])
})

// registries.md 20.6 (1).
test('acr: a list of tags asks for the right that its challenge names', async (t) => {
  const { registry, repository } = await profileScene(t, 'acr')
  const target = await repository()
  await push(target)
  registry.manifests.put(REPOSITORY, '1.0.0', 'application/vnd.oci.image.manifest.v1+json', Buffer.from('{}'))
  assert.deepEqual(await target.tags({ signal }), ['1.0.0'])
  const asked = registry.tokens?.requests.at(-1)?.scopes.join(' ') ?? ''
  assert.match(asked, /metadata_read/)
})

test('acr: the order of the actions in a challenge costs no token', async (t) => {
  const { registry, repository } = await profileScene(t, 'acr')
  const target = await repository()
  await push(target)
  await push(target, 2)
  assert.equal(registry.tokens?.requests.length, 1)
})

// registries.md 20.7 (1), 10, 13, 22: token services that take no POST.
for (const name of ['gar', 'acr', 'artifactory', 'pulp'] as const) {
  test(`${name}: its token service is asked by GET where there is a user`, async (t) => {
    const { registry, repository } = await profileScene(t, name)
    await push(await repository())
    assert.deepEqual(
      registry.tokens?.requests.map(({ method }) => method),
      ['GET'],
    )
  })
}

// registries.md 16: scope "*" and two challenges.
test('gitea: the scope of its challenge and our own go into one token', async (t) => {
  const { registry, repository } = await profileScene(t, 'gitea')
  const target = await repository()
  await push(target)
  await push(target, 2)
  assert.equal(registry.tokens?.requests.length, 1)
})

for (const name of ['harbor', 'dockerhub'] as const) {
  test(`${name}: a token that runs out while a layer is sent costs no byte`, async (t) => {
    const { registry, repository, sent } = await profileScene(t, name)
    const blob = testBlob(someBytes(9 * 1024 * 1024))
    const target = await repository()
    let expired = false
    await target.push(blob.descriptor, blob.open, {
      signal,
      onEvent(event) {
        // By then the registry has let the request in.
        if (event.type !== 'bytes' || event.offset < blob.bytes.length / 2 || expired) return
        expired = true
        registry.advance(10 * HOUR)
      },
    })
    assert.equal(sent(), blob.bytes.length)
    assert.equal(registry.tokens?.requests.length, 2)
  })
}
