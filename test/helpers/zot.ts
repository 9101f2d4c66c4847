import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { Cleanup } from './cleanup.ts'
import { freePort } from './ports.ts'
import { startProcess } from './processes.ts'
import { findProgram } from './real-tools.ts'
import { tempDir } from './temp-dir.ts'
import { waitFor } from './wait-for.ts'

/** A zot of one's own on a free loopback port, plain HTTP and open to all; gone when the test ends. */
export async function startZot(t: Cleanup): Promise<{ host: string; url: string; logs(): string }> {
  const program = findProgram('zot')
  if (program === undefined) throw new Error('zot is not on PATH')
  const folder = await tempDir(t, 'zot')
  const port = await freePort()
  const config = join(folder, 'config.json')
  const settings = {
    distSpecVersion: '1.1.1',
    storage: { rootDirectory: join(folder, 'storage'), gc: false },
    http: { address: '127.0.0.1', port: `${port}` },
    log: { level: 'debug' },
  }
  await writeFile(config, JSON.stringify(settings))
  const child = await startProcess(t, program, ['serve', config])
  const url = `http://127.0.0.1:${port}`
  await waitFor('zot to answer', async () => {
    if (!child.isRunning()) throw new Error(`zot ended:\n${child.output()}`)
    return (await fetch(`${url}/v2/`)).ok
  })
  return { host: `127.0.0.1:${port}`, url, logs: () => child.output() }
}
