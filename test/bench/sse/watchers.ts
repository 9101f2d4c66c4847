import { type ChildProcess, fork } from 'node:child_process'
import { once } from 'node:events'
import { fileURLToPath } from 'node:url'
import { type Cleanup, defer } from '../../helpers/cleanup.ts'
import type { WatcherReport } from './watcher-process.ts'

/** Watchers in processes of their own. */
export interface Watchers {
  /** Counts from now on. */
  reset(): void
  report(): Promise<WatcherReport[]>
  close(): Promise<void>
}

const PROGRAM = fileURLToPath(new URL('./watcher-process.ts', import.meta.url))
const PROCESSES = 2

/** Opens a stream of each path, and waits until each has said something. */
export async function openWatchers(t: Cleanup, port: number, paths: readonly string[]): Promise<Watchers> {
  const children = Array.from({ length: PROCESSES }, () => fork(PROGRAM))
  const close = async () => {
    await Promise.all(children.map(ended))
  }
  defer(t, close)
  await Promise.all(
    children.map(async (child, at) => {
      const own = paths.filter((_, index) => index % PROCESSES === at)
      child.send({ port, paths: own })
      const said = await answerOf(child)
      if (said !== 'open') throw new Error(String(said))
    }),
  )
  return {
    reset: () => {
      for (const child of children) child.send('reset')
    },
    report: () =>
      Promise.all(
        children.map(async (child) => {
          child.send('report')
          return (await answerOf(child)) as WatcherReport
        }),
      ),
    close,
  }
}

async function answerOf(child: ChildProcess): Promise<unknown> {
  const [answer] = (await once(child, 'message')) as [unknown]
  return answer
}

async function ended(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return
  const over = once(child, 'exit')
  child.kill()
  await over
}
