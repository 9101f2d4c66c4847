/** A value of YAML as JSON has it. */
export type JsonValue = null | string | boolean | number | JsonValue[] | { [key: string]: JsonValue }

/** What a uds-bundle.yaml says; empty texts are left out. */
export interface BundleOutline {
  readonly name: string
  readonly version: string | null
  /** Whose place in an index it takes. */
  readonly architecture: string
  readonly metadata: {
    readonly description: string | null
    readonly url: string | null
    readonly authors: string | null
    readonly documentation: string | null
    readonly source: string | null
    readonly vendor: string | null
  }
  readonly build: {
    readonly architecture: string | null
    readonly timestamp: string | null
    readonly version: string | null
  }
  readonly packages: readonly BundlePackageOutline[]
}

export interface BundlePackageOutline {
  readonly name: string
  readonly description: string | null
  /** Where it was taken from: one of the two. */
  readonly repository: string | null
  readonly path: string | null
  /** `tag@sha256:...`: the digest is its manifest's. */
  readonly ref: string
  readonly namespace: string | null
  readonly timeout: string | null
  readonly flavor: string | null
  readonly optionalComponents: readonly string[]
  /** Whether a key is given that its signature is checked with. */
  readonly publicKey: boolean
  /** Whom its signature has to be by; null where nobody says. */
  readonly keyless: { readonly identity: string | null; readonly issuer: string | null } | null
  readonly imports: ReadonlyArray<{
    readonly name: string
    readonly package: string
    readonly description: string | null
  }>
  readonly exports: ReadonlyArray<{ readonly name: string; readonly description: string | null }>
  readonly overrides: readonly ChartOverrides[]
}

/** What is set of one chart of one component. */
export interface ChartOverrides {
  readonly component: string
  readonly chart: string
  readonly namespace: string | null
  readonly values: ReadonlyArray<{ readonly path: string; readonly value: JsonValue }>
  readonly valuesFiles: readonly string[]
  readonly variables: ReadonlyArray<{
    readonly name: string
    readonly path: string
    readonly description: string | null
    readonly default: JsonValue
    readonly type: string | null
    readonly sensitive: boolean
    readonly source: string | null
  }>
}
