import { execFileSync } from 'node:child_process'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { connect } from 'node:tls'
import type { Cleanup } from '../cleanup.ts'
import { freePort } from '../network/ports.ts'
import { type RunningProcess, startProcess } from '../processes/processes.ts'
import { findProgram } from '../processes/real-tools.ts'
import { tempDir } from '../temp-dir.ts'
import { waitFor } from '../wait-for.ts'

/** Debian's docker-registry is distribution 2.8, upstream's `registry` is distribution 3. */
export type RegistryProgram = 'docker-registry' | 'registry'

export interface DockerRegistryOptions {
  /** Default: docker-registry, else registry. */
  program?: RegistryProgram
  /** Basic authentication with this one user. */
  htpasswd?: { user: string; password: string }
  /** Bearer tokens of this server. */
  token?: { realm: string; service: string; issuer: string; rootCertBundle: string; jwks?: string }
  /** Which file says what keys sign tokens. Default rootCertBundle; jwks is for distribution 3. */
  trust?: 'rootCertBundle' | 'jwks'
  /** Folder with its content, kept at the end. Default: a new one, removed at the end. */
  storage?: string
  /** Whether DELETE of blobs and manifests is allowed. Default true. */
  deleteEnabled?: boolean
  /** Listen here rather than on a free port. */
  port?: number
  /** Files in PEM: speak TLS. */
  tls?: { certificate: string; key: string }
  /** Log errors alone, where thousands of requests would be. Default false. */
  quiet?: boolean
}

export interface DockerRegistry {
  /** 127.0.0.1:PORT, as in a reference. */
  readonly host: string
  readonly url: string
  readonly program: RegistryProgram
  /** As the program says it, such as 2.8.2 or 3.1.1. */
  readonly version: string
  readonly storage: string
  readonly pid: number
  /** All it printed, access log included, over all its starts. */
  logs(): string
  stop(): Promise<void>
  kill(): Promise<void>
  /** Starts it again after stop or kill: same address, same content. */
  start(): Promise<void>
  restart(): Promise<void>
}

/** Which registry programs this machine has. */
export function registryPrograms(): RegistryProgram[] {
  return (['docker-registry', 'registry'] as const).filter((program) => findProgram(program) !== undefined)
}

/** A real registry of one's own on a free loopback port, plain HTTP; gone when the test ends. */
export async function startDockerRegistry(t: Cleanup, options: DockerRegistryOptions = {}): Promise<DockerRegistry> {
  const program = options.program ?? registryPrograms()[0]
  const path = program === undefined ? undefined : findProgram(program)
  if (program === undefined || path === undefined) throw new Error('there is no registry program on PATH')
  const folder = await tempDir(t, 'registry')
  const storage = options.storage ?? join(folder, 'storage')
  // Which port it took is told by its log.
  let port = options.port ?? (options.quiet === true ? await freePort() : 0)
  const children: RunningProcess[] = []
  const newest = () => children.at(-1) as RunningProcess

  const start = async () => {
    const config = join(folder, 'config.yml')
    await writeFile(config, JSON.stringify(await configuration(folder, storage, port, options)))
    const child = await startProcess(t, path, ['serve', config], { env: { OTEL_TRACES_EXPORTER: 'none' } })
    children.push(child)
    if (options.quiet !== true) {
      const [, listening] = await child.waitForOutput(/listening on 127\.0\.0\.1:(\d+)/)
      port = Number(listening)
    }
    await waitFor('the registry to accept connections', () => accepts(port, options.tls !== undefined))
  }
  await start()

  return {
    host: `127.0.0.1:${port}`,
    url: `${options.tls ? 'https' : 'http'}://127.0.0.1:${port}`,
    program,
    version: programVersion(path),
    storage,
    get pid() {
      return newest().pid
    },
    logs: () => children.map((child) => child.output()).join(''),
    async stop() {
      await newest().stop()
    },
    async kill() {
      await newest().kill()
    },
    start,
    async restart() {
      await newest().stop()
      await start()
    },
  }
}

/** The configuration file, version 0.1. JSON is YAML too. */
async function configuration(folder: string, storage: string, port: number, options: DockerRegistryOptions) {
  const auth: Record<string, unknown> = {}
  if (options.htpasswd) {
    const file = join(folder, 'htpasswd')
    await writeFile(file, htpasswdLine(options.htpasswd.user, options.htpasswd.password))
    auth['htpasswd'] = { realm: 'localhost', path: file }
  }
  if (options.token) {
    const { realm, service, issuer, rootCertBundle, jwks } = options.token
    auth['token'] = {
      realm,
      service,
      issuer,
      ...(options.trust === 'jwks' ? { jwks } : { rootcertbundle: rootCertBundle }),
    }
  }
  return {
    version: 0.1,
    log: { level: options.quiet === true ? 'error' : 'info', accesslog: { disabled: options.quiet === true } },
    storage: { filesystem: { rootdirectory: storage }, delete: { enabled: options.deleteEnabled ?? true } },
    http: {
      addr: `127.0.0.1:${port}`,
      secret: 'of-a-test-registry',
      ...(options.tls ? { tls: options.tls } : {}),
    },
    ...(Object.keys(auth).length > 0 ? { auth } : {}),
  }
}

/** A line of an htpasswd file; the registry takes bcrypt alone. Needs the program of apache2-utils. */
export function htpasswdLine(user: string, password: string): string {
  const path = findProgram('htpasswd')
  if (path === undefined) throw new Error('htpasswd is not on PATH: apt-get install apache2-utils')
  return `${execFileSync(path, ['-Bbn', user, password], { encoding: 'utf8' }).trim()}\n`
}

function programVersion(path: string): string {
  const printed = execFileSync(path, ['--version'], { encoding: 'utf8' })
  return /\bv?(\d+\.\d+\.\d+)/.exec(printed)?.[1] ?? printed.trim()
}

async function accepts(port: number, tls: boolean): Promise<boolean> {
  if (tls) return speaksTls(port)
  const response = await fetch(`http://127.0.0.1:${port}/v2/`)
  await response.arrayBuffer()
  return response.ok || response.status === 401
}

function speaksTls(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect({ port, host: '127.0.0.1', rejectUnauthorized: false }, () => settle(true))
    const settle = (answer: boolean) => {
      socket.destroy()
      resolve(answer)
    }
    socket.once('error', () => settle(false))
  })
}
