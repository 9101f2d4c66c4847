import { createHash } from 'node:crypto'
import { closeSync, createReadStream, openSync, readdirSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { pipeline } from 'node:stream/promises'
import { findProgram } from '../helpers/processes/real-tools.ts'
import type { FarEnd } from './far-end.ts'
import { measure } from './measure.ts'
import type { Contender, Round } from './rows.ts'

/** The programs people use today. */
export const PEERS = ['zarf', 'oras', 'crane', 'regctl'] as const
export type Peer = (typeof PEERS)[number]

interface Call {
  args: readonly string[]
  cwd?: string
  /** Files that are its standard input and output. */
  stdin?: string
  stdout?: string
}

type Check = (round: Round) => unknown

/** The peer at a task, or nothing where it is not on PATH. */
function contender(name: Peer, call: (farEnd: FarEnd, round: Round) => Call, check?: Check): Contender[] {
  const command = findProgram(name)
  if (command === undefined) return []
  const run = async (round: Round) => {
    const { args, cwd, stdin, stdout } = call(round.farEnd, round)
    const input = stdin === undefined ? undefined : openSync(stdin, 'r')
    const output = stdout === undefined ? undefined : openSync(stdout, 'w')
    try {
      const temporary = join(round.folder, 'tmp')
      const cost = await measure(command, args, {
        folders: [temporary],
        // Go's programs take it as the only authority; HOME keeps them from a configuration of this machine.
        env: { SSL_CERT_FILE: round.farEnd.certificate.cert, HOME: temporary },
        ...(cwd === undefined ? {} : { cwd }),
        ...(input === undefined ? {} : { stdin: input }),
        ...(output === undefined ? {} : { stdout: output }),
      })
      await check?.(round)
      return cost
    } finally {
      for (const file of [input, output]) if (file !== undefined) closeSync(file)
    }
  }
  return [{ name, run }]
}

/** Publish of a package archive. */
export function publishers(path: string, check: Check): Contender[] {
  const zarf = ({ host, plain }: FarEnd, round: Round) => {
    const to = [path, `oci://${host}/${round.id}`]
    return { args: ['package', 'publish', ...to, ...plain('--plain-http'), ...zarfFlags(round)] }
  }
  return contender('zarf', zarf, check)
}

/** Push of an artifact's files, one layer each. */
export function filePushers(
  files: { folder: string; names: readonly string[]; repository: string },
  check: Check,
): Contender[] {
  const typed = files.names.map((name) => `${name}:application/octet-stream`)
  const oras = ({ host, plain }: FarEnd, { id }: Round) => {
    const to = `${host}/${id}/${files.repository}:1.0.0`
    return { cwd: files.folder, args: ['push', ...ORAS_FLAGS, ...plain('--plain-http'), to, ...typed] }
  }
  return contender('oras', oras, check)
}

/** Pull of a package: zarf's ends in an archive, the others' in an OCI layout, as layerd's store is one. */
export function pullers(repository: string, bytes: number): Contender[] {
  const from = ({ host }: FarEnd) => `${host}/${repository}:1.0.0`
  const layout = ({ folder }: Round) => join(folder, 'layout')
  const archived = ({ folder }: Round) => {
    const [size] = readdirSync(folder).flatMap((name) =>
      name.endsWith('.zst') ? statSync(join(folder, name)).size : [],
    )
    if (size === undefined) throw new Error('no archive was written')
  }
  const whole = (round: Round) => {
    const found = folderBytes(layout(round))
    if (found < bytes) throw new Error(`${layout(round)} has only ${found} of ${bytes} bytes`)
  }
  const zarf = (at: FarEnd, round: Round) => {
    const options = ['-a', 'amd64', '-o', round.folder]
    return {
      args: ['package', 'pull', `oci://${from(at)}`, ...at.plain('--plain-http'), ...options, ...zarfFlags(round)],
    }
  }
  const oras = (at: FarEnd, round: Round) => {
    const to = ['--to-oci-layout', `${layout(round)}:1.0.0`]
    return { args: ['cp', ...ORAS_FLAGS, ...at.plain('--from-plain-http'), from(at), ...to] }
  }
  const crane = (at: FarEnd, round: Round) => ({
    args: ['pull', '--format=oci', ...at.plain('--insecure'), from(at), layout(round)],
  })
  const regctl = (at: FarEnd, round: Round) => ({
    args: ['image', 'copy', ...regctlFlags(at), from(at), `ocidir://${layout(round)}:1.0.0`],
  })
  return [
    contender('zarf', zarf, archived),
    contender('oras', oras, whole),
    contender('crane', crane, whole),
    contender('regctl', regctl, whole),
  ].flat()
}

export interface BlobFile {
  path: string
  digest: string
  size: number
}

/** Push of one blob. */
export function blobPushers({ path, digest }: BlobFile): Contender[] {
  const oras = ({ host, plain }: FarEnd, { id }: Round) => ({
    args: ['blob', 'push', '--no-tty', ...plain('--plain-http'), `${host}/${id}`, path],
  })
  const regctl = (at: FarEnd, { id }: Round) => ({
    args: ['blob', 'put', ...regctlFlags(at), '--digest', digest, `${at.host}/${id}`],
    stdin: path,
  })
  return [contender('oras', oras), contender('regctl', regctl)].flat()
}

/** Pull of one blob to a file. */
export function blobPullers(repository: string, { digest, size }: BlobFile): Contender[] {
  const target = ({ folder }: Round) => join(folder, 'blob')
  const oras = ({ host, plain }: FarEnd, round: Round) => ({
    args: [
      'blob',
      'fetch',
      '--no-tty',
      ...plain('--plain-http'),
      '-o',
      target(round),
      `${host}/${repository}@${digest}`,
    ],
  })
  const crane = ({ host, plain }: FarEnd, round: Round) => ({
    args: ['blob', ...plain('--insecure'), `${host}/${repository}@${digest}`],
    stdout: target(round),
  })
  const regctl = (at: FarEnd, round: Round) => ({
    args: ['blob', 'get', ...regctlFlags(at), `${at.host}/${repository}`, digest],
    stdout: target(round),
  })
  const same = async (round: Round) => {
    const path = target(round)
    if (statSync(path).size !== size) throw new Error(`${path} has ${statSync(path).size} of ${size} bytes`)
    if (!round.id.endsWith('0')) return
    const hash = createHash('sha256')
    await pipeline(createReadStream(path, { highWaterMark: 1024 * 1024 }), hash)
    if (`sha256:${hash.digest('hex')}` !== digest) throw new Error(`${path} has other bytes`)
  }
  return [contender('oras', oras, same), contender('crane', crane, same), contender('regctl', regctl, same)].flat()
}

/** Copy of a package from a registry to another one. */
export function copiers(from: { source: FarEnd; repository: string; name: string }, check: Check): Contender[] {
  const { source, repository, name } = from
  const ends = ({ host }: FarEnd, { id }: Round) => [
    `${source.host}/${repository}:1.0.0`,
    `${host}/${id}/${name}:1.0.0`,
  ]
  const oras = (at: FarEnd, round: Round) => {
    const plain = [...source.plain('--from-plain-http'), ...at.plain('--to-plain-http')]
    return { args: ['cp', ...ORAS_FLAGS, ...plain, ...ends(at, round)] }
  }
  const crane = (at: FarEnd, round: Round) => {
    return { args: ['copy', '--jobs', '6', ...at.plain('--insecure'), ...ends(at, round)] }
  }
  const regctl = (at: FarEnd, round: Round) => {
    return { args: ['image', 'copy', ...regctlFlags(source), ...regctlFlags(at), ...ends(at, round)] }
  }
  return [contender('oras', oras, check), contender('crane', crane, check), contender('regctl', regctl, check)].flat()
}

/** As many blobs at once as layerd moves by default. */
const ORAS_FLAGS = ['--no-tty', '--concurrency', '6']

function zarfFlags({ folder }: Round): string[] {
  return ['--no-color', '--tmpdir', join(folder, 'tmp'), '--cache', join(folder, 'tmp', 'cache')]
}

function regctlFlags({ host, plain }: FarEnd): string[] {
  return plain('--host').flatMap((flag) => [flag, `reg=${host},tls=disabled`])
}

function folderBytes(folder: string): number {
  const files = readdirSync(folder, { withFileTypes: true, recursive: true }).filter((entry) => entry.isFile())
  return files.reduce((sum, { parentPath, name }) => sum + statSync(join(parentPath, name)).size, 0)
}
