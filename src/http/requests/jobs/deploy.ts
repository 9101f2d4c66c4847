import type { KindOfJob } from './kind.ts'
import { checkUsed, registriesUsed } from './verify.ts'

const USED = { needsDestination: false, check: checkUsed, registries: registriesUsed } as const

/** A package, wherever it lies, into a cluster. */
export const deploy = {
  ...USED,
  options: [
    'set',
    'sensitive',
    'components',
    'adopt',
    'timeoutSeconds',
    'stepTimeoutSeconds',
    'architecture',
    'verify',
    'concurrency',
    'plainHttp',
    'trace',
  ],
} as const satisfies KindOfJob

/** The same out of it. */
export const remove = {
  ...USED,
  options: [
    'set',
    'sensitive',
    'components',
    'timeoutSeconds',
    'architecture',
    'verify',
    'concurrency',
    'plainHttp',
    'trace',
  ],
} as const satisfies KindOfJob
