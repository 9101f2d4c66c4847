import assert from 'node:assert/strict'
import { basename } from 'node:path'
import { test } from 'node:test'
import { digestOf } from '../../../../src/content/digest.ts'
import { namedDigest, storeLayout } from '../../../../src/store/files/layout.ts'

test('the blob that a file is of, also where an older version named it', () => {
  const digest = digestOf('a blob')
  const layout = storeLayout('/store')
  const plain = basename(layout.origins(digest))
  const names = [
    plain,
    basename(layout.ingest(digest)),
    basename(layout.ingest(digest, 'a.example')),
    `${plain}.0123abcd`,
  ]
  for (const name of names) {
    for (const suffix of ['', '.lock', '.ranges']) assert.equal(namedDigest(`${name}${suffix}`), digest, name)
  }
  for (const name of ['', 'sha256-12', `${plain}.tmp`, `${plain}.0123abcde`, `${plain}.0123456789ab.tmp`]) {
    assert.equal(namedDigest(name), undefined, name)
  }
})
