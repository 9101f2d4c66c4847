import assert from 'node:assert/strict'
import { subscribe, unsubscribe } from 'node:diagnostics_channel'
import { test, type TestContext } from 'node:test'
import { AppError } from '../../../../src/lib/errors.ts'
import { encodeDefinition } from '../../../../src/zarf/definition/encode-definition.ts'
import { readDefinition } from '../../../../src/zarf/definition/read-definition.ts'

const NAMED = 'metadata: {name: a, annotations: {b: c}}\n'
const KIB = 1024

function countThreads(t: TestContext): { readonly count: number } {
  const started = { count: 0 }
  const take = () => void (started.count += 1)
  subscribe('worker_threads', take)
  t.after(() => unsubscribe('worker_threads', take))
  return started
}

const images = (count: number) =>
  Buffer.from(`${NAMED}components:\n- name: one\n  images:\n${'  - registry.example/image:1\n'.repeat(count)}`)

test('zarf.yaml of a few KiB is read here; a longer one, and one with aliases, by one thread that stays', async (t) => {
  const threads = countThreads(t)
  await readDefinition(images(500))
  await readDefinition(Buffer.from(`${NAMED}documentation: {a: "&& b", c: 2>&1, d: a&b}\n`))
  assert.equal(threads.count, 0)
  const bomb = `${NAMED}x: &a [${'1,'.repeat(3000)}]\ncomponents:\n${'- {images: *a}\n'.repeat(300)}`
  assert.ok(bomb.length < 16 * KIB)
  await assert.rejects(readDefinition(Buffer.from(bomb)), { code: 'PACKAGE_TOO_LARGE', message: /has 900001 images/ })
  assert.equal(threads.count, 1)
  const large = images(3000)
  assert.ok(large.length > 64 * KIB)
  const [first, second] = await Promise.all([readDefinition(large), readDefinition(large)])
  const inline = encodeDefinition(large)
  for (const read of [first, second]) {
    assert.deepEqual(read.outline, inline.outline)
    assert.ok(read.config.equals(inline.config))
  }
  assert.ok(first.outline.metadata?.annotations instanceof Map)
  assert.equal(threads.count, 1)
})

test('what is wrong with a long one is told as of a short one', async () => {
  const padding = `# ${'x'.repeat(70 * KIB)}\n`
  for (const yaml of ['x: &', 'metadata: {name: a/b}', 'components: &a [*a]', 'components: 1']) {
    const inline = await readDefinition(Buffer.from(`${yaml}\n`)).catch((error: unknown) => error)
    const threaded = await readDefinition(Buffer.from(`${yaml}\n${padding}`)).catch((error: unknown) => error)
    assert.ok(inline instanceof AppError && threaded instanceof AppError)
    const { code, message, hint, details, retry } = inline
    assert.deepEqual(
      { code, message, hint, details, retry },
      {
        code: threaded.code,
        message: threaded.message,
        hint: threaded.hint,
        details: threaded.details,
        retry: threaded.retry,
      },
    )
  }
})

test('the bytes that were given stay as they are', async () => {
  const large = images(3000)
  const copy = Buffer.from(large)
  await readDefinition(large.subarray())
  assert.ok(large.equals(copy))
})

test('an abort ends the wait for a long one', async () => {
  const gone = new AppError('JOB_CANCELED', 'canceled')
  await assert.rejects(readDefinition(images(3000), AbortSignal.abort(gone)), gone)
})

test('more components, images and the like than any package has are refused, by count', async () => {
  const refused: ReadonlyArray<[yaml: string, says: RegExp]> = [
    [`components:\n${'- name: a\n'.repeat(10_001)}`, /has 10001 components; more than 10000/],
    [`components:\n- name: a\n  images: [${'a,'.repeat(100_001)}]`, /has 10000\d images/],
    [`components:\n- name: a\n  imageArchives: [{path: a, images: [${'a,'.repeat(100_001)}]}]`, /has 10000\d images/],
    [`documentation:\n${Array.from({ length: 100_001 }, (_, at) => `  k${at}: v\n`).join('')}`, /has 10000\d images/],
    [`components:\n- name: a\n  description: '${'<'.repeat(3 * 2 ** 20)}'`, /has \d+ bytes as JSON/],
  ]
  for (const [yaml, says] of refused) {
    await assert.rejects(readDefinition(Buffer.from(`${NAMED}${yaml}\n`)), { code: 'PACKAGE_TOO_LARGE', message: says })
  }
})
