import assert from 'node:assert/strict'
import { readFile } from 'node:fs/promises'
import { basename, dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import type { Job } from '../../../src/jobs/model/definitions.ts'
import { CleanupStack } from '../cleanup.ts'
import { FIXTURES } from '../packages/fixtures.ts'
import { type DockerRegistry, startDockerRegistry } from '../registries/docker-registry.ts'
import { shortTempDir, tempDir } from '../temp-dir.ts'
import { waitFor } from '../wait-for.ts'
import { endedOver, jobOver, readyUrl, startLayerd } from './layerd.ts'
import type { RunningProcess } from './processes.ts'

/** Stands in for zarf (test/fixtures/programs). */
export const ZARF_STAND_IN = fileURLToPath(new URL('../../fixtures/programs/zarf', import.meta.url))

export interface DeployBody {
  kind?: 'deploy' | 'remove'
  source?: string
  options?: Record<string, unknown>
  headers?: Record<string, string>
}

/** layerd that may deploy, beside a registry that has `team/logbook:0.1.0`. */
export class DeployScene extends CleanupStack {
  #api = ''
  #registry: DockerRegistry | undefined
  #layerd: RunningProcess | undefined
  dataDir = ''
  /** Of its own, for what tests and the stand-in tell each other. */
  folder = ''

  async start(env: Record<string, string> = {}): Promise<void> {
    this.#registry = await startDockerRegistry(this)
    this.dataDir = await shortTempDir(this)
    this.folder = await tempDir(this, 'deploy')
    const own = { LAYERD_WORKERS: '1', LAYERD_FILE_ROOTS: dirname(FIXTURES.logbook), LAYERD_ZARF: ZARF_STAND_IN }
    const surroundings = { KUBECONFIG: undefined, KUBERNETES_SERVICE_HOST: undefined }
    this.#layerd = await startLayerd(this, { dataDir: this.dataDir, env: { ...surroundings, ...own, ...env } })
    this.#api = await readyUrl(this.#layerd)
    const { state, error } = await this.ended(
      await this.post({ kind: 'publish', source: `file:${FIXTURES.logbook}`, destination: `oci://${this.host}/team` }),
    )
    assert.equal(state, 'succeeded', JSON.stringify(error))
  }

  get api(): string {
    return this.#api
  }

  /** Of the supervisor. */
  get pid(): number {
    assert.ok(this.#layerd)
    return this.#layerd.pid
  }

  get host(): string {
    assert.ok(this.#registry)
    return this.#registry.host
  }

  get logbook(): string {
    return `oci://${this.host}/team/logbook:0.1.0`
  }

  path(name: string): string {
    return join(this.folder, name)
  }

  async request(path: string, init: { method?: string; body?: unknown; headers?: Record<string, string> } = {}) {
    const { method = 'GET', body, headers = {} } = init
    const json = body === undefined ? {} : { body: JSON.stringify(body) }
    return await fetch(`${this.#api}${path}`, {
      method,
      headers: { 'content-type': 'application/json', ...headers },
      ...json,
    })
  }

  async post(body: Record<string, unknown>): Promise<Job> {
    const response = await this.request('/v1/jobs', { method: 'POST', body })
    const text = await response.text()
    assert.equal(response.status, 202, text)
    return JSON.parse(text) as Job
  }

  async deploy({ kind = 'deploy', source = this.logbook, options = {} }: DeployBody = {}): Promise<Job> {
    return await this.post({ kind, source, options })
  }

  /** `upload:{id}` of a file that the daemon cannot read by itself. */
  async upload(path: string): Promise<string> {
    const url = `${this.#api}/v1/uploads/${basename(path)}`
    const response = await fetch(url, { method: 'PUT', body: await readFile(path) })
    assert.equal(response.status, 201)
    return `upload:${((await response.json()) as { id: string }).id}`
  }

  ended({ id }: Pick<Job, 'id'>): Promise<Job> {
    return endedOver(this.#api, id)
  }

  job({ id }: Pick<Job, 'id'>): Promise<Job> {
    return jobOver(this.#api, id)
  }

  async log({ id }: Pick<Job, 'id'>): Promise<string> {
    return await (await this.request(`/v1/jobs/${id}/logs`, { headers: { accept: 'text/plain' } })).text()
  }

  /** What the stand-in wrote about how it was started, or which processes it started. */
  written(name: string): Promise<string> {
    return waitFor(`${name} to be written`, () => readFile(this.path(name), 'utf8').catch(() => undefined))
  }

  async pids(name: string): Promise<number[]> {
    return (await this.written(name)).trim().split(' ').map(Number)
  }
}
