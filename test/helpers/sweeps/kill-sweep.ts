import assert from 'node:assert/strict'
import { globSync } from 'node:fs'
import { join } from 'node:path'
import { Redis } from 'ioredis'
import type { Job, JobEvent } from '../../../src/jobs/model/definitions.ts'
import { createJobEventReader, type JobEventReader } from '../../../src/jobs/progress/events.ts'
import { type Cleanup, defer } from '../cleanup.ts'
import { type FaultPoint, type FaultProxy, startFaultProxy } from '../network/fault-proxy.ts'
import { type RegistryProgram, startDockerRegistry } from '../registries/docker-registry.ts'
import { endedOver, publishOver, readyUrl, startLayerd, workersOf } from '../processes/layerd.ts'
import { assertNothingLeft } from '../processes/leftovers.ts'
import { type BuiltPackage, buildPackage } from '../packages/package-builder.ts'
import type { RunningProcess } from '../processes/processes.ts'
import { assertStreamInvariants } from './progress-invariants.ts'
import { startRedis } from '../redis/redis.ts'
import { shortTempDir, tempDir } from '../temp-dir.ts'
import { waitFor } from '../wait-for.ts'

/** A registry behind a proxy, and layerd with two worker processes that know it by the proxy's address. */
export interface SweepScene {
  readonly proxy: FaultProxy
  readonly layerd: RunningProcess
  readonly api: string
  readonly redis: Redis
  readonly events: JobEventReader
  readonly registryUrl: string
  readonly store: string
  /** Upload sessions that the registry keeps. */
  sessions: () => number
  readonly folder: string
  /** Packages so far: each has layers of its own. */
  packages: number
}

export interface SweptRegistry {
  readonly host: string
  readonly url: string
  sessions: () => number
}

export async function startSweep(t: Cleanup, registry: SweptRegistry): Promise<SweepScene> {
  const proxy = await startFaultProxy(t, registry.host)
  const server = await startRedis(t, { tcp: true })
  const redis = new Redis(server.clientOptions)
  const events = createJobEventReader({ redis: { socketPath: server.socketPath } })
  defer(t, async () => {
    await events.close()
    redis.disconnect()
  })
  const folder = await tempDir(t)
  const dataDir = await shortTempDir(t)
  const layerd = await startLayerd(t, {
    dataDir,
    env: { LAYERD_WORKERS: '2', LAYERD_FILE_ROOTS: folder, LAYERD_REDIS_URL: server.url },
  })
  const api = await readyUrl(layerd)
  const { url: registryUrl, sessions } = registry
  const store = join(dataDir, 'store')
  return { proxy, layerd, api, redis, events, registryUrl, store, sessions, folder, packages: 0 }
}

/** A distribution registry, whose sessions are folders. */
export async function startSweptDistribution(t: Cleanup, program: RegistryProgram): Promise<SweptRegistry> {
  const { host, url, storage } = await startDockerRegistry(t, { program })
  // A canceled session's folder stays, with the state of its hash alone.
  const sessions = () => globSync('docker/registry/v2/repositories/**/_uploads/*/startedat', { cwd: storage }).length
  return { host, url, sessions }
}

/** How much of the layer (in per cent) has been sent when the worker is killed; or the commit was, and its answer is not heard. */
export type KillPoint = number | 'commit'

export interface KillOptions {
  at: KillPoint
  layerBytes: number
  format?: 'tar' | 'tar.zst'
  /** Whether the layer's session can't be reached any more, so that nobody can cancel it. Default false. */
  sessionLost?: boolean
}

export interface KillOutcome {
  readonly job: Job
  readonly events: readonly JobEvent[]
  readonly built: BuiltPackage
  /** Bytes that went towards the registry for this job, requests and all. */
  readonly wire: number
  /** Bytes of the layer that had passed when the worker was killed. */
  readonly before: number
}

/**
 * Publishes a package of one large layer, kills the worker when so much of the layer has passed, and waits for the end
 * of the job. Checks what must hold wherever that was: success, the digest, the event stream, nothing left over.
 */
export async function killAt(scene: SweepScene, options: KillOptions): Promise<KillOutcome> {
  const { proxy, layerd, api, folder } = scene
  const { at, layerBytes, format = 'tar', sessionLost = false } = options
  scene.packages += 1
  const built = await buildPackage(folder, {
    name: `swept-${scene.packages}`,
    layers: 1,
    layerBytes,
    seed: scene.packages,
    format,
  })
  const start = { ...proxy.taken }
  const sessions = scene.sessions()
  const point = pointOf(at, layerBytes, built)
  const fault = proxy.fail(point, 'silence')
  // One blob at a time: an upload that another blob had only just opened would be one that nobody can know of.
  const job = await publishOver(api, built.path, `${proxy.host}/swept`, { concurrency: 1 })
  await waitFor(`the point to kill at (${at})`, () => fault.met)
  const before = Math.min(layerBytes, 'up' in point ? point.up : layerBytes)
  await killWorkerOf(layerd, job.id)
  // What the kernel does for a process that is gone: all that was sent arrives, then an end.
  proxy.cutAll('close')
  const ended = await endedOver(api, job.id).catch((error: unknown) => {
    const told = layerd.output().split('\n').slice(-60).join('\n')
    throw new Error(`killed at ${at}; ${JSON.stringify(fault)}; layerd's last words:\n${told}`, { cause: error })
  })
  const events = (await scene.events.replay(job.id, '0-0', 10_000)).map(({ event }) => event)
  assert.equal(ended.state, 'succeeded', JSON.stringify(ended.error))
  assert.equal(ended.attempt, 2)
  assertStreamInvariants(events)
  await assertPublished(scene, built)
  // An empty one that the killed worker had opened ahead, for no layer yet, is known to nobody either.
  const left = sessions + (sessionLost ? 2 : 1)
  await waitFor('the upload sessions to be gone', () => scene.sessions() <= left)
  // Up to ten seconds late, where one is killed soon after the other.
  await waitFor('the worker to be replaced', () => workersOf(layerd.pid).length === 2)
  await assertNothingLeft({ ...scene, daemon: layerd })
  return { job: ended, events, built, wire: proxy.taken.up - start.up, before }
}

/** Also no connection, once idle ones have ended. */
export function assertAtRest({ redis, layerd, store, proxy }: SweepScene): Promise<void> {
  return assertNothingLeft({ redis, store, daemon: layerd, farEnds: [proxy.host] })
}

/** What a registry that keeps every byte it has been sent makes of it: only what was under way is sent twice. */
export function assertResumed({ job, wire, before }: KillOutcome, at: KillPoint): void {
  const { bytesResumed, bytesDone } = job.progress
  assert.ok(wire <= bytesDone + IN_FLIGHT_BYTES, `${wire} bytes on the wire for ${bytesDone}`)
  // A blob that is committed is found there; nothing of it goes on.
  if (at === 'commit') return
  assert.ok(bytesResumed > 0, 'nothing was resumed')
  // The bytes before the cut were the request's head too, and the borders of its chunks.
  assert.ok(bytesResumed >= before - 64 * 1024 && bytesResumed <= before, `${bytesResumed} of ${before} bytes`)
}

/** What a registry that loses a session with its connection makes of it: the layer goes once more, and the job says why. */
export function assertStartedAgain({ job, events, wire, before }: KillOutcome, reason: string): void {
  const { bytesResumed, bytesDone } = job.progress
  assert.equal(bytesResumed, 0)
  assert.ok(wire >= bytesDone && wire <= bytesDone + before + 2 * IN_FLIGHT_BYTES, `${wire} bytes, ${before} before`)
  const told = events.flatMap((event) => (event.type === 'log' ? [event.message] : []))
  const expected = `the upload of components/layer-0000.tar starts again: ${reason}`
  assert.ok(
    told.some((message) => message.includes(expected)),
    told.join('\n'),
  )
}

function pointOf(at: KillPoint, layerBytes: number, { files }: BuiltPackage): FaultPoint {
  if (at === 'commit') {
    const layer = files.find(({ size }) => size >= layerBytes)
    assert.ok(layer, 'there is no such layer')
    // Whichever connection it takes.
    return { answerTo: new RegExp(`^PUT .*${layer.digest.slice('sha256:'.length)}`) }
  }
  // No other connection brings so much: every other file of the package is smaller.
  if (at === 0) return { up: 32 * 1024 }
  // All bytes are there and acknowledged, and only the worker does not know it.
  return at === 100 ? { answerAfter: layerBytes } : { up: Math.round((layerBytes * at) / 100) }
}

async function killWorkerOf(layerd: RunningProcess, jobId: string): Promise<void> {
  const begun = new RegExp(`^(?=.*"jobId":"${jobId}").*"worker":"([^"]+)".*"msg":"run begins"`, 'm')
  const name = begun.exec(layerd.output())?.[1]
  const victim = workersOf(layerd.pid).find(({ args }) => args.endsWith(` ${name}`))
  assert.ok(victim, `no worker named ${name}`)
  process.kill(victim.pid, 'SIGKILL')
}

/** Every blob of the package, asked of the registry itself. */
async function assertPublished({ registryUrl }: SweepScene, built: BuiltPackage): Promise<void> {
  for (const { path, digest, size } of built.files) {
    const response = await fetch(`${registryUrl}/v2/swept/${built.name}/blobs/${digest}`, { method: 'HEAD' })
    assert.equal(response.status, 200, path)
    assert.equal(Number(response.headers.get('content-length')), size)
  }
}

/** What the proxy had read and not handed on, and the requests themselves. */
const IN_FLIGHT_BYTES = 2 * 1024 * 1024
