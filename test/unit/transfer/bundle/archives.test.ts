import assert from 'node:assert/strict'
import { once } from 'node:events'
import { test } from 'node:test'
import type { OpenedSource } from '../../../../src/content/opened.ts'
import { openSource } from '../../../../src/files/opened-file.ts'
import { createBundleArchives } from '../../../../src/transfer/bundle/archives.ts'
import { openBundle } from '../../../../src/uds/bundle-archive.ts'
import { FIXTURES } from '../../../helpers/packages/fixtures.ts'
import { waitFor } from '../../../helpers/wait-for.ts'

for (const fair of [true, false]) {
  const most = fair ? 1 : 2
  test(`of archives of bundles one caller looks at ${most} at once; who goes leaves the line`, async () => {
    const gate = Promise.withResolvers<void>()
    const seen = { opened: 0, open: 0, most: 0 }
    const openFile = async (): Promise<OpenedSource> => {
      const source = await openSource(FIXTURES.armadaBundle)
      assert.ok('file' in source)
      const { file } = source
      seen.opened += 1
      seen.open += 1
      seen.most = Math.max(seen.most, seen.open)
      const stream: typeof file.stream = async function* (range) {
        await Promise.race([gate.promise, once(range.signal, 'abort')])
        range.signal.throwIfAborted()
        yield* file.stream(range)
      }
      const dispose = async () => {
        seen.open -= 1
        await file[Symbol.asyncDispose]()
      }
      return { ...source, file: { ...file, stream, [Symbol.asyncDispose]: dispose } }
    }
    const archives = createBundleArchives({ fair })
    const gone = new AbortController()
    const { signal } = new AbortController()
    const open = async () => openBundle(await openFile(), { signal })
    const looks = Array.from({ length: 6 }, () => archives.inspect(open, { reference: 'file:/a', by: 'ann', signal }))
    const left = archives.inspect(async () => openBundle(await openFile(), { signal: gone.signal }), {
      reference: 'file:/a',
      by: 'ann',
      signal: gone.signal,
    })
    await waitFor('looks', () => seen.open >= most)
    if (fair)
      assert.equal(
        (
          await archives.inspect(async () => openBundle(await openSource(FIXTURES.armadaBundle), { signal }), {
            reference: 'file:/a',
            by: 'bob',
            signal,
          })
        ).name,
        'armada',
      )
    gone.abort(new Error('gone'))
    await assert.rejects(left, /gone/)
    gate.resolve()
    for (const { name } of await Promise.all(looks)) assert.equal(name, 'armada')
    assert.deepEqual(seen, { opened: 6, open: 0, most })
  })
}
