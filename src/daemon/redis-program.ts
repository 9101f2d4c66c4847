import { constants } from 'node:fs'
import { access } from 'node:fs/promises'
import { delimiter, isAbsolute, join } from 'node:path'
import { AppError } from '../lib/errors.ts'

const NAMES = ['redis-server', 'valkey-server'] as const

/**
 * The Redis server to start: LAYERD_REDIS_SERVER (a path, or a name on PATH), else what PATH holds. Throws CONFIG_INVALID
 * with what to type when there is none.
 */
export async function findRedisServer(configured: string | undefined, searchPath: string): Promise<string> {
  for (const name of configured === undefined ? NAMES : [configured]) {
    const found = await findProgram(name, searchPath)
    if (found !== undefined) return found
  }
  const hint =
    'Install one (apt-get install redis-server, or brew install redis), or set LAYERD_REDIS_URL to a Redis that runs.'
  if (configured !== undefined) {
    throw new AppError('CONFIG_INVALID', `LAYERD_REDIS_SERVER: ${configured} is no program that can be run`, { hint })
  }
  throw new AppError('CONFIG_INVALID', `neither ${NAMES.join(' nor ')} is on PATH`, { hint })
}

async function findProgram(name: string, searchPath: string): Promise<string | undefined> {
  const candidates = name.includes('/')
    ? [name]
    : searchPath
        .split(delimiter)
        .filter((folder) => isAbsolute(folder))
        .map((folder) => join(folder, name))
  for (const path of candidates) {
    try {
      await access(path, constants.X_OK)
      return path
    } catch {
      // not there, or not ours to run: the next one
    }
  }
  return undefined
}
