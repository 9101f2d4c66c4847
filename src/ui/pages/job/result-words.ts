import type { Signature } from '../../api/types.ts'

/** What is known of a signature: whose it is, and whether that was checked. */
export function signatureText({ form, key, identity, verified, reason }: Signature): string {
  const said = identity ? `${identity.san ?? 'somebody'}, says ${identity.issuer ?? 'nobody'}` : keyText(key)
  const checked = verified === null ? 'not checked' : verified ? 'verified' : 'not verified'
  const old = form === 'base64' ? ' (of the old form)' : ''
  return `${checked}: ${said}${old}${reason === null ? '' : `; ${reason}`}`
}

function keyText(key: Signature['key']): string {
  return key?.fingerprint ? `key ${key.fingerprint}` : 'a key that is not named'
}
