import { STATS_EXAMPLE } from './stats-example.ts'

const TIME = '2026-03-01T12:00:00.000Z'

const QUEUE = {
  id: 'registry.example',
  host: 'registry.example',
  jobs: { waiting: 12, running: 8, retrying: 1, paused: 0 },
  oldestWaitingSeconds: 42,
  jobsPerMinute: 3.5,
  limits: {
    jobs: { value: 8, from: 'environment' },
    requestsPerSecond: { value: 50, from: 'setting' },
  },
  pause: null,
  reason: 'registry.example has all 8 jobs that it may have at once',
}

const WORKER = {
  id: '1c6f0a2b-mhrk2x9d-1.1',
  name: 'worker-1',
  host: 'rack-3',
  pid: 4711,
  version: '0.1.0',
  since: TIME,
  state: 'running',
  drain: null,
  jobs: [{ id: '01a22857-3e6a-7196-8431-4336bc16b6e8', kind: 'publish', since: TIME }],
  places: 4,
  memory: { rssBytes: 148_897_792, heapBytes: 41_943_040 },
  cpu: 0.34,
  bytesPerSecond: { in: 2048, out: 88_080_384 },
  lastSeenAt: TIME,
}

const SYSTEM = {
  store: {
    usedBytes: 48_318_382_080,
    limitBytes: 107_374_182_400,
    promisedBytes: 1_288_490_188,
    disk: { freeBytes: 310_000_000_000, totalBytes: 500_000_000_000, reserveBytes: 10_737_418_240, low: false },
  },
  redis: {
    reachable: true,
    trouble: null,
    own: true,
    address: null,
    version: '8.0.2',
    role: 'primary',
    replicas: 0,
    usedBytes: 18_874_368,
    limitBytes: 536_870_912,
    evictionPolicy: 'noeviction',
    appendOnly: true,
    appendFsync: 'always',
    snapshots: false,
    writesFail: false,
  },
}

const STORE_CHECK = {
  state: 'running',
  by: 'ops',
  startedAt: TIME,
  endedAt: null,
  blobs: 120,
  blobsTotal: 480,
  bytes: 12_884_901_888,
  well: null,
  findings: [],
  findingsTotal: 0,
  trouble: null,
}

const SETTINGS = [
  {
    name: 'LAYERD_MAX_JOBS',
    value: '20000',
    from: 'default',
    secret: false,
    description: 'Jobs that may be open at once.',
  },
  {
    name: 'LAYERD_OIDC_CLIENT_SECRET',
    value: null,
    from: 'file',
    secret: true,
    description: 'Of that client; none for a public one.',
  },
]

/** Answers about queues and workers, as examples.ts has them. */
export const SYSTEM_EXAMPLES: Readonly<Record<string, unknown>> = {
  listQueues: { items: [QUEUE] },
  getQueue: QUEUE,
  listWorkers: { items: [WORKER] },
  getWorker: WORKER,
  pauseQueue: {
    ...QUEUE,
    pause: { by: 'ops', since: '2026-03-01T12:00:00.000Z', reason: 'its disk is being replaced' },
    reason: 'the queue of registry.example is paused by ops since 2026-03-01 12:00:00 UTC: its disk is being replaced',
  },
  resumeQueue: QUEUE,
  getSystem: SYSTEM,
  getStoreCheck: STORE_CHECK,
  startStoreCheck: { ...STORE_CHECK, blobs: 0, blobsTotal: null, bytes: 0 },
  stopStoreCheck: STORE_CHECK,
  listSettings: { items: SETTINGS },
  getStats: STATS_EXAMPLE,
  drainWorker: { ...WORKER, state: 'draining', drain: { since: TIME, handOver: false } },
  resumeWorker: WORKER,
}
