import type { AwsSecret, KmsKey } from '../../content/clouds.ts'

/** What a kept key signs with: itself, or what AWS is shown for its key. Of a public key nothing. */
export type KeySecret = { readonly privateKey: string } | { readonly aws: AwsSecret }

/** As much of a kept key as may be told. */
export interface KeyRecord {
  readonly name: string
  /** `public` verifies, and does not sign. */
  readonly kind: 'private' | 'public' | 'aws-kms'
  /** In words: ECDSA P-256, RSA 3072, Ed25519. */
  readonly algorithm: string
  /** sha256:hex of the public half's DER form. */
  readonly fingerprint: string
  /** PEM. */
  readonly publicKey: string
  /** Of `aws-kms`. */
  readonly kms: ToldKms | null
  /** RFC 3339. */
  readonly createdAt: string
  /** Another one with each write. */
  readonly revision: string
}

export interface ToldKms extends KmsKey {
  /** The id of the key that AWS is shown; null: the machine's own. */
  readonly accessKeyId: string | null
  readonly roleArn: string | null
}

export type KeySettings = Omit<KeyRecord, 'name' | 'createdAt' | 'revision'> & { readonly secret: KeySecret | null }

/** Names are part of an address, and of jobs. */
export const KEY_NAME = '^[a-z0-9][a-z0-9._-]{0,62}$'
