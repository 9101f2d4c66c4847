import { generateKeyPairSync } from 'node:crypto'
import type { SignRequest } from '../../../src/transfer/signing.ts'
import { localSigner, type Signer } from '../../../src/trust/verification.ts'
import { pemOf } from './authority.ts'

export interface TestSigner extends SignRequest {
  readonly signer: Signer
  /** Of the public half. */
  readonly pem: string
  readonly privateKey: string
  /** How often it signed. */
  readonly signed: number
}

/** A key of a test's own. */
export function createTestSigner(): TestSigner {
  const { publicKey, privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' })
  const pem = pemOf(publicKey)
  const key = privateKey.export({ type: 'pkcs8', format: 'pem' }).toString()
  const local = localSigner(key, pem)
  let signed = 0
  return {
    name: 'release',
    pem,
    privateKey: key,
    get signed() {
      return signed
    },
    signer: {
      publicKey: local.publicKey,
      async sign(bytes, signal) {
        signed += 1
        return await local.sign(bytes, signal)
      },
    },
  }
}
