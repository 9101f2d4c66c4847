import { type AwsSecret, ecrName, type EcrName } from '../../../content/clouds.ts'
import { AppError } from '../../../lib/errors.ts'
import { createMask } from '../../errors/mask.ts'
import type { AwsProvider } from './aws-chain.ts'
import { type AwsCalled, type AwsHandler, awsHandler } from './aws-handler.ts'
import { AWS_TRIES as TRIES, hidden, keysOf } from './aws-keys.ts'
import { awsRefusal } from './aws-refusal.ts'
import type { CloudAsking } from './asking.ts'
import { senseless, unanswered, type Wanted } from './failure.ts'
import type { Derived } from './shelf.ts'

/** What AWS promises where it says nothing. Source: ECR's GetAuthorizationToken. */
const LIFETIME_MS = 12 * 60 * 60_000
const LEAST_MS = 60_000
const MAX_PASSWORD = 16 * 1024

/**
 * Keys of AWS, or a role that they may assume, for a password of ECR. The SDK is loaded at the first need. Throws CREDENTIALS_INVALID.
 * Source: ECR's GetAuthorizationToken, ECR Public's, STS' AssumeRole.
 */
export async function awsPassword(secret: AwsSecret, asking: CloudAsking): Promise<Derived> {
  const { registry, clock } = asking
  const { keys, roleArn } = secret
  const mask = createMask(`${registry} ${keys?.accessKeyId ?? ''} ${roleArn ?? ''}`)
  const wanted: Wanted = { what: 'a password of ECR', registry, mask }
  const name = ecrName(registry) ?? unnamed(registry, secret.region)
  let called: AwsCalled | undefined
  const onCall = (now: AwsCalled): void => {
    called = now
  }
  const requestHandler = awsHandler({ asking, op: 'get a password of ECR', mask, onCall })
  try {
    const credentials = hidden(mask, await keysOf(secret, { asking, region: name.region, requestHandler, mask }))
    const given = await (name.open ? openToken : privateToken)(name, { credentials, requestHandler })
    return passwordOf(given, { wanted, host: called?.host ?? 'AWS', now: clock.now() })
  } catch (error) {
    throw (
      awsRefusal(wanted, error, { called, chain: keys === null, metadata: secret.metadata, roleArn }) ??
      unanswered(wanted, error)
    )
  }
}

/** A registry before ECR, or one that stands in for it. */
function unnamed(registry: string, region: string | undefined): EcrName {
  if (region !== undefined) return { open: false, region, fips: false, dualStack: false }
  throw new AppError('CREDENTIALS_INVALID', `the name ${registry} does not tell a region of AWS`, {
    hint: 'Keep the credentials with "region".',
  })
}

interface Token {
  authorizationToken?: string | undefined
  expiresAt?: Date | undefined
}

interface ClientOptions {
  credentials: AwsProvider
  requestHandler: AwsHandler
}

async function privateToken(
  { region, fips, dualStack }: EcrName,
  { credentials, requestHandler }: ClientOptions,
): Promise<Token | undefined> {
  const { ECRClient, GetAuthorizationTokenCommand } = await import('@aws-sdk/client-ecr')
  const client = new ECRClient({
    region,
    credentials,
    requestHandler,
    maxAttempts: TRIES,
    ...(fips ? { useFipsEndpoint: true } : {}),
    ...(dualStack ? { useDualstackEndpoint: true } : {}),
  })
  return (await client.send(new GetAuthorizationTokenCommand({}))).authorizationData?.[0]
}

async function openToken(
  { region }: EcrName,
  { credentials, requestHandler }: ClientOptions,
): Promise<Token | undefined> {
  const { ECRPUBLICClient, GetAuthorizationTokenCommand } = await import('@aws-sdk/client-ecr-public')
  const client = new ECRPUBLICClient({ region, credentials, requestHandler, maxAttempts: TRIES })
  return (await client.send(new GetAuthorizationTokenCommand({}))).authorizationData
}

/** `AWS:password` in base64. */
function passwordOf(
  given: Token | undefined,
  { wanted, host, now }: { wanted: Wanted; host: string; now: number },
): Derived {
  const pair = Buffer.from(given?.authorizationToken ?? '', 'base64').toString('utf8')
  const colon = pair.indexOf(':')
  const [username, password] = [pair.slice(0, colon), pair.slice(colon + 1)]
  if (colon < 1 || password === '' || password.length > MAX_PASSWORD || /\p{Cc}/u.test(pair)) {
    throw senseless(wanted, host, 'answered without a user and a password')
  }
  const lifetimeMs = Math.min(given?.expiresAt ? given.expiresAt.getTime() - now : LIFETIME_MS, LIFETIME_MS)
  return { credential: { kind: 'basic', username, password }, lifetimeMs: Math.max(lifetimeMs, LEAST_MS) }
}
