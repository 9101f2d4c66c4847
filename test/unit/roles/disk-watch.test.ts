import assert from 'node:assert/strict'
import { test } from 'node:test'
import { pino } from 'pino'
import { diskTeller } from '../../../src/roles/disk-watch.ts'
import { createStepClock } from '../../helpers/step-clock.ts'

const GIB = 2 ** 30

test('the log says once a minute that the disk runs low, and once that it does no more', async () => {
  const clock = createStepClock()
  const lines: string[] = []
  const logger = pino({}, { write: (line: string) => void lines.push((JSON.parse(line) as { msg: string }).msg) })
  let freeBytes = 3 * GIB
  const disk = async () => ({ freeBytes, totalBytes: 9 * GIB, reserveBytes: 2 * GIB, low: freeBytes < 2 * GIB })
  const look = diskTeller({ disk, logger, clock })
  const lookFor = async (seconds: number) => {
    for (let passed = 0; passed < seconds; passed += 5) {
      await look()
      clock.advance(5000)
    }
  }
  await lookFor(60)
  assert.deepEqual(lines, [])
  freeBytes = 1.2 * GIB
  await lookFor(150)
  const low =
    'the disk runs low: 1.2 GiB free, 2 GiB are kept free for Redis; uploads get 507 and pulls wait until there is room'
  assert.deepEqual(lines, [low, low, low])
  freeBytes = 3 * GIB
  await lookFor(60)
  assert.deepEqual(lines.slice(3), ['the disk has room again: 3 GiB free, 2 GiB are kept free for Redis'])
  freeBytes = 0
  await lookFor(5)
  assert.match(lines[4] ?? '', /^the disk runs low: 0 bytes free/)
})
