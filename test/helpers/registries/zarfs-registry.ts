import { existsSync } from 'node:fs'
import type { TestContext } from 'node:test'
import { runProcess } from '../processes/processes.ts'
import { sharedFixture } from '../packages/fixtures.ts'
import { tempDir } from '../temp-dir.ts'
import { type DockerRegistry, registryPrograms, startDockerRegistry } from './docker-registry.ts'

/** A registry that zarf filled; its storage lies beside the project, not in it. Skips the test where that or the program is not there. */
export async function zarfsRegistry(t: TestContext): Promise<DockerRegistry | undefined> {
  const storage = sharedFixture('registry-storage.tar.gz')
  if (!existsSync(storage)) {
    t.skip('shared/fixtures/registry-storage.tar.gz is not there')
    return undefined
  }
  if (registryPrograms().length === 0) {
    t.skip('there is no registry program')
    return undefined
  }
  const folder = await tempDir(t, 'storage')
  await runProcess(t, 'tar', ['-xzf', storage, '-C', folder])
  return startDockerRegistry(t, { storage: folder })
}
