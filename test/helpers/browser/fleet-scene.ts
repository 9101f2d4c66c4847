import { Redis } from 'ioredis'
import { redisSocketPath } from '../../../src/daemon/redis-socket.ts'
import { type Cleanup, defer } from '../cleanup.ts'
import { startLayerd } from '../processes/layerd.ts'
import type { RunningProcess } from '../processes/processes.ts'
import { type FleetJobs, movingFigures, openFleetJobs } from '../streams/fleet-jobs.ts'
import { shortTempDir } from '../temp-dir.ts'
import { waitFor } from '../wait-for.ts'
import { buildDashboard } from './built-dashboard.ts'

export interface FleetScene {
  url: string
  daemon: RunningProcess
  jobs: FleetJobs
  /** The daemon's own. */
  redis: Redis
}

/** A daemon without workers, and jobs that run by the scripts that workers use, all of whose figures change with each report. */
export async function startFleetScene(t: Cleanup, count: number): Promise<FleetScene> {
  buildDashboard()
  const dataDir = await shortTempDir(t)
  const daemon = await startLayerd(t, { dataDir, env: { LAYERD_WORKERS: '0' } })
  const [, url = ''] = await daemon.waitForOutput(/"url":"(http:[^"]+)"[^\n]*"layerd is up"/, { timeoutMs: 180_000 })
  await waitFor('the API to answer', async () => (await fetch(`${url}/livez`)).ok)
  const socketPath = redisSocketPath(dataDir)
  const jobs = await openFleetJobs(t, { socketPath, count, changesPerSecond: 0, figures: movingFigures })
  const redis = new Redis(socketPath)
  defer(t, () => redis.disconnect())
  return { url, daemon, jobs, redis }
}
