/** Of two minutes. */
const FIGURES = {
  totals: {
    jobsBegun: 3,
    jobsSucceeded: 2,
    jobsFailed: 0,
    jobsCanceled: 0,
    bytesSent: 5_242_880,
    wireBytesSent: 5_308_416,
    bytesReceived: 0,
    wireBytesReceived: 0,
  },
  series: {
    jobsBegun: [2, 1],
    jobsSucceeded: [1, 1],
    jobsFailed: [0, 0],
    jobsCanceled: [0, 0],
    bytesSent: [4_194_304, 1_048_576],
    wireBytesSent: [4_259_840, 1_048_576],
    bytesReceived: [0, 0],
    wireBytesReceived: [0, 0],
  },
}

/** Answer of GET /v1/stats. */
export const STATS_EXAMPLE = {
  window: '2m',
  resolution: 'minute',
  since: '2026-11-30T12:00:00.000Z',
  until: '2026-11-30T12:02:00.000Z',
  now: '2026-11-30T12:01:30.000Z',
  totals: FIGURES.totals,
  times: [1_796_040_000, 1_796_040_060],
  series: FIGURES.series,
  registries: [{ registry: 'registry.example', ...FIGURES }],
  otherRegistries: null,
  kinds: [{ kind: 'publish', ...FIGURES }],
}
