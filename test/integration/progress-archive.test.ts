import assert from 'node:assert/strict'
import { test, type TestContext } from 'node:test'
import type { OpenedFile } from '../../src/content/opened.ts'
import { openSource } from '../../src/files/opened-file.ts'
import type { Progress } from '../../src/jobs/model/definitions.ts'
import { initialProgress } from '../../src/jobs/record/record.ts'
import { publish } from '../../src/transfer/publish/publish.ts'
import { openPackage } from '../../src/zarf/package.ts'
import { createLedger } from '../../src/worker/ledger.ts'
import { defer } from '../helpers/cleanup.ts'
import { buildPackage, type PackageOptions } from '../helpers/packages/package-builder.ts'
import { registryClient } from '../helpers/packages/publishing.ts'
import { type MemoryRegistry, startMemoryRegistry } from '../helpers/registries/memory-registry.ts'
import { assertProgress } from '../helpers/sweeps/progress-invariants.ts'
import { tempDir } from '../helpers/temp-dir.ts'

const MIB = 1024 * 1024
const { signal } = new AbortController()
/** What passes of the source between two looks at the progress. */
const PACE_BYTES = 64 * 1024

/** The file, read at the pace of `look`, which is asked between two pieces of it. */
function paced(file: OpenedFile, look: () => void): OpenedFile {
  return {
    ...file,
    async *stream(range) {
      for await (const chunk of file.stream(range)) {
        for (let at = 0; at < chunk.length; at += PACE_BYTES) {
          yield Buffer.from(chunk.subarray(at, at + PACE_BYTES))
          // What was handed over has been decompressed, or waits for somebody who is slower still.
          await new Promise((resolve) => setImmediate(resolve))
          look()
        }
      }
    },
  }
}

/** Publishes as a worker does, and looks at the progress in even steps of the source, a quarter of a second each. */
async function watched(t: TestContext, options: PackageOptions, prepare?: (registry: MemoryRegistry) => void) {
  const registry = await startMemoryRegistry()
  defer(t, () => registry.close())
  prepare?.(registry)
  const built = await buildPackage(await tempDir(t), options)
  const progress = initialProgress(new Date(0).toISOString())
  const ledger = createLedger({ progress, transfers: [], describe: () => null, now: 0 })
  const seen: Progress[] = []
  let now = 0
  const look = (): void => {
    now += 250
    seen.push(structuredClone(ledger.progress(now)))
  }
  const source = await openSource(built.path)
  assert.ok('file' in source)
  await using opened = await openPackage({ ...source, file: paced(source.file, look) }, { signal })
  const client = registryClient(t)
  const outcome = await publish(
    {
      package: opened,
      destination: { registry: registry.host, namespace: 'team' },
      scan: false,
      concurrency: 6,
    },
    {
      repository: (host, name) => client.repository(host, name),
      checkOwnership: async () => undefined,
      lockTag: (_reference, task) => task(signal),
      onEvent: (event) => ledger.apply(event),
      signal,
    },
  )
  look()
  return { built, outcome, seen, last: seen.at(-1) as Progress }
}

const KINDS: Readonly<Record<string, PackageOptions>> = {
  'one large layer': { layers: 1, layerBytes: 40 * MIB, compressible: 0.5 },
  'a few large layers': { layers: 4, layerBytes: 12 * MIB, compressible: 0.25 },
  'many small layers': { layers: 1500, layerBytes: 2048, compressible: 0.25 },
  'layers of all sizes': { layers: 40, layerBytes: Array.from({ length: 40 }, (_, at) => 1000 * (at + 1) ** 2) },
}

for (const [what, options] of Object.entries(KINDS)) {
  test(`an archive of ${what} tells how far it is while it is read`, async (t) => {
    const { outcome, seen, last } = await watched(t, options)
    let before = 0
    for (const progress of seen) {
      assertProgress(progress)
      const { sourceBytesRead, sourceBytes, bytesTotal, bytesTotalEstimate, layers, etaSeconds } = progress
      assert.ok(sourceBytesRead - before <= 8 * MIB, `${sourceBytesRead - before} bytes of the source passed unseen`)
      before = sourceBytesRead
      if (sourceBytes === null) continue
      assert.equal(layers.total, outcome.layers + 1, 'layers and config are counted before any is sent')
      assert.ok(bytesTotal === null || bytesTotalEstimate === null, 'an estimate ends where the total is known')
      const share = sourceBytesRead / sourceBytes
      const total = bytesTotal ?? bytesTotalEstimate
      if (share < 0.1) continue
      assert.ok(total !== null, `there is a total at ${share}`)
      assert.ok(etaSeconds !== null, `there is a time left at ${share}`)
      if (share < 0.5) continue
      const off = Math.abs(total - outcome.bytes) / outcome.bytes
      assert.ok(off <= 0.3, `at ${share} the total is told as ${total}, it is ${outcome.bytes}`)
    }
    assert.ok(
      seen.filter(({ bytesTotal, bytesTotalEstimate }) => bytesTotal === null && bytesTotalEstimate !== null).length >
        5,
    )
    assert.deepEqual([last.bytesTotal, last.bytesDone, last.bytesTotalEstimate], [outcome.bytes, outcome.bytes, null])
    assert.equal(last.layers.done, last.layers.total)
  })
}

test('equal files count once, and a signature that nothing declares is added when it is met', async (t) => {
  const same = { bytes: 300_000, seed: 9 }
  const { outcome, seen, last } = await watched(t, {
    layers: 3,
    layerBytes: 300_000,
    files: { 'components/a.tar': same, 'components/b.tar': same },
    unlisted: { 'zarf.bundle.sig': { bytes: 2000 } },
  })
  // The manifest lists both names of the one blob, and the config beside its layers.
  const blobs = outcome.layers
  assert.equal(seen.find(({ layers }) => layers.total !== null)?.layers.total, blobs - 1, 'without the signature')
  assert.equal(last.layers.total, blobs)
})
