import { createHash } from 'node:crypto'
import { toSignedEntity, VerificationError, Verifier } from '@sigstore/verify'
import { visible } from '../lib/text.ts'
import { type ReadBundle, readBundle } from './bundle.ts'
import { maySignCode, provedIdentity, toldIdentity } from './certificate.ts'
import type { PublicKey } from './keys.ts'
import { type Refusal, refused } from './refusal.ts'
import { type PackageSignature, type SignedFiles, signerOf } from './signatures.ts'
import type { TrustedRoot } from './trusted-roots.ts'
import type { Wanted } from './wanted.ts'

type Verified = Pick<PackageSignature, 'key' | 'identity'>

/** The old form: base64 of the signature itself. Source: zarf v0.70 src/pkg/utils/cosign.go. */
export function checkBase64(
  bytes: Buffer,
  { definition, name = 'zarf.yaml' }: SignedFiles,
  key: PublicKey,
): Verified | Refusal {
  const text = bytes.toString('latin1', 0, MAX_BASE64).trim()
  if (bytes.length > MAX_BASE64 || !/^[A-Za-z0-9+/]{8,}={0,2}$/.test(text)) {
    return refused('invalid', `${name}.sig is not the base64 of a signature`)
  }
  if (key.verifies(definition, Buffer.from(text, 'base64'))) return { key: { fingerprint: key.fingerprint } }
  return refused('invalid', `${name}.sig is not a signature of this key over this ${name}`)
}

/** Base64 of the signature of an RSA key of 8192 bits, with line ends. */
const MAX_BASE64 = 2048

export function checkBundleByKey(bytes: Buffer, { definition }: SignedFiles, key: PublicKey): Verified | Refusal {
  const read = readBundle(bytes)
  const claimed = signerOf(read, definition)
  if (claimed.identity)
    return refused('untrusted', 'it was signed keyless, with a certificate and not with a key', claimed)
  const other = otherBytes(read, definition)
  if (other !== undefined) return refused('invalid', other, claimed)
  if (key.verifies(definition, read.signature)) return { key: { fingerprint: key.fingerprint } }
  const fingerprint = claimed.key?.fingerprint ?? null
  if (fingerprint !== key.fingerprint) return refused('untrusted', 'it was signed with another key', claimed)
  return refused('invalid', 'the signature in zarf.bundle.sig is not one of this key over this zarf.yaml', claimed)
}

/**
 * The certificate leads to the trusted root and held when a log or timestamp authority of that root saw the signature; what
 * else the root names (certificate logs) has seen the certificate; and it names whom the caller wants. Nothing is fetched.
 */
export function checkBundleByIdentity(
  bytes: Buffer,
  { definition }: SignedFiles,
  { wanted, root }: { wanted: Extract<Wanted, { kind: 'identity' }>; root: TrustedRoot },
): Verified | Refusal {
  const read = readBundle(bytes)
  const claimed = signerOf(read, definition)
  const { signer } = read
  if (signer.kind === 'key') return refused('untrusted', 'it was signed with a key, not by an identity', claimed)
  const other = otherBytes(read, definition)
  if (other !== undefined) return refused('invalid', other, claimed)
  try {
    const identity = provedIdentity(verifierOf(root).verify(toSignedEntity(read.bundle, definition)))
    if (!maySignCode(signer.certificate))
      return refused('untrusted', 'its certificate is not one for signing code', claimed)
    const told = { identity: toldIdentity(identity) }
    return wanted.matches(identity) ? told : refused('untrusted', 'it was signed by somebody else', told)
  } catch (error) {
    return failed(error, claimed)
  }
}

/** What the root names is wanted: one that names no certificate log is of a place that has none. */
function verifierOf({ material }: TrustedRoot): Verifier {
  return new Verifier(material, {
    tlogThreshold: Math.min(1, material.tlogs.length),
    ctlogThreshold: Math.min(1, material.ctlogs.length),
    timestampThreshold: 1,
  })
}

function otherBytes({ signed }: ReadBundle, definition: Buffer): string | undefined {
  if (signed === undefined) return undefined
  const found = createHash('sha256').update(definition).digest()
  if (found.equals(signed)) return undefined
  return `zarf.bundle.sig is over bytes with the sha256 ${signed.toString('hex')}; this zarf.yaml has ${found.toString('hex')}`
}

const UNTRUSTED = new Set(['CERTIFICATE_ERROR', 'TIMESTAMP_ERROR', 'TLOG_ERROR', 'TLOG_INCLUSION_PROMISE_ERROR'])

/** The library throws errors of its own for what it finds wrong, and whatever happens for what it did not expect. */
function failed(error: unknown, claimed: Verified): Refusal {
  if (!(error instanceof VerificationError)) {
    return refused('invalid', 'the certificate, log entry or timestamp in zarf.bundle.sig cannot be read', claimed)
  }
  // What a chain lacks stands in the cause, unless that is a stumble over what is no certificate.
  const { message } = error.cause instanceof VerificationError ? error.cause : error
  const why = visible(message.slice(0, 200))
  return refused(
    UNTRUSTED.has(error.code) ? 'untrusted' : 'invalid',
    `the trusted root does not hold it: ${why}`,
    claimed,
  )
}
