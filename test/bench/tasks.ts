import { readdirSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { findProgram } from '../helpers/real-tools.ts'
import type { Contender } from './rows.ts'

const ENGINE = fileURLToPath(new URL('engine.ts', import.meta.url))

export interface PackageFile {
  path: string
  name: string
  contentBytes: number
  files: readonly { path: string; digest: string; size: number }[]
}

/** Those of the peers that this machine has; `missing` lists the others. */
export function withPeers(
  own: Contender,
  peers: Record<string, (path: string) => Contender>,
): { all: Contender[]; missing: string[] } {
  const all = [own]
  const missing: string[] = []
  for (const [name, make] of Object.entries(peers)) {
    const path = findProgram(name)
    if (path === undefined) missing.push(name)
    else all.push(make(path))
  }
  return { all, missing }
}

/** Publish of a package to a registry that has nothing of it. */
export function publishTask(host: string, built: PackageFile) {
  const check = async ({ id }: { id: string }) => {
    for (const file of built.files) {
      const response = await fetch(`http://${host}/v2/${id}/${built.name}/blobs/${file.digest}`, { method: 'HEAD' })
      const length = Number(response.headers.get('content-length'))
      if (response.status !== 200 || length !== file.size)
        throw new Error(`${file.path}: ${response.status}, ${length} bytes`)
    }
  }
  const own: Contender = {
    name: 'layerd',
    command: process.execPath,
    args: ({ id }) => [ENGINE, 'publish', built.path, `${host}/${id}`],
    check,
  }
  return withPeers(own, {
    zarf: (command) => ({
      name: 'zarf',
      command,
      args: ({ id, temporary }) => [
        'package',
        'publish',
        built.path,
        `oci://${host}/${id}`,
        '--plain-http',
        '--no-color',
        '--tmpdir',
        join(temporary, 'tmp'),
        '--cache',
        join(temporary, 'cache'),
      ],
      check,
    }),
  })
}

/** Pull of a package. layerd's ends in its store (the archive is computed), zarf's in an archive. */
export function pullTask(host: string, repository: string, built: PackageFile) {
  const reference = `${host}/${repository}:1.0.0`
  const own: Contender = {
    name: 'layerd',
    command: process.execPath,
    args: ({ temporary }) => [ENGINE, 'pull', reference, temporary],
    async check({ temporary }) {
      const blobs = readdirSync(temporary, { recursive: true, encoding: 'utf8' })
      const absent = built.files.find(
        (file) => !blobs.some((path) => path.endsWith(file.digest.slice('sha256:'.length))),
      )
      if (absent) throw new Error(`${absent.path} is not in the store`)
    },
  }
  return withPeers(own, {
    zarf: (command) => ({
      name: 'zarf',
      command,
      args: ({ temporary }) => [
        'package',
        'pull',
        `oci://${reference}`,
        '--plain-http',
        '--no-color',
        '-a',
        'amd64',
        '-o',
        temporary,
        '--tmpdir',
        join(temporary, 'tmp'),
        '--cache',
        join(temporary, 'cache'),
      ],
      async check({ temporary }) {
        if (!readdirSync(temporary).some((name) => name.endsWith('.tar.zst'))) throw new Error('no archive was written')
      },
    }),
  })
}

export interface BlobFile {
  path: string
  digest: string
  size: number
}

/** Push of one blob; `moved` says how many bytes the far end has received in all. */
export function pushBlobTask(host: string, blob: BlobFile, options: { ca?: string; moved?: () => Promise<number> }) {
  const before = { bytes: 0 }
  const check = async () => {
    if (!options.moved) return
    const now = await options.moved()
    if (now - before.bytes < blob.size) throw new Error(`only ${now - before.bytes} of ${blob.size} bytes moved`)
    before.bytes = now
  }
  const tls = options.ca !== undefined
  const own: Contender = {
    name: 'layerd',
    command: process.execPath,
    args: ({ id }) => [ENGINE, 'push-blob', blob.path, blob.digest, String(blob.size), host, id],
    ...(options.ca === undefined ? {} : { env: { NODE_EXTRA_CA_CERTS: options.ca } }),
    check,
  }
  return withPeers(own, {
    oras: (command) => ({
      name: 'oras',
      command,
      args: ({ id }) => [
        'blob',
        'push',
        ...(tls ? ['--ca-file', options.ca ?? ''] : ['--plain-http']),
        '--no-tty',
        `${host}/${id}`,
        blob.path,
      ],
      check,
    }),
  })
}

/** Pull of one blob to a file. */
export function pullBlobPeers(
  host: string,
  repository: string,
  blob: BlobFile,
): Record<string, (path: string) => Contender> {
  const toFile = (name: string, command: string, line: string): Contender => ({
    name,
    command: '/bin/sh',
    args: ({ temporary }) => ['-c', `exec ${command} ${line} > ${temporary}/blob`],
    check: async () => undefined,
  })
  const at = `${host}/${repository}@${blob.digest}`
  return {
    crane: (path) => toFile('crane', path, `blob --insecure ${at}`),
    oras: (path) => toFile('oras', path, `blob fetch --plain-http --no-tty -o - ${at}`),
  }
}
