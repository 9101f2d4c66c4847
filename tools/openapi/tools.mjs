/** What the scripts of this folder share: its own locked packages, and a program of them run on the document. */
import { spawnSync } from 'node:child_process'
import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'

export const folder = fileURLToPath(new URL('.', import.meta.url))
export const root = fileURLToPath(new URL('../..', import.meta.url))
export const document = `${root}openapi.yaml`

const QUIET = { REDOCLY_TELEMETRY: 'off', REDOCLY_SUPPRESS_UPDATE_NOTICE: 'true', NO_UPDATE_NOTIFIER: '1' }

/** Brings a folder's locked packages once, and again when the lock has changed. */
export function ensurePackages(of = folder) {
  const installed = join(of, 'node_modules/.package-lock.json')
  if (existsSync(installed)) {
    const there = new Set(packagesIn(installed))
    if (packagesIn(join(of, 'package-lock.json')).every((name) => there.has(name))) return
  }
  const args = ['ci', '--ignore-scripts', '--no-audit', '--no-fund', '--loglevel=error']
  const { status } = spawnSync('npm', args, { cwd: of, stdio: ['ignore', 2, 2] })
  if (status !== 0) process.exit(1)
}

function packagesIn(lock) {
  const { packages } = JSON.parse(readFileSync(lock, 'utf8'))
  return Object.entries(packages).flatMap(([name, { version, optional }]) =>
    name === '' || optional ? [] : [`${name}@${version}`],
  )
}

/** Runs a program of the packages; its output is shown, its exit code returned. */
export function run(program, ...args) {
  const { status } = spawnSync(process.execPath, [`${folder}node_modules/${program}`, ...args], {
    cwd: folder,
    stdio: ['ignore', 'inherit', 'inherit'],
    env: { ...process.env, ...QUIET },
  })
  return status ?? 1
}
