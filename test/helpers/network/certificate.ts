import { generateKeyPairSync, type KeyObject, randomBytes, sign } from 'node:crypto'
import { isIPv4 } from 'node:net'

/** A key and a certificate that it signed for itself. */
export interface TestCertificate {
  readonly key: KeyObject
  /** PKCS #8. */
  readonly keyPem: string
  readonly certPem: string
  readonly certDer: Buffer
}

export interface CertificateOptions {
  from?: Date
  to?: Date
  /** Default P-256. */
  kind?: 'P-256' | 'RSA'
  /** Default `layerd test`. */
  commonName?: string
}

/**
 * A self-signed certificate, its own CA, for names and IPv4 addresses; Node can read certificates but not make
 * them. Source: RFC 5280 4.1.
 */
export function createCertificate(
  names: readonly string[] = ['localhost', '127.0.0.1'],
  options: CertificateOptions = {},
): TestCertificate {
  const { kind = 'P-256' } = options
  const { privateKey, publicKey } =
    kind === 'RSA'
      ? generateKeyPairSync('rsa', { modulusLength: 2048 })
      : generateKeyPairSync('ec', { namedCurve: 'P-256' })
  const day = 86_400_000
  const {
    from = new Date(Date.now() - day),
    to = new Date(Date.now() + 30 * day),
    commonName = 'layerd test',
  } = options
  const algorithm = kind === 'RSA' ? RSA_WITH_SHA256 : ECDSA_WITH_SHA256
  const name = seq(der(0x31, seq(oid(0x55, 0x04, 0x03), der(0x0c, Buffer.from(commonName)))))
  const altNames = names.map((text) =>
    isIPv4(text) ? der(0x87, Buffer.from(text.split('.').map(Number))) : der(0x82, Buffer.from(text)),
  )
  const isCa = seq(oid(0x55, 0x1d, 0x13), der(0x01, Buffer.of(0xff)), der(0x04, seq(der(0x01, Buffer.of(0xff)))))
  const subjectAltName = seq(oid(0x55, 0x1d, 0x11), der(0x04, seq(...altNames)))
  const body = seq(
    der(0xa0, der(0x02, Buffer.of(2))),
    der(0x02, Buffer.concat([Buffer.of(1), randomBytes(8)])),
    algorithm,
    name,
    seq(time(from), time(to)),
    name,
    publicKey.export({ type: 'spki', format: 'der' }),
    der(0xa3, seq(isCa, subjectAltName)),
  )
  const signature = der(0x03, Buffer.concat([Buffer.of(0), sign('sha256', body, privateKey)]))
  const certDer = seq(body, algorithm, signature)
  const lines = certDer.toString('base64').match(/.{1,64}/g) ?? []
  return {
    key: privateKey,
    keyPem: privateKey.export({ type: 'pkcs8', format: 'pem' }).toString(),
    certPem: `-----BEGIN CERTIFICATE-----\n${lines.join('\n')}\n-----END CERTIFICATE-----\n`,
    certDer,
  }
}

/** sha256WithRSAEncryption and ecdsa-with-SHA256, of RFC 4055 and RFC 5758. */
const RSA_WITH_SHA256 = seq(oid(0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x0b), der(0x05, Buffer.alloc(0)))
const ECDSA_WITH_SHA256 = seq(oid(0x2a, 0x86, 0x48, 0xce, 0x3d, 0x04, 0x03, 0x02))

export function der(tag: number, content: Buffer): Buffer {
  const length = content.length
  const header = length < 0x80 ? [length] : length < 0x100 ? [0x81, length] : [0x82, length >> 8, length & 0xff]
  return Buffer.concat([Buffer.of(tag, ...header), content])
}

export function seq(...parts: readonly Buffer[]): Buffer {
  return der(0x30, Buffer.concat(parts))
}

export function oid(...bytes: readonly number[]): Buffer {
  return der(0x06, Buffer.from(bytes))
}

export function time(at: Date): Buffer {
  return der(0x18, Buffer.from(`${at.toISOString().replace(/[-:T]/g, '').slice(0, 14)}Z`))
}
