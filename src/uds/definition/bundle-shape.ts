import { any, flag, list, type Static, struct, text } from '../../zarf/definition/shape.ts'

/** The whole of a uds-bundle.yaml, in Go's terms. Source: uds v0.35 pkg/legacy/types/bundle.go; zarf-packages.md 4.1. */
export const BUNDLE_SHAPE = struct({
  kind: text,
  metadata: struct({
    name: text,
    description: text,
    version: text,
    url: text,
    uncompressed: flag,
    architecture: text,
    authors: text,
    documentation: text,
    source: text,
    vendor: text,
    aggregateChecksum: text,
  }),
  build: struct({ terminal: text, user: text, architecture: text, timestamp: text, version: text }),
  packages: list(
    struct({
      name: text,
      description: text,
      repository: text,
      path: text,
      ref: text,
      namespace: text,
      timeout: text,
      flavor: text,
      optionalComponents: list(text),
      publicKey: text,
      keylessVerification: struct({
        certificateIdentity: text,
        certificateIdentityRegexp: text,
        certificateOIDCIssuer: text,
        certificateOIDCIssuerRegexp: text,
        trustedRoot: text,
        insecureIgnoreTlog: flag,
        useSignedTimestamps: flag,
      }),
      imports: list(struct({ name: text, package: text, description: text })),
      exports: list(struct({ name: text, description: text })),
      overrides: any,
    }),
  ),
})

export const OVERRIDE_SHAPE = struct({
  values: list(struct({ path: text, value: any })),
  variables: list(
    struct({
      path: text,
      name: text,
      description: text,
      default: any,
      type: text,
      sensitive: flag,
      source: text,
    }),
  ),
  namespace: text,
  valuesFiles: list(text),
})

export type BundleDocument = Static<typeof BUNDLE_SHAPE>
export type BundlePackageDocument = NonNullable<BundleDocument['packages']>[number]
