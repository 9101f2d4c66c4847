import assert from 'node:assert/strict'
import { test } from 'node:test'
import { chosenFiles, countIn, partOf } from '../../../src/ui/pages/new/split.ts'

const WHOLE = 'zarf-package-nemo-amd64-1.0.0.tar.zst'
const part = (at: number) => ({ name: `${WHOLE}.part${String(at).padStart(3, '0')}` })

async function chosen(names: readonly string[], count?: number) {
  const { files, name, problem } = await chosenFiles(
    names.map((one) => ({ name: one })),
    () => Promise.resolve(count),
  )
  return { files: files.map((file) => file.name), name, problem: problem?.detail }
}

test('a part tells of which package it is; other names are no parts', () => {
  assert.deepEqual(partOf(part(12).name), { whole: WHOLE, part: 12 })
  for (const name of [WHOLE, `${WHOLE}.part1`, '.part000', 'part000']) assert.equal(partOf(name), undefined)
})

test('one file is one package, and all parts are one, part000 first', async () => {
  assert.deepEqual(await chosen([WHOLE]), { files: [WHOLE], name: WHOLE, problem: undefined })
  const names = [2, 0, 1].map((at) => part(at).name)
  assert.deepEqual(await chosen(names, 2), {
    files: [0, 1, 2].map((at) => part(at).name),
    name: WHOLE,
    problem: undefined,
  })
})

test('what is missing of a split package is named, and two packages are none', async () => {
  const of = async (parts: readonly number[], count?: number) =>
    (
      await chosen(
        parts.map((at) => part(at).name),
        count,
      )
    ).problem
  assert.match((await of([1, 2])) ?? '', /part000 is not among them/)
  assert.match((await of([0])) ?? '', /part001 is not/)
  assert.match((await of([0, 1, 3], 3)) ?? '', /part002 is not/)
  assert.match((await of([0, 1], 9)) ?? '', /part002, part003, part004 and 5 more are not/)
  assert.match((await chosen([WHOLE, part(0).name])).problem ?? '', /one package/)
  assert.match((await chosen([WHOLE, 'other.tar'])).problem ?? '', /one package/)
  assert.match((await chosen([part(0).name, 'other.tar.part001'])).problem ?? '', /one package/)
})

test('part000 tells how many there are; what is none tells nothing', async () => {
  const count = (text: string) => countIn(new Blob([text]))
  assert.equal(await count('{"sha256Sum":"","Bytes":1,"Count":3}'), 3)
  for (const text of ['', '[]', 'null', '{"count":"3"}', '{"Count":1e9}', `{"Count":3}${' '.repeat(5000)}`])
    assert.equal(await count(text), undefined)
})
