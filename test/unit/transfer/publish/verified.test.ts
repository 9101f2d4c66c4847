import assert from 'node:assert/strict'
import { test } from 'node:test'
import { digestOf } from '../../../../src/content/digest.ts'
import type { MoveOptions, PublishSource } from '../../../../src/transfer/publish/source.ts'
import { stillVerified } from '../../../../src/transfer/publish/verified.ts'
import type { PackageContents } from '../../../../src/zarf/package.ts'
import { FIXTURES } from '../../../helpers/packages/fixtures.ts'
import { contentsOf } from '../../../helpers/packages/packages.ts'

function sourceOf(contents: PackageContents): PublishSource {
  return {
    guess: contents.identity,
    learn: async () => ({ digests: [], contents }),
    move: async () => contents,
  }
}

test('what was moved has to have the zarf.yaml that was verified', async () => {
  const contents = await contentsOf(FIXTURES.signedNemo)
  const definition = contents.files.find(({ path }) => path === 'zarf.yaml')?.digest
  const options = {} as MoveOptions
  assert.equal(await stillVerified(sourceOf(contents), { signatures: [], definition }).move(options), contents)
  const other = { signatures: [], definition: digestOf(Buffer.from('other')) }
  await assert.rejects(stillVerified(sourceOf(contents), other).move(options), { code: 'PACKAGE_CHANGED' })
  assert.equal(await stillVerified(sourceOf(contents), undefined).move(options), contents)
})
