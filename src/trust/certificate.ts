import { X509Certificate } from 'node:crypto'
import type { Bundle } from '@sigstore/bundle'
import { type SignedEntity, type Signer, toSignedEntity } from '@sigstore/verify'
import { visible } from '../lib/text.ts'

/** Whom a certificate names, and who vouched for that (its OIDC issuer). */
export interface Identity {
  readonly san: string | null
  readonly issuer: string | null
}

/** Source: sigstore/fulcio docs/oid-info.md: 1.8 is an UTF8String, the older 1.1 the bytes themselves. */
const ISSUER = '1.3.6.1.4.1.57264.1.8'
const OLD_ISSUER = '1.3.6.1.4.1.57264.1.1'
/** Extended key usage: code signing. Source: RFC 5280 4.2.1.12. */
const CODE_SIGNING = '1.3.6.1.5.5.7.3.3'

/** As the certificate in the bundle says, which nobody has checked; undefined where it cannot be read. */
export function claimedIdentity(bundle: Bundle, signed: Buffer): Identity | undefined {
  try {
    const { key } = toSignedEntity(bundle, signed)
    return key.$case === 'certificate' ? identityIn(key.certificate) : undefined
  } catch {
    return undefined
  }
}

/** As a signer that was verified has it, to the letter: for comparison; toldIdentity is for people. */
export function provedIdentity({ identity }: Signer): Identity {
  return { san: identity?.subjectAlternativeName ?? null, issuer: identity?.extensions?.issuer ?? null }
}

export function maySignCode(certificate: Buffer): boolean {
  // Node calls the extended usages so.
  return new X509Certificate(certificate).keyUsage?.includes(CODE_SIGNING) ?? false
}

type Certificate = Extract<SignedEntity['key'], { $case: 'certificate' }>['certificate']

function identityIn(certificate: Certificate): Identity {
  const issuer = certificate.extension(ISSUER)?.valueObj.subs[0] ?? certificate.extension(OLD_ISSUER)
  return { san: told(certificate.subjectAltName), issuer: told(issuer?.value.toString('latin1')) }
}

const MAX_TOLD = 1024

/** Of any length and any characters, once it is somebody else's. */
export function toldIdentity({ san, issuer }: Identity): Identity {
  return { san: told(san ?? undefined), issuer: told(issuer ?? undefined) }
}

function told(text: string | undefined): string | null {
  return text === undefined ? null : visible(text.slice(0, MAX_TOLD))
}
