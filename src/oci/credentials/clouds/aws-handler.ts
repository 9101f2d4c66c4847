import type { ECRClientConfig } from '@aws-sdk/client-ecr'
import type { Mask } from '../../errors/mask.ts'
import type { CloudRequest } from '../../request/cloud-call.ts'
import type { CloudAsking } from './asking.ts'

/** The SDK's own interface of what carries its requests. */
export type AwsHandler = Extract<NonNullable<ECRClientConfig['requestHandler']>, { handle: unknown }>
interface AwsRequest {
  readonly method: string
  readonly protocol: string
  readonly hostname: string
  readonly port?: number
  readonly path: string
  readonly query: Readonly<Record<string, string | string[] | null>>
  readonly headers: Readonly<Record<string, string>>
  readonly body?: unknown
}

/** Of answers, what the SDK looks at. */
const READ = ['content-type', 'date', 'retry-after', 'x-amzn-requestid', 'x-amzn-errortype', 'x-amzn-query-error']
/** Those of the request's way, which its exchange writes. */
const OURS = new Set(['host', 'content-length', 'user-agent', 'expect'])

export interface AwsHandlerOptions {
  readonly asking: CloudAsking
  /** For errors: "get a password of ECR". */
  readonly op: string
  readonly mask: Mask
  /** Told of each service that is called, and of its answer. */
  readonly onCall: (called: AwsCalled) => void
}

export interface AwsCalled {
  readonly host: string
  /** Undefined: there is none yet. */
  readonly status: number | undefined
}

/**
 * Carries the SDK's requests over layerd's connections. AWS's own names may stand for addresses in a private network (VPC endpoints);
 * addresses that AWS_ENDPOINT_URL or one of its kind names may be this machine's.
 */
export function awsHandler({ asking, op, mask, onCall }: AwsHandlerOptions): AwsHandler {
  const { registry, way, call, env } = asking
  return {
    metadata: { handlerProtocol: 'http/1.1' },
    async handle(request: AwsRequest) {
      const target = addressOf(request)
      onCall({ host: target.host, status: undefined })
      const body = bytesOf(request.body)
      mask.keep(...shownBy(request, body))
      const answer = await call({
        way,
        op,
        registry,
        method: request.method as CloudRequest['method'],
        target,
        headers: Object.fromEntries(Object.entries(request.headers).filter(([name]) => !OURS.has(name.toLowerCase()))),
        ...(body ? { body } : {}),
        mask,
        reach: namedHosts(env).has(target.host) ? 2 : 1,
      })
      onCall({ host: target.host, status: answer.status })
      const found = READ.map((name) => [name, answer.header(name)] as const)
      const headers = Object.fromEntries(found.filter((pair): pair is [string, string] => pair[1] !== undefined))
      return { response: { statusCode: answer.status, headers, body: Buffer.from(answer.text) } }
    },
    updateHttpClientConfig: () => undefined,
    httpHandlerConfigs: () => ({}),
    destroy: () => undefined,
  }
}

/** Secrets beside the signature: of sessions, SSO and web identity. */
function shownBy({ headers }: AwsRequest, body: Buffer | undefined): string[] {
  const isForm = headers['content-type']?.startsWith('application/x-www-form-urlencoded')
  const identity = isForm && body ? new URLSearchParams(body.toString()).get('WebIdentityToken') : undefined
  const found = [headers['x-amz-security-token'], headers['x-amz-sso_bearer_token'], identity]
  return found.filter((secret) => typeof secret === 'string')
}

function addressOf({ protocol, hostname, port, path, query }: AwsRequest): URL {
  const url = new URL(`${protocol}//${hostname}${port === undefined ? '' : `:${port}`}${path}`)
  for (const [name, value] of Object.entries(query)) {
    for (const one of Array.isArray(value) ? value : [value]) url.searchParams.append(name, one ?? '')
  }
  return url
}

function bytesOf(body: unknown): Buffer | undefined {
  if (typeof body === 'string') return Buffer.from(body)
  // As bytes alone: the SDK's are a text too, which says that it should not be taken for one.
  return body instanceof Uint8Array ? Buffer.from(body.buffer, body.byteOffset, body.byteLength) : undefined
}

/** Where the environment says that AWS's services are. Source: AWS SDKs and Tools Reference, "Service-specific endpoints". */
function namedHosts(env: CloudAsking['env']): ReadonlySet<string> {
  const names = Object.keys(env).filter((name) => name === 'AWS_ENDPOINT_URL' || name.startsWith('AWS_ENDPOINT_URL_'))
  return new Set(names.map((name) => URL.parse(env[name] ?? '')?.host).filter((host) => host !== undefined))
}
