import assert from 'node:assert/strict'
import { glob, mkdir, readdir } from 'node:fs/promises'
import { join } from 'node:path'
import { Redis } from 'ioredis'
import { digestOf, parseDigest } from '../../../src/content/digest.ts'
import { parseDestination } from '../../../src/content/reference.ts'
import type { Job } from '../../../src/jobs/model/definitions.ts'
import type { Cleanup } from '../cleanup.ts'
import { type DockerRegistry, type RegistryProgram, startDockerRegistry } from '../registries/docker-registry.ts'
import { type FaultPoint, type FaultProxy, type PlannedFault, startFaultProxy } from '../network/fault-proxy.ts'
import { type JobSystem, startJobSystem } from '../redis/job-system.ts'
import { assertNothingLeft, type Places } from '../processes/leftovers.ts'
import { type BuiltPackage, buildPackage } from '../packages/package-builder.ts'
import { openDescriptors } from '../processes/process-leftovers.ts'
import { assertStreamInvariants } from './progress-invariants.ts'
import { publishTo } from '../packages/publishing.ts'
import { readPackage } from '../packages/pulling.ts'
import { tempDir } from '../temp-dir.ts'

const MIB = 1024 * 1024

/** What is done while one call fails: a whole job, from its creation to its end. */
export type Scene =
  | 'publish tar'
  | 'publish tar.zst'
  | 'publish by mounts'
  | 'pull to the store'
  | 'pull to a folder'
  /** Between two registries: with the destination failing, or the source. */
  | 'copy to'
  | 'copy from'
export type Side = 'registry' | 'redis'

export interface SweepPoint {
  side: Side
  at: FaultPoint
}

export interface SweepOutcome {
  job: Job
  /** Whether the point was reached. */
  met: boolean
  /** What passed of each call to either side. */
  exchanges: Record<Side, FaultProxy['exchanges']>
  /** Upload sessions that the registry still holds. */
  sessionsLeft: number
}

export interface Sweep {
  /** One job from nothing, through proxies of its own; throws where anything half-done is to be seen afterwards. */
  run(t: Cleanup, point?: SweepPoint): Promise<SweepOutcome>
}

interface Run {
  t: Cleanup
  name: string
  system: JobSystem
  /** Behind the proxy. */
  registry: DockerRegistry
  /** The other end of a copy. */
  other: DockerRegistry | undefined
  proxies: Record<Side, FaultProxy>
  /** For pulls into a folder. */
  folder: string
}

/** A registry, a package with a layer for each way to send one, and the package in the registry where it is to be pulled. */
export async function startSweep(t: Cleanup, scene: Scene, program: RegistryProgram): Promise<Sweep> {
  const registry = await startDockerRegistry(t, { program })
  const other = scene.startsWith('copy') ? await startDockerRegistry(t, { program }) : undefined
  const folder = await tempDir(t)
  const built = await buildPackage(folder, {
    layers: 1,
    layerBytes: 9 * MIB,
    format: scene === 'publish tar' ? 'tar' : 'tar.zst',
    files: { 'components/middle.tar': { bytes: 2 * MIB, seed: 5 }, 'images/index.json': '{"manifests":[]}' },
  })
  if (scene !== 'publish tar' && scene !== 'publish tar.zst') {
    const source = scene === 'copy to' && other ? other : registry
    await publishTo(t, built.path, parseDestination(`${source.host}/source`))
  }
  let count = 0
  return {
    async run(t, point) {
      const name = `run-${(count += 1)}`
      const own = join(folder, name)
      await mkdir(own)
      const system = await startJobSystem(t, { roots: [folder] })
      const proxies = {
        registry: await startFaultProxy(t, registry.host),
        redis: await startFaultProxy(t, system.redis.socketPath),
      }
      if (scene === 'publish by mounts') await learn(system, proxies.registry.host, built)
      await system.worker('one', { redis: { url: `redis://${proxies.redis.host}` } })
      const run: Run = { t, name, system, registry, other, proxies, folder: own }
      const descriptors = [{ pid: process.pid, before: await openDescriptors('self') }]
      const before = { registry: proxies.registry.calls, redis: proxies.redis.calls }
      const fault = point && proxies[point.side].fail(point.at)
      const job = await system.ended((await start(run, scene, built)).id)
      assertStreamInvariants(await system.log(job.id))
      if (job.state === 'failed') assertClear(job)
      else assert.equal(job.state, 'succeeded')
      await (scene.startsWith('pull') ? checkPulled(run, job, scene) : checkPublished(run, job, scene))
      await checkNothingLeft(run, { descriptors, ...(job.state === 'succeeded' ? { store: system.store.folder } : {}) })
      return {
        job,
        met: isMet(fault),
        exchanges: {
          registry: proxies.registry.exchanges.slice(before.registry),
          redis: proxies.redis.exchanges.slice(before.redis),
        },
        sessionsLeft: await sessionsOf(run, scene),
      }
    },
  }
}

/** As if an earlier job had gone the same way. */
function learn({ places }: JobSystem, registry: string, { files }: BuiltPackage): Promise<void> {
  const place = { registry, repository: 'source/sample' }
  return places.learn(
    place,
    files.map(({ digest }) => parseDigest(digest)),
  )
}

function isMet(fault: PlannedFault | undefined): boolean {
  return fault?.met ?? false
}

function start({ system, proxies, name, folder, other }: Run, scene: Scene, { path }: BuiltPackage): Promise<Job> {
  const { host } = proxies.registry
  if (scene === 'copy to') return system.copy(`oci://${other?.host}/source/sample:1.0.0`, `oci://${host}/${name}`)
  if (scene === 'copy from') return system.copy(`oci://${host}/source/sample:1.0.0`, `oci://${other?.host}/${name}`)
  if (scene.startsWith('publish')) return system.publish(path, `${host}/${name}`)
  const destination = scene === 'pull to a folder' ? `file:${folder}/` : 'store:'
  return system.pull(`oci://${host}/source/sample:1.0.0`, { destination })
}

/** An error that says what failed and is not a mistake of our own. */
function assertClear({ error }: Job): void {
  assert.ok(error)
  assert.notEqual(error.code, 'INTERNAL', JSON.stringify(error))
  assert.ok(error.detail)
}

/** The tag is there exactly if the job succeeded, and all that it names is there, byte for byte. */
async function checkPublished(run: Run, job: Job, scene: Scene): Promise<void> {
  const { name } = run
  const registry = destinationOf(run, scene)
  const repository = `${registry.url}/v2/${name}/sample`
  const accept = 'application/vnd.oci.image.index.v1+json, application/vnd.oci.image.manifest.v1+json'
  const get = async (path: string): Promise<Buffer> => {
    const response = await fetch(`${repository}/${path}`, { headers: { accept } })
    assert.equal(response.status, 200, `${path} answers ${response.status}`)
    return Buffer.from(await response.arrayBuffer())
  }
  if (job.state !== 'succeeded') {
    const response = await fetch(`${repository}/manifests/1.0.0`, { headers: { accept } })
    assert.equal(response.status, 404, 'a job that failed leaves no tag')
    return
  }
  const index = JSON.parse((await get('manifests/1.0.0')).toString()) as { manifests: Named[] }
  assert.deepEqual(
    index.manifests.map(({ digest }) => digest),
    [job.result?.digest],
  )
  const manifest = await get(`manifests/${job.result?.digest}`)
  const { config, layers } = JSON.parse(manifest.toString()) as { config: Named; layers: Named[] }
  for (const { digest, size } of [config, ...layers]) {
    const bytes = await get(`blobs/${digest}`)
    assert.deepEqual([digestOf(bytes), bytes.length], [digest, size])
  }
}

interface Named {
  digest: string
  size: number
}

/** The package, or its file, is there exactly if the job succeeded, and whole; nothing else can be seen. */
async function checkPulled({ system: { store }, folder }: Run, job: Job, scene: Scene): Promise<void> {
  const succeeded = job.state === 'succeeded'
  const files = await readdir(folder)
  const packages = await store.packages.list()
  if (scene === 'pull to a folder') {
    assert.deepEqual(files, succeeded ? ['zarf-package-sample-amd64-1.0.0.tar.zst'] : [])
    for (const file of files) {
      const { contents } = await readPackage(join(folder, file))
      assert.equal(contents.manifest.digest, job.result?.digest)
    }
    assert.deepEqual(packages, [])
  } else {
    assert.deepEqual(
      packages.map(({ digest, complete }) => [digest, complete]),
      succeeded ? [[job.result?.digest, true]] : [],
    )
  }
  const partial = await readdir(join(store.folder, 'ingest'))
  assert.deepEqual(
    partial.filter((name) => name.endsWith('.lock')),
    [],
  )
  assert.deepEqual(await readdir(join(store.folder, 'leases')), [])
  const { findings } = await store.check({ signal: new AbortController().signal, repair: false })
  assert.deepEqual(findings, [])
}

async function checkNothingLeft({ system }: Run, places: Places): Promise<void> {
  const redis = new Redis(system.redis.clientOptions)
  try {
    await assertNothingLeft({ redis, ...places })
  } finally {
    redis.disconnect()
  }
}

function destinationOf({ registry, other }: Run, scene: Scene): DockerRegistry {
  return scene === 'copy from' && other ? other : registry
}

async function sessionsOf(run: Run, scene: Scene): Promise<number> {
  const { name } = run
  const registry = destinationOf(run, scene)
  const sessions = glob(`docker/registry/v2/repositories/${name}/*/_uploads/*`, { cwd: registry.storage })
  return (await Array.fromAsync(sessions)).length
}

/** Bytes of one connection after which it breaks, in the middle of bodies: of the middle layer, of the large one, near its end. */
const MIDDLE = [70_000, 1.5 * MIB, 5 * MIB, 9 * MIB]

/** Every call of a run that went well, failing in each way, and cuts inside the large bodies. */
export function sweepPoints(clean: SweepOutcome): SweepPoint[] {
  const count = (side: Side) => clean.exchanges[side].length
  const calls = (side: Side, make: (k: number) => FaultPoint[]) =>
    Array.from({ length: count(side) }, (_, at) => make(at + 1)).flatMap((points) =>
      points.map((at): SweepPoint => ({ side, at })),
    )
  const total = (direction: 'up' | 'down') => Math.max(...clean.exchanges.registry.map((each) => each[direction]))
  const cuts = (['up', 'down'] as const).flatMap((direction) =>
    MIDDLE.filter((bytes) => bytes < total(direction)).map(
      (bytes): SweepPoint => ({ side: 'registry', at: direction === 'up' ? { up: bytes } : { down: bytes } }),
    ),
  )
  return [
    ...calls('registry', (k) => [{ call: k }, { call: k, after: 60 }, { answer: k }, { answer: k, after: 60 }]),
    ...cuts,
    ...calls('redis', (k) => [{ call: k }, { answer: k }, { answer: k, after: 1 }]),
  ]
}
