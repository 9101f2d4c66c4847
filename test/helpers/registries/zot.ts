import { globSync } from 'node:fs'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { Cleanup } from '../cleanup.ts'
import { freePort } from '../network/ports.ts'
import { startProcess } from '../processes/processes.ts'
import { findProgram } from '../processes/real-tools.ts'
import { tempDir } from '../temp-dir.ts'
import { waitFor } from '../wait-for.ts'

export interface ZotOptions {
  /** Default: what is on PATH. */
  program?: string
  /** How long a request may take to arrive, and its answer to leave; zot's own default is 60 s each. */
  readTimeout?: `${number}s`
  writeTimeout?: `${number}s`
}

export interface Zot {
  /** 127.0.0.1:PORT, as in a reference. */
  readonly host: string
  readonly url: string
  /** Upload sessions that it keeps. */
  sessions(): number
  logs(): string
}

/** A zot of one's own on a free loopback port, plain HTTP and open to all; gone when the test ends. */
export async function startZot(t: Cleanup, options: ZotOptions = {}): Promise<Zot> {
  const { program = findProgram('zot'), ...timeouts } = options
  if (program === undefined) throw new Error('zot is not on PATH')
  const folder = await tempDir(t, 'zot')
  const port = await freePort()
  const config = join(folder, 'config.json')
  const storage = join(folder, 'storage')
  const settings = {
    distSpecVersion: '1.1.1',
    storage: { rootDirectory: storage, gc: false },
    http: { address: '127.0.0.1', port: `${port}`, ...timeouts },
    log: { level: 'debug' },
  }
  await writeFile(config, JSON.stringify(settings))
  const child = await startProcess(t, program, ['serve', config])
  const url = `http://127.0.0.1:${port}`
  await waitFor('zot to answer', async () => {
    if (!child.isRunning()) throw new Error(`zot ended:\n${child.output()}`)
    return (await fetch(`${url}/v2/`)).ok
  })
  const sessions = () => globSync('**/.uploads/*', { cwd: storage }).length
  return { host: `127.0.0.1:${port}`, url, sessions, logs: () => child.output() }
}
