import { createHash, createHmac } from 'node:crypto'
import type { IncomingMessage } from 'node:http'

export interface Signed {
  readonly accessKeyId: string
  readonly region: string
  readonly service: string
  /** Made with the secret, over what came. */
  valid(secretAccessKey: string): boolean
}

/** Of a request as AWS gets it; undefined where it is not signed. Source: IAM "Create a signed AWS API request". */
export function signatureOf(request: IncomingMessage, body: Buffer): Signed | undefined {
  const { authorization = '' } = request.headers
  const found =
    /^AWS4-HMAC-SHA256 Credential=(\w+)\/(\d{8})\/([^/]+)\/([^/]+)\/aws4_request, SignedHeaders=([^,]+), Signature=([0-9a-f]{64})$/.exec(
      authorization,
    )
  if (!found) return undefined
  const [, accessKeyId = '', day = '', region = '', service = '', names = '', signature] = found
  const url = new URL(request.url ?? '/', 'http://any')
  const headers = names.split(';').map((name) => `${name}:${String(request.headers[name] ?? '').trim()}\n`)
  const hash = (text: string | Buffer) => createHash('sha256').update(text).digest('hex')
  const canonical = [request.method, url.pathname, url.search.slice(1), headers.join(''), names, hash(body)].join('\n')
  const scope = `${day}/${region}/${service}/aws4_request`
  const text = ['AWS4-HMAC-SHA256', request.headers['x-amz-date'], scope, hash(canonical)].join('\n')
  const hmac = (key: string | Buffer, data: string) => createHmac('sha256', key).update(data).digest()
  return {
    accessKeyId,
    region,
    service,
    valid(secret) {
      const key = [day, region, service, 'aws4_request'].reduce<string | Buffer>(hmac, `AWS4${secret}`)
      return hmac(key, text).toString('hex') === signature
    },
  }
}
