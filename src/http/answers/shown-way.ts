import { X509Certificate } from 'node:crypto'
import type { ToldWay } from '../../jobs/model/registry-way.ts'
import { pemCertificates, toPem } from '../../lib/formats/pem.ts'
import type { ShownCertificate } from '../schemas/registry-way.ts'

interface ShownWay {
  ca: ShownCertificate[] | null
  clientCertificate: ShownCertificate[] | null
  proxy: string | null
  mirror: string | null
}

export function shownWay({ ca, clientCertificate, proxy, mirror }: ToldWay): ShownWay {
  return {
    ca: ca === null ? null : shown(ca),
    clientCertificate: clientCertificate === null ? null : shown(clientCertificate),
    proxy,
    mirror,
  }
}

function shown(text: string): ShownCertificate[] {
  return pemCertificates(text).map((base64) => {
    const { subject, issuer, validToDate, fingerprint256 } = new X509Certificate(Buffer.from(base64, 'base64'))
    return {
      subject: named(subject),
      issuer: named(issuer),
      notAfter: validToDate.toISOString(),
      sha256: fingerprint256,
      pem: toPem(base64),
    }
  })
}

/** Node writes a line for each part. */
function named(name: string | undefined): string {
  return (name ?? '').split('\n').join(', ')
}
