import { type Static, Type } from 'typebox'
import { JOB_KINDS } from '../../../jobs/model/definitions.ts'
import { MOST_REGISTRIES, type StatsMeasure } from '../../../jobs/system/stats.ts'

export const DEFAULT_WINDOW = '1h'

const MEASURES: Readonly<Record<StatsMeasure, string>> = {
  jobsBegun: 'Jobs whose first run began, and those that began again after a retry.',
  jobsSucceeded: 'Jobs that succeeded.',
  jobsFailed: 'Jobs that failed.',
  jobsCanceled: 'Jobs that were canceled, those that no run had begun among them.',
  bytesSent: 'Bytes of layers and configs that went to registries, each counted once.',
  wireBytesSent: 'The same, those sent again included.',
  bytesReceived: 'Bytes of layers and configs that came from registries, each counted once.',
  wireBytesReceived: 'The same, those that came again included.',
}

const count = (description?: string) =>
  Type.Integer({ minimum: 0, ...(description === undefined ? {} : { description }) })
const entries = Object.entries(MEASURES) as Array<[StatsMeasure, string]>

export const StatsTotals = Type.Object(
  Object.fromEntries(entries.map(([name, description]) => [name, count(description)])),
  { $id: 'StatsTotals', description: 'Sums over the whole window.' },
)

export const StatsSeries = Type.Object(
  Object.fromEntries(entries.map(([name, description]) => [name, Type.Array(count(), { description })])),
  { $id: 'StatsSeries', description: 'A figure for each of `times`, 0 where nothing was.' },
)

const Figures = {
  totals: Type.Unsafe<Record<StatsMeasure, number>>(Type.Ref('StatsTotals')),
  series: Type.Unsafe<Record<StatsMeasure, number[]>>(Type.Ref('StatsSeries')),
}
const { totals, series } = Figures

export const Stats = Type.Object(
  {
    window: Type.String({ description: 'As it was asked for.' }),
    resolution: Type.Enum(['minute', 'hour'], { description: 'What a figure of a series is of.' }),
    since: Type.String({ format: 'date-time', description: 'When the first minute or hour begins.' }),
    until: Type.String({ format: 'date-time', description: 'When the last one ends, which is not over yet.' }),
    now: Type.String({ format: 'date-time', description: "The clock by which all this is counted, Redis's." }),
    totals,
    times: Type.Array(Type.Integer(), { description: 'When each begins, in seconds since 1970, the oldest first.' }),
    series,
    registries: Type.Array(
      Type.Object({ registry: Type.String({ description: 'host[:port]; local: no registry.' }), ...Figures }),
      {
        description: `Those that most bytes went to or came from, then by jobs, at most ${MOST_REGISTRIES}.`,
      },
    ),
    otherRegistries: Type.Union([Type.Object(Figures), Type.Null()], {
      description:
        'All others together; null where there are none. Of a minute or hour with very many registries the lesser ones are here, whatever they did else.',
    }),
    kinds: Type.Array(Type.Object({ kind: Type.String(), ...Figures }), { description: 'By the kind of the jobs.' }),
  },
  { $id: 'Stats', description: 'What jobs moved, and how they ended, by time.' },
)
export type Stats = Static<typeof Stats>

const StatsQueryString = Type.Object(
  {
    window: Type.Optional(
      Type.String({
        minLength: 1,
        maxLength: 32,
        default: DEFAULT_WINDOW,
        description:
          '1m to 60m, told by minute, or whole hours from 2h to 168h (7d), told by hour; ISO 8601 durations too. The last minute or hour is the one that is not over.',
      }),
    ),
    registry: Type.Optional(
      Type.String({
        minLength: 1,
        maxLength: 300,
        description: 'host[:port]: its figures alone; docker.io for all names of Docker Hub.',
      }),
    ),
    kind: Type.Optional(
      Type.Array(Type.Enum([...JOB_KINDS]), {
        maxItems: JOB_KINDS.length,
        description: 'Of jobs of these kinds alone.',
      }),
    ),
  },
  { additionalProperties: false },
)

export const getStatsSchema = {
  tags: ['system'],
  operationId: 'getStats',
  summary: 'Bytes and jobs by minute for the last hour, or by hour for a week',
  description:
    'Needs the scope system:read; a token that is limited names a registry that it holds whole. A job is counted at the registry whose queue it is in, what a copy received at its source. A takeover counts nothing twice. Told with ETag.',
  querystring: StatsQueryString,
  headers: Type.Object({ 'if-none-match': Type.Optional(Type.String()) }),
  response: {
    200: {
      description: 'The figures.',
      headers: { ETag: { type: 'string', description: 'For If-None-Match; `now` is not in it.' } },
      content: { 'application/json': { schema: Type.Ref('Stats') } },
    },
    304: Type.Null({ description: 'It still has this ETag.' }),
  },
}
