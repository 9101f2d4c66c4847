const PROBLEM = {
  type: '/docs/errors#REGISTRY_UNREACHABLE',
  title: 'The registry cannot be reached',
  status: 502,
  detail: 'registry.example refused the connection',
  code: 'REGISTRY_UNREACHABLE',
  retryable: true,
}

/** One run that failed, and the one that went on after it. */
export const RUNS = {
  items: [
    {
      run: 1,
      attempt: 1,
      worker: { id: 'host-a-w1', host: 'host-a', pid: 4711 },
      began: { cause: 'first', by: null, waitedSince: '2026-03-01T12:00:00.000Z' },
      ended: {
        outcome: 'failed',
        state: 'retrying',
        by: null,
        reason: null,
        problem: PROBLEM,
        retryAt: '2026-03-01T12:00:32.000Z',
      },
      startedAt: '2026-03-01T12:00:01.000Z',
      endedAt: '2026-03-01T12:00:30.000Z',
      bytesMoved: 1_310_720,
      layersDone: 9,
      looks: 1,
    },
    {
      run: 2,
      attempt: 2,
      worker: { id: 'host-b-w1', host: 'host-b', pid: 815 },
      began: { cause: 'failure', by: null, waitedSince: '2026-03-01T12:00:30.000Z' },
      ended: null,
      startedAt: '2026-03-01T12:00:32.000Z',
      endedAt: null,
      bytesMoved: 0,
      layersDone: 0,
      looks: 1,
    },
  ],
  leftOut: 0,
}
