import type { Cleanup } from '../cleanup.ts'
import { startProcess } from '../processes/processes.ts'
import { findProgram } from '../processes/real-tools.ts'
import { waitFor } from '../wait-for.ts'

export interface CraneRegistry {
  /** 127.0.0.1:PORT, as in a reference. */
  readonly host: string
  readonly url: string
  logs(): string
}

/**
 * `crane registry serve` on a free loopback port, plain HTTP, in memory; gone when the test ends. The registry to be had
 * that takes artifact manifests: `go install github.com/google/go-containerregistry/cmd/crane@v0.22.1`.
 */
export async function startCraneRegistry(t: Cleanup): Promise<CraneRegistry> {
  const program = findProgram('crane')
  if (program === undefined) throw new Error('crane is not on PATH')
  const child = await startProcess(t, program, ['registry', 'serve', '--address', '127.0.0.1:0'])
  const [, port] = await child.waitForOutput(/serving on port (\d+)/)
  const host = `127.0.0.1:${port}`
  const url = `http://${host}`
  await waitFor('crane to answer', async () => (await fetch(`${url}/v2/`)).ok)
  return { host, url, logs: () => child.output() }
}
