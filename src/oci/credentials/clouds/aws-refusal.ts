import { type AppError, isAppError } from '../../../lib/errors.ts'
import { NO_PROVIDER } from './aws-chain.ts'
import type { AwsCalled } from './aws-handler.ts'
import { CLOCK, passes, refused, senseless, type Wanted } from './failure.ts'

/** The SDK's error for an answer of AWS. Source: its ServiceException. */
interface ServiceError extends Error {
  readonly $metadata?: { readonly requestId?: string }
  readonly $fault?: unknown
}

export interface AwsFailure {
  /** The service that was called last. */
  readonly called: AwsCalled | undefined
  /** The keys of the machine are asked with. */
  readonly chain: boolean
  /** The machine's metadata addresses may be asked, which rest for a moment now and then. */
  readonly metadata: boolean
  readonly roleArn: string | undefined
}

/** What AWS's refusal means, or an answer that is none of its; undefined for other errors. */
export function awsRefusal(wanted: Wanted, thrown: unknown, failure: AwsFailure): AppError | undefined {
  if (!(thrown instanceof Error) || isAppError(thrown)) return undefined
  const { called } = failure
  if (PROVIDERS.has(thrown.name) || (called === undefined && isOfFile(thrown))) return noKeys(wanted, thrown, failure)
  return called?.status === undefined
    ? undefined
    : refusalOf(wanted, thrown, { ...failure, ...called, status: called.status })
}

function noKeys(wanted: Wanted, thrown: Error, { chain, metadata }: AwsFailure): AppError {
  const said = thrown.message
  const code = isOfFile(thrown) ? thrown.code : undefined
  const transient = metadata && UNREACHED.test(said)
  return refused(wanted, { host: CHAIN, status: undefined, code, said, hint: chain ? NO_KEYS : KEYS, transient })
}

function refusalOf(
  wanted: Wanted,
  thrown: ServiceError,
  { host, status, chain, roleArn }: AwsFailure & { host: string; status: number },
): AppError {
  const { name, message, $metadata, $fault } = thrown
  // The SDK's message holds the beginning of what it cannot read.
  if ($fault === undefined) {
    return passes(status)
      ? refused(wanted, { host, status, code: undefined, said: undefined, hint: PASSES, transient: true })
      : senseless(wanted, host, `answered ${status} and nothing that AWS would say`)
  }
  const code = name.replace(/^.*#/, '')
  const transient = passes(status) || PASSING.has(code)
  const toAssume = roleArn !== undefined && (host.startsWith('sts.') || message.includes('sts:AssumeRole'))
  const hint = transient ? PASSES : hintOf(code, message, { chain, toAssume, noRight: wanted.noRight })
  return refused(wanted, { host, status, code, said: message, hint, transient, requestId: $metadata?.requestId })
}

const UNREACHED = /timeout|timed out|ECONN|EHOST|ENET|hang up/i
const CHAIN = "AWS's credential chain"

/** A file that a variable or a profile names is not there, or not for layerd. */
function isOfFile(error: Error): error is Error & { code: string } {
  return 'syscall' in error && 'code' in error && typeof error.code === 'string'
}

const PROVIDERS = new Set([NO_PROVIDER, 'TokenProviderError', 'ProviderError'])

/** Whatever their status. Source: AWS SDKs and Tools Reference, "Retry behavior"; ECR's and STS' common errors. */
const PASSING = new Set([
  'Throttling',
  'ThrottlingException',
  'ThrottledException',
  'RequestThrottled',
  'RequestThrottledException',
  'RequestLimitExceeded',
  'TooManyRequestsException',
  'SlowDown',
  'ServerException',
  'InternalFailure',
  'InternalServerError',
  'ServiceUnavailable',
  'RequestTimeout',
  'RequestTimeoutException',
  'IDPCommunicationError',
])

const CLOCK_CODES = new Set(['RequestTimeTooSkewed', 'RequestExpired', 'RequestInTheFuture'])
const UNKNOWN_KEYS = new Set([
  'UnrecognizedClientException',
  'InvalidClientTokenId',
  'InvalidAccessKeyId',
  'InvalidSignatureException',
  'SignatureDoesNotMatch',
  'IncompleteSignature',
  'AuthFailure',
])

function hintOf(
  code: string,
  message: string,
  { chain, toAssume, noRight = NO_RIGHT }: { chain: boolean; toAssume: boolean; noRight: string | undefined },
): string {
  if (CLOCK_CODES.has(code) || /signature (?:expired|not yet current)/i.test(message)) return CLOCK
  if (UNKNOWN_KEYS.has(code)) return chain ? CHAIN_KEYS : KEYS
  if (/^ExpiredToken(?:Exception)?$/.test(code)) return chain ? CHAIN_KEYS : SPENT
  if (/^AccessDenied(?:Exception)?$/.test(code)) return toAssume ? NO_ROLE : noRight
  if (code === 'OptInRequired' || code === 'RegionDisabledException') return 'Turn this region on for the account.'
  return chain ? CHAIN_KEYS : KEYS
}

const PASSES = 'AWS fails or limits requests at the moment; it is tried again.'
const KEYS =
  'AWS does not take these keys: check accessKeyId and secretAccessKey (and sessionToken), and keep them anew.'
const CHAIN_KEYS =
  "AWS does not take this machine's own keys: check them as layerd's user (aws sts get-caller-identity)."
const SPENT = 'The session token has run out: keep keys that last, or a role (roleArn), or new ones.'
const NO_ROLE =
  "The keys may not assume this role: check the role's trust policy, externalId, and the right sts:AssumeRole."
const NO_RIGHT =
  'The keys lack the right ecr:GetAuthorizationToken (for ECR Public ecr-public:GetAuthorizationToken and sts:GetServiceBearerToken).'
const NO_KEYS =
  'This machine has no keys of AWS for layerd\'s user: set AWS_ACCESS_KEY_ID, a profile or web identity; on EC2, ECS and EKS keep "metadata": true for the registry.'
