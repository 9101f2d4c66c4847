import { TLSSocket } from 'node:tls'
import type { buildConnector } from 'undici'

/**
 * Node says that a certificate has expired but not when, so it is looked at once more by a connection that is sent nothing;
 * the error gets it as `cert`, as Node's own ERR_TLS_CERT_ALTNAME_INVALID has it.
 */
export function withExpiry(
  connect: buildConnector.connector,
  trusting: () => buildConnector.connector,
): buildConnector.connector {
  return (to, callback) =>
    connect(to, (...answer) => {
      const error: NodeJS.ErrnoException | null = answer[0]
      if (error?.code !== 'CERT_HAS_EXPIRED') return callback(...answer)
      trusting()(to, (_error, socket) => {
        const cert = socket instanceof TLSSocket ? socket.getPeerCertificate() : undefined
        socket?.destroy()
        callback(Object.assign(error, { cert }), null)
      })
    })
}
