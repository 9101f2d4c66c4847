import assert from 'node:assert/strict'
import { mkdir, readFile, rename, rm, stat, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { pino } from 'pino'
import type { AuditRecord } from '../../src/access/audit.ts'
import { openAudit } from '../../src/roles/audit.ts'
import { defer } from '../helpers/cleanup.ts'
import { startRedis } from '../helpers/redis/redis.ts'
import { smallDisk } from '../helpers/small-disk.ts'
import { tempDir } from '../helpers/temp-dir.ts'
import { waitFor } from '../helpers/wait-for.ts'

const record = (requestId: string, more: Partial<AuditRecord> = {}): AuditRecord => ({
  time: '2026-03-01T12:00:00.000Z',
  principal: 'ann',
  credential: { kind: 'file', id: null },
  address: '127.0.0.1',
  action: 'createJob',
  method: 'POST',
  route: '/v1/jobs',
  target: {},
  outcome: 'succeeded',
  status: 202,
  code: null,
  requestId,
  ...more,
})

async function started(t: TestContext, file: string) {
  const redis = await startRedis(t)
  const lines: string[] = []
  const logger = pino({ level: 'info' }, { write: (text: string) => void lines.push(text) })
  const audit = openAudit({ redis: { socketPath: redis.socketPath }, prefix: 'layerd', entries: 100, file, logger })
  defer(t, () => audit.close())
  return { ...audit, log: lines }
}

const idsIn = async (path: string): Promise<string[]> => {
  const text = await readFile(path, 'utf8').catch(() => '')
  return text
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => (JSON.parse(line) as AuditRecord).requestId)
}
const holds = (path: string, ids: readonly string[]) =>
  waitFor(`${ids.join(', ')} in ${path}`, async () => JSON.stringify(await idsIn(path)) === JSON.stringify(ids))

test('lines are appended to a file of the owner’s alone, and to a new one once it was rotated', async (t) => {
  const path = join(await tempDir(t), 'audit.jsonl')
  const { trail } = await started(t, path)
  trail.record(record('a'))
  trail.record(record('b', { outcome: 'refused' }))
  await holds(path, ['a', 'b'])
  assert.equal((await stat(path)).mode & 0o777, 0o600)
  await rename(path, `${path}.1`)
  trail.record(record('c'))
  await holds(path, ['c'])
  await rm(path)
  trail.record(record('d'))
  await holds(path, ['d'])
  assert.deepEqual(await idsIn(`${path}.1`), ['a', 'b'])
})

test('a file that cannot be written is told once, entries wait for it, and too many are counted', async (t) => {
  const path = join(await tempDir(t), 'audit.jsonl')
  await mkdir(path)
  const { trail, outlets, log } = await started(t, path)
  for (let at = 0; at < 1005; at += 1) trail.record(record(`done-${at}`))
  for (let at = 0; at < 3; at += 1) trail.record(record(`refused-${at}`, { outcome: 'refused' }))
  const file = outlets.get('file')
  assert.deepEqual([file?.lost, file?.waiting], [5, 1003])
  await waitFor('the log to tell', () =>
    log.some((line) => line.includes('cannot be written') && line.includes('EISDIR')),
  )
  await waitFor('Redis to have all', () => outlets.get('redis')?.waiting === 0)
  await rm(path, { recursive: true })
  await waitFor('the file to have them', async () => (await idsIn(path)).length === 1003)
  assert.equal(log.filter((line) => line.includes('cannot be written') && line.includes('EISDIR')).length, 1)
  await waitFor('the log to tell that it is well', () => log.some((line) => line.includes('written again')))
})

test('a full disk cuts no line that follows', async (t) => {
  const folder = await smallDisk(t, 1)
  if (folder === undefined) return
  const [path, ballast] = [join(folder, 'audit.jsonl'), join(folder, 'ballast')]
  const { trail, outlets } = await started(t, path)
  trail.record(record('first'))
  await holds(path, ['first'])
  await writeFile(ballast, Buffer.alloc(1024 * 1024)).catch(() => undefined)
  const ids = Array.from({ length: 40 }, (_one, at) => `${at}-${'x'.repeat(400)}`)
  for (const id of ids) trail.record(record(id))
  await waitFor('Redis to have all', () => outlets.get('redis')?.waiting === 0)
  assert.ok((outlets.get('file')?.waiting ?? 0) > 0)
  await rm(ballast)
  await waitFor('the file to have all', () => outlets.get('file')?.waiting === 0)
  const lines = (await readFile(path, 'utf8')).split('\n')
  const whole = lines.flatMap((line) => {
    try {
      return [(JSON.parse(line) as AuditRecord).requestId]
    } catch {
      return []
    }
  })
  assert.deepEqual(whole, ['first', ...ids])
})
