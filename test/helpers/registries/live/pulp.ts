import { generateKeyPairSync, randomBytes } from 'node:crypto'
import { existsSync } from 'node:fs'
import { mkdir, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { Cleanup } from '../../cleanup.ts'
import { freePort } from '../../network/ports.ts'
import { runProcess, startProcess } from '../../processes/processes.ts'
import { findProgram } from '../../processes/real-tools.ts'
import { tempDir } from '../../temp-dir.ts'
import { waitFor } from '../../wait-for.ts'
import { startNginxFront } from '../nginx-front.ts'
import { type Built, lastLine, programCache } from './built-programs.ts'
import { startPostgres } from './postgres.ts'

const VERSION = '2.30.0'
const STEP_MS = 1_800_000

/** The folder of pulp-container's programs: a Python environment in the cache, made once. */
export async function installPulp(t: Cleanup): Promise<Built<string>> {
  const python = findProgram('python3')
  if (python === undefined) return { skip: 'not on PATH: python3' }
  const folder = join(programCache(), `pulp-container-${VERSION}`)
  const programs = join(folder, 'bin')
  if (existsSync(join(programs, 'pulpcore-api'))) return { found: programs }
  await rm(folder, { recursive: true, force: true })
  const made = await runProcess(t, python, ['-m', 'venv', folder], { timeoutMs: STEP_MS })
  if (made.code !== 0) return { skip: `python3 -m venv: ${lastLine(made.output)}` }
  const install = ['install', '--quiet', `pulp-container==${VERSION}`]
  const { code, output } = await runProcess(t, join(programs, 'pip'), install, { timeoutMs: STEP_MS })
  if (code === 0) return { found: programs }
  await rm(folder, { recursive: true, force: true })
  return { skip: `pip install pulp-container==${VERSION}: ${lastLine(output)}` }
}

export interface Pulp {
  /** 127.0.0.1:PORT, as in a reference. */
  readonly host: string
  readonly login: { readonly username: string; readonly password: string }
}

/**
 * A Pulp of one's own with its token service: API, content application and worker over a PostgreSQL, and an nginx before the
 * two, on a free loopback port over plain HTTP; gone when the test ends. Its first start makes tables for minutes.
 */
export async function startPulp(t: Cleanup, programs: { pulp: string; postgres: string }): Promise<Pulp> {
  const folder = await tempDir(t, 'pulp')
  const [front, api, content] = [await freePort(), await freePort(), await freePort()]
  const database = await startPostgres(t, programs.postgres, 'pulp')
  await writeSettings(folder, { database, front })
  const env = { PULP_SETTINGS: join(folder, 'settings.py'), HOME: folder }
  const path = (name: string) => join(programs.pulp, name)
  const manage = async (...args: string[]) => {
    const { code, output } = await runProcess(t, path('pulpcore-manager'), args, { env, timeoutMs: STEP_MS })
    if (code !== 0) throw new Error(`pulpcore-manager ${args[0]} failed:\n${output.slice(-2000)}`)
  }
  const login = { username: 'admin', password: 'opensesame-pulp' }
  await manage('migrate', '--noinput')
  await manage('reset-admin-password', '--password', login.password)
  await startProcess(t, path('pulpcore-api'), ['--bind', `127.0.0.1:${api}`, '--workers', '2'], { env })
  await startProcess(t, path('pulpcore-content'), ['--bind', `127.0.0.1:${content}`], { env })
  await startProcess(t, path('pulpcore-worker'), [], { env })
  const { host, url } = await startNginxFront(t, `127.0.0.1:${api}`, {
    port: front,
    server: [
      'client_max_body_size 0; proxy_read_timeout 600;',
      `location /pulp/container/ { proxy_pass http://127.0.0.1:${content}; proxy_set_header Host $http_host; }`,
    ],
  })
  const answers = async () => (await fetch(`${url}/v2/`)).status === 401
  await waitFor('Pulp to answer', answers, { timeoutMs: 300_000 })
  return { host, login }
}

async function writeSettings(folder: string, ports: { database: number; front: number }): Promise<void> {
  const { privateKey, publicKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' })
  const at = (name: string) => join(folder, name)
  for (const name of ['media', 'static', 'tmp']) await mkdir(at(name))
  await writeFile(at('key'), randomBytes(32).toString('base64url').padEnd(44, '='))
  await writeFile(at('private.pem'), privateKey.export({ type: 'sec1', format: 'pem' }))
  await writeFile(at('public.pem'), publicKey.export({ type: 'spki', format: 'pem' }))
  const connection = { ENGINE: 'django.db.backends.postgresql', HOST: '127.0.0.1', NAME: 'pulp', USER: 'pulp' }
  const url = `http://127.0.0.1:${ports.front}`
  const settings = {
    SECRET_KEY: randomBytes(16).toString('hex'),
    DATABASES: { default: { ...connection, PORT: ports.database } },
    DB_ENCRYPTION_KEY: at('key'),
    CONTENT_ORIGIN: url,
    DEPLOY_ROOT: folder,
    MEDIA_ROOT: at('media'),
    STATIC_ROOT: at('static'),
    WORKING_DIRECTORY: at('tmp'),
    FILE_UPLOAD_TEMP_DIR: at('tmp'),
    TOKEN_SERVER: `${url}/token/`,
    TOKEN_SIGNATURE_ALGORITHM: 'ES256',
    PUBLIC_KEY_PATH: at('public.pem'),
    PRIVATE_KEY_PATH: at('private.pem'),
  }
  // JSON of these is Python too.
  const lines = Object.entries(settings).map(([name, value]) => `${name} = ${JSON.stringify(value)}`)
  await writeFile(at('settings.py'), `${lines.join('\n')}\nANALYTICS = False\n`)
}
