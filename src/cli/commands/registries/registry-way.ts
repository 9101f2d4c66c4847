import { readFile, stat } from 'node:fs/promises'
import { CommandFailure, UsageError } from '../../client/context.ts'
import type { Registry } from '../../client/contract.ts'

/** How a registry is reached, on the command line. */
export interface WayOptions {
  ca?: string
  clientCert?: string
  clientKey?: string
  proxy?: string
  mirror?: string
}

/** The same as the API takes it. */
export interface GivenWay {
  ca?: string
  clientCertificate?: { certificate: string; key: string }
  proxy?: string
}

const MAX_FILE_BYTES = 64 * 1024

/** Throws UsageError; CommandFailure for a file that cannot be read. */
export async function wayFrom({ ca, clientCert, clientKey, proxy }: WayOptions): Promise<GivenWay> {
  if ((clientCert === undefined) !== (clientKey === undefined)) {
    throw new UsageError('--client-cert and --client-key go together')
  }
  return {
    ...(ca === undefined ? {} : { ca: await textOf(ca) }),
    ...(clientCert === undefined || clientKey === undefined
      ? {}
      : { clientCertificate: { certificate: await textOf(clientCert), key: await textOf(clientKey) } }),
    ...(proxy === undefined ? {} : { proxy: await proxyFrom(proxy) }),
  }
}

type ShownWay = Pick<Registry, 'ca' | 'clientCertificate' | 'proxy' | 'mirror'>

/** What is kept, to be written again; the client certificate stays by itself. */
export function keptWay(kept: ShownWay | undefined): GivenWay & { mirror?: string } {
  const { ca, proxy, mirror } = kept ?? {}
  return {
    ...(ca ? { ca: ca.map(({ pem }) => pem).join('') } : {}),
    ...(proxy ? { proxy } : {}),
    ...(mirror ? { mirror } : {}),
  }
}

/** What there is beside the common way, in a few words. */
export function wayText({ ca, clientCertificate, proxy, mirror }: ShownWay): string {
  const parts = [
    ca && 'ca',
    clientCertificate && 'client certificate',
    proxy && `proxy ${proxy}`,
    mirror && `mirror ${mirror}`,
  ]
  return parts.filter((part) => part !== null).join(', ')
}

/** What stands on a command line is seen by all who list processes. */
async function proxyFrom(text: string): Promise<string> {
  if (text.startsWith('@')) return (await textOf(text.slice(1))).trim()
  if (hasPassword(text)) {
    throw new UsageError('a password does not belong on the command line: --proxy @FILE reads the URL from a file')
  }
  return text
}

function hasPassword(url: string): boolean {
  const [authority = ''] = url.replace(/^[^/]*\/\//, '').split('/')
  const user = authority.slice(0, Math.max(0, authority.lastIndexOf('@')))
  return user.includes(':')
}

async function textOf(path: string): Promise<string> {
  try {
    // What is no file may have no end.
    const found = await stat(path)
    if (!found.isFile() || found.size > MAX_FILE_BYTES)
      throw new CommandFailure(`${path} is no file, or too long to be one of these`)
    return await readFile(path, 'utf8')
  } catch (error) {
    if (error instanceof CommandFailure) throw error
    throw new CommandFailure(`${path} cannot be read (${(error as NodeJS.ErrnoException).code ?? String(error)})`)
  }
}
