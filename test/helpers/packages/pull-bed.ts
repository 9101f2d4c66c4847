import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import type { TestContext } from 'node:test'
import type { AppError } from '../../../src/lib/errors.ts'
import { defer } from '../cleanup.ts'
import { type MemoryRegistry, startMemoryRegistry } from '../registries/memory-registry.ts'
import { packageFiles, type SyntheticLayer } from './pulling.ts'

export const MIB = 1024 * 1024

export const PLACE = { repository: 'team/sample', tag: '1.0.0' }

export interface Bed {
  registry: MemoryRegistry
  reference: string
  big: Buffer
  layers: SyntheticLayer[]
}

export async function bed(t: TestContext, options: { ranges?: boolean } = {}): Promise<Bed> {
  const registry = await startMemoryRegistry(options)
  defer(t, () => registry.close())
  const big = randomBytes(3 * MIB)
  const layers = packageFiles({ 'components/one.tar': big, 'values.yaml': Buffer.from('a: 1\n') })
  return { registry, big, layers, reference: `${registry.host}/${PLACE.repository}:${PLACE.tag}` }
}

export function failsWith(code: string, ...says: RegExp[]) {
  return (error: AppError) => {
    assert.equal(error.code, code, error.stack)
    for (const pattern of says) assert.match(error.message, pattern)
    return true
  }
}
