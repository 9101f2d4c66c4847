import assert from 'node:assert/strict'
import { randomUUID } from 'node:crypto'
import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { after, before, describe, test } from 'node:test'
import { FIXTURES } from '../helpers/packages/fixtures.ts'
import { DeployScene } from '../helpers/processes/deploy-scene.ts'
import { findProgram, skipWithout } from '../helpers/processes/real-tools.ts'
import { runProcess } from '../helpers/processes/processes.ts'
import { tempDir } from '../helpers/temp-dir.ts'

const zarf = findProgram('zarf')
const scene = new DeployScene()
before(async () => {
  if (zarf !== undefined) await scene.start({ LAYERD_ZARF: zarf })
})
after(() => scene[Symbol.asyncDispose]())

describe('the real zarf', () => {
  test('deploys and removes a package that needs no cluster', { timeout: 300_000 }, async (t) => {
    if (skipWithout(t, 'zarf')) return
    const job = await scene.ended(await scene.deploy())
    assert.equal(job.state, 'succeeded', `${JSON.stringify(job.error)}\n${await scene.log(job)}`)
    assert.deepEqual(job.result?.components, ['write'])
    const file = await scene.ended(await scene.deploy({ source: `file:${FIXTURES.logbook}` }))
    assert.equal(file.result?.digest, job.result?.digest)
    const removed = await scene.ended(await scene.deploy({ kind: 'remove' }))
    assert.equal(removed.state, 'succeeded', `${JSON.stringify(removed.error)}\n${await scene.log(removed)}`)
  })

  test('gets each value of a variable as it is, and tells none that is sensitive', { timeout: 300_000 }, async (t) => {
    if (skipWithout(t, 'zarf') || zarf === undefined) return
    const source = await variablesPackage(t, zarf)
    const out = scene.path(randomUUID())
    const set = { OUT: out, PLAIN: `$(touch ${out}.bad) "; 'ü€ & \\ {{ .x }} ###ZARF_VAR_OUT###`, SECRET: `s3cr"et<&>` }
    const upload = await scene.upload(source)
    const job = await scene.ended(await scene.deploy({ source: upload, options: { set, sensitive: ['SECRET'] } }))
    assert.equal(job.state, 'succeeded', `${JSON.stringify(job.error)}\n${await scene.log(job)}`)
    assert.equal(await readFile(out, 'utf8'), `${set.PLAIN}\n${set.SECRET}\n`)
    assert.equal(job.options.set?.['SECRET'], '***')
    assert.ok(!(await scene.log(job)).includes('s3cr'))
  })

  test('says that a cluster is not there', { timeout: 300_000 }, async (t) => {
    if (skipWithout(t, 'zarf')) return
    const options = { timeoutSeconds: 20 }
    const job = await scene.ended(await scene.deploy({ source: `file:${FIXTURES.nemoAmd64}`, options }))
    assert.equal(job.state, 'failed')
    assert.match(job.error?.code ?? '', /^DEPLOY_(?:FAILED|TIMED_OUT)$/)
  })
})

/** A package whose action writes its variables to a file. */
async function variablesPackage(t: Parameters<typeof tempDir>[0], program: string): Promise<string> {
  const folder = await tempDir(t)
  await writeFile(
    join(folder, 'zarf.yaml'),
    `kind: ZarfPackageConfig
metadata:
  name: words
  version: 0.0.1
variables:
  - name: OUT
  - name: PLAIN
  - name: SECRET
components:
  - name: say
    required: true
    actions:
      onDeploy:
        after:
          - cmd: printf '%s\\n%s\\n' "$ZARF_VAR_PLAIN" "$ZARF_VAR_SECRET" > "$ZARF_VAR_OUT"; echo "$ZARF_VAR_SECRET"
`,
  )
  const env = { HOME: folder }
  const args = ['package', 'create', folder, '-o', folder, '--confirm', '-a', 'amd64', '--skip-sbom']
  const { code, output } = await runProcess(t, program, args, { cwd: folder, env, timeoutMs: 120_000 })
  assert.equal(code, 0, output)
  return join(folder, 'zarf-package-words-amd64-0.0.1.tar.zst')
}
