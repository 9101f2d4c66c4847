import { AppError, type AppErrorOptions, type ErrorCode, type Retry, type Upstream } from '../../lib/errors.ts'
import { redactUrl } from '../../lib/redact.ts'
import { apiHost } from '../facts/registry-name.ts'
import { type ErrorBody, parseErrorBody } from './error-body.ts'
import type { Mask } from './mask.ts'
import { parseRetryAfter } from './retry-after.ts'

/** What was being done and where, for every error of a request. */
export interface CallFacts {
  /** "push blob". */
  readonly op: string
  readonly registry: string
  readonly repository?: string
  /** What a token is asked for. */
  readonly scopes?: readonly string[]
  readonly method: string
  readonly url: URL
  /** Path and query that we chose ourselves; an address that was told to us may hold what we have shown. */
  readonly asked?: string
  /** The registry has answered this process before. */
  readonly reached?: boolean
  /** What must not be told of the request. */
  readonly mask: Pick<Mask, 'hide' | 'holds'>
}

/** A refusal, or an answer that the caller finds wrong. */
export interface Answer {
  readonly status: number
  readonly header: (name: string) => string | undefined
  /** The first 64 KiB. */
  readonly text: string
  /** The answer comes from where a redirect led, not from the registry. */
  readonly redirected?: boolean
  /** What the caller finds wrong; stands in the message. */
  readonly complaint?: string
  /** What the caller knows better than the table below. */
  readonly verdict?: Verdict
}

export interface Verdict {
  code: ErrorCode
  retry?: Retry
  hint?: string
}

/** `404 BLOB_UPLOAD_UNKNOWN`, or `404: Not Found` where the registry has no code, of an answer's error. */
export function saidBy({ upstream }: AppError): string {
  const { status, ociCode, message } = upstream ?? {}
  return `${status ?? 'nothing'}${ociCode === undefined ? (message === undefined ? '' : `: ${message}`) : ` ${ociCode}`}`
}

/** What broke a request, with the network's own word for it. */
export function brokenBy({ message, details }: AppError): string {
  const code = details?.['networkCode']
  return typeof code === 'string' && !message.includes(code) ? `${message} (${code})` : message
}

export function upstreamOf(facts: CallFacts): Upstream {
  return {
    registry: facts.registry,
    ...(facts.repository === undefined ? {} : { repository: facts.repository }),
    method: facts.method,
    url: toldUrl(facts),
  }
}

/** A text that the far end chose, as it may be told. `shown`: secrets of this one request. */
export function toldText(facts: CallFacts, text: string, shown: readonly string[] = []): string {
  const seen = `${facts.registry}/${facts.repository ?? ''} ${OWN_WORDS}`
  return facts.mask.hide(text, { seen, more: [...signatures(facts), ...shown] })
}

/** Of the paths that we ask for. */
const OWN_WORDS = '/v2/blobs/uploads /v2/manifests /v2/tags/list'

/** The address of a request, or one that an answer names, as it may be told. */
export function toldUrl(facts: CallFacts, url = facts.url): string {
  return isOurs(facts, url) ? redactUrl(url) : toldText(facts, redactUrl(url))
}

export function toldPath(facts: CallFacts): string {
  const { pathname } = facts.url
  return isOurs(facts, facts.url) ? pathname : toldText(facts, pathname)
}

/** Whether we chose the address ourselves, but for its query. */
export function isOurs({ registry, asked }: CallFacts, url: URL): boolean {
  return url.host === apiHost(registry) && url.pathname === asked?.split('?', 1)[0]
}

export function toldHost(facts: CallFacts): string {
  const { host } = facts.url
  return host === apiHost(facts.registry) ? host : toldText(facts, host)
}

const SIGNATURE_LENGTH = 16
/** What we add ourselves to addresses that were told to us. */
const OURS = new Set(['digest', 'service', 'scope', 'account'])

/** Storage repeats what it finds wrong with a signed address (S3's SignatureProvided). */
function signatures({ url, asked }: CallFacts): string[] {
  if (asked !== undefined && asked === `${url.pathname}${url.search}`) return []
  const values = [...url.searchParams].filter(([name, value]) => value.length >= SIGNATURE_LENGTH && !OURS.has(name))
  return values.slice(0, 16).map(([, value]) => value)
}

/**
 * The one error for what a registry answered: status first for the retry class, the registry's own code first for the
 * meaning. Source: OCI distribution-spec v1.1.1 "Error Codes", and what registries in use send instead.
 */
export function answerError(facts: CallFacts, answer: Answer, now: number): AppError {
  const type = answer.header('content-type')
  const verdict = answer.verdict ?? judge(facts, answer, parseErrorBody(answer.text, type))
  const body = toldBody(
    facts,
    parseErrorBody(answer.text, type, (text) => toldText(facts, text)),
  )
  const retryAfterMs = parseRetryAfter(answer.header('retry-after'), now)
  const said = [answer.status, body.code].filter((part) => part !== undefined).join(' ')
  const why = [answer.complaint, body.message].filter((part) => part !== undefined).join('; ')
  const options: AppErrorOptions = {
    op: facts.op,
    ...(verdict.retry === undefined ? {} : { retry: verdict.retry }),
    ...(verdict.hint === undefined ? {} : { hint: verdict.hint }),
    ...(retryAfterMs === undefined ? {} : { retryAfterMs }),
    ...(answer.redirected ? { details: { redirected: true } } : {}),
    upstream: {
      ...upstreamOf(facts),
      status: answer.status,
      ...(body.code === undefined ? {} : { ociCode: body.code }),
      ...(body.message === undefined ? {} : { message: body.message }),
      ...requestId(facts, answer),
    },
  }
  return new AppError(verdict.code, `${facts.op}: ${toldHost(facts)} answered ${said}${why ? `: ${why}` : ''}`, options)
}

/** A code is a word of the registry's, but where it is our own secret. */
function toldBody({ mask }: CallFacts, { code, ...body }: ErrorBody): ErrorBody {
  return code === undefined || mask.holds(code) ? body : { ...body, code }
}

function judge(facts: CallFacts, answer: Answer, body: ErrorBody): Verdict {
  if (answer.status < 400) return { code: 'REGISTRY_PROTOCOL_VIOLATION', hint: NOT_A_REGISTRY }
  if (answer.redirected) return fromStorage(answer.status)
  if (answer.status === 400 && NO_CERTIFICATE.test(body.message ?? '')) return WANTS_CERTIFICATE
  return fromCode(answer.status, body) ?? homeless(facts, answer, body) ?? fromStatus(answer.status, body)
}

/** nginx takes the connection and says so in an answer. */
const NO_CERTIFICATE = /no required ssl certificate|ssl certificate error/i

/** A port for those with a certificate of their own, which layerd has no setting for. */
export const WANTS_CERTIFICATE: Verdict = {
  code: 'REGISTRY_TLS',
  hint: 'The registry wants a client certificate: give it as "clientCertificate" of the registry (layerd login --client-cert, PUT /v1/registries/{host}).',
}

/** A push that finds no place at all: Gitea and Forgejo say only "Not found." of an owner that does not exist. */
function homeless({ method, url, repository }: CallFacts, { status }: Answer, body: ErrorBody): Verdict | undefined {
  const opens = method === 'POST' && /\/blobs\/uploads\/?$/.test(url.pathname)
  if (status !== 404 || !opens || body.html || repository === undefined) return undefined
  const [owner = repository] = repository.split('/')
  return {
    code: 'REGISTRY_NAME_UNKNOWN',
    hint: `The registry has no place for ${repository}: where repositories belong to an owner or a project (Gitea, Forgejo, Harbor, GitLab), "${owner}" has to exist there first.`,
  }
}

const NOT_A_REGISTRY =
  'Check that the host and port are those of an OCI registry; a proxy, a login page or a web site answers otherwise.'
const NEW_PASSWORD =
  'The password of this registry is short-lived and has run out: get a new one (for ECR: aws ecr get-login-password) and retry the job, or keep keys by which layerd gets them itself (PUT /v1/registries/{host}).'

/** What ECR says of a password that ran out, with 403 DENIED. */
export function saysSpent(text: string): boolean {
  return /authorization token has expired/i.test(text)
}

/** Codes that mean the same whatever the status; DENIED comes with 401, 403 and 405, an upload's codes with 404 and 416. */
function fromCode(status: number, body: ErrorBody): Verdict | undefined {
  const message = body.message ?? ''
  if (saysSpent(message)) return { code: 'REGISTRY_UNAUTHORIZED', hint: NEW_PASSWORD }
  if (body.code === 'TAG_IMMUTABLE' || ([400, 403, 409, 412].includes(status) && IMMUTABLE.test(message))) {
    return { code: 'TAG_IMMUTABLE', hint: 'Choose another tag ("options.tag"), or let the registry overwrite tags.' }
  }
  switch (body.code) {
    case 'TOOMANYREQUESTS':
      return { code: 'REGISTRY_THROTTLED' }
    case 'NAME_UNKNOWN':
      return {
        code: 'REGISTRY_NAME_UNKNOWN',
        hint: 'Check the namespace; this registry may want the repository or project to be made before a push.',
      }
    case 'MANIFEST_UNKNOWN':
      return { code: 'MANIFEST_NOT_FOUND' }
    case 'BLOB_UNKNOWN':
      return status === 404 ? { code: 'BLOB_NOT_FOUND' } : undefined
    case 'BLOB_UPLOAD_UNKNOWN':
      return { code: 'REGISTRY_UPLOAD_LOST' }
    case 'BLOB_UPLOAD_INVALID':
      return status === 404 ? { code: 'REGISTRY_UPLOAD_LOST' } : undefined
    default:
      return undefined
  }
}

/** ECR "cannot be overwritten because the repository is immutable", GAR "has enabled tag immutability", Harbor "configured as immutable". */
const IMMUTABLE = /\bimmutab|cannot be overwritten/i

function fromStatus(status: number, body: ErrorBody): Verdict {
  switch (status) {
    case 401:
      return { code: 'REGISTRY_UNAUTHORIZED', hint: LOG_IN }
    case 403:
      return { code: 'REGISTRY_DENIED', hint: deniedHint(body) }
    case 404:
      return body.html
        ? { code: 'REGISTRY_PROTOCOL_VIOLATION', hint: NOT_A_REGISTRY }
        : { code: 'REGISTRY_REJECTED', hint: 'Check the host and the repository: the registry knows nothing there.' }
    case 408:
      return { code: 'REGISTRY_TIMEOUT' }
    case 413:
      return {
        code: 'REGISTRY_REJECTED',
        hint: 'The body is too large for the registry or a proxy before it (nginx: client_max_body_size).',
      }
    case 425:
    case 499:
      return { code: 'REGISTRY_SERVER_FAILED' }
    case 429:
      return { code: 'REGISTRY_THROTTLED' }
    default:
      return status >= 500 ? fromServerFailure(status, body) : { code: 'REGISTRY_REJECTED' }
  }
}

const LOG_IN =
  'Give credentials for this registry: the X-Registry-Auth header of the job, layerd login, or docker login for the user layerd runs as.'

function deniedHint(body: ErrorBody): string {
  return /quota|exceed/i.test(body.message ?? '')
    ? "The registry's quota is used up: make room or raise it."
    : 'These credentials lack the right: check that they may push to (or pull from) this repository, and that it exists.'
}

/** Codes that a registry also sends with 500 and that the same request would get again. */
const CLIENT_CODES = new Set([
  'DIGEST_INVALID',
  'MANIFEST_INVALID',
  'NAME_INVALID',
  'SIZE_INVALID',
  'UNSUPPORTED',
  'DENIED',
])
/** The passing ones; 520 to 524 are Cloudflare's. */
const TRANSIENT_5XX = new Set([500, 502, 503, 504, 520, 521, 522, 523, 524])

function fromServerFailure(status: number, body: ErrorBody): Verdict {
  if (body.code !== undefined && CLIENT_CODES.has(body.code)) return { code: 'REGISTRY_REJECTED' }
  return { code: 'REGISTRY_SERVER_FAILED', retry: TRANSIENT_5XX.has(status) ? 'transient' : 'permanent' }
}

/** Object storage refuses a presigned address that has run out; asking the registry again brings a fresh one. */
function fromStorage(status: number): Verdict {
  if (status >= 500 || status === 429 || status === 408) return { code: 'REGISTRY_SERVER_FAILED', retry: 'transient' }
  return {
    code: 'REGISTRY_DENIED',
    retry: 'transient',
    hint: "The registry sent us to its storage, which refused; check the storage's clock and rights if this stays.",
  }
}

const REQUEST_IDS = ['x-ms-correlation-request-id', 'x-request-id', 'x-amzn-requestid', 'docker-upload-uuid', 'cf-ray']

function requestId(facts: CallFacts, answer: Answer): { requestId?: string } {
  const found = REQUEST_IDS.map((name) => answer.header(name)).find((value) => value !== undefined)
  return found === undefined ? {} : { requestId: toldText(facts, found).slice(0, 128) }
}
