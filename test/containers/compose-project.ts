import { existsSync } from 'node:fs'
import { cp, mkdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { TestContext } from 'node:test'
import { fileURLToPath } from 'node:url'
import { defer } from '../helpers/cleanup.ts'
import { freePort } from '../helpers/network/ports.ts'
import { runProcess } from '../helpers/processes/processes.ts'
import { findProgram } from '../helpers/processes/real-tools.ts'
import { tempDir } from '../helpers/temp-dir.ts'

const root = fileURLToPath(new URL('../../', import.meta.url)).replace(/\/$/, '')

export interface ComposeProject {
  /** The folder that stands for the clone: secrets, auth.htpasswd, .env, packages, mnt. */
  folder: string
  /** What names of containers, networks and volumes begin with. */
  name: string
  api: string
  registry: string
  /** Image that the project built. */
  image: string
  /** Runs `docker compose ...` (or docker-compose) and returns what it printed; throws when it fails. */
  compose: (...args: string[]) => Promise<string>
}

/** Why nothing can be tried here, or undefined. */
export async function whyNoContainers(t: TestContext): Promise<string | undefined> {
  if (findProgram('docker') === undefined) return 'docker is not on PATH'
  const info = await runProcess(t, 'docker', ['version', '--format', '{{.Server.Version}}'])
  if (info.code !== 0) return `no Docker engine answers: ${info.stderr.trim().split('\n')[0]}`
  return (await composeCommand(t)) ? undefined : 'neither `docker compose` nor docker-compose is installed'
}

async function composeCommand(t: TestContext): Promise<string[] | undefined> {
  for (const command of [['docker', 'compose'], ['docker-compose']]) {
    const [program = '', ...args] = command
    if (findProgram(program) === undefined) continue
    if ((await runProcess(t, program, [...args, 'version'])).code === 0) return command
  }
  return undefined
}

/**
 * The project's own compose file, but for names and host ports that would clash with a running one: each replaced
 * text must stand in the file exactly once. Taken down with its volumes when the test ends.
 */
export async function composeProject(t: TestContext): Promise<ComposeProject> {
  const folder = await tempDir(t, 'layerd-compose')
  const name = folder.split('/').at(-1)?.toLowerCase() ?? 'layerd-compose'
  const image = `${name}-image`
  const [apiPort, registryPort] = [await freePort(), await freePort()]
  let text = await readFile(join(root, 'docker-compose.yaml'), 'utf8')
  for (const [found, own] of [
    ['"127.0.0.1:8420:8420"', `"127.0.0.1:${apiPort}:8420"`],
    ['"127.0.0.1:666:5000"', `"127.0.0.1:${registryPort}:5000"`],
    ['container_name: registry\n', `container_name: ${name}-registry\n`],
    ['image: layerd\n', `image: ${image}\n`],
    ['context: .\n', 'context: ./context\n'],
  ] as const) {
    if (text.split(found).length !== 2) throw new Error(`docker-compose.yaml has not exactly one ${found.trim()}`)
    text = text.replace(found, own)
  }
  const file = join(folder, 'docker-compose.yaml')
  await writeFile(file, text)
  await mkdir(join(folder, 'packages'))
  await copyContext(t, join(folder, 'context'))

  const [program = '', ...prefix] = (await composeCommand(t)) ?? []
  const compose = async (...args: string[]) => {
    const all = [...prefix, '-p', name, '-f', file, ...args]
    const { code, output } = await runProcess(t, program, all, { cwd: folder, timeoutMs: 600_000 })
    if (code !== 0) throw new Error(`${program} ${all.join(' ')} failed:\n${output}`)
    return output
  }
  defer(t, async () => {
    await compose('down', '--volumes', '--timeout', '20')
    await runProcess(t, 'docker', ['rmi', '--force', image])
  })
  return {
    folder,
    name,
    api: `http://127.0.0.1:${apiPort}`,
    registry: `http://127.0.0.1:${registryPort}`,
    image,
    compose,
  }
}

/**
 * A stand-in of the official Redis image may leave /data to root; that image gives it to the user that the compose file runs
 * it as. A volume takes its owner over for as long as it is empty.
 */
export async function prepareRedisVolume(t: TestContext, { name }: Pick<ComposeProject, 'name'>): Promise<void> {
  const make = 'mkdir -p /data/appendonlydir && chown -R 999:999 /data'
  const args = ['run', '--rm', '--user', '0', '--entrypoint', 'sh', '--volume', `${name}_redis:/data`, 'redis:7']
  const { code, output } = await runProcess(t, 'docker', [...args, '-c', make], { timeoutMs: 600_000 })
  if (code !== 0) throw new Error(`the volume of Redis cannot be made:\n${output}`)
}

/** What .dockerignore lets through: the engine reads it once more in the context. */
async function letThrough(): Promise<string[]> {
  const lines = (await readFile(join(root, '.dockerignore'), 'utf8')).split('\n')
  return lines.filter((line) => line.startsWith('!')).map((line) => line.slice(1))
}

/** Large, and never let through. */
function isOfUse(path: string): boolean {
  return !path.endsWith('/node_modules')
}

/** A build context of its own, so that this machine's certificate authority for npm, if it has one, can be added. */
async function copyContext(t: TestContext, folder: string): Promise<void> {
  await mkdir(folder)
  for (const name of ['Dockerfile', '.dockerignore', ...(await letThrough())]) {
    if (existsSync(join(root, name)))
      await cp(join(root, name), join(folder, name), { recursive: true, filter: isOfUse })
  }
  const configured = await runProcess(t, 'npm', ['config', 'get', 'cafile'])
  const authority = process.env['NODE_EXTRA_CA_CERTS'] ?? configured.stdout.trim()
  if (authority.startsWith('/')) await cp(authority, join(folder, 'extra-ca.crt'), { dereference: true })
}
