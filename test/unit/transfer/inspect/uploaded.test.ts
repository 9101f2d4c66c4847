import assert from 'node:assert/strict'
import { once } from 'node:events'
import { type TestContext, test } from 'node:test'
import { setImmediate as turn } from 'node:timers/promises'
import type { OpenedSource } from '../../../../src/content/opened.ts'
import { openSource } from '../../../../src/files/opened-file.ts'
import { AppError } from '../../../../src/lib/errors.ts'
import { definitionOf } from '../../../../src/transfer/inspect/facts.ts'
import { sbomFile, sbomsOf } from '../../../../src/transfer/inspect/tars.ts'
import { createArchiveReader } from '../../../../src/transfer/inspect/uploaded.ts'
import { inspectedPackage } from '../../../helpers/packages/inspected.ts'
import { waitFor } from '../../../helpers/wait-for.ts'

const never = new AbortController().signal

/** The archive, with a count of readings from its beginning; each waits for `gate`. */
async function counted(t: TestContext, gate: () => Promise<unknown> = () => Promise.resolve()) {
  const { path } = await inspectedPackage(t)
  const seen = { streams: 0, open: 0, stopped: 0 }
  const open = async (): Promise<OpenedSource> => {
    const source = await openSource(path)
    assert.ok('file' in source)
    const { file } = source
    seen.open += 1
    return {
      ...source,
      file: {
        ...file,
        async *stream(range) {
          seen.streams += 1
          await Promise.race([gate(), once(range.signal, 'abort')])
          if (range.signal.aborted) seen.stopped += 1
          range.signal.throwIfAborted()
          yield* file.stream(range)
        },
        async [Symbol.asyncDispose]() {
          seen.open -= 1
          await file[Symbol.asyncDispose]()
        },
      },
    }
  }
  return { open, seen, archives: createArchiveReader({ fair: false }) }
}

test('a compressed archive is read through once, however many ask at once and afterwards', async (t) => {
  const { open, seen, archives } = await counted(t)
  const found = await Promise.all(Array.from({ length: 8 }, () => archives.open(open, { by: 'ann', signal: never })))
  const again = await archives.open(open, { by: 'ann', signal: never })
  for (const each of [...found, again]) {
    assert.equal((await definitionOf(each)).identity.name, 'nemo')
    assert.equal((await sbomsOf(each)).length, 5)
  }
  assert.deepEqual([seen.streams, seen.open], [1, 0])
})

test('a reading goes on as long as one of those who asked waits, and ends with the last', async (t) => {
  const gate = Promise.withResolvers<void>()
  const { open, seen, archives } = await counted(t, () => gate.promise)
  const [first, second] = [new AbortController(), new AbortController()]
  const asked = [first, second].map(({ signal }) => archives.open(open, { by: 'ann', signal }))
  const gone = asked.map((each) => assert.rejects(each, { code: 'PACKAGE_TIMEOUT' }))
  await waitFor('the reading to begin', async () => seen.streams === 1)
  first.abort(new AppError('PACKAGE_TIMEOUT', 'too late'))
  await gone[0]
  await turn()
  assert.equal(seen.stopped, 0)
  second.abort(new AppError('PACKAGE_TIMEOUT', 'too late'))
  await Promise.all(gone)
  await waitFor('the file to be closed', async () => seen.open === 0)
  assert.equal(seen.stopped, 1)
  gate.resolve()
  assert.equal(
    (await sbomsOf(await archives.open(open, { by: 'ann', signal: never }))).length,
    5,
    'and begins anew for the next',
  )
})

test('a large file is reached by two at once, and those who read theirs keep nobody from it', async (t) => {
  const gate = Promise.withResolvers<void>()
  let held: Promise<unknown> = Promise.resolve()
  const { open, seen, archives } = await counted(t, () => held)
  const found = await archives.open(open, { by: 'ann', signal: never })
  held = gate.promise
  const file = await sbomFile(found, 'a.json')
  const readers = Array.from({ length: 5 }, () => {
    const stream = file.open({ start: 0, end: file.size })[Symbol.asyncIterator]()
    return { stream, first: stream.next() }
  })
  await waitFor('two that read', () => seen.streams >= 3)
  await turn()
  assert.deepEqual([seen.streams, seen.open], [3, 2])
  gate.resolve()
  // None of them reads on, and each gets its beginning.
  for (const { first } of readers) assert.ok(((await first).value?.length ?? 0) > 0)
  for (const { stream } of readers) await stream.return?.()
  assert.equal(seen.open, 0)
})

test('of two callers each has a pass of its own, and one that waits takes what the other has found', async (t) => {
  const gate = Promise.withResolvers<void>()
  const { open, seen } = await counted(t, () => gate.promise)
  const archives = createArchiveReader({ fair: true })
  const other = await counted(t, () => gate.promise)
  const asked = [
    archives.open(open, { by: 'ann', signal: never }),
    archives.open(other.open, { by: 'ann', signal: never }),
  ]
  await waitFor('a pass', () => seen.streams + other.seen.streams === 1)
  const third = await counted(t)
  assert.equal(
    (await definitionOf(await archives.open(third.open, { by: 'bob', signal: never }))).identity.name,
    'nemo',
  )
  assert.equal(seen.streams + other.seen.streams, 1)
  gate.resolve()
  await Promise.all(asked)
})
