import { generateKeyPairSync, type KeyObject, verify } from 'node:crypto'
import { createServer } from 'node:http'
import { text } from 'node:stream/consumers'
import type { GoogleSecret } from '../../../src/content/clouds.ts'
import type { Cleanup } from '../cleanup.ts'
import { listenOnLoopback } from '../network/listening.ts'

export interface FakeGoogle {
  /** A service account's key as its JSON file has it. */
  readonly key: Record<string, string>
  readonly secret: GoogleSecret
  /** Claims of what was signed right and came in time. */
  readonly claims: Array<Record<string, unknown>>
  readonly tokens: string[]
  /** What the clock here is ahead, ms. */
  skewMs: number
  answerNext(status: number, body: string): void
}

const EMAIL = 'publisher@nemo-project.iam.gserviceaccount.com'

/** Google's token service for one service account. Source: "Using OAuth 2.0 for Server to Server Applications". */
export async function startFakeGoogle(t: Cleanup): Promise<FakeGoogle> {
  const { privateKey, publicKey } = generateKeyPairSync('rsa', { modulusLength: 2048 })
  const claims: Array<Record<string, unknown>> = []
  const tokens: string[] = []
  const scripted: Array<{ status: number; body: string }> = []
  const state = { skewMs: 0 }
  let uri = ''
  const server = createServer((request, response) => {
    const answer = async (): Promise<{ status: number; body: string }> => {
      const form = new URLSearchParams(await text(request))
      const script = scripted.shift()
      if (script) return script
      if (form.get('grant_type') !== 'urn:ietf:params:oauth:grant-type:jwt-bearer')
        return refusal('unsupported_grant_type', '')
      const read = claimsOf(form.get('assertion') ?? '', publicKey)
      if (!read) return refusal('invalid_grant', 'Invalid JWT Signature.')
      const now = (Date.now() + state.skewMs) / 1000
      const [iat, exp] = [Number(read['iat']), Number(read['exp'])]
      if (read['aud'] !== uri || read['iss'] !== EMAIL)
        return refusal('invalid_grant', 'Invalid grant: account not found')
      if (iat > now + 300 || exp < now || exp - iat > 3600) return refusal('invalid_grant', TIMEFRAME)
      claims.push(read)
      tokens.push(`ya29.token-${tokens.length + 1}-${'g'.repeat(40)}`)
      const token = { access_token: tokens.at(-1), expires_in: 3599, token_type: 'Bearer' }
      return { status: 200, body: JSON.stringify(token) }
    }
    answer().then(
      ({ status, body }) => response.writeHead(status, { 'content-type': 'application/json' }).end(body),
      (error: unknown) => response.destroy(error as Error),
    )
  })
  uri = `http://${await listenOnLoopback(t, server)}/token`
  const pem = privateKey.export({ type: 'pkcs8', format: 'pem' }).toString()
  return Object.assign(state, {
    key: {
      type: 'service_account',
      project_id: 'nemo-project',
      private_key_id: 'a1b2c3',
      private_key: pem,
      client_email: EMAIL,
      client_id: '123',
      token_uri: uri,
    },
    secret: { kind: 'google' as const, clientEmail: EMAIL, privateKeyId: 'a1b2c3', privateKey: pem, tokenUri: uri },
    claims,
    tokens,
    answerNext: (status: number, body: string) => void scripted.push({ status, body }),
  })
}

const TIMEFRAME =
  'Invalid JWT: Token must be a short-lived token (60 minutes) and in a reasonable timeframe. Check your iat and exp values in the JWT claim.'

function refusal(error: string, description: string): { status: number; body: string } {
  return { status: 400, body: JSON.stringify({ error, error_description: description }) }
}

function claimsOf(assertion: string, key: KeyObject): Record<string, unknown> | undefined {
  const [head = '', body = '', signature = ''] = assertion.split('.')
  const right = verify('RSA-SHA256', Buffer.from(`${head}.${body}`), key, Buffer.from(signature, 'base64url'))
  const read = (part: string) => JSON.parse(Buffer.from(part, 'base64url').toString()) as Record<string, unknown>
  const { alg, kid } = right ? read(head) : {}
  return right && alg === 'RS256' && kid === 'a1b2c3' ? read(body) : undefined
}
