import { readFile, stat } from 'node:fs/promises'
import { AppError } from '../../lib/errors.ts'
import { jsonFault } from './json-fault.ts'

/** Docker's configuration, as far as it is read here. */
export interface DockerConfig {
  /** How errors name it. */
  readonly where: string
  readonly auths: Record<string, unknown>
  readonly credHelpers: Record<string, unknown>
  readonly credsStore: string
}

/** What a Kubernetes secret may hold; the largest file of a person's is far below. */
const MAX_BYTES = 1024 * 1024

/** Undefined where there is none. Throws CREDENTIALS_INVALID, which names the file and nothing of its content. */
export async function readDockerConfig(path: string): Promise<DockerConfig | undefined> {
  const bytes = await readBounded(path)
  return bytes && parseDockerConfig(decode(bytes, path), path)
}

/** An empty file, which `touch` or a mount leaves, and `null` say what `{}` says. Throws CREDENTIALS_INVALID. */
export function parseDockerConfig(text: string, where: string): DockerConfig {
  let json: unknown
  // A byte order mark is a blank too.
  const trimmed = text.trim()
  try {
    json = JSON.parse(trimmed || '{}') ?? {}
  } catch {
    // The parser's message quotes its input, which holds secrets.
    throw unusable(where, notJson(text.replace('\uFEFF', ' ')))
  }
  if (!isObject(json)) throw unusable(where, 'it is not a JSON object')
  const credsStore = json.credsStore ?? ''
  if (typeof credsStore !== 'string') throw unusable(where, 'its credsStore is not a text')
  return { where, auths: mapOf(json, 'auths', where), credHelpers: mapOf(json, 'credHelpers', where), credsStore }
}

async function readBounded(path: string): Promise<Buffer | undefined> {
  try {
    const found = await stat(path)
    if (found.isDirectory())
      throw unusable(path, 'it is a folder (Docker makes one of a mount whose source is missing)')
    // A pipe would never end.
    if (!found.isFile()) throw unusable(path, 'it is not a regular file')
    if (found.size > MAX_BYTES) throw unusable(path, `it is larger than ${MAX_BYTES} bytes`)
    return await readFile(path)
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException
    if (error instanceof AppError) throw error
    if (code === 'ENOENT' || code === 'ENOTDIR') return undefined
    throw unusable(path, `it cannot be read (${code ?? 'unknown error'})`, error)
  }
}

/** Windows' shells write UTF-16. */
function decode(bytes: Buffer, where: string): string {
  const mark = bytes.length < 2 ? 0 : bytes.readUInt16BE(0)
  if (mark === 0xfeff || mark === 0xfffe) throw unusable(where, 'it is written in UTF-16, and JSON has to be UTF-8')
  return bytes.toString('utf8')
}

function notJson(text: string): string {
  const { line, what } = jsonFault(text)
  return `it is not JSON (line ${line}${what === undefined ? '' : `: ${what}`})`
}

function mapOf(json: Record<string, unknown>, name: string, where: string): Record<string, unknown> {
  const value = json[name] ?? {}
  if (!isObject(value)) throw unusable(where, `its ${name} is not an object`)
  return value
}

export function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

export function unusable(where: string, why: string, cause?: unknown): AppError {
  return new AppError('CREDENTIALS_INVALID', `the Docker credentials in ${where} cannot be used: ${why}`, {
    hint: 'Mend the file, log in again with docker login, or give the credentials with the job in X-Registry-Auth.',
    cause,
  })
}
