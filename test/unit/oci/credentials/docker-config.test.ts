import assert from 'node:assert/strict'
import { mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { test } from 'node:test'
import { dockerCredentials } from '../../../../src/oci/credentials/docker-config.ts'
import { fixedCredentials } from '../../../../src/oci/credentials/fixed.ts'
import { chainProviders, type RegistryCredential } from '../../../../src/oci/credentials/provider.ts'
import type { Cleanup } from '../../../helpers/cleanup.ts'
import { ask, base64, credentialHelper, dockerConfig } from '../../../helpers/registries/docker-login.ts'
import { tempDir } from '../../../helpers/temp-dir.ts'

const ann: RegistryCredential = { kind: 'basic', username: 'ann', password: 'p:w' }

/** Looks a registry up in a config.json of this content. */
async function lookUp(t: Cleanup, config: unknown, registry: string, env: Record<string, string> = {}) {
  const folder = await dockerConfig(t, config)
  return await ask(dockerCredentials({ env: { DOCKER_CONFIG: folder, ...env } }), registry)
}

const AUTHS: ReadonlyArray<[name: string, auths: unknown, registry: string, expected: RegistryCredential | undefined]> =
  [
    [
      'user and password in auth, a colon in the password',
      { 'a.example': { auth: base64('ann:p:w') } },
      'a.example',
      ann,
    ],
    ['NULs after the password', { 'a.example': { auth: base64('ann:p:w\0\0') } }, 'a.example', ann],
    ['user and password in clear', { 'a.example': { username: 'ann', password: 'p:w' } }, 'a.example', ann],
    [
      'an identity token beside auth',
      { 'a.example': { auth: base64('ann:'), identitytoken: 't' } },
      'a.example',
      { kind: 'identity', username: 'ann', token: 't' },
    ],
    ['a registry token', { 'a.example': { registrytoken: 't' } }, 'a.example', { kind: 'bearer', token: 't' }],
    [
      'the user <token>',
      { 'a.example': { auth: base64('<token>:t') } },
      'a.example',
      { kind: 'identity', username: '<token>', token: 't' },
    ],
    [
      'a key with scheme and path',
      { 'https://A.example:5000/v1/': { auth: base64('ann:p:w') } },
      'a.example:5000',
      ann,
    ],
    [
      'the exact key before one that means the same',
      { 'https://a.example': { auth: base64('bob:x') }, 'a.example': { auth: base64('ann:p:w') } },
      'a.example',
      ann,
    ],
    ['null beside a password', { 'a.example': { auth: base64('ann:p:w'), identitytoken: null } }, 'a.example', ann],
    ['an entry of null', { 'a.example': null }, 'a.example', undefined],
    ['no entries', null, 'a.example', undefined],
    ['another port is another registry', { 'a.example:5000': { auth: base64('ann:p:w') } }, 'a.example', undefined],
    ['no host is matched by its end', { 'example.com': { auth: base64('ann:p:w') } }, 'evilexample.com', undefined],
    ['Docker Hub', { 'https://index.docker.io/v1/': { auth: base64('ann:p:w') } }, 'docker.io', ann],
    [
      'Docker Hub under another of its names',
      { 'registry-1.docker.io': { auth: base64('ann:p:w') } },
      'docker.io',
      ann,
    ],
    ['an entry that only marks a log-in', { 'a.example': {} }, 'a.example', undefined],
    ['a name that every object has', {}, 'constructor', undefined],
  ]

for (const [name, auths, registry, expected] of AUTHS) {
  test(`auths: ${name}`, async (t) => assert.deepEqual(await lookUp(t, { auths }, registry), expected))
}

for (const [name, config] of [
  ['is not JSON', '{"auths": "secret'],
  ['is not an object', '[]'],
  ['has an entry that is not an object', { auths: { 'a.example': 'secret' } }],
  ['has an auth without a user', { auths: { 'a.example': { auth: base64(':secret') } } }],
  ['has an auth that is not base64 of a pair', { auths: { 'a.example': { auth: 'secret' } } }],
] as const) {
  test(`a config.json that ${name} is told, without its content`, async (t) => {
    await assert.rejects(lookUp(t, config, 'a.example'), (error: Error & { code: string }) => {
      assert.equal(error.code, 'CREDENTIALS_INVALID')
      assert.match(error.message, /config\.json/)
      assert.doesNotMatch(`${error.message} ${String(error.cause)}`, /secret/)
      return true
    })
  })
}

test('without a config.json everything is anonymous; a new one counts at once', async (t) => {
  const home = await tempDir(t, 'home')
  const provider = dockerCredentials({ env: { HOME: home } })
  assert.equal(await ask(provider, 'a.example'), undefined)
  await mkdir(join(home, '.docker'))
  await writeFile(
    join(home, '.docker', 'config.json'),
    JSON.stringify({ auths: { 'a.example': { auth: base64('ann:p:w') } } }),
  )
  assert.deepEqual(await ask(provider, 'a.example'), ann)
})

test('DOCKER_AUTH_CONFIG comes before the file', async (t) => {
  const inline = JSON.stringify({ auths: { 'a.example': { auth: base64('ann:p:w') } } })
  const config = { auths: { 'a.example': { auth: base64('bob:x') }, 'b.example': { auth: base64('bob:x') } } }
  const env = { DOCKER_AUTH_CONFIG: inline }
  assert.deepEqual(await lookUp(t, config, 'a.example', env), ann)
  assert.deepEqual(await lookUp(t, config, 'b.example', env), { kind: 'basic', username: 'bob', password: 'x' })
})

test('a helper is asked on its standard input, and sees nothing of our settings', async (t) => {
  const PATH = await credentialHelper(
    t,
    'read -r url || true; printf \'{"ServerURL":"%s","Username":"%s","Secret":"%s"}\' "$url" "$url $1" "$LAYERD_SECRET$AWS_REGION"',
  )
  const env = { PATH, LAYERD_SECRET: 'ours', AWS_REGION: 'theirs' }
  const config = { credsStore: 'other', credHelpers: { 'a.example': 'test' } }
  assert.deepEqual(await lookUp(t, config, 'a.example', env), {
    kind: 'basic',
    username: 'a.example get',
    password: 'theirs',
  })
})

test('credsStore is asked for Docker Hub by the name it was stored under', async (t) => {
  const PATH = await credentialHelper(t, 'read -r url || true; printf \'{"Username":"<token>","Secret":"%s"}\' "$url"')
  assert.deepEqual(await lookUp(t, { credsStore: 'test' }, 'docker.io', { PATH }), {
    kind: 'identity',
    username: '<token>',
    token: 'https://index.docker.io/v1/',
  })
})

test('auth.helper-not-found-is-anonymous: a helper that has none leaves it to auths, else to anonymous', async (t) => {
  const PATH = await credentialHelper(t, 'echo credentials not found in native keychain; exit 1')
  assert.equal(await lookUp(t, { credsStore: 'test' }, 'a.example', { PATH }), undefined)
  const auths = { 'a.example': { auth: base64('ann:p:w') } }
  assert.deepEqual(await lookUp(t, { credsStore: 'test', auths }, 'a.example', { PATH }), ann)
})

for (const [name, script, why] of [
  ['fails', 'echo secret; exit 3', /status 3/],
  ['answers nonsense', 'echo secret', /did not answer/],
  ['answers without a secret', 'echo \'{"Username":"secret"}\'', /did not answer/],
  ['prints without end', 'while :; do echo secretsecretsecretsecret; done', /65536 bytes/],
  ['hangs', 'exec sleep 60', /longer than 300 ms/],
] as const) {
  test(`a helper that ${name} is told, without what it printed`, async (t) => {
    const folder = await dockerConfig(t, { credsStore: 'test' })
    const env = { DOCKER_CONFIG: folder, PATH: await credentialHelper(t, script) }
    const provider = dockerCredentials({ env, helperTimeoutMs: name === 'hangs' ? 300 : 10_000 })
    await assert.rejects(ask(provider, 'a.example'), (error: Error & { code: string }) => {
      assert.equal(error.code, 'CREDENTIALS_INVALID')
      assert.match(error.message, why)
      assert.doesNotMatch(error.message, /secret/)
      return true
    })
  })
}

test('a helper that is not there, or whose name is a path, is told', async (t) => {
  const env = { PATH: '/nowhere' }
  await assert.rejects(lookUp(t, { credsStore: 'test' }, 'a.example', env), {
    code: 'CREDENTIALS_INVALID',
    message: /no such program/,
  })
  await assert.rejects(lookUp(t, { credsStore: '../bin/sh' }, 'a.example', env), {
    code: 'CREDENTIALS_INVALID',
    message: /its name/,
  })
})

test('a canceled job ends its helper', async (t) => {
  const folder = await dockerConfig(t, { credsStore: 'test' })
  const env = { DOCKER_CONFIG: folder, PATH: await credentialHelper(t, 'exec sleep 60') }
  const controller = new AbortController()
  const looking = ask(dockerCredentials({ env }), 'a.example', { signal: controller.signal })
  setImmediate(() => controller.abort())
  await assert.rejects(looking, { code: 'JOB_CANCELED' })
})

test("a job's own credential is for its registry alone, and comes before Docker's", async () => {
  const own = fixedCredentials('docker.io', { username: 'job', password: 'x' })
  const rest = fixedCredentials('registry-1.docker.io', { registryToken: 't' })
  const other = fixedCredentials('a.example', { username: '', identityToken: 'i' })
  const chain = chainProviders(own, rest, other)
  assert.deepEqual(await ask(chain, 'index.docker.io'), { kind: 'basic', username: 'job', password: 'x' })
  assert.deepEqual(await ask(chain, 'a.example'), { kind: 'identity', username: '', token: 'i' })
  assert.equal(await ask(chain, 'b.example'), undefined)
})

test('a file that holds nothing has no credentials', async (t) => {
  for (const text of ['', '\n', '  \r\n', '\uFEFF', 'null', '\uFEFFnull\n', '{}']) {
    assert.equal(await lookUp(t, text, 'a.example'), undefined, JSON.stringify(text))
  }
})
