import { type Static, Type } from 'typebox'

/** A certificate, and what there is to see in it. */
const ShownCertificate = Type.Object({
  subject: Type.String({ description: 'As CN=..., O=...' }),
  issuer: Type.String({ description: 'As the subject.' }),
  notAfter: Type.String({ format: 'date-time' }),
  sha256: Type.String({ description: 'Fingerprint, as openssl x509 -fingerprint -sha256 shows it.' }),
  pem: Type.String({ description: 'Itself.' }),
})
export type ShownCertificate = Static<typeof ShownCertificate>

/** What of a registry's way is answered. */
export const shownWay = {
  ca: Type.Union([Type.Array(ShownCertificate), Type.Null()], {
    description: 'Certificates that are believed for this registry, beside those that layerd believes anyway.',
  }),
  clientCertificate: Type.Union([Type.Array(ShownCertificate), Type.Null()], {
    description: 'What layerd shows to the registry that asks for a certificate, its own first. Its key is never read.',
  }),
  proxy: Type.Union([Type.String(), Type.Null()], {
    description:
      'URL of the proxy for this registry, without its password; direct: none, whatever the environment says.',
  }),
  mirror: Type.Union([Type.String(), Type.Null()], {
    description: 'host[:port][/path] where pulls and looks at packages read first.',
  }),
}

const Pem = (description: string, maxLength: number) => Type.String({ minLength: 1, maxLength, description })

const ClientCertificate = Type.Object(
  {
    certificate: Pem('PEM: its own certificate, then those that signed it.', 32_768),
    key: Pem('PEM: its private key, not encrypted.', 16_384),
  },
  { additionalProperties: false },
)

/** What of it is written; a ping knows no mirror. */
export const givenWay = {
  ca: Type.Optional(
    Type.Unsafe<string | null>({
      type: ['string', 'null'],
      minLength: 1,
      maxLength: 65_536,
      description:
        'PEM of certificates to be believed for this registry and what it names (token service, storage), beside those that layerd believes anyway. Default: none.',
    }),
  ),
  clientCertificate: Type.Optional(
    Type.Unsafe<Static<typeof ClientCertificate> | null>({
      ...ClientCertificate,
      type: ['object', 'null'],
      description:
        "Shown to the registry's own scheme, host and port alone; null: none. Left out: the one that is kept stays, unless the way changes.",
    }),
  ),
  proxy: Type.Optional(
    Type.Unsafe<string | null>({
      type: ['string', 'null'],
      minLength: 1,
      maxLength: 2048,
      description:
        'host:port, http://user:password@host:port or https://..., or direct: none, whatever HTTPS_PROXY says. For all requests to the registry, and to what it names but for NO_PROXY and loopback. Without a password that of the same user and proxy stays. Default: as the environment says.',
    }),
  ),
}

export const mirror = Type.Optional(
  Type.Unsafe<string | null>({
    type: ['string', 'null'],
    minLength: 1,
    maxLength: 300,
    description:
      'host[:port][/path] of a mirror: pulls and looks at packages ask there first, the path before the repository, and the registry for all that it does not serve. Nothing is pushed there. What is kept of that host holds for it. Default: none.',
  }),
)

const Body = Type.Object({ ...givenWay, mirror })
export type RegistryWayBody = Static<typeof Body>
