import { renameSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { isMainThread } from 'node:worker_threads'

/**
 * Loaded into a process of layerd (NODE_OPTIONS=--import): the longest time that its event loop was held since it was last
 * asked, ms, and how much of that its thread was working: a busy machine makes it wait as well. SIGUSR2 asks; the answer is
 * a file named by the process id.
 */
const folder = process.env['LOOP_PROBE_FOLDER']
if (isMainThread && folder !== undefined) {
  const longest = { wall: 0, cpu: 0 }
  const cpuMs = () => {
    const { user, system } = process.threadCpuUsage()
    return (user + system) / 1000
  }
  let last = { wall: performance.now(), cpu: cpuMs() }
  const tick = () => {
    const now = { wall: performance.now(), cpu: cpuMs() }
    longest.wall = Math.max(longest.wall, now.wall - last.wall - 1)
    longest.cpu = Math.max(longest.cpu, now.cpu - last.cpu)
    last = now
  }
  setInterval(tick, 1).unref()
  process.on('SIGUSR2', () => {
    tick()
    const path = join(folder, String(process.pid))
    writeFileSync(`${path}.new`, JSON.stringify(longest))
    renameSync(`${path}.new`, path)
    Object.assign(longest, { wall: 0, cpu: 0 })
    last = { wall: performance.now(), cpu: cpuMs() }
  })
}
