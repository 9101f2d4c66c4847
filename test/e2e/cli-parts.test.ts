import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { copyFile, readdir } from 'node:fs/promises'
import { basename, join } from 'node:path'
import { after, before, test } from 'node:test'
import type { Job } from '../../src/jobs/model/definitions.ts'
import { CleanupStack } from '../helpers/cleanup.ts'
import { FIXTURES } from '../helpers/packages/fixtures.ts'
import { type Bed, lines, startBed } from '../helpers/processes/cli-bed.ts'
import { type DockerRegistry, startDockerRegistry } from '../helpers/registries/docker-registry.ts'
import { tempDir } from '../helpers/temp-dir.ts'

const stack = new CleanupStack()
let shared: Bed
let registry: DockerRegistry
let archive: string
before(async () => {
  shared = await startBed(stack)
  registry = await startDockerRegistry(stack)
  archive = join(shared.root, basename(FIXTURES.nemoAmd64))
  await copyFile(FIXTURES.nemoAmd64, archive)
  const published = await shared.run(['publish', '-q', archive, `oci://${registry.host}/team`])
  assert.equal(published.code, 0, published.stderr)
})
after(() => stack[Symbol.asyncDispose]())

test('--dry-run prints what would be done, and fails where something is in the way', async () => {
  const { run, dataDir } = shared
  const dry = await run(['publish', '--dry-run', archive, `oci://${registry.host}/other`])
  assert.equal(dry.code, 0, dry.stderr)
  assert.equal(
    dry.stdout,
    [
      `would publish oci://${registry.host}/other/nemo:1.2.0`,
      '  to send   132 KiB  17 blobs',
      '  to mount  2.4 MiB  3 blobs   from team/nemo',
      '  in all    2.5 MiB  20 blobs',
      '  nothing is known to be in its way\n',
    ].join('\n'),
  )
  assert.match(dry.stderr, /\ndry run of a publish done: nothing was written\n$/)
  assert.ok(!dry.stderr.includes('plan:'))
  const catalog = await (await fetch(`${registry.url}/v2/_catalog`)).json()
  assert.deepEqual(catalog, { repositories: ['team/nemo'] })
  const inside = await run([
    'copy',
    '-q',
    '--dry-run',
    `oci://${registry.host}/team/nemo:1.2.0`,
    `oci://${registry.host}/b`,
  ])
  assert.match(inside.stdout, / {2}to mount {2}2\.5 MiB {2}20 blobs {2}from team\/nemo\n/)
  const refused = await run(['publish', '--dry-run', archive, `oci://${registry.host}/team`, '--subject', 'gone'])
  assert.equal(refused.code, 1)
  assert.match(
    refused.stdout,
    /\n {2}a problem is in its way:\nThe registry does not have the manifest \(MANIFEST_NOT_FOUND\)\n/,
  )
  const json = await run(['pull', '--json', '--dry-run', `oci://${registry.host}/team/nemo:1.2.0`])
  const { job } = lines(json.stdout).at(-1) as { job: Job }
  assert.deepEqual([job.result?.plan?.blobsToMove, job.result?.plan?.fits], [20, true])
  const unread = await run(['publish', '--dry-run', FIXTURES.fleet, `oci://${registry.host}/team`])
  assert.equal(unread.code, 1)
  assert.match(unread.stderr, /a dry run sends nothing to it/)
  assert.deepEqual(await readdir(join(dataDir, 'uploads')), [])
})

test('--images and --metadata-only save a part, and a part in the store is told as one', async (t) => {
  const { run } = shared
  const folder = await tempDir(t)
  const reference = `oci://${registry.host}/team/nemo:1.2.0`
  const saved = await run(['pull', '-o', folder, '--images', '*/*/compass:*, -*/*/anchor:*', reference])
  assert.equal(saved.code, 0, saved.stderr)
  const path = join(folder, basename(FIXTURES.nemoAmd64))
  assert.equal(saved.stdout, `${path}\n`)
  const titles = execFileSync('tar', ['--zstd', '-tf', path], { encoding: 'utf8' }).trim().split('\n')
  assert.equal(titles.filter((title) => title.startsWith('images/')).length, 6)
  assert.ok(!titles.some((title) => title.startsWith('components/')))
  const bare = await run(['pull', '-o', folder, '--overwrite', '--components', '*', '--images', '', reference])
  assert.equal(bare.code, 0, bare.stderr)
  const others = execFileSync('tar', ['--zstd', '-tf', path], { encoding: 'utf8' }).trim().split('\n')
  assert.deepEqual(
    others.filter((title) => title.startsWith('images/')),
    [],
  )
  assert.equal(others.filter((title) => title.startsWith('components/')).length, 3)
  const kept = await run(['pull', '--store', '--metadata-only', reference])
  assert.match(kept.stderr, /\n {2}2 layers, /)
  assert.match((await run(['packages'])).stdout, /nemo +1\.2\.0 +amd64 +2\.5 MiB, a part +sha256:/)
})
