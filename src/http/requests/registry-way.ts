import { createPrivateKey, type KeyObject, X509Certificate } from 'node:crypto'
import { createSecureContext } from 'node:tls'
import { formatRegistryPlace, parseDestination, registryId, type RegistryPlace } from '../../content/reference.ts'
import type { WaySettings } from '../../jobs/model/registry-way.ts'
import { AppError } from '../../lib/errors.ts'
import { pemCertificates, toPem } from '../../lib/formats/pem.ts'
import { PROXY_FORM, readProxyUrl } from '../../lib/formats/proxy-url.ts'
import type { RegistryWayBody } from '../schemas/registry-way.ts'
import { at } from './package-reference.ts'

/** Throws BODY_INVALID, with nothing of a secret in it. */
export function registryWay({ ca, clientCertificate, proxy, mirror }: RegistryWayBody): WaySettings {
  return {
    ca: typeof ca === 'string' ? pemOf(certificatesOf(ca, '/ca')) : null,
    clientCertificate: clientCertificate && shownCertificate(clientCertificate),
    proxy: typeof proxy === 'string' ? proxyOf(proxy.trim()) : null,
    mirror: typeof mirror === 'string' ? mirrorOf(mirror) : null,
  }
}

/** For a request that need not say anything of it: undefined where it does not. */
export function givenWay(body: RegistryWayBody): WaySettings | undefined {
  const { ca, clientCertificate, proxy } = body
  const isNone = ca === undefined && clientCertificate === undefined && proxy === undefined
  return isNone ? undefined : registryWay(body)
}

/** Throws REFERENCE_INVALID. */
function mirrorOf(text: string): string {
  const { registry, namespace } = at('/mirror', parseDestination, `oci://${text.replace(/^oci:\/\//i, '')}`)
  return formatRegistryPlace({ registry, path: namespace })
}

/** Throws BODY_INVALID where a registry would be its own mirror, and what `mayKeep` throws of the mirror. */
export function checkMirror(
  host: string,
  mirror: string | null | undefined,
  mayKeep: (mirror: RegistryPlace) => void,
): void {
  if (typeof mirror !== 'string') return
  const { registry, namespace: path } = parseDestination(`oci://${mirror}`)
  at('/mirror', mayKeep, { registry, path })
  if (registryId(registry) !== registryId(host)) return
  throw new AppError('BODY_INVALID', `${host} cannot be its own mirror`, {
    hint: 'Name the registry that has copies of its content, as host[:port][/path], or null for none.',
    details: { pointer: '/mirror' },
  })
}

/** As HTTPS_PROXY is read, or no proxy at all. */
function proxyOf(text: string): string {
  if (text.toLowerCase() === 'direct') return 'direct'
  const read = readProxyUrl(text)
  if ('url' in read) return read.url
  throw new AppError('BODY_INVALID', `proxy: ${read.why}`, {
    hint: `${PROXY_FORM} "direct" is none at all.`,
    details: { pointer: '/proxy' },
  })
}

const MAX_CERTIFICATES = 32

function certificatesOf(text: string, pointer: string): [X509Certificate, ...X509Certificate[]] {
  const all = pemCertificates(text)
  const wrong = (why: string) =>
    new AppError('BODY_INVALID', why, {
      hint: 'It is one certificate or several in PEM form, one after the other: -----BEGIN CERTIFICATE-----.',
      details: { pointer },
    })
  if (text.includes('PRIVATE KEY-----')) throw wrong('a private key stands where certificates alone may be')
  if (all.length > MAX_CERTIFICATES) throw wrong(`these are ${all.length} certificates, more than ${MAX_CERTIFICATES}`)
  const [first, ...rest] = all.map((base64, at) => {
    try {
      return new X509Certificate(Buffer.from(base64, 'base64'))
    } catch (error) {
      throw wrong(`certificate ${at + 1} of ${all.length} cannot be read (${codeOf(error)})`)
    }
  })
  if (first === undefined) throw wrong('this holds no certificate in PEM form')
  return [first, ...rest]
}

/** Each as it is written here, without what stood between them. */
function pemOf(certificates: readonly X509Certificate[]): string {
  return certificates.map(({ raw }) => toPem(raw.toString('base64'))).join('')
}

type ClientCertificate = NonNullable<WaySettings['clientCertificate']>

function shownCertificate(given: ClientCertificate): ClientCertificate {
  const chain = certificatesOf(given.certificate, '/clientCertificate/certificate')
  const key = keyOf(given.key)
  const place = chain.findIndex((one) => one.checkPrivateKey(key))
  if (place === -1) throw wrongKey('the key does not belong to the certificate')
  if (place > 0) throw wrongKey(`the key belongs to certificate ${place + 1} of the chain, which has to be the first`)
  const certificate = pemOf(chain)
  const pem = key.export({ type: 'pkcs8', format: 'pem' }).toString()
  try {
    createSecureContext({ cert: certificate, key: pem })
  } catch (error) {
    throw wrongKey(`OpenSSL does not take the key with its certificate (${codeOf(error)})`)
  }
  return { certificate, key: pem }
}

function keyOf(text: string): KeyObject {
  if (text.includes('ENCRYPTED'))
    throw wrongKey('the key is encrypted, and nobody is there to type its password', DECRYPT)
  try {
    return createPrivateKey(text)
  } catch (error) {
    throw wrongKey(`the key cannot be read (${codeOf(error)})`)
  }
}

const DECRYPT = 'Give it without: openssl pkey -in KEY. It is sealed here, and never read again.'

function wrongKey(
  why: string,
  hint = 'It is the private key of the first certificate, in PEM form: -----BEGIN PRIVATE KEY-----.',
): AppError {
  return new AppError('BODY_INVALID', why, { hint, details: { pointer: '/clientCertificate/key' } })
}

/** What OpenSSL calls it; its text may repeat what it read. */
function codeOf(error: unknown): string {
  const { code } = error as NodeJS.ErrnoException
  return typeof code === 'string' ? code : 'no code'
}
