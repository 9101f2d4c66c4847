import { randomUUID } from 'node:crypto'
import { setTimeout as delay } from 'node:timers/promises'
import type { KeptCheck, StoreCheckRecords } from '../../jobs/system/store-check-records.ts'
import { toAppError } from '../../lib/errors.ts'
import type { Logger } from '../../lib/logger.ts'
import type { CheckReport, ContentStore, StoreFinding } from '../../store/content-store.ts'
import type { StoreCheck } from '../schemas/system/store-check.ts'

export interface StoreChecksOptions {
  readonly store: Pick<ContentStore, 'check'>
  readonly records: StoreCheckRecords<StoreCheck>
  readonly logger: Logger
  readonly closing: AbortSignal
  /** How often a check tells of itself, and hears whether it is to end. Default 1 s. */
  readonly tellMs?: number
}

/** Checks of the store; all processes of one layerd see the same one. Calls throw QUEUE_UNAVAILABLE. */
export interface StoreChecks {
  last(): Promise<StoreCheck>
  /** Begins one in this process, where none runs anywhere. */
  start(by: string): Promise<StoreCheck>
  stop(): Promise<StoreCheck>
}

const MAX_FINDINGS = 100
const MAX_PACKAGES = 20

const NONE: StoreCheck = {
  state: 'none',
  by: null,
  startedAt: null,
  endedAt: null,
  blobs: 0,
  blobsTotal: null,
  bytes: 0,
  well: null,
  findings: [],
  findingsTotal: 0,
  trouble: null,
}

export function createStoreChecks(options: StoreChecksOptions): StoreChecks {
  const { records, logger } = options
  return {
    last: async () => shown(await records.get()),
    stop: async () => shown(await records.stop()),
    async start(by) {
      const id = randomUUID()
      const check: StoreCheck = { ...NONE, state: 'running', by, startedAt: now() }
      const kept = await records.begin(id, check)
      if (kept?.id === id) {
        logger.info({ principal: by }, 'the store is checked')
        void run(options, id, check)
      }
      return shown(kept)
    },
  }
}

function shown(kept: KeptCheck<StoreCheck> | undefined): StoreCheck {
  if (kept === undefined) return NONE
  const dead = kept.told.state === 'running' && !kept.lives
  return dead ? { ...kept.told, state: 'interrupted' } : kept.told
}

function now(): string {
  return new Date().toISOString()
}

/** Never rejects: what became of it is kept. */
async function run(options: StoreChecksOptions, id: string, began: StoreCheck): Promise<void> {
  const { store, records, logger, closing, tellMs = 1000 } = options
  const stopped = new AbortController()
  const signal = AbortSignal.any([closing, stopped.signal])
  let check = began
  const tell = async () => {
    const kept = await records.tell(id, check, { ended: false }).catch(() => undefined)
    // While Redis is away it goes on; who began another one meanwhile has the only one.
    if (kept && (kept.isToStop || kept.id !== id)) stopped.abort()
  }
  const timer = setInterval(() => void tell(), tellMs)
  try {
    const report = await store.check({
      signal,
      onBlob({ index, count, bytes }) {
        check = { ...check, blobs: index, blobsTotal: count, bytes }
      },
    })
    check = { ...check, ...toldReport(report), state: 'done' }
  } catch (error) {
    const trouble = toAppError(error).message
    check = signal.aborted ? { ...check, state: 'stopped' } : { ...check, state: 'failed', trouble }
  }
  clearInterval(timer)
  check = { ...check, endedAt: now() }
  const { state, blobs, bytes, findingsTotal: findings } = check
  logger.info({ state, blobs, bytes, findings }, 'the check of the store has ended')
  while (!(await isKept(records, id, check)) && !closing.aborted) await delay(tellMs)
}

async function isKept(records: StoreChecksOptions['records'], id: string, check: StoreCheck): Promise<boolean> {
  return records.tell(id, check, { ended: true }).then(
    () => true,
    () => false,
  )
}

function toldReport({ blobs, bytes, findings }: CheckReport): Partial<StoreCheck> {
  return {
    blobs,
    blobsTotal: blobs,
    bytes,
    well: findings.length === 0,
    findings: findings.slice(0, MAX_FINDINGS).map(toldFinding),
    findingsTotal: findings.length,
  }
}

function toldFinding({ kind, path, message, packages }: StoreFinding): StoreCheck['findings'][number] {
  return {
    kind,
    path,
    message,
    packages: packages.slice(0, MAX_PACKAGES).map(({ digest, ...about }) => ({
      digest,
      title: [about.name, about.version, about.flavor, about.architecture].filter(Boolean).join(' '),
    })),
  }
}
