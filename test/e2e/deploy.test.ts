import assert from 'node:assert/strict'
import { randomUUID } from 'node:crypto'
import { readdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { after, before, describe, test } from 'node:test'
import { digestOf } from '../../src/content/digest.ts'
import { FIXTURES, publishedManifest } from '../helpers/packages/fixtures.ts'
import { DeployScene } from '../helpers/processes/deploy-scene.ts'
import { readProcess, workersOf } from '../helpers/processes/layerd.ts'
import { waitFor } from '../helpers/wait-for.ts'

const scene = new DeployScene()
before(() => scene.start())
after(() => scene[Symbol.asyncDispose]())

const gone = (pids: readonly number[]) =>
  waitFor(`processes ${pids.join(', ')} to end`, () => pids.every((pid) => readProcess(pid) === undefined))

/** Nothing of a deploy lies in the data directory any more, but what its program wrote. */
async function assertNothingLeft(): Promise<void> {
  await waitFor(
    'the working folders to go',
    async () => (await readdir(join(scene.dataDir, 'deploys', 'work'))).length === 0,
  )
}

describe('a deploy', () => {
  test('runs the program on the package of a registry, and tells what it says', async () => {
    const report = randomUUID()
    const options = { set: { REPORT: scene.path(report), NAME: `a 'b' "c" $(id) \`id\` ; & | \\ ü` } }
    const job = await scene.ended(await scene.deploy({ options }))
    assert.equal(job.state, 'succeeded', JSON.stringify(job.error))
    assert.equal(job.result?.digest, digestOf(publishedManifest('logbook')))
    assert.deepEqual(job.result?.components, ['write'])
    assert.deepEqual([job.result?.name, job.result?.version], ['logbook', '0.1.0'])
    assert.match(await scene.log(job), /deploying component name=write/)
    const told = await scene.written(report)
    assert.match(told, /^args package deploy \S+\/zarf-package-logbook-amd64-0\.1\.0\.tar\.zst --confirm$/m)
    assert.match(told, /^config 600$/m)
    assert.ok(told.includes(JSON.stringify(options.set.NAME)), told)
    assert.doesNotMatch(told, /^env LAYERD_/m)
    await assertNothingLeft()
  })

  for (const [what, source] of [
    ['a file', async () => `file:${FIXTURES.logbook}`],
    [
      'the store',
      async () => {
        const pulled = await scene.ended(await scene.post({ kind: 'pull', source: scene.logbook }))
        return `store:${pulled.result?.digest}`
      },
    ],
  ] as const) {
    test(`takes a package of ${what}`, async () => {
      const job = await scene.ended(await scene.deploy({ source: await source() }))
      assert.equal(job.state, 'succeeded', JSON.stringify(job.error))
      assert.equal(job.result?.digest, digestOf(publishedManifest('logbook')))
    })
  }

  test('fails with the last words of a program that fails', async () => {
    const job = await scene.ended(await scene.deploy({ options: { set: { MODE: 'fail' } } }))
    assert.equal(job.state, 'failed')
    assert.equal(job.error?.code, 'DEPLOY_FAILED')
    assert.match(job.error?.detail ?? '', /ended with code 1: failed to deploy package: the chart says no/)
    assert.equal(job.attempt, 1)
    await assertNothingLeft()
  })

  test('says which signal ended its program', async () => {
    const job = await scene.ended(await scene.deploy({ options: { set: { MODE: 'signal' } } }))
    assert.equal(job.error?.code, 'DEPLOY_FAILED')
    assert.match(job.error?.detail ?? '', /was ended by SIGSEGV/)
  })

  test('ends what its program left running', async () => {
    const name = randomUUID()
    const job = await scene.ended(
      await scene.deploy({ options: { set: { MODE: 'children', PIDS: scene.path(name) } } }),
    )
    assert.equal(job.state, 'succeeded')
    await gone(await scene.pids(name))
    assert.match(await scene.log(job), /[12] processes that were left running were ended/)
  })

  test('that is canceled ends with all that its program started', async () => {
    const name = randomUUID()
    const job = await scene.deploy({ options: { set: { MODE: 'hang', PIDS: scene.path(name) } } })
    const pids = await scene.pids(name)
    assert.equal((await scene.request(`/v1/jobs/${job.id}/cancel`, { method: 'POST', body: {} })).status, 202)
    assert.equal((await scene.ended(job)).state, 'canceled')
    await gone(pids)
    await assertNothingLeft()
  })

  test('that takes too long is ended', async () => {
    const name = randomUUID()
    const options = { timeoutSeconds: 10, set: { MODE: 'hang', PIDS: scene.path(name) } }
    const job = await scene.ended(await scene.deploy({ options }))
    assert.equal(job.error?.code, 'DEPLOY_TIMED_OUT')
    await gone(await scene.pids(name))
  })

  test('waits for another one to the same cluster', async () => {
    const file = scene.path(randomUUID())
    const first = await scene.deploy({ options: { set: { MODE: 'until', FILE: file } } })
    await waitFor('the first to begin', async () => /waiting/.test(await scene.log(first)))
    const second = await scene.deploy()
    await waitFor('the second to wait', async () => /another deploy/.test((await scene.job(second)).reason ?? ''))
    await writeFile(file, '')
    assert.equal((await scene.ended(first)).state, 'succeeded')
    assert.equal((await scene.ended(second)).state, 'succeeded')
  })
})

describe('a worker that is killed', () => {
  test('takes its deploy with it, which fails and is not run again', { timeout: 180_000 }, async () => {
    const [name, report] = [randomUUID(), randomUUID()]
    const set = { MODE: 'hang', PIDS: scene.path(name), REPORT: scene.path(report) }
    const job = await scene.deploy({ options: { set } })
    const pids = await scene.pids(name)
    await waitFor('it to be told', async () => /waiting for the cluster/.test(await scene.log(job)))
    const [worker] = workersOf(scene.pid)
    assert.ok(worker)
    process.kill(worker.pid, 'SIGKILL')
    await gone(pids)
    await assertNothingLeft()
    const ended = await scene.ended(job)
    assert.equal(ended.state, 'failed')
    assert.equal(ended.error?.code, 'DEPLOY_INTERRUPTED')
    assert.equal((await scene.log(job)).match(/starting deploy/g)?.length, 1)
  })
})
