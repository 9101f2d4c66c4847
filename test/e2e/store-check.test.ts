import assert from 'node:assert/strict'
import { readFile, rm, stat, truncate, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { digestHex } from '../../src/content/digest.ts'
import { type CheckReport, createContentStore } from '../../src/store/content-store.ts'
import { lockFile } from '../../src/store/locks/file-lock.ts'
import { MAIN, readyUrl, startLayerd } from '../helpers/processes/layerd.ts'
import { someBytes } from '../helpers/registries/oci-client.ts'
import { runProcess } from '../helpers/processes/processes.ts'
import { startRedis } from '../helpers/redis/redis.ts'
import { storeSample, type StoredSample } from '../helpers/packages/store-packages.ts'
import { shortTempDir, tempDir } from '../helpers/temp-dir.ts'

/** A data directory whose store holds one package, written by a process that has ended. */
async function stored(dataDir: string): Promise<{ folder: string; sample: StoredSample }> {
  const folder = join(dataDir, 'store')
  await using store = await createContentStore({ folder })
  return { folder, sample: await storeSample(store, { layers: [someBytes(3000, 1), someBytes(5000, 2)] }) }
}

function check(t: TestContext, dataDir: string, ...options: string[]) {
  return runProcess(t, process.execPath, [MAIN, 'store', 'check', ...options], { env: { LAYERD_DATA_DIR: dataDir } })
}

test('store check says what is damaged, by package, title and digest; the repair mends it; then all is well', async (t) => {
  const dataDir = await tempDir(t)
  const { folder, sample } = await stored(dataDir)
  const whole = await check(t, dataDir)
  assert.deepEqual([whole.code, whole.stderr], [0, ''])
  assert.match(whole.stdout, /store: 4 blobs, \d+ bytes, 1 packages\nall is well\n$/)

  const [cut, gone] = sample.layers.map(({ digest }) => digest)
  assert.ok(cut && gone)
  const blob = (digest: typeof cut) => join(folder, 'blobs/sha256', digestHex(digest))
  await truncate(blob(cut), 10)
  await rm(blob(gone))
  await writeFile(join(folder, 'packages', `${digestHex(sample.record.digest)}.json`), '{"na')
  const looked = await check(t, dataDir)
  assert.equal(looked.code, 1)
  assert.match(looked.stdout, new RegExp(`found blob-damaged: blobs/sha256/${digestHex(cut)} `))
  assert.match(
    looked.stdout,
    /found record-broken: packages\/\S+ cannot be read; index\.json has its content \(sample 1/,
  )
  assert.match(looked.stdout, /2 findings; nothing was changed: stop layerd, then add --repair/)
  assert.equal((await stat(blob(cut))).size, 10)

  const mended = await check(t, dataDir, '--repair')
  assert.equal(mended.code, 1, 'the package is not whole')
  assert.match(mended.stdout, new RegExp(`components/c0\\.tar: ${cut}`))
  assert.match(
    mended.stdout,
    new RegExp(`components/c1\\.tar: ${gone}\n  in sample 1\\.0\\.0 amd64: ${sample.record.digest}`),
  )
  assert.match(
    mended.stdout,
    /to pull again:\n {2}layerd pull --store -a amd64 oci:\/\/registry\.example\/team\/sample:1\.0\.0\n$/,
  )
  const again = await check(t, dataDir, '--json')
  const report = JSON.parse(again.stdout) as CheckReport & { well: boolean }
  assert.deepEqual([again.code, report.well, report.findings], [0, true, []])
})

test('what is mended whole counts as well', async (t) => {
  const dataDir = await tempDir(t)
  const { folder, sample } = await stored(dataDir)
  const record = join(folder, 'packages', `${digestHex(sample.record.digest)}.json`)
  const text = await readFile(record, 'utf8')
  await rm(record)
  await writeFile(join(folder, 'blobs/sha256/notes.txt'), 'mine')
  const { code, stdout } = await check(t, dataDir, '--repair')
  assert.equal(code, 0, stdout)
  assert.match(stdout, /mended file-stray: blobs\/sha256\/notes\.txt is no blob/)
  assert.equal(await readFile(record, 'utf8'), text)
})

test('a repair is refused while a daemon of any role works on the directory, and a daemon during a repair', async (t) => {
  const dataDir = await shortTempDir(t)
  const { folder } = await stored(dataDir)
  const redis = await startRedis(t, { tcp: true })
  const serve = await startLayerd(t, { args: ['serve'], dataDir, env: { LAYERD_REDIS_URL: redis.url } })
  await readyUrl(serve)
  const refused = await check(t, dataDir, '--repair')
  assert.equal(refused.code, 1)
  assert.match(
    refused.stderr,
    new RegExp(`^layerd: the store in ${folder} is in use by process ${serve.pid}\\. Stop layerd`),
  )
  assert.equal((await check(t, dataDir)).code, 0, 'looking is allowed')
  await serve.stop()

  await using _repair = await lockFile(join(folder, 'repair'))
  const late = await startLayerd(t, { args: ['serve'], dataDir, env: { LAYERD_REDIS_URL: redis.url } })
  assert.deepEqual(await late.exit, { code: 1, signal: null })
  assert.match(
    late.stderr(),
    new RegExp(`^layerd: the store in ${folder} is being repaired by process ${process.pid}\\.`),
  )
})

test('a directory without a store, and options there are not, are told and make nothing', async (t) => {
  const folder = await tempDir(t)
  const absent = join(folder, 'typo')
  const nothing = await check(t, absent)
  assert.deepEqual([nothing.code, nothing.stdout], [1, ''])
  assert.match(nothing.stderr, /^layerd: LAYERD_DATA_DIR: \S+typo holds no store \(ENOENT\)\. Set it to/)
  await assert.rejects(stat(absent))
  const wrong = await check(t, folder, '--mend')
  assert.equal(wrong.code, 2)
  assert.match(wrong.stderr, /^layerd: unknown option '--mend'/)
})
