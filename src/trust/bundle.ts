import { type Bundle, bundleFromJSON, isBundleWithMessageSignature, ValidationError } from '@sigstore/bundle'
import { HashAlgorithm } from '@sigstore/protobuf-specs'
import { AppError } from '../lib/errors.ts'
import { beyondBounds } from '../lib/loop/json-bounds.ts'

/** Who made the signature, as the bundle itself says: nothing of it is proved. */
export type ClaimedSigner = { kind: 'key'; hint: string } | { kind: 'certificate'; certificate: Buffer }

/** A Sigstore bundle over zarf.yaml, read and not yet checked. */
export interface ReadBundle {
  readonly bundle: Bundle
  readonly signer: ClaimedSigner
  readonly signature: Buffer
  /** SHA-256 of what was signed, as the bundle says; undefined where it names another hash. */
  readonly signed: Buffer | undefined
}

/** A bundle with its certificate, log entry and timestamps has about 10 KiB. */
export const MAX_SIGNATURE_BYTES = 256 * 1024
const BOUNDS = { values: 2000, keys: 200, depth: 24 }
const MAX_CERTIFICATES = 10
const MAX_LOG_ENTRIES = 4
const MAX_TIMESTAMPS = 4
/** A tree of 2^64 entries has proofs no longer. */
const MAX_PROOF_HASHES = 64
const MAX_DER_BYTES = 16 * 1024
const MAX_TEXT_BYTES = 64 * 1024
/** Of an RSA key of 8192 bits. */
const MAX_RAW_SIGNATURE = 1024
/** Where the bundle does not say, too. */
const SHA256 = [HashAlgorithm.SHA2_256, HashAlgorithm.HASH_ALGORITHM_UNSPECIFIED]
const MEDIA_TYPES = [
  'application/vnd.dev.sigstore.bundle+json;version=0.1',
  'application/vnd.dev.sigstore.bundle+json;version=0.2',
  'application/vnd.dev.sigstore.bundle+json;version=0.3',
  'application/vnd.dev.sigstore.bundle.v0.3+json',
]

/**
 * Reads a bundle (v0.1 to v0.3) that holds a signature over the bytes themselves. What it holds is counted before any of it
 * is looked at more closely. Throws SIGNATURE_INVALID. Source: sigstore/protobuf-specs sigstore_bundle.proto.
 */
export function readBundle(bytes: Buffer): ReadBundle {
  const bundle = parse(bytes)
  if (!isBundleWithMessageSignature(bundle))
    throw invalid('holds an attestation, and a signature over zarf.yaml is wanted')
  checkSizes(bundle)
  const { messageDigest, signature } = bundle.content.messageSignature
  if (signature.length > MAX_RAW_SIGNATURE) throw invalid(`holds a signature of ${signature.length} bytes`)
  return {
    bundle,
    signer: signerOf(bundle),
    signature,
    signed: SHA256.includes(messageDigest.algorithm) ? messageDigest.digest : undefined,
  }
}

export function checkSignatureSize(size: number, file: string): void {
  if (size <= MAX_SIGNATURE_BYTES) return
  throw new AppError(
    'SIGNATURE_INVALID',
    `${file} has ${size} bytes; more than ${MAX_SIGNATURE_BYTES} are not read: a signature is small`,
    { details: { path: file, size, limit: MAX_SIGNATURE_BYTES } },
  )
}

function parse(bytes: Buffer): Bundle {
  checkSignatureSize(bytes.length, 'zarf.bundle.sig')
  const beyond = beyondBounds(bytes, BOUNDS)
  if (beyond !== undefined) throw invalid(beyond)
  const json = parseJson(bytes)
  if (typeof json !== 'object' || json === null) throw invalid('is no JSON object')
  const { mediaType, verificationMaterial } = json as { mediaType?: unknown; verificationMaterial?: unknown }
  if (typeof mediaType !== 'string' || !MEDIA_TYPES.includes(mediaType)) {
    throw invalid(`calls itself ${JSON.stringify(mediaType ?? null).slice(0, 100)}; bundles v0.1 to v0.3 are read`)
  }
  checkCounts(verificationMaterial)
  try {
    return bundleFromJSON(json)
  } catch (cause) {
    const fields = cause instanceof ValidationError ? `: ${cause.fields.slice(0, 4).join(', ')}` : ''
    throw invalid(`is not put together as a bundle is${fields}`, cause)
  }
}

function parseJson(bytes: Buffer): unknown {
  try {
    return JSON.parse(bytes.toString('utf8'))
  } catch (cause) {
    throw invalid('is not JSON', cause)
  }
}

/** Of the JSON itself: hundreds of certificates are not even decoded. */
function checkCounts(material: unknown): void {
  const { x509CertificateChain, tlogEntries, timestampVerificationData } = (material ?? {}) as Record<string, unknown>
  const listed: ReadonlyArray<[what: string, list: unknown, limit: number]> = [
    ['certificates', member(x509CertificateChain, 'certificates'), MAX_CERTIFICATES],
    ['log entries', tlogEntries, MAX_LOG_ENTRIES],
    ['timestamps', member(timestampVerificationData, 'rfc3161Timestamps'), MAX_TIMESTAMPS],
  ]
  for (const [what, list, limit] of listed) {
    if (Array.isArray(list) && list.length > limit)
      throw invalid(`holds ${list.length} ${what}; at most ${limit} are read`)
  }
}

function member(value: unknown, name: string): unknown {
  return typeof value === 'object' && value !== null ? (value as Record<string, unknown>)[name] : undefined
}

function checkSizes({ verificationMaterial }: Bundle): void {
  const { content, tlogEntries, timestampVerificationData } = verificationMaterial
  const ders = (timestampVerificationData?.rfc3161Timestamps ?? []).map((each) => each.signedTimestamp)
  if (content.$case === 'certificate') ders.push(content.certificate.rawBytes)
  if (content.$case === 'x509CertificateChain') {
    ders.push(...content.x509CertificateChain.certificates.map(({ rawBytes }) => rawBytes))
  }
  if (ders.some(({ length }) => length > MAX_DER_BYTES)) {
    throw invalid(`holds a certificate or timestamp of more than ${MAX_DER_BYTES} bytes`)
  }
  if (tlogEntries.some(isNoLogEntry)) throw invalid('holds a log entry such as no log makes')
}

function isNoLogEntry(entry: Bundle['verificationMaterial']['tlogEntries'][number]): boolean {
  const { canonicalizedBody, inclusionProof: proof, integratedTime, logIndex } = entry
  const numbers = [integratedTime, logIndex, ...(proof ? [proof.logIndex, proof.treeSize] : [])]
  const { length } = proof?.checkpoint?.envelope ?? ''
  return (
    canonicalizedBody.length > MAX_TEXT_BYTES ||
    length > MAX_TEXT_BYTES ||
    (proof?.hashes.length ?? 0) > MAX_PROOF_HASHES ||
    numbers.some((text) => !/^\d{1,20}$/.test(text))
  )
}

function signerOf({ verificationMaterial: { content } }: Bundle): ClaimedSigner {
  if (content.$case === 'publicKey') return { kind: 'key', hint: content.publicKey.hint }
  if (content.$case === 'certificate') return { kind: 'certificate', certificate: content.certificate.rawBytes }
  const [first] = content.x509CertificateChain.certificates
  if (!first) throw invalid('holds no certificate')
  return { kind: 'certificate', certificate: first.rawBytes }
}

function invalid(why: string, cause?: unknown): AppError {
  return new AppError('SIGNATURE_INVALID', `zarf.bundle.sig ${why}`, {
    details: { form: 'bundle' },
    hint: 'Whoever made the package has to sign it again: zarf package sign.',
    ...(cause === undefined ? {} : { cause }),
  })
}
