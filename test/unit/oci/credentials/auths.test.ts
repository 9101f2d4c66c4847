import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { mkdir } from 'node:fs/promises'
import { join } from 'node:path'
import { test } from 'node:test'
import { dockerCredentials } from '../../../../src/oci/credentials/docker-config.ts'
import type { AppError } from '../../../../src/lib/errors.ts'
import type { Cleanup } from '../../../helpers/cleanup.ts'
import { ask, base64, dockerConfig } from '../../../helpers/registries/docker-login.ts'
import { tempDir } from '../../../helpers/temp-dir.ts'

/** Entries whose user is the key. */
const entries = (...keys: string[]) => Object.fromEntries(keys.map((key) => [key, { auth: base64(`${name(key)}:x`) }]))
const name = (key: string) => key.replaceAll(':', '')

const CHOICES: ReadonlyArray<[what: string, keys: string[], place: [string, string], chosen: string | undefined]> = [
  ['the repository', ['q.io', 'q.io/a', 'q.io/a/b'], ['q.io', 'a/b'], 'q.io/a/b'],
  ['the namespace', ['q.io', 'q.io/a', 'q.io/a/b'], ['q.io', 'a/c'], 'q.io/a'],
  ['the host', ['q.io/a/b', 'q.io/a', 'q.io'], ['q.io', 'b/a'], 'q.io'],
  ['no part of a name', ['q.io/te'], ['q.io', 'team/app'], undefined],
  ['no other namespace', ['q.io/one', 'q.io/two'], ['q.io', 'three/app'], undefined],
  ['no longer name', ['q.io/a/b/c'], ['q.io', 'a/b'], undefined],
  ['an end with a slash', ['q.io/a/', 'q.io'], ['q.io', 'a/b'], 'q.io/a/'],
  ['a host in capitals', ['Q.IO/a', 'q.io'], ['q.io', 'a/b'], 'Q.IO/a'],
  ['a scheme before a namespace', ['https://q.io/a', 'http://q.io'], ['q.io', 'a/b'], 'https://q.io/a'],
  ['https and a slash', ['https://q.io/'], ['q.io', 'a/b'], 'https://q.io/'],
  ['http and the first API', ['http://q.io/v1/'], ['q.io', 'a/b'], 'http://q.io/v1/'],
  ['the second API', ['https://q.io/v2/'], ['q.io', 'a/b'], 'https://q.io/v2/'],
  ['the API without a scheme', ['q.io/v2'], ['q.io', 'a/b'], 'q.io/v2'],
  [
    'a namespace of Docker Hub',
    ['docker.io/team', 'https://index.docker.io/v1/'],
    ['docker.io', 'team/a'],
    'docker.io/team',
  ],
  [
    'Docker Hub',
    ['docker.io/team', 'https://index.docker.io/v1/'],
    ['docker.io', 'a/b'],
    'https://index.docker.io/v1/',
  ],
  [
    "not what Docker's log-in by browser keeps",
    ['https://index.docker.io/v1/access-token'],
    ['docker.io', 'a/b'],
    undefined,
  ],
  ['a port', ['q.io/a', 'q.io:5000/a'], ['q.io:5000', 'a/b'], 'q.io:5000/a'],
  ['IPv6', ['[::1]:5000', '[::1]:5000/a'], ['[::1]:5000', 'a/b'], '[::1]:5000/a'],
]

for (const [what, keys, [registry, repository], chosen] of CHOICES) {
  test(`the longest key of auths that begins the repository holds: ${what}`, async (t) => {
    const env = { DOCKER_CONFIG: await dockerConfig(t, { auths: entries(...keys) }) }
    const found = await ask(dockerCredentials({ env }), registry, { repository })
    const expected = chosen && { kind: 'basic', username: name(chosen), password: 'x' }
    assert.deepEqual(found, expected)
  })
}

for (const [what, entry] of [
  ['null', null],
  ['{}', {}],
  ['an empty auth', { auth: '' }],
  ['null in auth', { auth: null, email: 'a@b' }],
] as const) {
  test(`an entry that holds ${what} leaves it to the next longer key, else to nobody`, async (t) => {
    const auths = { 'q.io/a': entry, ...entries('q.io') }
    const provider = dockerCredentials({ env: { DOCKER_CONFIG: await dockerConfig(t, { auths }) } })
    assert.deepEqual(await ask(provider, 'q.io', { repository: 'a/b' }), {
      kind: 'basic',
      username: 'q.io',
      password: 'x',
    })
    const alone = dockerCredentials({ env: { DOCKER_CONFIG: await dockerConfig(t, { auths: { 'q.io/a': entry } }) } })
    assert.equal(await ask(alone, 'q.io', { repository: 'a/b' }), undefined)
  })
}

test('an identity token counts beside an empty auth', async (t) => {
  const auths = { 'q.io': { auth: '', identitytoken: 'token' } }
  const provider = dockerCredentials({ env: { DOCKER_CONFIG: await dockerConfig(t, { auths }) } })
  assert.deepEqual(await ask(provider, 'q.io'), { kind: 'identity', username: '', token: 'token' })
})

test('an entry is read once the registry asks, and another one hurts nobody', async (t) => {
  const auths = {
    'q.io': { auth: 'secret' },
    'r.io': { auth: 7 },
    's.io': 'secret',
    ...entries('good.io'),
    't.io': { registrytoken: 'sec\nret' },
  }
  const provider = dockerCredentials({ env: { DOCKER_CONFIG: await dockerConfig(t, { auths }) } })
  assert.ok(await ask(provider, 'good.io'))
  for (const [registry, why] of [
    ['q.io', /entry "q\.io" of auths is not base64 of user:password/],
    ['r.io', /"auth" in the entry "r\.io" of auths is not a text/],
    ['s.io', /entry "s\.io" of auths is not an object/],
    ['t.io', /"registrytoken" in the entry "t\.io" of auths holds what a header cannot carry/],
  ] as const) {
    const entry = await provider.find({ registry, repository: 'a/b' })
    await assert.rejects(async () => entry?.credential(new AbortController().signal), {
      code: 'CREDENTIALS_INVALID',
      message: why,
    })
  }
})

/** Makes what stands in the place of config.json. */
type Make = (t: Cleanup) => Promise<string>
const written =
  (content: string | Buffer): Make =>
  (t) =>
    dockerConfig(t, content)
const special =
  (make: (path: string) => unknown): Make =>
  async (t) => {
    const folder = await tempDir(t, 'docker-config')
    await make(join(folder, 'config.json'))
    return folder
  }

const BROKEN: ReadonlyArray<[what: string, make: Make, why: RegExp]> = [
  ['comments', written('{\n  // secret\n  "auths": {}\n}'), /it is not JSON \(line 2: a comment\)/],
  ['a comment at the end of a line', written('{"auths": {}, /* secret */\n}'), /not JSON \(line 1: a comment\)/],
  [
    'a comma too many',
    written('{"auths": {\n"q.io": {"auth": "secret"},\n}}'),
    /not JSON \(line 3: a comma too many\)/,
  ],
  ['a missing comma', written('{"credsStore": "secret"\n"auths": {}}'), /not JSON \(line 2\)/],
  ['half of it', written('{\n"auths": {\n"secret'), /not JSON \(line 3\)/],
  ['a BOM and no JSON', written('\uFEFF{\n"secret"}'), /not JSON \(line 2\)/],
  ['UTF-16', written(Buffer.from('\uFEFF{"auths":{}}', 'utf16le')), /UTF-16/],
  ['a list', written('["secret"]'), /not a JSON object/],
  ['auths as a list', written('{"auths": ["secret"]}'), /its auths is not an object/],
  ['credHelpers as a text', written('{"credHelpers": "secret"}'), /its credHelpers is not an object/],
  ['a helper that is a number', written('{"credHelpers": {"q.io": 7}}'), /"q\.io" of credHelpers is not a text/],
  ['credsStore as an object', written('{"credsStore": {"secret": 1}}'), /its credsStore is not a text/],
  ['more than a MiB', written(`{"secret": "${'x'.repeat(1024 * 1024)}"}`), /larger than 1048576 bytes/],
  ['a folder in its place', special((path) => mkdir(path)), /it is a folder/],
  ['a pipe in its place', special((path) => execFileSync('mkfifo', [path])), /not a regular file/],
]

for (const [what, make, why] of BROKEN) {
  test(`a config.json with ${what} is told by its name before any registry is asked, without its content`, async (t) => {
    const folder = await make(t)
    const provider = dockerCredentials({ env: { DOCKER_CONFIG: folder } })
    await assert.rejects(provider.find({ registry: 'q.io', repository: 'a/b' }), (error: AppError) => {
      assert.equal(error.code, 'CREDENTIALS_INVALID')
      assert.equal(error.retry, 'permanent')
      assert.match(error.message, why)
      assert.ok(error.message.includes(join(folder, 'config.json')))
      assert.doesNotMatch(`${error.message} ${error.hint} ${String(error.cause)}`, /secret/)
      return true
    })
  })
}

test('a config.json with a BOM is read', async (t) => {
  const folder = await dockerConfig(t, `\uFEFF${JSON.stringify({ auths: entries('q.io') })}`)
  assert.ok(await ask(dockerCredentials({ env: { DOCKER_CONFIG: folder } }), 'q.io'))
})

test('repositories are known to share a credential, or not, before it is looked up', async (t) => {
  const same = { auth: base64('ann:x') }
  const auths = { 'q.io/a': same, 'q.io/b': same, 'q.io/c': { auth: base64('bob:x') } }
  const provider = dockerCredentials({ env: { DOCKER_CONFIG: await dockerConfig(t, { auths }) } })
  const ids = await Promise.all(
    ['a/1', 'a/2', 'b/1', 'c/1', 'd/1'].map(
      async (repository) => (await provider.find({ registry: 'q.io', repository }))?.id,
    ),
  )
  assert.deepEqual(
    ids.map((id) => ids.indexOf(id)),
    [0, 0, 0, 3, 4],
  )
  assert.equal(ids[4], undefined)
})
