import type { AwsSecret } from '../../../content/clouds.ts'
import type { Mask } from '../../errors/mask.ts'
import { type AwsProvider, machineKeys } from './aws-chain.ts'
import type { AwsHandler } from './aws-handler.ts'
import type { CloudAsking } from './asking.ts'

/** One more for a clock that is wrong, which the SDK sets right by the answer's. */
export const AWS_TRIES = 2

export interface KeysOptions {
  asking: CloudAsking
  region: string
  requestHandler: AwsHandler
  mask: Mask
}

/** What AWS is shown: the keys themselves, or those of a role that they assume. */
export async function keysOf(
  secret: AwsSecret,
  { asking, region, requestHandler, mask }: KeysOptions,
): Promise<AwsProvider> {
  const { keys, roleArn, externalId, metadata } = secret
  const { env, registry } = asking
  if (keys && roleArn === undefined) return async () => ({ ...keys })
  const providers = await import('@aws-sdk/credential-providers')
  const own = keys
    ? async () => ({ ...keys })
    : await machineKeys(providers, { requestHandler, region, metadata, env, registry })
  if (roleArn === undefined) return own
  return providers.fromTemporaryCredentials({
    masterCredentials: hidden(mask, own),
    params: {
      RoleArn: roleArn,
      RoleSessionName: 'layerd',
      ...(externalId === undefined ? {} : { ExternalId: externalId }),
    },
    clientConfig: { region, requestHandler, maxAttempts: AWS_TRIES },
  })
}

/** What they are is known before anything is shown of them. */
export function hidden(mask: Mask, keys: AwsProvider): AwsProvider {
  return async (...args) => {
    const found = await keys(...args)
    mask.keep(found.secretAccessKey, found.sessionToken ?? '')
    mask.show(found.accessKeyId)
    return found
  }
}
