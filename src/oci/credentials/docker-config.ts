import { join } from 'node:path'
import { dockerConfigKey } from '../facts/registry-name.ts'
import { entryOfAuths, helperOf } from './auths.ts'
import { parseDockerConfig, readDockerConfig } from './config-file.ts'
import { type Environment, runCredentialHelper } from './helper.ts'
import { type CredentialEntry, type CredentialProvider, firstOf } from './provider.ts'

export interface DockerCredentialsOptions {
  /** The process's environment: DOCKER_CONFIG, DOCKER_AUTH_CONFIG and HOME are read; helpers get a part of it. */
  env: Environment
  /** How long a helper may take. Default 10 s. */
  helperTimeoutMs?: number
}

/**
 * Docker's own credentials: DOCKER_AUTH_CONFIG, then `credHelpers`, `credsStore` and `auths` of $DOCKER_CONFIG/config.json
 * (else ~/.docker/config.json). The file is read whenever a repository is opened, so a docker login counts at once; what it
 * says of the repository is read, and the helper that it names is run, once the registry asks. Throws CREDENTIALS_INVALID
 * where file, entry or helper is broken; no message holds any of their content.
 * Source: docker/cli cli/config, docker-credential-helpers.
 */
export function dockerCredentials({ env, helperTimeoutMs }: DockerCredentialsOptions): CredentialProvider {
  const folder = env.DOCKER_CONFIG || (env.HOME ? join(env.HOME, '.docker') : undefined)
  return {
    async find(place) {
      const inline = env.DOCKER_AUTH_CONFIG
      const given = inline ? entryOfAuths(parseDockerConfig(inline, 'DOCKER_AUTH_CONFIG'), place) : undefined
      if (given !== undefined || folder === undefined) return given
      const config = await readDockerConfig(join(folder, 'config.json'))
      if (config === undefined) return undefined
      const helper = helperOf(config, place.registry)
      const kept = entryOfAuths(config, place)
      if (helper === undefined) return kept
      const asked = { helper, namedIn: config.where, serverUrl: dockerConfigKey(place.registry) }
      const entry: CredentialEntry = {
        id: JSON.stringify(asked),
        source: `docker-credential-${helper}, which ${config.where} names`,
        credential: (signal) => runCredentialHelper(asked, { env, signal, timeoutMs: helperTimeoutMs }),
      }
      return firstOf(kept ? [entry, kept] : [entry])
    },
  }
}
