import { AppError } from '../lib/errors.ts'
import { checkBase64, checkBundleByIdentity, checkBundleByKey } from './check-bundle.ts'
import { type Refusal, refusalError, refused } from './refusal.ts'
import { lookAtSignatures, type PackageSignature, type SignedFiles } from './signatures.ts'
import type { TrustedRoot, TrustedRoots } from './trusted-roots.ts'
import { readRequest, type Reading, type VerifyRequest } from './wanted.ts'

export { MAX_SIGNATURE_BYTES, checkSignatureSize } from './bundle.ts'
export { parsePublicKey, type PublicKey } from './keys.ts'
export { lookAtSignatures, type PackageSignature, type SignedFiles } from './signatures.ts'
export { localSigner, signDefinition, type Signer } from './signer.ts'
export { MAX_KEY_FILE_CHARACTERS, MAX_KEY_PASSWORD, readKeyFile, type ReadKey } from './private-key.ts'
export { openTrustedRoots, type TrustedRoots } from './trusted-roots.ts'
export { readRequest, VERIFY_MODES, type VerifyRequest } from './wanted.ts'

/** What has to hold of a package's signature. */
export interface Verification {
  /**
   * Says what came of it; `what` names the package in errors. Throws SIGNATURE_MISSING, SIGNATURE_INVALID,
   * SIGNATURE_UNTRUSTED with what was found and what was wanted.
   */
  check(files: SignedFiles, what: string): readonly PackageSignature[]
}

/** Keys that are kept under a name. */
export interface KeyRing {
  /** PEM. Throws KEY_NOT_FOUND. */
  publicKey(name: string): Promise<string>
}

/** None is kept. */
const NO_KEYS: KeyRing = {
  publicKey: async (name) => {
    throw new AppError('KEY_NOT_FOUND', `there is no key "${name}": none is kept here`)
  },
}

/**
 * Makes ready what a request wants: undefined where nothing is to be checked. Throws KEY_INVALID, KEY_NOT_FOUND, BODY_INVALID,
 * TRUSTED_ROOT_NOT_FOUND, TRUSTED_ROOT_INVALID. Source of the modes: zarf v0.84 layout/package.go, zarf-packages.md 1.6.
 */
export async function createVerification(
  request: VerifyRequest | undefined,
  roots: TrustedRoots,
  keys: KeyRing = NO_KEYS,
): Promise<Verification | undefined> {
  if (request === undefined) return undefined
  const reading = await withKey(request, keys)
  const { mode, wanted } = reading
  if (mode === 'never') return undefined
  const root = wanted?.kind === 'identity' ? await roots.read(wanted.trustedRoot) : undefined
  return { check: (files, what) => check(files, { ...reading, root, what }) }
}

async function withKey(request: VerifyRequest, keys: KeyRing): Promise<Reading> {
  const reading = readRequest(request)
  const { keyRef, ...rest } = request
  return keyRef === undefined || reading.mode === 'never'
    ? reading
    : readRequest({ ...rest, key: await keys.publicKey(keyRef) })
}

interface Check extends Reading {
  readonly root: TrustedRoot | undefined
  readonly what: string
}

/**
 * Of if-possible only this is let pass: nothing to check with was given, be the package signed or not. Whoever gives a key or
 * an identity wants it, of an unsigned package too. A bundle counts alone where there are both forms.
 */
function check(files: SignedFiles, options: Check): readonly PackageSignature[] {
  const { mode, wanted, what } = options
  const found = lookAtSignatures(files)
  if (wanted === undefined) {
    if (mode === 'if-possible') return found
    throw refusalError(refused('missing', 'there is nothing to check its signature with'), { what, wanted })
  }
  const [first, ...rest] = found
  if (!files.signed || first === undefined) {
    throw refusalError(refused('missing', unsignedWhy(files)), { what, wanted })
  }
  const { form } = first
  const outcome = checkOne(form, files, options)
  if ('refused' in outcome) throw refusalError(outcome, { what, form, wanted })
  const others = rest.map((each) => ({ ...each, reason: 'it was not checked: the bundle counts' }))
  return [{ form, ...outcome, verified: true, reason: null }, ...others]
}

function checkOne(
  form: PackageSignature['form'],
  files: SignedFiles,
  { wanted, root }: Check,
): Pick<PackageSignature, 'key' | 'identity'> | Refusal {
  const { bundle, base64, name = 'zarf.yaml' } = files
  if (form === 'bundle' && bundle) {
    if (wanted?.kind === 'key') return checkBundleByKey(bundle, files, wanted.key)
    if (wanted && root) return checkBundleByIdentity(bundle, files, { wanted, root })
  }
  if (form === 'base64' && base64) {
    if (wanted?.kind === 'key') return checkBase64(base64, files, wanted.key)
    return refused('untrusted', `it has the old ${name}.sig alone, which tells no identity`)
  }
  throw new AppError('INTERNAL', 'a signature was to be checked and is not there')
}

function unsignedWhy({ signed, bundle, base64, unsignable }: SignedFiles): string {
  if (unsignable !== undefined) return unsignable
  if (signed) return 'it says that it is signed, and holds no signature'
  return (bundle ?? base64) ? 'it holds a signature and does not say that it is signed' : 'it is not signed'
}
