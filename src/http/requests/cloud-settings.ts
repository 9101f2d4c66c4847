import { createPrivateKey } from 'node:crypto'
import {
  type AwsSecret,
  type AzureSecret,
  ecrName,
  type GoogleSecret,
  isAwsRegion,
  isAzureTenant,
  isGoogleTokenService,
} from '../../content/clouds.ts'
import { AppError } from '../../lib/errors.ts'
import { jsonObject } from '../../lib/formats/json-object.ts'
import { isHeaderWord } from '../../lib/text.ts'
import type { AwsCredentials, AzureCredentials, GoogleCredentials } from '../schemas/cloud-credentials.ts'

/** `registry`: host[:port]. Throws BODY_INVALID, with nothing of a secret in it, as the others here. */
export function awsSecret(given: AwsCredentials, registry: string): AwsSecret {
  const fault = keysFault(given) ?? roleFault(given) ?? regionFault(given, registry)
  if (fault !== undefined) throw unusable('aws', fault)
  return secretOf(given)
}

/** Keys of AWS for what is no registry. */
export function awsKeys(given: AwsCredentials): AwsSecret {
  const fault = keysFault(given) ?? roleFault(given)
  if (fault !== undefined) throw unusable('aws', fault, '/aws')
  return secretOf(given)
}

function secretOf(given: AwsCredentials): AwsSecret {
  const { accessKeyId = '', secretAccessKey = '', sessionToken, chain = false, metadata = false } = given
  const { region, roleArn, externalId } = given
  const session = sessionToken === undefined ? {} : { sessionToken }
  return {
    kind: 'aws',
    keys: chain ? null : { accessKeyId, secretAccessKey, ...session },
    ...(region === undefined ? {} : { region }),
    ...(roleArn === undefined ? {} : { roleArn }),
    ...(externalId === undefined ? {} : { externalId }),
    metadata,
  }
}

function keysFault(given: AwsCredentials): string | undefined {
  const { accessKeyId, secretAccessKey, sessionToken, chain = false, metadata = false } = given
  const keys = [accessKeyId, secretAccessKey].filter((part) => part !== undefined).length
  if (chain ? keys !== 0 || sessionToken !== undefined : keys !== 2) {
    return 'they are accessKeyId and secretAccessKey (with or without sessionToken), or chain: true'
  }
  if (accessKeyId !== undefined && !/^\w+$/.test(accessKeyId)) return 'accessKeyId is none'
  if (sessionToken !== undefined && !isHeaderWord(sessionToken)) return 'sessionToken is none'
  return metadata && !chain ? 'metadata goes with chain alone' : undefined
}

function roleFault({ roleArn, externalId }: AwsCredentials): string | undefined {
  if (roleArn !== undefined && !ROLE.test(roleArn)) return 'roleArn is no ARN of a role'
  return externalId !== undefined && roleArn === undefined ? 'externalId goes with roleArn alone' : undefined
}

function regionFault({ chain = false, region }: AwsCredentials, registry: string): string | undefined {
  const name = ecrName(registry)
  // The machine's own password of ECR would be shown to whatever listens there.
  if (chain && !name) return `chain is for names of ECR alone, and ${registry} is none`
  if (region !== undefined && !isAwsRegion(region)) return 'region is none of AWS'
  if (!name) return region === undefined ? `the name ${registry} tells no region, so they need region` : undefined
  const other = region !== undefined && region !== name.region
  return other ? `the passwords of ${registry} come from ${name.region}` : undefined
}

/** Source: IAM "Identify AWS resources with ARNs". */
const ROLE = /^arn:aws[a-z-]{0,16}:iam::\d{12}:role\/[\w+=,.@/-]{1,576}$/

export function googleSecret({ serviceAccountKey }: GoogleCredentials, registry: string): GoogleSecret {
  const key = typeof serviceAccountKey === 'string' ? jsonObject(serviceAccountKey) : serviceAccountKey
  const { type, client_email: clientEmail, private_key: privateKey, private_key_id: id } = key ?? {}
  const { token_uri: tokenUri = 'https://oauth2.googleapis.com/token' } = key ?? {}
  if (type !== 'service_account') throw unusable('google', 'the key is no JSON of a service account')
  if (typeof clientEmail !== 'string' || !/^[^\s\p{Cc}]{1,320}$/u.test(clientEmail)) {
    throw unusable('google', 'the key has no client_email')
  }
  if (typeof privateKey !== 'string' || !isRsaKey(privateKey)) throw unusable('google', 'its private_key is no RSA key')
  if (typeof tokenUri !== 'string' || !isGoogleTokenService(tokenUri, registry)) {
    throw unusable('google', "its token_uri is none of Google's")
  }
  return {
    kind: 'google',
    clientEmail,
    privateKeyId: typeof id === 'string' ? id.slice(0, 128) : null,
    privateKey,
    tokenUri,
  }
}

function isRsaKey(pem: string): boolean {
  try {
    return pem.length <= 16_384 && createPrivateKey(pem).asymmetricKeyType === 'rsa'
  } catch {
    return false
  }
}

export function azureSecret({ refreshToken, tenantId, clientId, clientSecret }: AzureCredentials): AzureSecret {
  const principal = [tenantId, clientId, clientSecret].filter((part) => part !== undefined).length
  if (refreshToken === undefined ? principal !== 3 : principal !== 0) {
    throw unusable('azure', 'they are refreshToken, or tenantId, clientId and clientSecret')
  }
  if (refreshToken !== undefined) return { kind: 'azure', refreshToken }
  if (tenantId === undefined || !isAzureTenant(tenantId)) throw unusable('azure', 'tenantId is the name or id of none')
  if (clientId === undefined || !isAzureTenant(clientId)) throw unusable('azure', 'clientId is the id of none')
  return { kind: 'azure', tenantId, clientId, clientSecret: clientSecret ?? '' }
}

function unusable(kind: 'aws' | 'google' | 'azure', why: string, pointer = `/credentials/${kind}`): AppError {
  return new AppError('BODY_INVALID', `the credentials of ${kind} cannot be used: ${why}`, {
    hint: 'docs/operations.md shows them under "Keys of clouds".',
    details: { pointer },
  })
}
