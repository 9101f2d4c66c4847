import assert from 'node:assert/strict'
import { createServer, request as forward } from 'node:http'
import { test } from 'node:test'
import type { Cleanup } from '../helpers/cleanup.ts'
import { listenOnLoopback } from '../helpers/network/listening.ts'
import { buildPackage } from '../helpers/packages/package-builder.ts'
import { begin, newJob, PROBLEM, startJobs } from '../helpers/redis/jobs.ts'
import { startJobSystem } from '../helpers/redis/job-system.ts'
import { startMemoryRegistry } from '../helpers/registries/memory-registry.ts'
import { startScriptedServer } from '../helpers/registries/scripted-server.ts'
import { tempDir } from '../helpers/temp-dir.ts'

/** A registry all of whose answers bear warnings; blobs are where it redirects to, which has its own. */
async function warningRegistry(t: Cleanup, warnings: readonly string[]) {
  const registry = await startMemoryRegistry({ locations: 'relative' })
  t.after(() => registry.close())
  const storage = await startScriptedServer(t, (incoming, response) => {
    const blob = registry.blob('team/sample', incoming.url?.slice(1) ?? '')
    response.writeHead(200, { warning: '299 - "of the storage"', 'content-length': blob?.length ?? 0 }).end(blob)
  })
  const front = createServer((incoming, response) => {
    const { method = '', url = '', headers } = incoming
    response.setHeader('warning', warnings)
    const blob = /^\/v2\/team\/sample\/blobs\/(sha256:.*)/.exec(url)?.[1]
    if (method === 'GET' && blob !== undefined) {
      response.writeHead(307, { location: `${storage.url}/${blob}` }).end()
      return
    }
    const far = forward(`http://${registry.host}${url}`, { method, headers }, (answer) => {
      response.writeHead(answer.statusCode ?? 500, answer.headers)
      answer.pipe(response)
    })
    incoming.pipe(far)
  })
  return { host: await listenOnLoopback(t, front), storage }
}

test('what a registry warns of is in the log of the job once, from whichever exchange, and fails nothing', async (t) => {
  const secret = 'registry-password'
  const { host, storage } = await warningRegistry(t, [
    '299 - "quota at 90 %, of \\"team\\""',
    `299 - "ann and ${secret} expire", 110 - "stale"`,
  ])
  const folder = await tempDir(t)
  const built = await buildPackage(folder, { layers: 3, layerBytes: 3 * 1024 * 1024, format: 'tar' })
  const system = await startJobSystem(t, { roots: [folder] })
  await system.worker('one')
  const credentials = { registry: host, username: 'ann', password: secret }
  const published = await system.ended((await system.publish(built.path, `${host}/team`, { credentials })).id)
  const pulled = await system.ended((await system.pull(published.result?.reference ?? '', { credentials })).id)
  assert.ok(storage.requests.length > 0)
  for (const job of [published, pulled]) {
    assert.equal(job.state, 'succeeded', JSON.stringify(job.error))
    const warnings = (await system.log(job.id)).flatMap((event) => (event.type === 'warning' ? [event] : []))
    assert.deepEqual(
      warnings.map(({ code, message }) => [code, message.replace(/ and .* expire/, ' and … expire')]),
      [
        ['REGISTRY_WARNING', `${host} says: quota at 90 %, of "team"`],
        ['REGISTRY_WARNING', `${host} says: ann and … expire`],
      ],
    )
    assert.ok(!JSON.stringify(warnings).includes(secret))
    const lines = (await system.queue.log(job.id, { limit: 1000 })).map(({ line }) => `${line.level} ${line.message}`)
    assert.ok(lines.includes(`warn REGISTRY_WARNING: ${host} says: quota at 90 %, of "team"`), lines.join('\n'))
  }
})

test('several runs of a job are told a warning once, and 4096 bytes of them in all', async (t) => {
  const jobs = await startJobs(t)
  const { job } = await jobs.queue.create(newJob())
  const warn = (message: string, code = 'REGISTRY_WARNING') => ({ type: 'warning', code, message }) as const
  const large = ['b', 'c'].map((letter) => letter.repeat(2000))
  const epochs: number[] = []
  for (const more of [['a'], ['a', ...large], ['a "quoted"', 'd'.repeat(200), 'a']]) {
    const { epoch } = await begin(jobs, job)
    epochs.push(epoch)
    const events = [...more.map((text) => warn(text)), warn('odd', 'ODD')]
    await jobs.runs.report(job.id, epoch, { events })
    const retryAt = new Date(Date.now())
    await jobs.runs.finish(job.id, epoch, { state: 'retrying', retryAt, error: PROBLEM }, {})
  }
  const lines = (await jobs.queue.log(job.id, { limit: 1000 })).map(({ line }) => line.message)
  assert.deepEqual(
    lines.filter((line) => /^(?:ODD|REGISTRY_WARNING)/.test(line)),
    [
      'REGISTRY_WARNING: a',
      'ODD: odd',
      ...large.map((text) => `REGISTRY_WARNING: ${text}`),
      'ODD: odd',
      'REGISTRY_WARNING: a "quoted"',
      'ODD: odd',
    ],
  )
})
