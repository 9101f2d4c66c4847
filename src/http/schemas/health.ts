import { Type } from 'typebox'

export const Readiness = Type.Object(
  {
    ready: Type.Boolean(),
    reasons: Type.Array(
      Type.Object({
        check: Type.Enum(['redis', 'workers', 'closing']),
        detail: Type.String(),
      }),
      { description: 'Why not; empty when ready.' },
    ),
    disk: Type.Enum(['ok', 'low', 'unknown'], {
      description:
        'low: less is free than is kept free for Redis, so uploads get 507 and pulls wait. That alone leaves it ready.',
    }),
  },
  { $id: 'Readiness' },
)

export const Version = Type.Object(
  { name: Type.Literal('layerd'), version: Type.String(), node: Type.String() },
  { $id: 'Version' },
)

export const Overview = Type.Object(
  {
    name: Type.Literal('layerd'),
    version: Type.String(),
    description: Type.String(),
    addresses: Type.Record(Type.String(), Type.String(), { description: 'What is where.' }),
  },
  { $id: 'Overview' },
)

const service = { tags: ['service'], security: [] }

export const getLivenessSchema = {
  ...service,
  operationId: 'getLiveness',
  summary: 'Whether the process answers; touches nothing else',
  response: { 200: Type.Object({ live: Type.Literal(true) }) },
}

export const getReadinessSchema = {
  ...service,
  operationId: 'getReadiness',
  summary: 'Whether jobs are accepted and (in the all-in-one role) worked on',
  response: { 200: Readiness, 503: Readiness },
}

export const getVersionSchema = {
  ...service,
  operationId: 'getVersion',
  summary: 'Which version this is',
  response: { 200: Version },
}

export const getMetricsSchema = {
  tags: ['service'],
  operationId: 'getMetrics',
  summary: 'Figures for Prometheus; what begins with layerd_fleet_ is the same from every API',
  response: { 200: { description: 'The figures.', content: { 'text/plain': { schema: Type.String() } } } },
}

export const getOverviewSchema = {
  ...service,
  operationId: 'getOverview',
  summary: 'What runs here and where things are: a page, JSON or plain text, by Accept',
  response: {
    200: {
      description: 'The overview.',
      content: {
        'text/plain': { schema: Type.String() },
        'application/json': { schema: Overview },
        'text/html': { schema: Type.String() },
      },
    },
  },
}
