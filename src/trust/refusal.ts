import { AppError, type ErrorCode } from '../lib/errors.ts'
import type { PackageSignature } from './signatures.ts'
import type { Wanted } from './wanted.ts'

/** Why a signature does not do. `untrusted`: it is by somebody else, or nobody vouches for it. */
export interface Refusal {
  readonly refused: 'missing' | 'invalid' | 'untrusted'
  readonly why: string
  readonly signer: Pick<PackageSignature, 'key' | 'identity'>
}

const CODES = {
  missing: 'SIGNATURE_MISSING',
  invalid: 'SIGNATURE_INVALID',
  untrusted: 'SIGNATURE_UNTRUSTED',
} as const satisfies Record<Refusal['refused'], ErrorCode>

const HINTS = {
  missing: 'Sign it (zarf package sign), or leave "options.verify" out if that is not what you rely on.',
  invalid: 'It was damaged or changed after it was signed: get it again from whoever made it.',
  untrusted: 'Make sure who signs this package; then give their key or identity.',
}

export function refused(kind: Refusal['refused'], why: string, signer: Refusal['signer'] = {}): Refusal {
  return { refused: kind, why, signer }
}

/** With what was found and what was wanted. `what`: the package as errors name it. */
export function refusalError(
  { refused: kind, why, signer }: Refusal,
  { what, form, wanted }: { what: string; form?: PackageSignature['form']; wanted: Wanted | undefined },
): AppError {
  const found = { ...signer, ...(form === undefined ? {} : { form }) }
  return new AppError(CODES[kind], `${what} is refused: ${why}${told(found, wanted)}`, {
    hint: HINTS[kind],
    details: { found: Object.keys(found).length === 0 ? null : found, wanted: wantedOf(wanted) },
  })
}

function told({ key, identity }: Refusal['signer'], wanted: Wanted | undefined): string {
  if (wanted === undefined) return ''
  const by = whom(wanted)
  if (key?.fingerprint) return `; found the key ${key.fingerprint}, wanted ${by}`
  if (identity?.san) return `; found ${identity.san} by ${identity.issuer ?? 'no issuer'}, wanted ${by}`
  return `; wanted ${by}`
}

function whom(wanted: Wanted): string {
  return wanted.kind === 'key' ? `the key ${wanted.key.fingerprint}` : Object.values(wanted.told).join(' by ')
}

function wantedOf(wanted: Wanted | undefined): Record<string, unknown> {
  if (wanted === undefined) return { signature: 'any' }
  if (wanted.kind === 'key') return { key: { fingerprint: wanted.key.fingerprint } }
  return { identity: wanted.told, trustedRoot: wanted.trustedRoot }
}
