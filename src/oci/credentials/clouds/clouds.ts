import type { CloudSecret } from '../../../content/clouds.ts'
import { type Clock, systemClock } from '../../../lib/clock.ts'
import type { CloudCall } from '../../request/cloud-call.ts'
import type { RegistryWay } from '../../request/registry-way.ts'
import type { RegistryCredential } from '../provider.ts'
import type { CloudAsking } from './asking.ts'
import { awsPassword } from './aws.ts'
import { awsKms, type Kms } from './aws-kms.ts'
import { azurePassword, readyRefreshToken } from './azure.ts'
import { googlePassword } from './google.ts'
import { createShelf, type Derived } from './shelf.ts'

export type { Kms } from './aws-kms.ts'

export interface CloudPlace {
  /** Equal for those who have the same secret for the same registry. */
  readonly id: string
  readonly registry: string
  /** May it be spoken to over plain HTTP. */
  readonly plainHttp: boolean
  /** How the registry is reached. */
  readonly way: RegistryWay
}

export interface CloudRequestOptions {
  /** What was looked up before, and did not do. */
  readonly refused: RegistryCredential | undefined
  readonly signal: AbortSignal
}

/** What the clouds give for their secrets. Shared by all callers of a process; nothing of it is written anywhere. */
export interface Clouds {
  /**
   * A password or token that is not about to end, and not `refused`. Throws CREDENTIALS_INVALID: transient where cloud or network
   * fail, permanent where the cloud refuses.
   */
  credential(place: CloudPlace, secret: CloudSecret, options: CloudRequestOptions): Promise<RegistryCredential>
  /** Keys that sign there and never leave it. */
  readonly kms: Kms
}

export interface CloudsOptions {
  call: CloudCall
  /** The process's environment: AWS_*, AZURE_AUTHORITY_HOST. */
  env: CloudAsking['env']
  clock?: Clock
}

export function createClouds({ call, env, clock = systemClock }: CloudsOptions): Clouds {
  const shelf = createShelf(clock)
  return {
    kms: awsKms({ call, env, clock }),
    async credential({ id, registry, plainHttp, way }, secret, options) {
      const ready = secret.kind === 'azure' ? readyRefreshToken(secret) : undefined
      if (ready) return ready
      const asking: CloudAsking = { registry, plainHttp, way, call, clock, env }
      return await shelf.get({ id, make: () => derive(secret, asking), ...options })
    },
  }
}

function derive(secret: CloudSecret, asking: CloudAsking): Promise<Derived> {
  if (secret.kind === 'aws') return awsPassword(secret, asking)
  if (secret.kind === 'google') return googlePassword(secret, asking)
  if ('refreshToken' in secret) throw new Error('a refresh token is shown as it is')
  return azurePassword(secret, asking)
}
