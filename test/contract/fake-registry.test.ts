import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Cleanup } from '../helpers/cleanup.ts'
import { type RegistryProgram, registryPrograms, startDockerRegistry } from '../helpers/registries/docker-registry.ts'
import { converse } from '../helpers/registries/kit/conversation.ts'
import { startFakeRegistry } from '../helpers/registries/kit/fake-registry.ts'
import { profile, type ProfileName } from '../helpers/registries/kit/profiles.ts'

const docker = (program: RegistryProgram) =>
  registryPrograms().includes(program)
    ? async (t: Cleanup) => (await startDockerRegistry(t, { program })).url
    : undefined

// registries.md 19 (K6): a fake is worth what it was held against.
for (const { name, program, start } of [
  { name: 'dist28', program: 'docker-registry', start: docker('docker-registry') },
  { name: 'dist3', program: 'registry', start: docker('registry') },
] as const satisfies ReadonlyArray<{ name: ProfileName; program: string; start: unknown }>) {
  test(`the fake ${name} answers as ${program} does`, {
    skip: start ? false : `not on PATH: ${program}`,
  }, async (t) => {
    assert.ok(start)
    const real = await converse(await start(t))
    const fake = await startFakeRegistry(t, { ways: profile(name), rules: false })
    assert.deepEqual(await converse(fake.url), real)
  })
}
