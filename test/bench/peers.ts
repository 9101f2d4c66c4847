import { createHash } from 'node:crypto'
import { closeSync, createReadStream, openSync, readdirSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { pipeline } from 'node:stream/promises'
import { findProgram } from '../helpers/real-tools.ts'
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
  /** Watched beside its TMPDIR. */
  folders?: readonly string[]
  check?: () => unknown
}

export interface PeerOptions {
  farEnd: FarEnd
  /** The far end's certificate, as a file. */
  ca: string
}

/** The peer at a task, or undefined where it is not on PATH. */
function contender(name: Peer, { ca }: PeerOptions, call: (round: Round) => Call): Contender | undefined {
  const command = findProgram(name)
  if (command === undefined) return undefined
  return {
    name,
    async run(round) {
      const { args, cwd, stdin, stdout, folders = [], check } = call(round)
      const input = stdin === undefined ? undefined : openSync(stdin, 'r')
      const output = stdout === undefined ? undefined : openSync(stdout, 'w')
      try {
        const cost = await measure(command, args, {
          folders: [join(round.folder, 'tmp'), ...folders],
          // Go's programs take it as the only authority; HOME keeps them from a configuration of this machine.
          env: { SSL_CERT_FILE: ca, HOME: join(round.folder, 'tmp') },
          ...(cwd === undefined ? {} : { cwd }),
          ...(input === undefined ? {} : { stdin: input }),
          ...(output === undefined ? {} : { stdout: output }),
        })
        await check?.()
        return cost
      } finally {
        for (const file of [input, output]) if (file !== undefined) closeSync(file)
      }
    },
  }
}

function present(all: readonly (Contender | undefined)[]): Contender[] {
  return all.filter((one) => one !== undefined)
}

/** Publish of a package archive. */
export function publishers(path: string, options: PeerOptions, check: (round: Round) => unknown): Contender[] {
  const { host, tls } = options.farEnd
  return present([
    contender('zarf', options, (round) => ({
      args: [
        'package',
        'publish',
        path,
        `oci://${host}/${round.id}`,
        '--no-color',
        ...(tls ? [] : ['--plain-http']),
        ...zarfFolders(round),
      ],
      check: () => check(round),
    })),
  ])
}

/** Push of an artifact's files, one layer each. */
export function filePushers(
  files: { folder: string; names: readonly string[]; repository: string },
  options: PeerOptions,
  check: (round: Round) => unknown,
): Contender[] {
  const { host, tls } = options.farEnd
  return present([
    contender('oras', options, (round) => ({
      args: [
        'push',
        '--no-tty',
        '--concurrency',
        '6',
        ...(tls ? [] : ['--plain-http']),
        `${host}/${round.id}/${files.repository}:1.0.0`,
        ...files.names.map((name) => `${name}:application/octet-stream`),
      ],
      cwd: files.folder,
      check: () => check(round),
    })),
  ])
}

/** Pull of a package: zarf's ends in an archive, the others' in an OCI layout, as layerd's store is one. */
export function pullers(reference: string, bytes: number, options: PeerOptions): Contender[] {
  const { tls } = options.farEnd
  const plain = (flag: string) => (tls ? [] : [flag])
  const layout = (round: Round) => join(round.folder, 'layout')
  const whole = (round: Round) => () => {
    const found = folderBytes(layout(round))
    if (found < bytes) throw new Error(`${layout(round)} has only ${found} of ${bytes} bytes`)
  }
  return present([
    contender('zarf', options, (round) => ({
      args: [
        'package',
        'pull',
        `oci://${reference}`,
        '--no-color',
        ...plain('--plain-http'),
        '-a',
        'amd64',
        '-o',
        round.folder,
        ...zarfFolders(round),
      ],
      check() {
        if (!readdirSync(round.folder).some((name) => name.endsWith('.tar.zst'))) throw new Error('no archive written')
      },
    })),
    contender('oras', options, (round) => ({
      args: [
        'cp',
        '--no-tty',
        '--concurrency',
        '6',
        ...plain('--from-plain-http'),
        reference,
        '--to-oci-layout',
        `${layout(round)}:1.0.0`,
      ],
      check: whole(round),
    })),
    contender('crane', options, (round) => ({
      args: ['pull', '--format=oci', ...plain('--insecure'), reference, layout(round)],
      check: whole(round),
    })),
    contender('regctl', options, (round) => ({
      args: ['image', 'copy', ...regctlHost(options.farEnd), reference, `ocidir://${layout(round)}:1.0.0`],
      check: whole(round),
    })),
  ])
}

export interface BlobFile {
  path: string
  digest: string
  size: number
}

/** Push of one blob. */
export function blobPushers(blob: BlobFile, options: PeerOptions): Contender[] {
  const { host, tls } = options.farEnd
  return present([
    contender('oras', options, (round) => ({
      args: ['blob', 'push', ...(tls ? [] : ['--plain-http']), '--no-tty', `${host}/${round.id}`, blob.path],
    })),
    contender('regctl', options, (round) => ({
      args: ['blob', 'put', ...regctlHost(options.farEnd), '--digest', blob.digest, `${host}/${round.id}`],
      stdin: blob.path,
    })),
  ])
}

/** Pull of one blob to a file. */
export function blobPullers(repository: string, blob: BlobFile, options: PeerOptions): Contender[] {
  const { tls } = options.farEnd
  const target = (round: Round) => join(round.folder, 'blob')
  const at = `${repository}@${blob.digest}`
  const same = (round: Round) => async () => {
    const path = target(round)
    if (statSync(path).size !== blob.size) throw new Error(`${path} has ${statSync(path).size} bytes`)
    if (!round.id.endsWith('0')) return
    const hash = createHash('sha256')
    await pipeline(createReadStream(path, { highWaterMark: 1024 * 1024 }), hash)
    if (`sha256:${hash.digest('hex')}` !== blob.digest) throw new Error(`${path} has other bytes`)
  }
  return present([
    contender('oras', options, (round) => ({
      args: ['blob', 'fetch', ...(tls ? [] : ['--plain-http']), '--no-tty', '-o', target(round), at],
      check: same(round),
    })),
    contender('crane', options, (round) => ({
      args: ['blob', ...(tls ? [] : ['--insecure']), at],
      stdout: target(round),
      check: same(round),
    })),
    contender('regctl', options, (round) => ({
      args: ['blob', 'get', ...regctlHost(options.farEnd), repository, blob.digest],
      stdout: target(round),
      check: same(round),
    })),
  ])
}

function zarfFolders({ folder }: Round): string[] {
  return ['--tmpdir', join(folder, 'tmp'), '--cache', join(folder, 'tmp', 'cache')]
}

function regctlHost({ host, tls }: FarEnd): string[] {
  return tls ? [] : ['--host', `reg=${host},tls=disabled`]
}

function folderBytes(folder: string): number {
  const entries = readdirSync(folder, { withFileTypes: true, recursive: true })
  return entries.reduce(
    (sum, entry) => sum + (entry.isFile() ? statSync(join(entry.parentPath, entry.name)).size : 0),
    0,
  )
}
