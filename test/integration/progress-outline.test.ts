import assert from 'node:assert/strict'
import { copyFile } from 'node:fs/promises'
import { basename, join } from 'node:path'
import { test } from 'node:test'
import { openSource } from '../../src/files/opened-file.ts'
import type { EngineEvent } from '../../src/transfer/events.ts'
import { openArchive } from '../../src/transfer/publish/open.ts'
import { publish } from '../../src/transfer/publish/publish.ts'
import { verifyOpened } from '../../src/transfer/verify/verify.ts'
import { createLedger } from '../../src/worker/ledger.ts'
import { initialProgress } from '../../src/jobs/record/record.ts'
import { defer } from '../helpers/cleanup.ts'
import { FIXTURES } from '../helpers/packages/fixtures.ts'
import { registryClient } from '../helpers/packages/publishing.ts'
import { startMemoryRegistry } from '../helpers/registries/memory-registry.ts'
import { tempDir } from '../helpers/temp-dir.ts'

/** The bundle names six layers that its archive leaves out, as it may. */
const OFF = 6
const { signal } = new AbortController()

/** What a job tells, as its events come, until the plan is known. */
function watched() {
  const progress = initialProgress(new Date(0).toISOString())
  const ledger = createLedger({ progress, transfers: [], describe: () => null, now: 0 })
  const seen: Array<{ type: EngineEvent['type']; layers: number | null; estimate: number | null }> = []
  let planned = false
  const onEvent = (event: EngineEvent): void => {
    ledger.apply(event)
    planned ||= event.type === 'plan'
    const { layers, bytesTotalEstimate } = ledger.progress(0)
    if (!planned) seen.push({ type: event.type, layers: layers.total, estimate: bytesTotalEstimate })
  }
  const assertTold = (layers: number, bytes: number): void => {
    const moving = seen.slice(seen.findIndex(({ type }) => type === 'source'))
    assert.ok(moving.length > 0)
    for (const each of moving) {
      assert.ok(each.layers !== null && Math.abs(each.layers - layers) <= OFF, JSON.stringify(each))
      assert.ok(each.estimate !== null && each.estimate > bytes / 2 && each.estimate < bytes * 2, JSON.stringify(each))
    }
  }
  return { onEvent, assertTold }
}

for (const [what, path] of [
  ['a package', FIXTURES.nemoAmd64],
  ['a bundle', FIXTURES.armadaBundle],
] as const) {
  test(`verify of the archive of ${what}: from the first entry on there is a total of layers, and about one of bytes`, async () => {
    await using pack = await openArchive(await openSource(path), { signal })
    const { onEvent, assertTold } = watched()
    const { layers, bytes } = await verifyOpened(pack, { reference: path, verification: undefined, onEvent, signal })
    assertTold(layers, bytes)
  })

  test(`the same of a publish of ${what} that reads it once before it sends`, async (t) => {
    const registry = await startMemoryRegistry()
    defer(t, () => registry.close())
    // Another file: this process knows what is in the one that it has read.
    const copy = join(await tempDir(t), basename(path))
    await copyFile(path, copy)
    await using pack = await openArchive(await openSource(copy), { signal })
    const { onEvent, assertTold } = watched()
    const client = registryClient(t)
    const { layers, bytes } = await publish(
      { package: pack, destination: { registry: registry.host, namespace: 'team' }, scan: true, concurrency: 6 },
      {
        repository: (host, name) => client.repository(host, name),
        checkOwnership: async () => undefined,
        lockTag: (_reference, task) => task(signal),
        onEvent,
        signal,
      },
    )
    assertTold(layers, bytes)
  })
}
