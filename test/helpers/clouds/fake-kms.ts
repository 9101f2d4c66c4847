import { constants, createECDH, createPublicKey, type KeyObject, privateEncrypt } from 'node:crypto'
import { der } from '../network/certificate.ts'
import type { AwsAnswer } from './fake-aws.ts'

export interface KmsKeyThere {
  readonly privateKey: KeyObject
  /** Default SIGN_VERIFY. */
  readonly usage?: string
  readonly disabled?: boolean
  /** It signs with another key than the one that it shows. */
  readonly signsWith?: KeyObject
}

const JSON_TYPE = { 'content-type': 'application/x-amz-json-1.1' }

/** GetPublicKey and Sign with real keys, as far as KMS' API reference says: MessageType DIGEST, PKIX DER, ECDSA in DER. */
export function kmsAnswer(action: string, body: Buffer, keys: ReadonlyMap<string, KmsKeyThere>): AwsAnswer {
  const input = JSON.parse(body.toString()) as Record<string, string>
  const found = keys.get(input['KeyId'] ?? '')
  if (!found) return refusal('NotFoundException', `Key '${input['KeyId']}' does not exist`)
  if (found.disabled) return refusal('DisabledException', `${input['KeyId']} is disabled.`)
  const { privateKey, usage = 'SIGN_VERIFY' } = found
  if (action === 'GetPublicKey') {
    const der = createPublicKey(privateKey).export({ type: 'spki', format: 'der' })
    return answer({
      KeyId: input['KeyId'],
      KeyUsage: usage,
      PublicKey: der.toString('base64'),
      SigningAlgorithms: algorithmsOf(privateKey),
    })
  }
  const { Message = '', MessageType, SigningAlgorithm = '' } = input
  const digest = Buffer.from(Message, 'base64')
  if (action !== 'Sign' || MessageType !== 'DIGEST' || digest.length !== 32) return refusal('ValidationException', 'no')
  if (!algorithmsOf(privateKey).includes(SigningAlgorithm)) {
    return refusal('InvalidKeyUsageException', `${SigningAlgorithm} is incompatible with the key`)
  }
  const Signature = signed(digest, found.signsWith ?? privateKey).toString('base64')
  return answer({ KeyId: input['KeyId'], Signature, SigningAlgorithm })
}

function algorithmsOf({ asymmetricKeyType, asymmetricKeyDetails }: KeyObject): string[] {
  if (asymmetricKeyType === 'rsa') return ['RSASSA_PKCS1_V1_5_SHA_256', 'RSASSA_PSS_SHA_256']
  return asymmetricKeyDetails?.namedCurve === 'prime256v1' ? ['ECDSA_SHA_256'] : ['ECDSA_SHA_384']
}

/** Over a digest that is made already, which Node's own sign would hash again. */
function signed(digest: Buffer, key: KeyObject): Buffer {
  if (key.asymmetricKeyType === 'ec') return ecdsa(digest, key)
  const info = Buffer.from('3031300d060960864801650304020105000420', 'hex')
  return privateEncrypt({ key, padding: constants.RSA_PKCS1_PADDING }, Buffer.concat([info, digest]))
}

/** The order of P-256. Source: SEC 2 2.4.2. */
const N = 0xffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551n

/** Source: SEC 1 4.1.3. */
function ecdsa(digest: Buffer, key: KeyObject): Buffer {
  const d = numberOf(Buffer.from(String(key.export({ format: 'jwk' }).d), 'base64url'))
  const curve = createECDH('prime256v1')
  const x = curve.generateKeys().subarray(1, 33)
  const r = numberOf(x) % N
  const s = (inverse(numberOf(curve.getPrivateKey())) * (numberOf(digest) + r * d)) % N
  return der(0x30, Buffer.concat([integer(r), integer(s)]))
}

function numberOf(bytes: Buffer): bigint {
  return BigInt(`0x${bytes.toString('hex')}`)
}

/** By Fermat: the order is a prime. */
function inverse(value: bigint): bigint {
  let [result, base, exponent] = [1n, value % N, N - 2n]
  for (; exponent > 0n; exponent >>= 1n) {
    if (exponent & 1n) result = (result * base) % N
    base = (base * base) % N
  }
  return result
}

function integer(value: bigint): Buffer {
  const hex = value.toString(16)
  const bytes = Buffer.from(hex.length % 2 === 0 ? hex : `0${hex}`, 'hex')
  return der(0x02, (bytes[0] ?? 0) < 0x80 ? bytes : Buffer.concat([Buffer.of(0), bytes]))
}

function answer(body: object): AwsAnswer {
  return { status: 200, headers: JSON_TYPE, body: JSON.stringify(body) }
}

function refusal(code: string, message: string): AwsAnswer {
  return { status: 400, headers: JSON_TYPE, body: JSON.stringify({ __type: code, message }) }
}
