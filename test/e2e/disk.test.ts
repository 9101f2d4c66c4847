import assert from 'node:assert/strict'
import { rm, statfs, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { test } from 'node:test'
import { readyUrl, startLayerd } from '../helpers/processes/layerd.ts'
import { smallDisk } from '../helpers/small-disk.ts'
import { shortTempDir } from '../helpers/temp-dir.ts'
import { waitFor } from '../helpers/wait-for.ts'

interface Problem {
  status: number
  code: string
  detail: string
  hint?: string
}

const put = (api: string) => fetch(`${api}/v1/uploads/p.tar`, { method: 'PUT', body: 'bytes' })

/** Makes Redis write. */
async function submit(api: string): Promise<Problem> {
  const response = await fetch(`${api}/v1/jobs`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ kind: 'pull', source: 'oci://127.0.0.1:9/sample:1.0.0' }),
  })
  return (await response.json()) as Problem
}

test('a disk with less than the reserve refuses uploads, is told, and lets in who could delete something', async (t) => {
  const dataDir = await shortTempDir(t)
  const env = { LAYERD_WORKERS: '0' }
  const before = await startLayerd(t, { dataDir, env })
  const kept = (await (await put(await readyUrl(before))).json()) as { id: string }
  await before.stop()

  const { bavail, bsize } = await statfs(dataDir)
  const reserve = String(2 * bavail * bsize)
  const layerd = await startLayerd(t, { dataDir, env: { ...env, LAYERD_DISK_RESERVE: reserve } })
  const api = await readyUrl(layerd)
  const ready = await fetch(`${api}/readyz`)
  assert.deepEqual([ready.status, await ready.json()], [200, { ready: true, reasons: [], disk: 'low' }])
  const refused = await put(api)
  assert.equal(refused.status, 507)
  assert.match(
    ((await refused.json()) as Problem).detail,
    /free, .* are kept free for Redis, the upload needs 5 bytes$/,
  )
  assert.match(await (await fetch(`${api}/metrics`)).text(), /^layerd_fleet_disk_low 1$/m)
  assert.equal((await fetch(`${api}/v1/uploads/${kept.id}`, { method: 'DELETE' })).status, 204)
  assert.match(layerd.stdout(), /"the disk runs low: .* free, .* are kept free for Redis; uploads get 507/)
})

test('a full disk that ends the private Redis is named as what it is, in answers and in the log', async (t) => {
  const disk = await smallDisk(t, 16)
  if (disk === undefined) return
  const env = { LAYERD_WORKERS: '1', LAYERD_DISK_RESERVE: '0' }
  const layerd = await startLayerd(t, { dataDir: disk, env })
  const api = await readyUrl(layerd)
  const ballast = join(disk, 'ballast')
  await assert.rejects(writeFile(ballast, Buffer.alloc(17 * 2 ** 20)), { code: 'ENOSPC' })
  // What stood in its file's last page may take a write or two.
  const problem = await waitFor('a job to be refused with the reason', async () => {
    const found = await submit(api)
    assert.doesNotMatch(found.hint ?? '', /LAYERD_REDIS_URL/)
    return found.status === 503 && /ended/.test(found.detail) ? found : undefined
  })
  assert.deepEqual([problem.status, problem.code], [503, 'QUEUE_UNAVAILABLE'])
  assert.match(
    problem.detail,
    /^the private Redis ended with exit code 1; its disk is full \(0 bytes free\); the last line that its log took: ./,
  )
  assert.equal(problem.hint, `Free space on the disk of ${disk}: layerd starts its Redis again by itself.`)
  assert.match(
    layerd.stdout(),
    /"exitCode":1,"lastLine":[^\n]*"the private Redis ended with exit code 1; its disk is full/,
  )
  assert.doesNotMatch(layerd.stdout(), /LAYERD_REDIS_URL/)
  await rm(ballast)
  await waitFor('it to be ready again', async () => (await fetch(`${api}/readyz`)).ok)
})
