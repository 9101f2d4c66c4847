import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { createCertificate } from '../helpers/network/certificate.ts'
import { CleanupStack } from '../helpers/cleanup.ts'
import { type RegistryProgram, startDockerRegistry } from '../helpers/registries/docker-registry.ts'
import { startProcess } from '../helpers/processes/processes.ts'
import { transferredBy } from './measure.ts'

/** Who the bytes go to or come from, as a process of its own. */
export interface FarEnd extends AsyncDisposable {
  /** As in a row: `registry 3.1.1, TLS`. */
  readonly name: string
  readonly host: string
  readonly url: string
  /** The flag that a program needs to speak plain HTTP to it; none over TLS. */
  readonly plain: (flag: string) => string[]
  /** What it shows over TLS. */
  readonly certificate: Certificate
  /** Bytes it has read and written so far, files included: less than a task's bytes means that they did not move. */
  transferred(): { read: number; written: number }
}

/** Key and certificate of all far ends, as files. */
export interface Certificate {
  readonly cert: string
  readonly key: string
  readonly pem: string
}

export function writeCertificate(folder: string): Certificate {
  const { certPem, keyPem } = createCertificate()
  const [cert, key] = [join(folder, 'cert.pem'), join(folder, 'key.pem')]
  writeFileSync(cert, certPem)
  writeFileSync(key, keyPem)
  return { cert, key, pem: certPem }
}

export interface FarEndOptions {
  tls: boolean
  certificate: Certificate
}

export async function startRegistry(program: RegistryProgram, options: FarEndOptions): Promise<FarEnd> {
  const stack = new CleanupStack()
  const { cert: certificate, key } = options.certificate
  const tls = options.tls ? { tls: { certificate, key } } : {}
  const { version, pid, host } = await startDockerRegistry(stack, { program, quiet: true, ...tls })
  return farEnd(`${program} ${version}`, { ...options, stack, pid, host })
}

export interface SinkOptions extends FarEndOptions {
  /** Takes a blob along with POST. */
  singlePost?: boolean
  /** Path by digest: what it serves once that was pushed to it. */
  blobs?: Readonly<Record<string, string>>
}

export async function startSink(options: SinkOptions): Promise<FarEnd> {
  const stack = new CleanupStack()
  const { tls, certificate, singlePost = false, blobs = {} } = options
  const sink = await startProcess(stack, process.execPath, [
    fileURLToPath(new URL('sink.ts', import.meta.url)),
    ...(tls ? ['--key', certificate.key, '--cert', certificate.cert] : []),
    ...(singlePost ? ['--single-post'] : []),
    ...Object.entries(blobs).flatMap((pair) => ['--blob', pair.join('=')]),
  ])
  const [, port = ''] = await sink.waitForOutput(/port (\d+)/)
  const name = singlePost ? 'sink, single POST' : 'sink'
  return farEnd(name, { ...options, stack, pid: sink.pid, host: `127.0.0.1:${port}` })
}

function farEnd(name: string, at: FarEndOptions & { stack: CleanupStack; pid: number; host: string }): FarEnd {
  const { stack, pid, host, tls, certificate } = at
  return {
    name: tls ? `${name}, TLS` : name,
    host,
    url: `${tls ? 'https' : 'http'}://${host}`,
    plain: (flag) => (tls ? [] : [flag]),
    certificate,
    transferred: () => transferredBy(pid),
    [Symbol.asyncDispose]: () => stack[Symbol.asyncDispose](),
  }
}
