import { readdirSync } from 'node:fs'
import { join } from 'node:path'
import { request } from 'node:https'
import type { BuiltPackage } from '../helpers/package-builder.ts'
import type { FarEnd } from './far-end.ts'
import type { Inputs } from './inputs.ts'
import type { Daemon, JobRequest } from './layerd.ts'
import { blobPullers, blobPushers, filePushers, type PeerOptions, publishers, pullers } from './peers.ts'
import { type Bench, compete, type Contender, type Round, type Row } from './rows.ts'

export interface TaskContext extends Bench {
  daemon: Daemon
  inputs: Inputs
  ca: { path: string; pem: string }
}

/** A package archive to a registry that has nothing of it; then back. */
export async function packageTasks(farEnd: FarEnd, context: TaskContext, ways: ReadonlySet<string>): Promise<Row[]> {
  const { built, label } = await context.inputs.large()
  return archiveTasks({ built, label, farEnd, context, ways, peers: [] })
}

/** The same for many small layers, beside a program that pushes as many files. */
export async function smallTasks(farEnd: FarEnd, context: TaskContext, ways: ReadonlySet<string>): Promise<Row[]> {
  const { built, folder, label } = await context.inputs.small()
  const names = readdirSync(join(folder, 'components')).map((name) => `components/${name}`)
  const peers = filePushers({ folder, names, repository: built.name }, peerOptions(farEnd, context), (round) =>
    checkLayers(farEnd, { repository: `${round.id}/${built.name}`, count: names.length, context }),
  )
  return archiveTasks({ built, label, farEnd, context, ways, peers })
}

interface ArchiveTask {
  built: BuiltPackage
  label: string
  farEnd: FarEnd
  context: TaskContext
  ways: ReadonlySet<string>
  /** At publish, beside those that take a package. */
  peers: readonly Contender[]
}

async function archiveTasks({ built, label, farEnd, context, ways, peers }: ArchiveTask): Promise<Row[]> {
  const { daemon } = context
  const options = peerOptions(farEnd, context)
  const bytes = built.contentBytes
  const rows: Row[] = []
  const published = (round: Round) =>
    checkLayers(farEnd, { repository: `${round.id}/${built.name}`, count: built.files.length, context })
  const publishJob = (id: string): JobRequest => ({
    kind: 'publish',
    source: `file:${built.path}`,
    destination: `oci://${farEnd.host}/${id}`,
  })
  if (ways.has('push')) {
    const own = layerd(daemon, ({ id }) => publishJob(id), published)
    const task = { name: `publish ${label}`, farEnd, moves: { direction: 'push' as const, bytes } }
    rows.push(...(await compete(task, [own, ...publishers(built.path, options, published), ...peers], context)))
  }
  if (ways.has('pull')) {
    await daemon.run(publishJob('pulled'))
    const reference = `${farEnd.host}/pulled/${built.name}:1.0.0`
    const task = { name: `pull ${label}`, farEnd, moves: { direction: 'pull' as const, bytes } }
    rows.push(...(await compete(task, [puller(daemon, reference), ...pullers(reference, bytes, options)], context)))
  }
  return rows
}

/** One large layer; layerd's row is a package that holds nothing else of size. */
export async function blobTasks(farEnd: FarEnd, context: TaskContext, ways: ReadonlySet<string>): Promise<Row[]> {
  const { daemon } = context
  const { built, blob, label } = await context.inputs.blob()
  const options = peerOptions(farEnd, context)
  const publishJob = (id: string): JobRequest => ({
    kind: 'publish',
    source: `file:${built.path}`,
    destination: `oci://${farEnd.host}/${id}`,
  })
  const rows: Row[] = []
  if (ways.has('push')) {
    const own = layerd(daemon, ({ id }) => publishJob(id))
    const task = { name: `push ${label}`, farEnd, moves: { direction: 'push' as const, bytes: blob.size } }
    rows.push(...(await compete(task, [own, ...blobPushers(blob, options)], context)))
  }
  if (ways.has('pull')) {
    await daemon.run(publishJob('pulled'))
    const repository = `${farEnd.host}/pulled/${built.name}`
    const task = { name: `pull ${label}`, farEnd, moves: { direction: 'pull' as const, bytes: blob.size } }
    const own = puller(daemon, `${repository}:1.0.0`)
    rows.push(...(await compete(task, [own, ...blobPullers(repository, blob, options)], context)))
  }
  return rows
}

function layerd(daemon: Daemon, job: (round: Round) => JobRequest, check?: (round: Round) => unknown): Contender {
  return {
    name: 'layerd',
    async run(round) {
      const cost = await daemon.run(job(round))
      await check?.(round)
      return cost
    },
  }
}

/** Into an empty store, which serves the archive without writing it. */
function puller(daemon: Daemon, reference: string): Contender {
  return {
    name: 'layerd',
    async run() {
      await daemon.emptyStore()
      const cost = await daemon.run({ kind: 'pull', source: `oci://${reference}` })
      await daemon.emptyStore()
      return cost
    },
  }
}

function peerOptions(farEnd: FarEnd, { ca }: TaskContext): PeerOptions {
  return { farEnd, ca: ca.path }
}

/** The package's tag names a manifest of so many layers, and the registry has some of them, at their full size. */
async function checkLayers(
  farEnd: FarEnd,
  { repository, count, context }: { repository: string; count: number; context: TaskContext },
): Promise<void> {
  const get = async (path: string): Promise<unknown> =>
    JSON.parse((await fetchFrom(farEnd, context, { method: 'GET', path: `/v2/${repository}/${path}` })).body)
  let manifest = (await get('manifests/1.0.0')) as {
    manifests?: { digest: string }[]
    layers?: { digest: string; size: number }[]
  }
  const [inner] = manifest.manifests ?? []
  if (inner) manifest = (await get(`manifests/${inner.digest}`)) as typeof manifest
  const layers = manifest.layers ?? []
  if (layers.length < count) throw new Error(`${repository} has ${layers.length} of ${count} layers`)
  for (let index = 0; index < layers.length; index += Math.ceil(layers.length / 25)) {
    const { digest = '', size = 0 } = layers[index] ?? {}
    const head = await fetchFrom(farEnd, context, { method: 'HEAD', path: `/v2/${repository}/blobs/${digest}` })
    if (head.length !== size) throw new Error(`${repository}: ${digest} has ${head.length} of ${size} bytes`)
  }
}

/** distribution shows an index to those alone who name its type. */
const MANIFESTS = 'application/vnd.oci.image.index.v1+json, application/vnd.oci.image.manifest.v1+json, */*'

async function fetchFrom(
  { url }: FarEnd,
  { ca }: TaskContext,
  call: { method: 'GET' | 'HEAD'; path: string },
): Promise<{ body: string; length: number }> {
  const headers = { accept: MANIFESTS, 'accept-encoding': 'identity' }
  if (url.startsWith('http:')) {
    const response = await fetch(`${url}${call.path}`, { method: call.method, headers })
    if (!response.ok) throw new Error(`${call.path}: ${response.status}`)
    return { length: Number(response.headers.get('content-length')), body: await response.text() }
  }
  return new Promise((resolve, reject) => {
    const sent = request(`${url}${call.path}`, { method: call.method, headers, ca: ca.pem }, (response) => {
      let body = ''
      response.setEncoding('utf8').on('data', (text: string) => (body += text))
      response.on('end', () => {
        if (response.statusCode === 200) resolve({ length: Number(response.headers['content-length']), body })
        else reject(new Error(`${call.path}: ${response.statusCode}`))
      })
    })
    sent.on('error', reject).end()
  })
}
