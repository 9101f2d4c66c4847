/** Answers about queues, as examples.ts has them. */
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
  reason: 'registry.example has all 8 jobs that it may have at once',
}

export const SYSTEM_EXAMPLES: Readonly<Record<string, unknown>> = {
  listQueues: { items: [QUEUE] },
  getQueue: QUEUE,
}
