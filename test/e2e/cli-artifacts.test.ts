import assert from 'node:assert/strict'
import { mkdir, readdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { test, type TestContext } from 'node:test'
import { startBed } from '../helpers/processes/cli-bed.ts'
import { startDockerRegistry } from '../helpers/registries/docker-registry.ts'
import { tempDir } from '../helpers/temp-dir.ts'

async function started(t: TestContext) {
  const { host } = await startDockerRegistry(t)
  const bed = await startBed(t)
  const folder = await tempDir(t, 'work')
  await mkdir(join(folder, 'docs'))
  await writeFile(join(folder, 'docs', 'read me.md'), '# read me\n')
  await writeFile(join(folder, 'notes.txt'), 'notes\n')
  const run = async (...args: string[]) => await bed.run(args, { cwd: folder })
  return { host, bed, folder, run }
}

test('push sends files that the daemon cannot read, pull --files brings them back, and no upload is left', async (t) => {
  const { host, bed, run } = await started(t)
  const reference = `oci://${host}/team/notes:1`
  const pushed = await run('push', reference, 'notes.txt:text/plain', 'docs/read me.md', '--annotation', 'a=b', '-q')
  assert.equal(pushed.code, 0, pushed.output)
  assert.match(pushed.stdout, /^sha256:[0-9a-f]{64}\n$/)
  assert.equal((await run('uploads', '-q')).stdout, '')
  const into = join(bed.root, 'notes')
  const pulled = await run('pull', '--files', reference, '-o', into, '-q')
  assert.deepEqual([pulled.code, pulled.stdout], [0, pushed.stdout], pulled.output)
  assert.deepEqual((await readdir(into, { recursive: true })).toSorted(), ['docs', 'docs/read me.md', 'notes.txt'])
  assert.equal(await readFile(join(into, 'docs', 'read me.md'), 'utf8'), '# read me\n')
  const again = await run('pull', '--files', reference, '-o', into)
  assert.equal(again.code, 1)
  assert.match(again.output, /PACKAGE_EXISTS/)
})

test('attach is found by referrers, and what it attached is pulled by its digest', async (t) => {
  const { host, bed, run } = await started(t)
  const reference = `oci://${host}/team/notes:1`
  const type = 'application/spdx+json'
  assert.equal((await run('push', reference, 'notes.txt')).code, 0)
  const attached = await run('attach', reference, `notes.txt:${type}`, '--artifact-type', type, '-q')
  assert.equal(attached.code, 0, attached.output)
  const listed = await run('referrers', reference, '--artifact-type', type)
  assert.match(listed.stdout, new RegExp(`spdx.json .*${attached.stdout.trim()}`))
  const into = join(bed.root, 'sbom')
  const pulled = await run('pull', '--files', `oci://${host}/team/notes@${attached.stdout.trim()}`, '-o', into)
  assert.equal(pulled.code, 0, pulled.output)
  assert.equal(await readFile(join(into, 'notes.txt'), 'utf8'), 'notes\n')
})

test('wrong use and files that are not there are told without a job', async (t) => {
  const { host, bed, folder, run } = await started(t)
  const refused: Array<[string[], number, RegExp]> = [
    [['push', `oci://${host}/team/notes`, 'notes.txt'], 2, /names no tag/],
    [['push', host, 'notes.txt'], 2, /names no repository/],
    [['push', `oci://${host}/team/notes:1`, 'gone.txt'], 1, /there is no .*gone\.txt on this machine/],
    [['push', `oci://${host}/team/notes:1`, 'docs'], 1, /is no file/],
    [['push', `oci://${host}/team/notes:1`, 'notes.txt', '--annotation', 'x'], 2, /key=value/],
    [['push', `oci://${host}/team/Notes:1`, 'notes.txt'], 1, /BODY_INVALID/],
    [['attach', `oci://${host}/team/notes:1`, 'notes.txt'], 2, /artifact-type/],
    [['attach', `oci://${host}/team/notes`, 'notes.txt', '--artifact-type', 'a/b'], 2, /neither a tag nor a digest/],
    [['pull', '--files', `oci://${host}/team/notes:1`, '--store'], 2, /--files/],
    [['pull', '--files', `oci://${host}/team/notes:1`, '-o', folder], 1, /PACKAGE_OUTSIDE_ROOTS/],
    [['push', `oci://${host}/team/notes:1`, 'notes.txt', '--dry-run'], 1, /a dry run sends nothing/],
  ]
  for (const [args, code, says] of refused) {
    const { code: found, output } = await run(...args)
    assert.equal(found, code, output)
    assert.match(output, says, args.join(' '))
  }
  const { items } = (await (await fetch(`${bed.api}/v1/jobs`)).json()) as { items: unknown[] }
  assert.deepEqual(items, [])
})
