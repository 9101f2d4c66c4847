import assert from 'node:assert/strict'
import { createHash, randomBytes } from 'node:crypto'
import { request as httpRequest } from 'node:http'
import { stat } from 'node:fs/promises'
import { join } from 'node:path'
import { test } from 'node:test'
import { Upload } from 'tus-js-client'
import { apiOf, readyUrl, startLayerd } from '../helpers/processes/layerd.ts'
import { shortTempDir } from '../helpers/temp-dir.ts'
import { waitFor } from '../helpers/wait-for.ts'

const MiB = 1024 * 1024
const TUS = { 'tus-resumable': '1.0.0' }

test('an upload whose API process is killed goes on at the byte, and has the right hash at its end', async (t) => {
  const dataDir = await shortTempDir(t)
  const layerd = await startLayerd(t, { dataDir, env: { LAYERD_WORKERS: '0' } })
  const api = await readyUrl(layerd)
  const bytes = randomBytes(24 * MiB)
  const sha256 = createHash('sha256').update(bytes).digest('hex')
  const created = await fetch(`${api}/v1/uploads`, {
    method: 'POST',
    headers: {
      ...TUS,
      'upload-length': String(bytes.length),
      'upload-metadata': `filename ${btoa('p.tar')},sha256 ${btoa(sha256)}`,
    },
  })
  assert.equal(created.status, 201)
  const url = `${api}${created.headers.get('location')}`
  const id = url.split('/').at(-1) ?? ''
  const sent = httpRequest(url, {
    method: 'PATCH',
    headers: {
      ...TUS,
      'content-type': 'application/offset+octet-stream',
      'content-length': bytes.length,
      'upload-offset': 0,
    },
  })
  sent.on('error', () => undefined)
  sent.write(bytes.subarray(0, 15 * MiB))
  const path = join(dataDir, 'uploads', `partial-${id}`, 'p.tar')
  await waitFor('most of it to be written', async () => (await stat(path)).size >= 14 * MiB)
  process.kill(apiOf(layerd.pid).pid, 'SIGKILL')
  const { size } = await stat(path)

  const head = await waitFor('another API process to say where it stands', async () => {
    const answer = await fetch(url, { method: 'HEAD', headers: TUS }).catch(() => undefined)
    // Until Redis is there it is a 503.
    return answer?.status === 200 ? answer : undefined
  })
  assert.equal(head.headers.get('upload-offset'), String(size))
  const offsets: number[] = []
  await new Promise<void>((resolve, reject) => {
    const upload = new Upload(bytes, {
      uploadUrl: url,
      retryDelays: null,
      onError: reject,
      onSuccess: () => resolve(),
      onProgress: (offset) => void offsets.push(offset),
    })
    upload.start()
  })
  assert.ok((offsets[0] ?? 0) >= size, 'nothing was sent again')
  const upload = (await (await fetch(url)).json()) as object
  assert.deepEqual(upload, { id, name: 'p.tar', state: 'complete', size: bytes.length, sha256 })
})
