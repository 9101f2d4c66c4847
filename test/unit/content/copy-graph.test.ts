import assert from 'node:assert/strict'
import { test } from 'node:test'
import { type BlobEvent, copyBlobs } from '../../../src/content/copy-graph.ts'
import type { Descriptor } from '../../../src/content/descriptor.ts'
import { digestOf } from '../../../src/content/digest.ts'
import type { ContentSink, ContentSource } from '../../../src/content/endpoints.ts'
import { bufferOpener, readAll } from '../../../src/content/streams.ts'
import { AppError } from '../../../src/lib/errors.ts'

function blobs(...texts: string[]): { descriptors: Descriptor[]; source: ContentSource } {
  const bytes = new Map(texts.map((text) => [digestOf(text), Buffer.from(text)]))
  return {
    descriptors: texts.map((text) => ({ mediaType: 'a/b', digest: digestOf(text), size: text.length })),
    source: { open: (descriptor, at) => bufferOpener(bytes.get(descriptor.digest) ?? Buffer.alloc(0))(at) },
  }
}

/** A sink in memory that counts how many pushes run at once. */
function memorySink(held: readonly string[] = [], refuse?: string) {
  const content = new Map<string, Buffer>(held.map((text) => [digestOf(text), Buffer.from(text)]))
  const seen = { now: 0, most: 0, pushes: 0 }
  const sink: ContentSink = {
    exists: async (descriptor) => content.has(descriptor.digest),
    async push(descriptor, open, options) {
      seen.now += 1
      seen.pushes += 1
      seen.most = Math.max(seen.most, seen.now)
      try {
        options.onEvent?.({ type: 'started', offset: 0 })
        await new Promise(setImmediate)
        if (options.signal.aborted) throw options.signal.reason
        if (descriptor.digest === refuse) throw new AppError('REGISTRY_DENIED', 'no')
        content.set(descriptor.digest, await readAll(await open({ signal: options.signal })))
      } finally {
        seen.now -= 1
      }
    },
  }
  return { sink, content, seen }
}

const signal = () => new AbortController().signal

test('moves what the sink lacks, each digest once, and tells about all', async () => {
  const { descriptors, source } = blobs('one', 'two', 'three', 'one')
  const { sink, content, seen } = memorySink(['two'])
  const events: BlobEvent[] = []
  await copyBlobs(descriptors, source, sink, {
    concurrency: 4,
    signal: signal(),
    onEvent: (event) => events.push(event),
  })
  assert.equal(content.size, 3)
  assert.equal(seen.pushes, 2)
  assert.deepEqual(
    events.filter((event) => event.type === 'exists').map((event) => event.digest),
    [digestOf('two')],
  )
  assert.equal(events.filter((event) => event.type === 'complete').length, 2)
})

test('keeps to the concurrency', async () => {
  const { descriptors, source } = blobs(...Array.from({ length: 20 }, (_, i) => `blob ${i}`))
  const { sink, seen } = memorySink()
  await copyBlobs(descriptors, source, sink, { concurrency: 3, signal: signal(), onEvent: () => {} })
  assert.equal(seen.most, 3)
})

test('the first failure stops the rest, and nothing runs on', async () => {
  const texts = Array.from({ length: 20 }, (_, i) => `blob ${i}`)
  const { descriptors, source } = blobs(...texts)
  const { sink, seen } = memorySink([], digestOf('blob 1'))
  const events: BlobEvent[] = []
  const copying = copyBlobs(descriptors, source, sink, {
    concurrency: 2,
    signal: signal(),
    onEvent: (event) => events.push(event),
  })
  await assert.rejects(copying, { code: 'REGISTRY_DENIED' })
  assert.equal(seen.now, 0)
  assert.ok(seen.pushes <= 4, `${seen.pushes} pushes`)
  assert.deepEqual(
    events.filter((event) => event.type === 'failed').map((event) => event.digest),
    [digestOf('blob 1')],
  )
})

test('where a blob may be mounted from is asked when the sink lacks it, and a mount completes it', async () => {
  const { descriptors, source } = blobs('held', 'elsewhere', 'new')
  const { sink } = memorySink(['held'])
  const linking: ContentSink = {
    ...sink,
    async push(descriptor, open, options) {
      const [candidate] = options.mountFrom ?? []
      if (!candidate) return sink.push(descriptor, open, options)
      options.onEvent?.({ type: 'mounted', from: candidate.repository })
    },
  }
  const asked: string[] = []
  const events: BlobEvent[] = []
  await copyBlobs(descriptors, source, linking, {
    concurrency: 1,
    signal: signal(),
    onEvent: (event) => events.push(event),
    async mountFrom({ digest }) {
      asked.push(digest)
      return digest === digestOf('elsewhere') ? [{ repository: 'other/repository' }] : []
    },
  })
  assert.deepEqual(asked, [digestOf('elsewhere'), digestOf('new')])
  assert.deepEqual(
    events.filter(({ type }) => type === 'mounted' || type === 'complete').map(({ type, digest }) => [type, digest]),
    [
      ['mounted', digestOf('elsewhere')],
      ['complete', digestOf('new')],
    ],
  )
})

test('an abort rejects with its reason and blames no blob', async () => {
  const { descriptors, source } = blobs('one', 'two')
  const controller = new AbortController()
  const events: BlobEvent[] = []
  const { sink } = memorySink()
  const copying = copyBlobs(descriptors, source, sink, {
    concurrency: 2,
    signal: controller.signal,
    onEvent: (event) => {
      events.push(event)
      controller.abort(new AppError('JOB_CANCELED', 'stop'))
    },
  })
  await assert.rejects(copying, { code: 'JOB_CANCELED' })
  assert.equal(events.filter((event) => event.type === 'failed').length, 0)
})
