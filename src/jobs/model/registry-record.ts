import type { CloudSecret } from '../../content/clouds.ts'
import type { ToldWay, WaySettings } from './registry-way.ts'
import type { RegistryLimits } from '../../content/limits/registry-limits.ts'

export type { RegistryLimits } from '../../content/limits/registry-limits.ts'

/** What a registry is shown, in one of its kinds, or what its cloud is shown for that. */
export type RegistrySecret =
  | { readonly kind: 'basic'; readonly username: string; readonly password: string }
  | { readonly kind: 'identity'; readonly username: string; readonly identityToken: string }
  | { readonly kind: 'registry'; readonly registryToken: string }
  | CloudSecret

/** As much of a secret as may be told. */
export interface ToldSecret {
  readonly kind: RegistrySecret['kind']
  /** Of a cloud the id of its key, account or application. Null where the kind has none. */
  readonly username: string | null
  /** AWS's role that is assumed. */
  readonly roleArn?: string
  /** AWS's metadata addresses may be asked for the machine's own keys. */
  readonly metadata?: true
}

/** What is kept of a registry for all jobs. */
export interface RegistryRecord {
  /** registryId of its host[:port]; with a path, as `host/path`, for the repositories that begin with it, and for credentials alone. */
  readonly host: string
  /** It may be spoken to over plain HTTP, with these credentials. Of a path: so it was when they were given. */
  readonly plainHttp: boolean
  /** Patterns of repositories that the credentials are for (content/repository-pattern.ts); null: all. */
  readonly repositories: readonly string[] | null
  readonly credentials: ToldSecret | null
  readonly way: ToldWay
  /** Null: none. One that was kept before there were any has none. */
  readonly limits?: RegistryLimits | null
  /** RFC 3339. */
  readonly updatedAt: string
  /** Another one with each write. */
  readonly revision: string
}

export interface RegistrySettings {
  readonly plainHttp: boolean
  readonly repositories: readonly string[] | null
  /** Left out: none. */
  readonly limits?: RegistryLimits | null
  /** Undefined: those that are kept stay; null: none. */
  readonly secret: RegistrySecret | null | undefined
  /** Default: the common one, with the client certificate that is kept. */
  readonly way?: WaySettings
}
