import assert from 'node:assert/strict'
import { readFile } from 'node:fs/promises'
import { basename, join } from 'node:path'
import type { Job } from '../../src/jobs/model/definitions.ts'
import { type Cleanup, CleanupStack } from '../helpers/cleanup.ts'
import { FIXTURES } from '../helpers/packages/fixtures.ts'
import { endedOver, readyUrl, startLayerd } from '../helpers/processes/layerd.ts'
import { runProcess } from '../helpers/processes/processes.ts'
import { findProgram } from '../helpers/processes/real-tools.ts'
import { type DockerRegistry, startDockerRegistry } from '../helpers/registries/docker-registry.ts'
import { shortTempDir, tempDir } from '../helpers/temp-dir.ts'

export type Tool = 'zarf' | 'uds' | 'oras' | 'skopeo' | 'helm' | 'crane' | 'regctl' | 'cosign'

/** layerd as a process, and a real registry that it and the other tools share. */
export class Scene extends CleanupStack {
  #api = ''
  #registry: DockerRegistry | undefined
  #root = ''

  async start(): Promise<void> {
    this.#registry = await startDockerRegistry(this)
    this.#root = await tempDir(this, 'root')
    const env = { LAYERD_WORKERS: '1', LAYERD_FILE_ROOTS: `${join(FIXTURES.fleet, '..')}:${this.#root}` }
    this.#api = await readyUrl(await startLayerd(this, { dataDir: await shortTempDir(this), env }))
  }

  /** http://127.0.0.1:PORT of layerd. */
  get api(): string {
    return this.#api
  }

  /** A folder that layerd may write to. */
  get root(): string {
    return this.#root
  }

  /** 127.0.0.1:PORT of the registry. */
  get host(): string {
    assert.ok(this.#registry)
    return this.#registry.host
  }

  /** `upload:{id}` of a file that the daemon cannot read by itself. */
  async upload(path: string): Promise<string> {
    const url = `${this.#api}/v1/uploads/${basename(path)}?as=file`
    const response = await fetch(url, { method: 'PUT', body: await readFile(path) })
    assert.equal(response.status, 201)
    return `upload:${((await response.json()) as { id: string }).id}`
  }

  /** Keeps a key under a name, in place of one that was. */
  async key(name: string, body: { key: string; password?: string }): Promise<void> {
    const there = (await fetch(`${this.#api}/v1/keys/${name}`)).ok
    const headers = { 'content-type': 'application/json', ...(there ? { 'if-match': '*' } : {}) }
    const url = `${this.#api}/v1/keys/${name}`
    const response = await fetch(url, { method: 'PUT', headers, body: JSON.stringify(body) })
    assert.ok(response.ok, await response.text())
  }

  /** A job to its end, which has to be a good one. */
  async job(body: Record<string, unknown>): Promise<NonNullable<Job['result']>> {
    const headers = { 'content-type': 'application/json' }
    const response = await fetch(`${this.#api}/v1/jobs`, { method: 'POST', headers, body: JSON.stringify(body) })
    const text = await response.text()
    assert.equal(response.status, 202, text)
    const { state, result, error } = await endedOver(this.#api, (JSON.parse(text) as Job).id)
    assert.equal(state, 'succeeded', JSON.stringify(error))
    assert.ok(result)
    return result
  }

  publish(path: string, namespace: string, options: Record<string, unknown> = {}) {
    const destination = `oci://${this.host}/${namespace}`
    return this.job({ kind: 'publish', source: `file:${path}`, destination, options })
  }

  copy(from: string, namespace: string, options: Record<string, unknown> = {}) {
    const destination = `oci://${this.host}/${namespace}`
    return this.job({ kind: 'copy', source: `oci://${this.host}/${from}`, destination, options })
  }

  /** Into the store; where its archive can be downloaded. */
  async pull(from: string, options: Record<string, unknown> = {}): Promise<string> {
    const { archive } = await this.job({ kind: 'pull', source: `oci://${this.host}/${from}`, options })
    return `${this.#api}${archive}`
  }
}

/** Runs tools in a folder of their own and expects that they succeed; what they wrote to standard output. */
export async function toolbox(t: Cleanup, env: Record<string, string> = {}) {
  const home = await tempDir(t, 'home')
  return async (name: Tool, args: readonly string[], cwd = home): Promise<string> => {
    const own = { HOME: home, DOCKER_CONFIG: home, ...env }
    const { code, stdout, output } = await runProcess(t, findProgram(name) ?? name, args, {
      env: own,
      cwd,
      timeoutMs: 300_000,
    })
    assert.equal(code, 0, output)
    return stdout
  }
}
