import type { Identity } from './certificate.ts'
import { claimedIdentity } from './certificate.ts'
import { type ReadBundle, readBundle } from './bundle.ts'
import { toAppError } from '../lib/errors.ts'

/** The files of a package that a signature is made of. zarf-packages.md 1.6. */
export interface SignedFiles {
  /** What the definition is called; the old form is called so with `.sig` behind. Default: zarf.yaml. */
  readonly name?: string
  /** zarf.yaml, which a signature is over and which vouches for everything else. */
  readonly definition: Buffer
  /** Whether the package counts as signed. */
  readonly signed: boolean
  /** zarf.bundle.sig */
  readonly bundle: Buffer | undefined
  /** zarf.yaml.sig, of packages from before the bundle; uds-bundle.yaml.sig. */
  readonly base64: Buffer | undefined
  /** Why it cannot be signed at all. Default: it could be. */
  readonly unsignable?: string
}

/** One signature of a package: by whom, and what came of checking it. */
export interface PackageSignature {
  readonly form: 'bundle' | 'base64'
  /** By a key; the fingerprint is sha256:hex of its DER form, null where nothing tells it. */
  readonly key?: { readonly fingerprint: string | null }
  /** By somebody whom a certificate names. */
  readonly identity?: Identity
  /** null: nobody asked, or something else counted. */
  readonly verified: boolean | null
  /** Why it is not verified. */
  readonly reason: string | null
}

export const UNASKED = 'it was not checked: no key or identity was given'

/** The signatures of a package as they call themselves, unchecked. Never throws: one that is garbage says so in its reason. */
export function lookAtSignatures(files: SignedFiles): PackageSignature[] {
  const { bundle, base64 } = files
  const found: PackageSignature[] = []
  if (bundle) found.push(lookAtBundle(bundle, files))
  if (base64) found.push({ form: 'base64', key: { fingerprint: null }, verified: null, reason: UNASKED })
  return found
}

function lookAtBundle(bytes: Buffer, { definition }: SignedFiles): PackageSignature {
  try {
    const read = readBundle(bytes)
    return { form: 'bundle', ...signerOf(read, definition), verified: null, reason: UNASKED }
  } catch (error) {
    return { form: 'bundle', verified: false, reason: toAppError(error).message }
  }
}

/** Whom the bundle says that it is by. */
export function signerOf(
  { signer, bundle }: ReadBundle,
  definition: Buffer,
): Pick<PackageSignature, 'key' | 'identity'> {
  if (signer.kind === 'key') return { key: { fingerprint: hinted(signer.hint) } }
  return { identity: claimedIdentity(bundle, definition) ?? { san: null, issuer: null } }
}

/** Sigstore's hint is the base64 of the key's SHA-256. */
function hinted(hint: string): string | null {
  const digest = Buffer.from(hint.slice(0, 100), 'base64')
  return digest.length === 32 ? `sha256:${digest.toString('hex')}` : null
}
