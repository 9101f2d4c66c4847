import assert from 'node:assert/strict'
import { test } from 'node:test'
import { nextLink } from '../../../../src/oci/manifests/link-header.ts'

const CASES: ReadonlyArray<[header: string, target: string | undefined]> = [
  ['</v2/a/tags/list?last=b&n=2>; rel="next"', '/v2/a/tags/list?last=b&n=2'],
  ['</a>;rel=next', '/a'],
  ['</a,b;c>; rel="next"', '/a,b;c'],
  ['</a>; title="x"; REL=Next', '/a'],
  ['</a>; rel="prev", </b>; rel="next"', '/b'],
  ['</a>; rel="first next"', '/a'],
  ['</a>; rel="prev"', undefined],
  ['</a>', undefined],
  ['</a; rel="next"', undefined],
  ['', undefined],
  [`${'<'.repeat(60_000)}>; rel=prev`, undefined],
]

for (const [header, target] of CASES) {
  test(`the next page after ${JSON.stringify(header.slice(0, 60))} is ${target}`, () => {
    assert.equal(nextLink(header), target)
  })
}
