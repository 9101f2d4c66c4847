import { readdirSync } from 'node:fs'
import { join } from 'node:path'
import { request } from 'node:http'
import { request as requestTls } from 'node:https'
import type { BuiltPackage } from '../helpers/packages/package-builder.ts'
import type { FarEnd } from './far-end.ts'
import type { Inputs } from './inputs.ts'
import type { Daemon, JobRequest } from './layerd.ts'
import { blobPullers, blobPushers, filePushers, publishers, pullers } from './peers.ts'
import { type Bench, compete, type Contender, type Round, type Row } from './rows.ts'

export interface TaskContext extends Bench {
  daemon: Daemon
  inputs: Inputs
}

/** Where a task is done: a new far end each time, without content. */
export type Start = () => Promise<FarEnd>
export type Way = 'push' | 'pull'

/** A package archive to a registry; then back. */
export async function packageTasks(start: Start, context: TaskContext, ways: ReadonlySet<Way>): Promise<Row[]> {
  const { built, label } = await context.inputs.large()
  return archiveTasks({ built, label, peers: [] }, { start, context, ways })
}

/** The same for many small layers, beside a program that pushes as many files. */
export async function smallTasks(start: Start, context: TaskContext, ways: ReadonlySet<Way>): Promise<Row[]> {
  const { built, folder, label } = await context.inputs.small()
  const names = readdirSync(join(folder, 'components')).map((name) => `components/${name}`)
  const peers = filePushers({ folder, names, repository: built.name }, (round) =>
    checkLayers(round, { repository: `${round.id}/${built.name}`, count: names.length }),
  )
  return archiveTasks({ built, label, peers }, { start, context, ways })
}

interface ArchiveInput {
  built: BuiltPackage
  label: string
  /** At publish, beside those that take a package. */
  peers: readonly Contender[]
}

interface Setting {
  start: Start
  context: TaskContext
  ways: ReadonlySet<Way>
}

async function archiveTasks({ built, label, peers }: ArchiveInput, setting: Setting): Promise<Row[]> {
  const { start, context, ways } = setting
  const bytes = built.contentBytes
  const rows: Row[] = []
  if (ways.has('push')) {
    const published = (round: Round) =>
      checkLayers(round, { repository: `${round.id}/${built.name}`, count: built.files.length })
    const own = publisher(context.daemon, built, published)
    const task = { name: `publish ${label}`, direction: 'push' as const, bytes, farEnd: start }
    rows.push(...(await compete(task, [own, ...publishers(built.path, published), ...peers], context)))
  }
  if (ways.has('pull')) {
    await using farEnd = await start()
    await context.daemon.run(publishJob(built, farEnd, 'pulled'))
    const repository = `pulled/${built.name}`
    const task = { name: `pull ${label}`, direction: 'pull' as const, bytes, farEnd }
    rows.push(...(await compete(task, [puller(context.daemon, repository), ...pullers(repository, bytes)], context)))
  }
  return rows
}

/** One large layer; layerd's row is a package that holds nothing else of size. */
export async function blobTasks(start: Start, context: TaskContext, ways: ReadonlySet<Way>): Promise<Row[]> {
  const { built, blob, label } = await context.inputs.blob()
  const rows: Row[] = []
  if (ways.has('push')) {
    const task = { name: `push ${label}`, direction: 'push' as const, bytes: blob.size, farEnd: start }
    rows.push(...(await compete(task, [publisher(context.daemon, built), ...blobPushers(blob)], context)))
  }
  if (ways.has('pull')) {
    await using farEnd = await start()
    await context.daemon.run(publishJob(built, farEnd, 'pulled'))
    const repository = `pulled/${built.name}`
    const task = { name: `pull ${label}`, direction: 'pull' as const, bytes: blob.size, farEnd }
    rows.push(...(await compete(task, [puller(context.daemon, repository), ...blobPullers(repository, blob)], context)))
  }
  return rows
}

export function publishJob({ path }: BuiltPackage, { host }: FarEnd, namespace: string): JobRequest {
  return { kind: 'publish', source: `file:${path}`, destination: `oci://${host}/${namespace}` }
}

function publisher(daemon: Daemon, built: BuiltPackage, check?: (round: Round) => unknown): Contender {
  return {
    name: 'layerd',
    async run(round) {
      const cost = await daemon.run(publishJob(built, round.farEnd, round.id))
      await check?.(round)
      return cost
    },
  }
}

/** Into an empty store, which serves the archive without writing it. */
function puller(daemon: Daemon, repository: string): Contender {
  return {
    name: 'layerd',
    async run({ farEnd }) {
      await daemon.emptyStore()
      const cost = await daemon.run({ kind: 'pull', source: `oci://${farEnd.host}/${repository}:1.0.0` })
      await daemon.emptyStore()
      return cost
    },
  }
}

/** The package's tag names a manifest of so many layers, and the registry has some of them, at their full size. */
export async function checkLayers(
  { farEnd }: Round,
  { repository, count }: { repository: string; count: number },
): Promise<void> {
  const get = async (reference: string): Promise<Manifest> => {
    const { body } = await ask(farEnd, { method: 'GET', path: `/v2/${repository}/manifests/${reference}` })
    return JSON.parse(body) as Manifest
  }
  const tagged = await get('1.0.0')
  const [inner] = tagged.manifests ?? []
  const { layers = [] } = inner ? await get(inner.digest) : tagged
  if (layers.length < count) throw new Error(`${repository} has ${layers.length} of ${count} layers`)
  for (let index = 0; index < layers.length; index += Math.ceil(layers.length / 25)) {
    const { digest = '', size = 0 } = layers[index] ?? {}
    const head = await ask(farEnd, { method: 'HEAD', path: `/v2/${repository}/blobs/${digest}` })
    if (head.length !== size) throw new Error(`${repository}: ${digest} has ${head.length} of ${size} bytes`)
  }
}

interface Manifest {
  manifests?: { digest: string }[]
  layers?: { digest: string; size: number }[]
}

/** distribution shows an index to those alone who name its type. */
const MANIFESTS = 'application/vnd.oci.image.index.v1+json, application/vnd.oci.image.manifest.v1+json, */*'

function ask(
  { url, certificate }: FarEnd,
  { method, path }: { method: 'GET' | 'HEAD'; path: string },
): Promise<{ body: string; length: number }> {
  const send = url.startsWith('https:') ? requestTls : request
  return new Promise((resolve, reject) => {
    const options = { method, headers: { accept: MANIFESTS }, ca: certificate.pem }
    const sent = send(`${url}${path}`, options, (response) => {
      let body = ''
      response.setEncoding('utf8').on('data', (text: string) => (body += text))
      response.on('end', () => {
        if (response.statusCode === 200) resolve({ length: Number(response.headers['content-length']), body })
        else reject(new Error(`${path}: ${response.statusCode}`))
      })
    })
    sent.on('error', reject).end()
  })
}
