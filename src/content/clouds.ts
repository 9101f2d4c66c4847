import { isLoopback } from '../lib/loopback.ts'

/** What a cloud takes for somebody who may have a password of its registry, in one of its kinds. */
export type CloudSecret = AwsSecret | GoogleSecret | AzureSecret

export interface AwsKeys {
  readonly accessKeyId: string
  readonly secretAccessKey: string
  /** Of keys that run out. */
  readonly sessionToken?: string
}

export interface AwsSecret {
  readonly kind: 'aws'
  /** Null: those that the machine has for itself (environment, shared files, web identity). */
  readonly keys: AwsKeys | null
  /** Where the registry's name does not tell it. */
  readonly region?: string
  /** The role that asks for the password, assumed with the keys. */
  readonly roleArn?: string
  /** What the role's owner wants to hear with it. */
  readonly externalId?: string
  /** Whether the machine's own keys may come from the metadata addresses of EC2, ECS and EKS. */
  readonly metadata: boolean
}

/** A service account's key, as much as is needed of its JSON file. */
export interface GoogleSecret {
  readonly kind: 'google'
  readonly clientEmail: string
  readonly privateKeyId: string | null
  /** PEM. */
  readonly privateKey: string
  readonly tokenUri: string
}

export type AzureSecret = AzurePrincipal | AzureRefreshToken

/** A service principal of Microsoft Entra. */
export interface AzurePrincipal {
  readonly kind: 'azure'
  readonly tenantId: string
  readonly clientId: string
  readonly clientSecret: string
}

/** Of the registry's own token service. */
export interface AzureRefreshToken {
  readonly kind: 'azure'
  readonly refreshToken: string
}

/** The user to whom all refresh tokens of Azure's registries belong. Source: Azure Container Registry, "AAD-OAuth". */
export const AZURE_TOKEN_USER = '00000000-0000-0000-0000-000000000000'

/** What a registry's name says of Amazon's account behind it. */
export interface EcrName {
  /** public.ecr.aws. */
  readonly open: boolean
  readonly region: string
  readonly fips: boolean
  readonly dualStack: boolean
}

/** Source: amazon-ecr-credential-helper, ecr-login/api. */
const ECR =
  /^\d{12}\.dkr([.-])ecr(-fips)?\.([a-z0-9-]+)\.(?:amazonaws\.(?:com|com\.cn|eu)|on\.(?:aws|amazonwebservices\.com\.cn|amazonwebservices\.eu))$/
/** Where tokens of ECR Public come from. Source: its user guide, "Registry authentication". */
const PUBLIC_REGION = 'us-east-1'

/** Undefined for what is no name of Amazon's. `registry`: host[:port]; such a name has no port. */
export function ecrName(registry: string): EcrName | undefined {
  const host = registry.toLowerCase().replace(/:443$/, '')
  if (host === 'public.ecr.aws') return { open: true, region: PUBLIC_REGION, fips: false, dualStack: false }
  const found = ECR.exec(host)
  if (!found) return undefined
  const [, mark, fips, region = ''] = found
  return { open: false, region, fips: fips !== undefined, dualStack: mark === '-' }
}

/** As in the names of its services: nothing that could lead elsewhere. */
export function isAwsRegion(text: string): boolean {
  return /^[a-z]{2,8}(?:-[a-z]{2,12}){1,3}-\d{1,2}$/.test(text)
}

/**
 * Whether the token service that a service account's key names may be sent what is signed with it: Google's own over TLS; for a
 * registry of this machine one of this machine too, as stand-ins are. Whoever may keep keys could have layerd knock anywhere else.
 */
export function isGoogleTokenService(uri: string, registry: string): boolean {
  const url = URL.parse(uri)
  if (!url || url.username !== '' || url.password !== '') return false
  const { hostname, protocol, port } = url
  if (isLoopback(hostname)) return isLoopback(hostOf(registry)) && /^https?:$/.test(protocol)
  if (protocol !== 'https:' || port !== '') return false
  return hostname === 'accounts.google.com' || hostname.endsWith('.googleapis.com')
}

/** Names of tenants and directories go into an address. */
export function isAzureTenant(text: string): boolean {
  return /^[A-Za-z0-9][A-Za-z0-9.-]{0,127}$/.test(text)
}

function hostOf(registry: string): string {
  return URL.parse(`http://${registry}`)?.hostname ?? registry
}

/** A key of AWS KMS. */
export interface KmsKey {
  /** An ARN, an id, or `alias/NAME`. */
  readonly keyId: string
  readonly region: string
}

/** Source: KMS' "KeyId", cosign's awskms:// URIs. */
const KMS_ARN = /^arn:aws[a-z-]*:kms:([a-z0-9-]+):\d{12}:(?:key\/[A-Za-z0-9-]+|alias\/[\w/-]+)$/
const KMS_ID = /^(?:[0-9a-f-]{36}|mrk-[0-9a-f]{32}|alias\/[\w/-]+)$/
const MAX_KMS_ID = 400

/** `awskms:///` may stand in front, as for cosign; without an ARN `region` is needed. Undefined for what is no such key. */
export function kmsKey(text: string, region: string | undefined): KmsKey | undefined {
  const keyId = text.replace(/^awskms:\/\/\//, '')
  if (keyId.length > MAX_KMS_ID) return undefined
  const [, ofArn] = KMS_ARN.exec(keyId) ?? []
  const where = ofArn ?? (KMS_ID.test(keyId) ? region : undefined)
  if (where === undefined || !isAwsRegion(where) || (region !== undefined && region !== where)) return undefined
  return { keyId, region: where }
}
