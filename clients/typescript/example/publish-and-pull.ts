/**
 * Uploads a package, publishes it, follows the job to its end, pulls it back and saves the archive.
 *
 *   node example/publish-and-pull.ts http://127.0.0.1:8420 zarf-package-nemo-amd64-1.2.0.tar.zst oci://localhost:5000/team /tmp
 */
import { createWriteStream } from 'node:fs'
import { basename, join } from 'node:path'
import { Writable } from 'node:stream'
import { type components, createLayerd, dataOf, type Job, type Layerd } from '../src/index.ts'

type JobRequest = components['schemas']['JobRequest']

async function run(url: string, file: string, destination: string, folder: string): Promise<void> {
  const layerd = createLayerd({ url })
  const upload = await layerd.upload(file)
  const published = await finish(layerd, { kind: 'publish', source: `upload:${upload.id}`, destination })
  console.log('published', published.digest)
  const pulled = await finish(layerd, { kind: 'pull', source: published.reference, options: { transient: true } })
  const archive = await fetch(new URL(pulled.archive ?? '', url))
  const path = join(folder, basename(file))
  await archive.body?.pipeTo(Writable.toWeb(createWriteStream(path)))
  dataOf(await layerd.api.DELETE('/v1/uploads/{upload}', { params: { path: { upload: upload.id } } }))
  console.log('saved', path)
}

async function finish(layerd: Layerd, body: JobRequest): Promise<NonNullable<Job['result']>> {
  const job = dataOf(await layerd.api.POST('/v1/jobs', { body }))
  for await (const event of layerd.follow(job.id)) {
    if (event.type === 'progress') console.error(`${event.progress.bytesDone} of ${event.progress.bytesTotal ?? '?'}`)
    if (event.type !== 'end') continue
    if (event.job.result) return event.job.result
    throw new Error(event.job.error?.detail ?? event.job.state)
  }
  throw new Error('the stream ended before the job')
}

const [url = '', file = '', destination = '', folder = '.'] = process.argv.slice(2)
await run(url, file, destination, folder)
