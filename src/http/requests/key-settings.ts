import { type AwsSecret, kmsKey, type KmsKey } from '../../content/clouds.ts'
import { keyNotFound, type KeyRecords } from '../../jobs/keys/key-records.ts'
import type { KeySettings } from '../../jobs/model/key-record.ts'
import { AppError } from '../../lib/errors.ts'
import { parsePublicKey, type PublicKey, readKeyFile } from '../../trust/verification.ts'
import type { KeyBody } from '../schemas/key.ts'
import { awsKeys } from './cloud-settings.ts'

/** Asks AWS for the public half of a key, as PEM. Throws KEY_UNAVAILABLE, KEY_INVALID. */
export type KmsPublicKey = (key: KmsKey, secret: AwsSecret, signal: AbortSignal) => Promise<string>

/** What a request wants to be kept. Throws BODY_INVALID, KEY_INVALID with nothing of a secret in them, KEY_UNAVAILABLE. */
export async function keySettings(
  { key, password, kms, aws }: KeyBody,
  { kmsPublicKey, signal }: { kmsPublicKey: KmsPublicKey; signal: AbortSignal },
): Promise<KeySettings> {
  if ((key === undefined) === (kms === undefined)) throw invalid('takes one of "key" and "kms"', '/key')
  if (kms !== undefined) {
    if (password !== undefined) throw invalid('has a "password", which a key of KMS has not', '/password')
    return await inKms({ kms, aws }, { kmsPublicKey, signal })
  }
  if (aws !== undefined) throw invalid('has "aws", which goes with "kms" alone', '/aws')
  const { publicKey, privateKey } = await readKeyFile(key ?? '', password)
  const kind = privateKey === undefined ? 'public' : 'private'
  return { ...told(publicKey), kind, kms: null, secret: privateKey === undefined ? null : { privateKey } }
}

async function inKms(
  { kms, aws = { chain: true } }: { kms: string; aws: KeyBody['aws'] | undefined },
  { kmsPublicKey, signal }: { kmsPublicKey: KmsPublicKey; signal: AbortSignal },
): Promise<KeySettings> {
  const place = kmsKey(kms, aws.region)
  if (!place) throw noKmsKey()
  const secret = awsKeys(aws)
  const publicKey = parsePublicKey(await kmsPublicKey(place, secret, signal))
  const shown = { accessKeyId: secret.keys?.accessKeyId ?? null, roleArn: secret.roleArn ?? null }
  return { ...told(publicKey), kind: 'aws-kms', kms: { ...place, ...shown }, secret: { aws: secret } }
}

function told({
  algorithm,
  fingerprint,
  pem,
}: PublicKey): Pick<KeySettings, 'algorithm' | 'fingerprint' | 'publicKey'> {
  return { algorithm, fingerprint, publicKey: pem }
}

function noKmsKey(): AppError {
  return new AppError('BODY_INVALID', '"kms" is no key of AWS KMS in a region that is known', {
    hint: 'Give its ARN (arn:aws:kms:eu-central-1:123456789012:key/...), or an id or alias/NAME and "aws": {"region": "..."}.',
    details: { pointer: '/kms' },
  })
}

function invalid(why: string, pointer: string): AppError {
  return new AppError('BODY_INVALID', `what is to be kept ${why}`, {
    hint: 'For example {"key": "-----BEGIN PRIVATE KEY-----..."}.',
    details: { pointer },
  })
}

export type KeyNames = Pick<KeyRecords, 'get'>

/** Throws KEY_NOT_FOUND; KEY_INVALID for a public key that is to sign. */
export async function keyNamed({
  keys,
  name,
  signs = false,
}: {
  keys: KeyNames
  name: string
  signs?: boolean
}): Promise<void> {
  const found = await keys.get(name)
  if (!found) throw keyNotFound(name)
  if (signs && found.kind === 'public') {
    throw new AppError('KEY_INVALID', `the key ${name} is a public one, which verifies and does not sign`, {
      hint: 'Name one with its private half: layerd keys (GET /v1/keys) tells the kind of each.',
    })
  }
}

/** Which tags are there is told by digests, and what is signed anew has another each time. */
export function signsEachTime(): AppError {
  return new AppError('BODY_INVALID', '"options.sign" does not go with "options.tags"', {
    hint: 'Whatever is signed becomes another package, so each run would copy all tags again: copy them one by one.',
    details: { pointer: '/options/sign' },
  })
}
