import { createSecureContext, getCACertificates, type SecureContext } from 'node:tls'
import type { Way } from '../../request/registry-way.ts'

/**
 * What a way's connections believe and show; undefined: what all do. Made once for all of them, as reading the certificates of
 * the process takes milliseconds.
 */
export function secureContextOf({ ca, clientCertificate }: Pick<Way, 'ca' | 'clientCertificate'>): {
  secureContext?: SecureContext
} {
  if (ca === undefined && clientCertificate === undefined) return {}
  const shown = clientCertificate ? { cert: clientCertificate.certificate, key: clientCertificate.key } : {}
  // Given, `ca` takes the place of all others.
  const believed = ca === undefined ? {} : { ca: [...getCACertificates('default'), ca] }
  return { secureContext: createSecureContext({ ...believed, ...shown }) }
}
