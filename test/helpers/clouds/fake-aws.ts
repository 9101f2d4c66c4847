import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import { buffer } from 'node:stream/consumers'
import type { Cleanup } from '../cleanup.ts'
import { listenOnLoopback } from '../network/listening.ts'
import { kmsAnswer, type KmsKeyThere } from './fake-kms.ts'
import { type Signed, signatureOf } from './sigv4.ts'

export interface AwsCallSeen {
  readonly host: string | undefined
  /** "GetAuthorizationToken", "AssumeRole". */
  readonly action: string
  readonly target: string | undefined
  readonly region: string
  readonly service: string
  readonly accessKeyId: string
  readonly sessionToken: string | undefined
  /** The fields of STS' form. */
  readonly form: URLSearchParams
}

export interface AwsAnswer {
  readonly status: number
  readonly body: string
  readonly headers?: Record<string, string>
}

export interface FakeAws {
  /** `127.0.0.1:port`. */
  readonly host: string
  readonly url: string
  readonly calls: AwsCallSeen[]
  /** Secrets by the ids of their keys. */
  readonly keys: Map<string, string>
  /** What the clock here is ahead, ms. */
  skewMs: number
  /** Of ECR's passwords. Default 12 h. */
  lifetimeMs: number
  /** The next call is answered so. */
  answerNext(answer: AwsAnswer): void
  /** Private keys of KMS, by their ARNs. */
  readonly kmsKeys: Map<string, KmsKeyThere>
  /** ECR's passwords that were given out, the newest last. */
  readonly passwords: string[]
}

const SKEW_MS = 5 * 60_000
const JSON_TYPE = { 'content-type': 'application/x-amz-json-1.1' }

export const ROLE_KEYS = {
  accessKeyId: 'ASIAROLEROLEROLEROLE',
  secretAccessKey: 'role-secret/of+the+assumed+one+0123456789',
  sessionToken: 'role-session-token-of-the-assumed-one//0123456789==',
}

/**
 * ECR, ECR Public, STS and KMS (fake-kms.ts) at one address, as far as their references say: GetAuthorizationToken by AWS JSON 1.1, AssumeRole by the
 * query protocol; signatures are checked over what came.
 */
export async function startFakeAws(t: Cleanup, keys: Readonly<Record<string, string>>): Promise<FakeAws> {
  const scripted: AwsAnswer[] = []
  const passwords: string[] = []
  const calls: AwsCallSeen[] = []
  const known = new Map(Object.entries(keys))
  const kmsKeys: FakeAws['kmsKeys'] = new Map()
  const state = { skewMs: 0, lifetimeMs: 12 * 3_600_000 }
  const now = () => Date.now() + state.skewMs

  const answer = (request: IncomingMessage, body: Buffer): AwsAnswer => {
    const signed = signatureOf(request, body)
    const form = new URLSearchParams(request.headers['x-amz-target'] ? '' : body.toString())
    const call = seen(request, form, signed)
    calls.push(call)
    const sts = call.service === 'sts'
    const script = scripted.shift()
    if (script) return script
    const secret = known.get(call.accessKeyId)
    if (secret === undefined)
      return sts
        ? stsError(403, 'InvalidClientTokenId', UNKNOWN)
        : jsonError(400, 'UnrecognizedClientException', UNKNOWN)
    const age = now() - timeOf(request)
    if (Math.abs(age) > SKEW_MS) return expired(sts, age)
    if (!signed?.valid(secret))
      return sts
        ? stsError(403, 'SignatureDoesNotMatch', MISMATCH)
        : jsonError(403, 'InvalidSignatureException', MISMATCH)
    if (sts) return assumedRole(form.get('RoleArn') ?? '')
    if (call.service === 'kms') return kmsAnswer(call.action, body, kmsKeys)
    const password = `ecr-password-${passwords.length + 1}-${'x'.repeat(40)}`
    passwords.push(password)
    const authorizationToken = Buffer.from(`AWS:${password}`).toString('base64')
    const data = { authorizationToken, expiresAt: (now() + state.lifetimeMs) / 1000 }
    const open = call.target?.startsWith('SpencerFrontendService')
    const given = open ? data : [{ ...data, proxyEndpoint: 'https://012345678910.dkr.ecr.us-east-1.amazonaws.com' }]
    return { status: 200, headers: JSON_TYPE, body: JSON.stringify({ authorizationData: given }) }
  }
  const server = createServer((request, response) => {
    serve(request, response, { answer, now }).catch((error: unknown) => response.destroy(error as Error))
  })
  const host = await listenOnLoopback(t, server)
  return Object.assign(state, {
    host,
    url: `http://${host}`,
    calls,
    keys: known,
    kmsKeys,
    passwords,
    answerNext: (next: AwsAnswer) => void scripted.push(next),
  })
}

async function serve(
  request: IncomingMessage,
  response: ServerResponse,
  { answer, now }: { answer: (request: IncomingMessage, body: Buffer) => AwsAnswer; now: () => number },
): Promise<void> {
  const { status, body, headers } = answer(request, await buffer(request))
  response
    .writeHead(status, { date: new Date(now()).toUTCString(), 'x-amzn-requestid': 'f1d2-request', ...headers })
    .end(body)
}

function seen(request: IncomingMessage, form: URLSearchParams, signed: Signed | undefined): AwsCallSeen {
  const target = request.headers['x-amz-target'] as string | undefined
  return {
    host: request.headers.host,
    action: form.get('Action') ?? target?.split('.')[1] ?? '',
    target,
    region: signed?.region ?? '',
    service: signed?.service ?? '',
    accessKeyId: signed?.accessKeyId ?? '',
    sessionToken: request.headers['x-amz-security-token'] as string | undefined,
    form,
  }
}

/** 20260301T120000Z. */
function timeOf(request: IncomingMessage): number {
  const [, ...parts] = /^(\d{4})(\d\d)(\d\d)T(\d\d)(\d\d)(\d\d)Z$/.exec(String(request.headers['x-amz-date'])) ?? []
  const [year = 0, month = 1, day = 1, hour = 0, minute = 0, second = 0] = parts.map(Number)
  return Date.UTC(year, month - 1, day, hour, minute, second)
}

const UNKNOWN = 'The security token included in the request is invalid.'
const MISMATCH =
  'The request signature we calculated does not match the signature you provided. Check your AWS Secret Access Key and signing method.'

export function jsonError(status: number, code: string, message: string): AwsAnswer {
  return { status, headers: JSON_TYPE, body: JSON.stringify({ __type: code, message }) }
}

export function stsError(status: number, code: string, message: string): AwsAnswer {
  const body = `<ErrorResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/"><Error><Type>Sender</Type><Code>${code}</Code><Message>${message}</Message></Error><RequestId>a1-b2</RequestId></ErrorResponse>`
  return { status, headers: { 'content-type': 'text/xml' }, body }
}

function expired(sts: boolean, age: number): AwsAnswer {
  const message = age > 0 ? 'Signature expired: it is now earlier' : 'Signature not yet current: it is still earlier'
  return sts ? stsError(403, 'SignatureDoesNotMatch', message) : jsonError(403, 'InvalidSignatureException', message)
}

/** STS' answer with ROLE_KEYS. */
export function assumedRole(arn: string): AwsAnswer {
  const { accessKeyId, secretAccessKey, sessionToken } = ROLE_KEYS
  const body = `<AssumeRoleResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/"><AssumeRoleResult><AssumedRoleUser><AssumedRoleId>AROA:layerd</AssumedRoleId><Arn>${arn.replace(':iam:', ':sts:')}/layerd</Arn></AssumedRoleUser><Credentials><AccessKeyId>${accessKeyId}</AccessKeyId><SecretAccessKey>${secretAccessKey}</SecretAccessKey><SessionToken>${sessionToken}</SessionToken><Expiration>${new Date(Date.now() + 3_600_000).toISOString()}</Expiration></Credentials></AssumeRoleResult><ResponseMetadata><RequestId>c3</RequestId></ResponseMetadata></AssumeRoleResponse>`
  return { status: 200, headers: { 'content-type': 'text/xml' }, body }
}
