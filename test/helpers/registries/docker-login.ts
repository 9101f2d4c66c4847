import { chmod, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { CredentialProvider, RegistryCredential } from '../../../src/oci/credentials/provider.ts'
import type { Cleanup } from '../cleanup.ts'
import { tempDir } from '../temp-dir.ts'

export const base64 = (text: string) => Buffer.from(text).toString('base64')

/** A folder for DOCKER_CONFIG with this config.json; a text or bytes are written as they are. */
export async function dockerConfig(t: Cleanup, config: unknown): Promise<string> {
  const folder = await tempDir(t, 'docker-config')
  const isRaw = typeof config === 'string' || Buffer.isBuffer(config)
  await writeFile(join(folder, 'config.json'), isRaw ? config : JSON.stringify(config))
  return folder
}

/** A PATH with this script of the shell as docker-credential-test. */
export async function credentialHelper(t: Cleanup, script: string): Promise<string> {
  const folder = await tempDir(t, 'helper')
  const path = join(folder, 'docker-credential-test')
  await writeFile(path, `#!/bin/sh\n${script}\n`)
  await chmod(path, 0o755)
  return `${folder}:/usr/bin:/bin`
}

/** Looks a credential up, as is done once a registry has asked. */
export async function ask(
  provider: CredentialProvider,
  registry: string,
  { repository = 'team/app', signal = new AbortController().signal } = {},
): Promise<RegistryCredential | undefined> {
  return await (await provider.find({ registry, repository }))?.credential(signal)
}
