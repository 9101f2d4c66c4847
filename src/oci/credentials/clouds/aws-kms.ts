import type * as kmsModule from '@aws-sdk/client-kms'
import type { AwsSecret, KmsKey } from '../../../content/clouds.ts'
import { untilAborted } from '../../../lib/abort.ts'
import { AppError, isAppError } from '../../../lib/errors.ts'
import { createMask } from '../../errors/mask.ts'
import type { CloudAsking } from './asking.ts'
import { type AwsCalled, awsHandler } from './aws-handler.ts'
import { AWS_TRIES, hidden, keysOf } from './aws-keys.ts'
import { awsRefusal } from './aws-refusal.ts'
import { senseless, unanswered, type Wanted } from './failure.ts'

/**
 * Keys of AWS KMS. Each call is one or two requests of at most 30 s, and ends with the signal. Throws KEY_UNAVAILABLE:
 * transient where AWS or the network fail, permanent where AWS refuses.
 */
export interface Kms {
  /** SubjectPublicKeyInfo, DER. Throws KEY_INVALID for a key that does not sign as zarf verifies. */
  publicKey(key: KmsKey, secret: AwsSecret, signal: AbortSignal): Promise<Buffer>
  /** A signature over this SHA-256: of ECDSA in DER, of RSA by PKCS#1 v1.5. */
  sign(key: KmsKey, secret: AwsSecret, request: KmsSignRequest): Promise<Buffer>
}

export interface KmsSignRequest {
  readonly digest: Buffer
  readonly algorithm: 'ecdsa' | 'rsa'
  readonly signal: AbortSignal
}

/** Those that are checked with SHA-256 (trust/private-key.ts): KMS signs with P-384 and P-521 by longer hashes alone. */
const ALGORITHMS = { ecdsa: 'ECDSA_SHA_256', rsa: 'RSASSA_PKCS1_V1_5_SHA_256' } as const
const NO_RIGHT = 'The keys lack a right: kms:GetPublicKey to keep the key, kms:Sign to sign with it.'
const NO_KEY = 'Look at the key in KMS: it has to be in this region, enabled, and made for SIGN_VERIFY.'
const OF_THE_KEY = new Set([
  'NotFoundException',
  'DisabledException',
  'KMSInvalidStateException',
  'InvalidKeyUsageException',
  'UnsupportedOperationException',
  'ValidationException',
])

/** The SDK is loaded at the first need. Source: KMS' GetPublicKey and Sign. */
export function awsKms(process: Pick<CloudAsking, 'call' | 'clock' | 'env'>): Kms {
  return {
    async publicKey(key, secret, signal) {
      const found = await ask({ key, secret, what: 'the public half' }, process, async (client, sdk) => {
        return await untilAborted(client.send(new sdk.GetPublicKeyCommand({ KeyId: key.keyId })), signal)
      })
      const names: readonly string[] = found.SigningAlgorithms ?? []
      if (found.KeyUsage !== 'SIGN_VERIFY' || !Object.values(ALGORITHMS).some((name) => names.includes(name))) {
        throw notOfUse(key, names)
      }
      return Buffer.from(found.PublicKey ?? [])
    },
    async sign(key, secret, { digest, algorithm, signal }) {
      const found = await ask({ key, secret, what: 'a signature' }, process, async (client, sdk) => {
        const SigningAlgorithm = ALGORITHMS[algorithm]
        const input = { KeyId: key.keyId, Message: digest, MessageType: 'DIGEST', SigningAlgorithm } as const
        return await untilAborted(client.send(new sdk.SignCommand(input)), signal)
      })
      return Buffer.from(found.Signature ?? [])
    },
  }
}

async function ask<T>(
  { key, secret, what }: { key: KmsKey; secret: AwsSecret; what: string },
  process: Pick<CloudAsking, 'call' | 'clock' | 'env'>,
  work: (client: kmsModule.KMSClient, sdk: typeof kmsModule) => Promise<T>,
): Promise<T> {
  const { keyId, region } = key
  const { keys, roleArn, metadata } = secret
  const asking = { ...process, registry: keyId, plainHttp: false, way: undefined }
  const mask = createMask(`${keyId} ${keys?.accessKeyId ?? ''} ${roleArn ?? ''}`)
  const wanted: Wanted = { what: `${what} of the KMS key`, registry: keyId, mask, noRight: NO_RIGHT }
  let called: AwsCalled | undefined
  const onCall = (now: AwsCalled): void => {
    called = now
  }
  const requestHandler = awsHandler({ asking, op: `get ${wanted.what}`, mask, onCall })
  try {
    const credentials = hidden(mask, await keysOf(secret, { asking, region, requestHandler, mask }))
    const sdk = await import('@aws-sdk/client-kms')
    const client = new sdk.KMSClient({ region, credentials, requestHandler, maxAttempts: AWS_TRIES })
    return await work(client, sdk)
  } catch (error) {
    if (isUnreadable(error))
      throw unavailable(senseless(wanted, called?.host ?? 'AWS', 'answered nothing that KMS would say'))
    const refusal = awsRefusal(wanted, error, { called, chain: keys === null, metadata, roleArn })
    throw unavailable(refusal ?? unanswered(wanted, error))
  }
}

/** The answer said that all is well, and could not be read. */
function isUnreadable(error: unknown): boolean {
  return error instanceof SyntaxError
}

function unavailable(error: unknown): unknown {
  if (!isAppError(error) || error.code !== 'CREDENTIALS_INVALID') return error
  const { message, retry, retryAfterMs, details, cause } = error
  const ofKey = OF_THE_KEY.has(String(details?.['code']))
  const hint = ofKey ? NO_KEY : error.hint
  return new AppError('KEY_UNAVAILABLE', message, {
    retry,
    ...(retryAfterMs === undefined ? {} : { retryAfterMs }),
    ...(hint === undefined ? {} : { hint }),
    ...(details === undefined ? {} : { details }),
    ...(cause === undefined ? {} : { cause }),
  })
}

function notOfUse({ keyId }: KmsKey, names: readonly string[]): AppError {
  const does = names.length === 0 ? 'is not made to sign' : `signs with ${names.join(', ').slice(0, 200)} alone`
  return new AppError('KEY_INVALID', `the KMS key ${keyId} ${does}`, {
    hint: 'zarf package verify checks SHA-256 alone, by which KMS signs with keys ECC_NIST_P256 and RSA_2048 to RSA_4096.',
    details: { pointer: '/kms' },
  })
}
