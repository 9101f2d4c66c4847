import type * as providersModule from '@aws-sdk/credential-providers'
import { readFile } from 'node:fs/promises'
import { homedir } from 'node:os'
import { join } from 'node:path'
import { AppError } from '../../../lib/errors.ts'
import { isLoopback } from '../../../lib/loopback.ts'
import type { AwsHandler } from './aws-handler.ts'
import type { CloudAsking } from './asking.ts'

type Providers = typeof providersModule
export type AwsProvider = ReturnType<Providers['fromTemporaryCredentials']>

export interface ChainOptions {
  readonly requestHandler: AwsHandler
  readonly region: string
  /** The metadata addresses of EC2, ECS and EKS may be asked. */
  readonly metadata: boolean
  readonly env: CloudAsking['env']
  readonly registry: string
}

/**
 * The machine's own keys, in the SDK's order: environment, shared files (with roles, SSO, `credential_process`), web identity, and
 * where that is allowed the metadata addresses. What the SDK asks there goes by its own sockets, past proxies; all else by `requestHandler`.
 */
export async function machineKeys(providers: Providers, options: ChainOptions): Promise<AwsProvider> {
  const { requestHandler, region, metadata, env } = options
  if (!metadata) await refuseMetadataProfiles(options)
  const { fromEnv, fromIni, fromTokenFile } = providers
  const clientConfig = { requestHandler, region, maxAttempts: 2 }
  const chain: AwsProvider[] = [
    ...(env['AWS_PROFILE'] ? [] : [fromEnv()]),
    // Files that are changed count at once.
    fromIni({ clientConfig, parentClientConfig: clientConfig, ignoreCache: true }),
    fromTokenFile({ clientConfig }),
    ...(metadata ? metadataKeys(providers, options) : []),
  ]
  return (...args) => firstOf(chain, args)
}

/** The SDK's own chain tells the last fault alone, which is rarely the one that matters. */
async function firstOf(chain: readonly AwsProvider[], args: Parameters<AwsProvider>): ReturnType<AwsProvider> {
  const faults: string[] = []
  for (const provider of chain) {
    try {
      return await provider(...args)
    } catch (error) {
      if (!(error instanceof Error) || (error as { tryNextLink?: boolean }).tryNextLink !== true) throw error
      // With a command's line comes what it wrote.
      const isCommand = /command failed/i.test(error.message)
      faults.push(isCommand ? 'the credential_process of the profile failed' : error.message)
    }
  }
  throw Object.assign(new Error(faults.join('; ')), { name: NO_PROVIDER })
}

/** Of the SDK's error for it. */
export const NO_PROVIDER = 'CredentialsProviderError'

const LOCAL_SERVICE = new Set(['169.254.170.2', '169.254.170.23', '[fd00:ec2::23]'])

/** Source: AWS SDKs and Tools Reference, "Container credential provider", "IMDS credential provider". */
function metadataKeys({ fromHttp, fromInstanceMetadata }: Providers, { env, registry }: ChainOptions): AwsProvider[] {
  const full = env['AWS_CONTAINER_CREDENTIALS_FULL_URI']
  if (env['AWS_CONTAINER_CREDENTIALS_RELATIVE_URI']) return [fromHttp({ timeout: METADATA_MS })]
  if (full) {
    const hostname = URL.parse(full)?.hostname ?? ''
    if (LOCAL_SERVICE.has(hostname) || isLoopback(hostname)) return [fromHttp({ timeout: METADATA_MS })]
    throw new AppError(
      'CREDENTIALS_INVALID',
      `AWS's keys for ${registry} could not be had: AWS_CONTAINER_CREDENTIALS_FULL_URI names another machine`,
      {
        hint: 'Only the addresses of ECS and EKS and those of this machine are asked for keys.',
      },
    )
  }
  if (/^true$/i.test(env['AWS_EC2_METADATA_DISABLED'] ?? '')) return []
  return [fromInstanceMetadata({ timeout: METADATA_MS, maxRetries: 1 })]
}

const METADATA_MS = 2000
const SOURCE = /^[ \t]*credential_source[ \t]*=[ \t]*(?:Ec2InstanceMetadata|EcsContainer)\b/im

/** A profile may name the metadata addresses by itself, which the SDK would ask without a question. */
async function refuseMetadataProfiles({ env, registry }: ChainOptions): Promise<void> {
  const home = env['HOME'] || homedir()
  const files = [
    env['AWS_CONFIG_FILE'] || join(home, '.aws', 'config'),
    env['AWS_SHARED_CREDENTIALS_FILE'] || join(home, '.aws', 'credentials'),
  ]
  for (const file of files) {
    const text = await readFile(file, 'utf8').catch(() => '')
    if (!SOURCE.test(text)) continue
    throw new AppError(
      'CREDENTIALS_INVALID',
      `AWS's keys for ${registry} could not be had: ${file} names the machine's metadata (credential_source)`,
      {
        hint: 'Keep "metadata": true for this registry to have metadata addresses asked, or take credential_source out.',
      },
    )
  }
}
