import assert from 'node:assert/strict'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { test } from 'node:test'
import { loadConfig, requireSafeListen } from '../../../src/config/config.ts'
import { isLoopback, parseListen } from '../../../src/config/listen.ts'
import { tempDir } from '../../helpers/temp-dir.ts'

const HOME = { HOME: '/home/somebody' }

test('without any setting every default holds', () => {
  const { workers, ...config } = loadConfig(HOME)
  assert.ok(workers >= 1 && workers <= 4)
  assert.deepEqual(config, {
    listen: { host: '127.0.0.1', port: 8420 },
    publicUrl: undefined,
    dataDir: '/home/somebody/.local/share/layerd',
    redisUrl: undefined,
    redisPrefix: 'layerd',
    redisServer: undefined,
    secretKeyFile: '/home/somebody/.local/share/layerd/secret.key',
    storeMaxBytes: undefined,
    diskReserve: undefined,
    fileRoots: ['/home/somebody/.local/share/layerd/packages'],
    tokensFile: undefined,
    oidc: undefined,
    policyFile: undefined,
    trustedRoots: undefined,
    rates: { perPrincipal: 6000, perAddress: 600 },
    auditEntries: 10_000,
    auditFile: undefined,
    apiHeapBytes: undefined,
    workerHeapBytes: undefined,
    jobsPerWorker: 4,
    registryJobs: 8,
    maxHosts: 1000,
    maxJobs: 20_000,
    redisMaxMemory: undefined,
    catalogLimits: { requestsPerSecond: 20, tags: 100_000 },
    uploadsPerPrincipal: 32,
    zstdWindowBytes: 128 * 1024 ** 2,
    zarf: undefined,
    plainHttpRegistries: [],
    outbound: { allowed: undefined, named: [], callersChoose: undefined },
    logFormat: undefined,
    logLevel: 'info',
    url: 'http://127.0.0.1:8420',
    workerListen: undefined,
    token: undefined,
  })
})

test('the configuration cannot be changed', () => {
  const config = loadConfig(HOME)
  assert.ok(Object.isFrozen(config) && Object.isFrozen(config.fileRoots))
})

test('the data directory follows XDG_DATA_HOME when that is absolute', () => {
  assert.equal(loadConfig({ ...HOME, XDG_DATA_HOME: '/data' }).dataDir, '/data/layerd')
  assert.equal(loadConfig({ ...HOME, XDG_DATA_HOME: 'data' }).dataDir, '/home/somebody/.local/share/layerd')
})

test('lists are split, trimmed and brought into one form', () => {
  const config = loadConfig({
    ...HOME,
    LAYERD_FILE_ROOTS: '/a/: /b/../c ::',
    LAYERD_PLAIN_HTTP_REGISTRIES: ' Registry:5000, 10.0.0.1 ,[::1]:5000,',
  })
  assert.deepEqual(config.fileRoots, ['/a', '/c'])
  assert.deepEqual(config.plainHttpRegistries, ['registry:5000', '10.0.0.1', '[::1]:5000'])
})

test('who may be spoken to is read from three settings, and two that say the opposite are refused', () => {
  const { outbound } = loadConfig({
    ...HOME,
    LAYERD_ALLOWED_REGISTRIES: 'GHCR.io, *.Corp:8443',
    LAYERD_ALLOW_PRIVATE: 'Harbor.corp:8443',
    LAYERD_PLAIN_HTTP_REGISTRIES: 'registry:5000',
    LAYERD_DENY_PRIVATE: 'TRUE',
  })
  assert.deepEqual(outbound, {
    allowed: ['ghcr.io', '*.corp:8443'],
    named: ['registry:5000', 'harbor.corp:8443'],
    callersChoose: false,
  })
  assert.equal(loadConfig({ ...HOME, LAYERD_ALLOW_PRIVATE: 'yes' }).outbound.callersChoose, true)
  const both = { ...HOME, LAYERD_ALLOW_PRIVATE: 'true', LAYERD_DENY_PRIVATE: 'true' }
  assert.throws(() => loadConfig(both), {
    code: 'CONFIG_INVALID',
    message: /^LAYERD_DENY_PRIVATE .*LAYERD_ALLOW_PRIVATE/,
  })
})

test('an empty variable counts as not set', () => {
  const config = loadConfig({ ...HOME, LAYERD_JOBS_PER_WORKER: '', LAYERD_REDIS_URL: '' })
  assert.equal(config.jobsPerWorker, 4)
  assert.equal(config.redisUrl, undefined)
})

test('no worker processes is a valid choice', () => {
  assert.equal(loadConfig({ ...HOME, LAYERD_WORKERS: '0' }).workers, 0)
})

const WRONG: ReadonlyArray<readonly [name: string, value: string, said: RegExp]> = [
  ['LAYERD_WORKERS', 'many', /is "many": must be a whole number, 0 to 256/],
  ['LAYERD_WORKERS', '-1', /is "-1": must be a whole number, 0 to 256/],
  ['LAYERD_API_HEAP', '63MiB', /is "63MiB": must be 64MiB or more/],
  ['LAYERD_WORKER_HEAP', 'much', /is "much": must be a number of bytes/],
  ['LAYERD_REDIS_MAXMEMORY', '15MiB', /is "15MiB": must be 16MiB or more/],
  ['LAYERD_MAX_JOBS', '0', /is "0": must be a whole number, 1 to 200000/],
  ['LAYERD_WORKERS', '2.5', /is "2.5": must be a whole number/],
  ['LAYERD_JOBS_PER_WORKER', '0', /is "0": must be a whole number, 1 to 256/],
  ['LAYERD_UPLOADS_PER_PRINCIPAL', '0', /is "0": must be a whole number, 1 to 10000/],
  ['LAYERD_REGISTRY_JOBS', '1e3', /is "1e3": must be a whole number/],
  ['LAYERD_MAX_HOSTS', '0', /is "0": must be a whole number, 1 to 100000/],
  ['LAYERD_STORE_MAX_BYTES', '10GX', /is "10GX": must be a number of bytes, such as 10GB or 512MiB/],
  ['LAYERD_STORE_MAX_BYTES', '0', /is "0": must be a number of bytes/],
  ['LAYERD_STORE_MAX_BYTES', '-1GB', /is "-1GB": must be a number of bytes/],
  ['LAYERD_STORE_MAX_BYTES', '99999999TB', /must be a number of bytes/],
  ['LAYERD_DISK_RESERVE', '5%', /is "5%": must be a number of bytes, such as 10GB or 512MiB/],
  ['LAYERD_LOG_LEVEL', 'loud', /is "loud": must be one of trace, debug, info/],
  ['LAYERD_LISTEN', '8420', /is "8420": must be host:port or \[address\]:port/],
  ['LAYERD_LISTEN', 'localhost:99999', /must be host:port/],
  ['LAYERD_PUBLIC_URL', 'layerd.example', /must be a URL that begins with http:\/\/ or https:\/\//],
  ['LAYERD_REDIS_PREFIX', 'a{b}', /is "a\{b\}": must be: Hash tag/],
  ['LAYERD_FILE_ROOTS', '/a:b', /is "b": each folder must be an absolute path/],
  ['LAYERD_PLAIN_HTTP_REGISTRIES', 'http://a', /is "http:\/\/a": each entry must be host or host:port/],
  ['LAYERD_ALLOWED_REGISTRIES', 'a,*', /is "\*": each entry must be host or host:port/],
  ['LAYERD_ALLOWED_REGISTRIES', 'a.*.b', /is "a\.\*\.b": each entry must be host or host:port/],
  ['LAYERD_ALLOW_PRIVATE', '*.corp', /is "\*\.corp": each entry must be host or host:port/],
  ['LAYERD_ZSTD_WINDOW', '7MiB', /is "7MiB": must be 8MiB to 2GiB/],
  ['LAYERD_ZSTD_WINDOW', '3GiB', /is "3GiB": must be 8MiB to 2GiB/],
  ['LAYERD_DENY_PRIVATE', 'some', /is "some": must be true or false/],
]

for (const [name, value, said] of WRONG) {
  test(`${name}=${value} is refused with its name and what is wrong`, () => {
    assert.throws(
      () => loadConfig({ ...HOME, [name]: value }),
      (error: Error & { code: string }) => {
        assert.equal(error.code, 'CONFIG_INVALID')
        assert.ok(error.message.startsWith(name), error.message)
        assert.match(error.message, said)
        return true
      },
    )
  })
}

test('a percent sign in the Redis password that begins no escape is told, and the password is not', () => {
  assert.throws(
    () => loadConfig({ ...HOME, LAYERD_REDIS_URL: 'redis://:50%geheim@host' }),
    (error: Error) => /^LAYERD_REDIS_URL: .*%25/.test(error.message) && !error.message.includes('geheim'),
  )
})

test('a secret has no line end, whether it comes from a file or a variable', () => {
  assert.equal(loadConfig({ ...HOME, LAYERD_TOKEN: ' abc\r\n' }).token, 'abc')
  assert.equal(loadConfig({ ...HOME, LAYERD_TOKEN: '\n' }).token, undefined)
})

test('a token that no header can hold is refused by its name', () => {
  for (const token of ['a\nb', 'a b', 'schlüssel', 'a\u0000']) {
    assert.throws(
      () => loadConfig({ ...HOME, LAYERD_TOKEN: token }),
      (error: Error) => error.message.startsWith('LAYERD_TOKEN: ') && !error.message.includes(token),
    )
  }
})

test('the reserve of the disk may be nothing', () => {
  const reserve = (text: string) => loadConfig({ ...HOME, LAYERD_DISK_RESERVE: text }).diskReserve
  assert.deepEqual(['', '0', '2GiB'].map(reserve), [undefined, 0, 2 * 2 ** 30])
})

test('sizes take units', () => {
  const bytes = (text: string) => loadConfig({ ...HOME, LAYERD_STORE_MAX_BYTES: text }).storeMaxBytes
  assert.deepEqual(['5', '10GB', '512MiB', '1.5 TiB', '3k', '7b', '2 Gi'].map(bytes), [
    5,
    10e9,
    512 * 2 ** 20,
    1.5 * 2 ** 40,
    3000,
    7,
    2 * 2 ** 30,
  ])
})

test('a refused Redis URL is not repeated, for it may hold a password', () => {
  for (const url of [
    'http://user:geheim@host',
    'redis:geheim@host',
    'redis:/geheim@host',
    'redis://:geheim@host:port',
  ]) {
    assert.throws(
      () => loadConfig({ ...HOME, LAYERD_REDIS_URL: url }),
      (error: Error) => /LAYERD_REDIS_URL: must be/.test(error.message) && !error.message.includes('geheim'),
      url,
    )
  }
})

test('a secret comes from the file that NAME_FILE names', async (t) => {
  const file = join(await tempDir(t), 'url')
  await writeFile(file, 'rediss://:secret@redis:6379/1\n')
  assert.equal(loadConfig({ ...HOME, LAYERD_REDIS_URL_FILE: file }).redisUrl, 'rediss://:secret@redis:6379/1')
})

test('NAME and NAME_FILE together are refused, and so is a file that is not there', () => {
  const env = { ...HOME, LAYERD_TOKEN: 'a', LAYERD_TOKEN_FILE: '/nowhere/token' }
  assert.throws(() => loadConfig(env), /LAYERD_TOKEN and LAYERD_TOKEN_FILE are both set/)
  assert.throws(
    () => loadConfig({ ...env, LAYERD_TOKEN: '' }),
    /LAYERD_TOKEN_FILE: \/nowhere\/token cannot be read \(ENOENT\)/,
  )
})

test('another address than loopback needs a token file, or an issuer', () => {
  const open = { ...HOME, LAYERD_LISTEN: '0.0.0.0:8420' }
  assert.throws(
    () => requireSafeListen(loadConfig(open)),
    /LAYERD_LISTEN: 0\.0\.0\.0 .* neither LAYERD_TOKENS_FILE nor LAYERD_OIDC_ISSUER is set/,
  )
  requireSafeListen(loadConfig({ ...open, LAYERD_TOKENS_FILE: '/etc/layerd/tokens' }))
  const issuer = { LAYERD_OIDC_ISSUER: 'https://id.example', LAYERD_OIDC_AUDIENCE: 'layerd' }
  requireSafeListen(loadConfig({ ...open, ...issuer, LAYERD_OIDC_GROUPS_FILE: '/etc/layerd/groups.yaml' }))
  for (const listen of ['127.0.0.1:0', '127.9.9.9:1', 'localhost:1', '[::1]:1']) {
    requireSafeListen(loadConfig({ ...HOME, LAYERD_LISTEN: listen }))
  }
})

test('listen addresses: what parses, what is loopback', () => {
  assert.deepEqual(parseListen('[::1]:0'), { host: '::1', port: 0 })
  assert.deepEqual(parseListen('localhost:80'), { host: 'localhost', port: 80 })
  for (const text of ['', ':80', '::1:80', '[::1]', '[127.0.0.1]:80', 'a:b', 'a:80/x', 'http://a:80']) {
    assert.equal(parseListen(text), undefined, text)
  }
  assert.equal(isLoopback({ host: '127.example.com', port: 1 }), false)
})
