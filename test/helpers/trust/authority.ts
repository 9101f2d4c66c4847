import { createHash, generateKeyPairSync, type KeyObject, randomBytes, sign } from 'node:crypto'
import { der, oid, seq, time } from '../network/certificate.ts'

/** Who a certificate is for, and when it holds. */
export interface IssueOptions {
  readonly san: string
  readonly issuer: string
  /** Default: from now on for ten minutes, as Fulcio's. */
  readonly from?: Date
  readonly to?: Date
  /** Default true. */
  readonly codeSigning?: boolean
}

export interface SignOptions extends IssueOptions {
  /** When the log saw the signature. Default: a minute from now. */
  readonly at?: Date
  /** Without an entry in the log nothing tells when it was signed. Default true. */
  readonly logged?: boolean
}

/** A certificate authority and a log, as Sigstore's Fulcio and Rekor are, that nobody else knows. */
export interface Authority {
  /** A Sigstore bundle v0.3 over these bytes, by an identity. */
  sign(bytes: Buffer, options: SignOptions): Bundle
  /** trusted_root.json. `certificateLog`: names one, which none of the certificates has seen. */
  trustedRoot(options?: { certificateLog?: boolean }): Buffer
}

/** A bundle's JSON, to be changed by tests. */
export type Bundle = Record<string, unknown> & { verificationMaterial: Record<string, unknown> }

export const BUNDLE_TYPE = 'application/vnd.dev.sigstore.bundle.v0.3+json'
const MINUTE = 60_000
const YEAR = 365 * 24 * 60 * MINUTE
const ECDSA_WITH_SHA256 = seq(oid(0x2a, 0x86, 0x48, 0xce, 0x3d, 0x04, 0x03, 0x02))
const LOG_NAME = 'log.test'

export function createAuthority(): Authority {
  const ca = createParty()
  const log = createParty()
  const name = nameOf('authority of a test')
  const caCertificate = certificate(
    { subject: name, publicKey: ca.publicDer, from: new Date(Date.now() - YEAR), to: new Date(Date.now() + YEAR) },
    { name, key: ca.key },
    [
      extension([0x55, 0x1d, 0x13], seq(der(0x01, Buffer.of(0xff)))),
      extension([0x55, 0x1d, 0x0f], der(0x03, Buffer.of(2, 4))),
    ],
  )
  return {
    sign(bytes, { at = new Date(Date.now() + MINUTE), logged = true, ...options }) {
      const signer = createParty()
      const raw = issue(options, signer.publicDer, { name, key: ca.key })
      const signature = sign('sha256', bytes, signer.key)
      const entry = logEntry({ bytes, signature, certificate: raw, at, log })
      return {
        mediaType: BUNDLE_TYPE,
        verificationMaterial: { certificate: { rawBytes: raw.toString('base64') }, tlogEntries: logged ? [entry] : [] },
        messageSignature: messageSignature(bytes, signature),
      }
    },
    trustedRoot({ certificateLog = false } = {}) {
      const authority = {
        subject: { organization: 'test', commonName: 'authority of a test' },
        uri: 'https://ca.test',
        certChain: { certificates: [{ rawBytes: caCertificate.toString('base64') }] },
        validFor: { start: new Date(Date.now() - YEAR).toISOString() },
      }
      return json({
        mediaType: 'application/vnd.dev.sigstore.trustedroot+json;version=0.1',
        tlogs: [logOf(log)],
        certificateAuthorities: [authority],
        ctlogs: certificateLog ? [logOf(createParty())] : [],
        timestampAuthorities: [],
      })
    },
  }
}

/** A Sigstore bundle v0.3 by a key, as cosign writes it. */
export function signByKey(bytes: Buffer, key: SigningKey, hash: string | undefined = 'sha256'): Bundle {
  const signature = sign(hash, bytes, key.privateKey)
  const digest = createHash('sha256')
    .update(key.publicKey.export({ type: 'spki', format: 'der' }))
    .digest()
  return {
    mediaType: BUNDLE_TYPE,
    verificationMaterial: { publicKey: { hint: digest.toString('base64') } },
    messageSignature: messageSignature(bytes, signature),
  }
}

export interface SigningKey {
  readonly privateKey: KeyObject
  readonly publicKey: KeyObject
}

export function createSigningKey(): SigningKey & { readonly pem: string } {
  const pair = generateKeyPairSync('ec', { namedCurve: 'P-256' })
  return { ...pair, pem: pemOf(pair.publicKey) }
}

export function pemOf(key: KeyObject): string {
  return key.export({ type: 'spki', format: 'pem' }).toString()
}

export function json(value: unknown): Buffer {
  return Buffer.from(JSON.stringify(value))
}

interface Party {
  readonly key: KeyObject
  readonly publicDer: Buffer
  readonly id: Buffer
}

function createParty(): Party {
  const { privateKey, publicKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' })
  const publicDer = publicKey.export({ type: 'spki', format: 'der' })
  return { key: privateKey, publicDer, id: createHash('sha256').update(publicDer).digest() }
}

function issue(
  {
    san,
    issuer,
    from = new Date(Date.now() - MINUTE),
    to = new Date(Date.now() + 10 * MINUTE),
    ...options
  }: IssueOptions,
  publicKey: Buffer,
  by: { name: Buffer; key: KeyObject },
): Buffer {
  const { codeSigning = true } = options
  const usage = codeSigning ? oid(0x2b, 6, 1, 5, 5, 7, 3, 3) : oid(0x2b, 6, 1, 5, 5, 7, 3, 1)
  return certificate({ subject: seq(), publicKey, from, to }, by, [
    extension([0x55, 0x1d, 0x0f], der(0x03, Buffer.of(7, 0x80))),
    extension([0x55, 0x1d, 0x25], seq(usage)),
    extension([0x55, 0x1d, 0x11], seq(der(san.includes('@') && !san.includes('://') ? 0x81 : 0x86, Buffer.from(san)))),
    extension([0x2b, 6, 1, 4, 1, 0x83, 0xbf, 0x30, 1, 8], der(0x0c, Buffer.from(issuer))),
  ])
}

/** Source: RFC 5280 4.1. */
function certificate(
  { subject, publicKey, from, to }: { subject: Buffer; publicKey: Buffer; from: Date; to: Date },
  by: { name: Buffer; key: KeyObject },
  extensions: readonly Buffer[],
): Buffer {
  const body = seq(
    der(0xa0, der(0x02, Buffer.of(2))),
    der(0x02, Buffer.concat([Buffer.of(1), randomBytes(8)])),
    ECDSA_WITH_SHA256,
    by.name,
    seq(time(from), time(to)),
    subject,
    publicKey,
    der(0xa3, seq(...extensions)),
  )
  return seq(body, ECDSA_WITH_SHA256, der(0x03, Buffer.concat([Buffer.of(0), sign('sha256', body, by.key)])))
}

function nameOf(text: string): Buffer {
  return seq(der(0x31, seq(oid(0x55, 0x04, 0x03), der(0x0c, Buffer.from(text)))))
}

function extension(id: readonly number[], value: Buffer): Buffer {
  return seq(oid(...id), der(0x04, value))
}

function messageSignature(bytes: Buffer, signature: Buffer) {
  const digest = createHash('sha256').update(bytes).digest('base64')
  return { messageDigest: { algorithm: 'SHA2_256', digest }, signature: signature.toString('base64') }
}

/** The only entry of its log, with promise and proof. Source: sigstore/rekor pkg/types/hashedrekord/v0.0.1; RFC 6962 2.1. */
function logEntry({
  bytes,
  signature,
  certificate: raw,
  at,
  log,
}: {
  bytes: Buffer
  signature: Buffer
  certificate: Buffer
  at: Date
  log: Party
}) {
  const pem = `-----BEGIN CERTIFICATE-----\n${raw.toString('base64')}\n-----END CERTIFICATE-----\n`
  const body = json({
    apiVersion: '0.0.1',
    kind: 'hashedrekord',
    spec: {
      data: { hash: { algorithm: 'sha256', value: createHash('sha256').update(bytes).digest('hex') } },
      signature: { content: signature.toString('base64'), publicKey: { content: Buffer.from(pem).toString('base64') } },
    },
  })
  const integratedTime = Math.floor(at.getTime() / 1000)
  // Canonical JSON: members in the order of their names.
  const promise = json({ body: body.toString('base64'), integratedTime, logID: log.id.toString('hex'), logIndex: 0 })
  const root = createHash('sha256').update(Buffer.of(0)).update(body).digest()
  const note = `${LOG_NAME}\n1\n${root.toString('base64')}\n`
  const noted = Buffer.concat([log.id.subarray(0, 4), sign('sha256', Buffer.from(note), log.key)]).toString('base64')
  return {
    logIndex: '0',
    logId: { keyId: log.id.toString('base64') },
    kindVersion: { kind: 'hashedrekord', version: '0.0.1' },
    integratedTime: String(integratedTime),
    inclusionPromise: { signedEntryTimestamp: sign('sha256', promise, log.key).toString('base64') },
    inclusionProof: {
      logIndex: '0',
      rootHash: root.toString('base64'),
      treeSize: '1',
      hashes: [],
      checkpoint: { envelope: `${note}\n\u2014 ${LOG_NAME} ${noted}\n` },
    },
    canonicalizedBody: body.toString('base64'),
  }
}

function logOf({ publicDer, id }: Party) {
  return {
    baseUrl: `https://${LOG_NAME}`,
    hashAlgorithm: 'SHA2_256',
    publicKey: {
      rawBytes: publicDer.toString('base64'),
      keyDetails: 'PKIX_ECDSA_P256_SHA_256',
      validFor: { start: new Date(Date.now() - YEAR).toISOString() },
    },
    logId: { keyId: id.toString('base64') },
  }
}
