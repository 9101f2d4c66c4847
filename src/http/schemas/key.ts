import { type Static, Type } from 'typebox'
import { KEY_NAME } from '../../jobs/model/key-record.ts'
import { MAX_KEY_FILE_CHARACTERS, MAX_KEY_PASSWORD } from '../../trust/verification.ts'
import { AwsCredentials } from './cloud-credentials.ts'
import { pageOf, pageQuery } from './page.ts'

const KeyParams = Type.Object({
  name: Type.String({ pattern: KEY_NAME, description: 'As jobs name it: lower case, digits, and . _ - in between.' }),
})

const Kms = Type.Object({
  keyId: Type.String({ description: 'An ARN, an id, or alias/NAME.' }),
  region: Type.String(),
  accessKeyId: Type.Union([Type.String(), Type.Null()], { description: "Null: the machine's own keys of AWS." }),
  roleArn: Type.Union([Type.String(), Type.Null()], { description: 'The role that is assumed.' }),
})

export const Key = Type.Object(
  {
    name: Type.String(),
    kind: Type.Enum(['private', 'public', 'aws-kms'], { description: 'public verifies, and does not sign.' }),
    algorithm: Type.String({ description: 'In words: ECDSA P-256, RSA 3072, Ed25519.' }),
    fingerprint: Type.String({ description: "sha256:hex of the public half's DER form, as signatures are told with." }),
    publicKey: Type.String({ description: 'PEM.' }),
    kms: Type.Union([Kms, Type.Null()], { description: 'Of aws-kms: where it is.' }),
    createdAt: Type.String({ format: 'date-time' }),
  },
  { $id: 'Key', description: 'A key that is kept, for all jobs. What it signs with is written and never read.' },
)
export type Key = Static<typeof Key>

const KeyBody = Type.Object(
  {
    key: Type.Optional(
      Type.String({
        minLength: 1,
        maxLength: MAX_KEY_FILE_CHARACTERS,
        description:
          "PEM: a private key that is not encrypted, cosign's own file (cosign.key) with its password, or a public key to verify with. ECDSA P-256, P-384, P-521, RSA, Ed25519.",
      }),
    ),
    password: Type.Optional(
      Type.String({ maxLength: MAX_KEY_PASSWORD, description: "Of cosign's file; default: an empty one. Not kept." }),
    ),
    kms: Type.Optional(
      Type.String({
        minLength: 1,
        maxLength: 400,
        description:
          'In place of key, one of AWS KMS: its ARN, or an id or alias/NAME with aws.region; awskms:/// may stand in front. ECC_NIST_P256 or RSA.',
      }),
    ),
    aws: Type.Optional(AwsCredentials),
  },
  { additionalProperties: false },
)
export type KeyBody = Static<typeof KeyBody>

const etagHeader = { ETag: { type: 'string', description: 'For If-Match.' } }
const conditions = {
  'if-match': Type.Optional(Type.String({ description: 'Its ETag. Needed where it is kept already.' })),
  'if-none-match': Type.Optional(Type.String({ description: '*: only where there is none of that name yet.' })),
}
const ofKey = { 'application/json': { schema: Type.Ref('Key') } }

export const listKeysSchema = {
  tags: ['keys'],
  operationId: 'listKeys',
  summary: 'The keys that are kept, by name',
  description: 'Needs the scope registries:read.',
  querystring: Type.Object(pageQuery, { additionalProperties: false }),
  response: { 200: pageOf('Key') },
}

export const getKeySchema = {
  tags: ['keys'],
  operationId: 'getKey',
  summary: 'A key that is kept, with its public half',
  description: 'Needs the scope registries:read.',
  params: KeyParams,
  headers: Type.Object({ 'if-none-match': Type.Optional(Type.String()) }),
  response: {
    200: { description: 'What is kept.', headers: etagHeader, content: ofKey },
    304: Type.Null({ description: 'It still has this ETag.' }),
  },
}

export const putKeySchema = {
  tags: ['keys'],
  operationId: 'putKey',
  summary: 'Keep a key to sign or to verify with',
  description:
    'Needs the scope registries:admin. Holds for every job that is started from then on: whoever may make jobs may sign with it. A key of AWS KMS is asked for its public half first.',
  params: KeyParams,
  body: KeyBody,
  headers: Type.Object(conditions),
  response: {
    200: { description: 'It took the place of the one that was kept.', headers: etagHeader, content: ofKey },
    201: { description: 'Kept for the first time.', headers: etagHeader, content: ofKey },
  },
}

export const deleteKeySchema = {
  tags: ['keys'],
  operationId: 'deleteKey',
  summary: 'Forget a key',
  description: 'Needs the scope registries:admin. Jobs that name it and have not begun fail.',
  params: KeyParams,
  headers: Type.Object({ 'if-match': conditions['if-match'] }),
  response: { 204: Type.Null({ description: 'Gone.' }) },
}
