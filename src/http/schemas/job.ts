import { type Static, Type } from 'typebox'
import { JobKind, JobState, LOG_LEVELS, TRANSFER_STATES } from '../../jobs/model/definitions.ts'
import { JobOptions } from '../../jobs/model/job-options.ts'
import { JOB_SORTS, TRANSFER_SORTS } from '../../jobs/model/requests.ts'
import { pageOf, pageQuery } from './page.ts'

/** What POST /v1/jobs takes. Which options belong to which kind is told by job-request.ts. */
export const JobBody = Type.Object(
  {
    kind: JobKind,
    source: Type.String({
      minLength: 1,
      maxLength: 4096,
      description:
        'publish: file:/absolute/path, upload:{id}, store:sha256:... or https://host/path with options.sha256; files: for those that options.files names. pull, copy: oci://host[:port]/repository:tag or @digest. verify, mirror: any of these but https. apply: file:, upload: or https: as of publish. delete: oci://, with a tag or a digest. retention: oci:// and a repository.',
    }),
    destination: Type.Optional(
      Type.String({
        minLength: 1,
        maxLength: 4096,
        description:
          'publish, copy, mirror: oci://host[:port][/namespace]. pull: store: (the default) or file:/absolute/folder/. apply: store:, the default.',
      }),
    ),
    options: Type.Optional(JobOptions),
    labels: Type.Optional(
      Type.Record(Type.String({ pattern: '^[A-Za-z0-9][A-Za-z0-9._/-]{0,62}$' }), Type.String({ maxLength: 255 }), {
        maxProperties: 32,
        additionalProperties: false,
        description: 'Free to choose; lists filter by them.',
      }),
    ),
  },
  {
    additionalProperties: false,
    examples: [
      {
        kind: 'publish',
        source: 'file:/packages/zarf-package-nemo-amd64-1.2.0.tar.zst',
        destination: 'oci://registry.example/team',
        labels: { env: 'dev' },
      },
      { kind: 'pull', source: 'oci://registry.example/team/nemo:1.2.0', options: { architecture: 'amd64' } },
      {
        kind: 'verify',
        source: 'oci://registry.example/team/nemo:1.2.0',
        options: { verify: { identity: { san: 'release@example.org', issuer: 'https://issuer.example' } } },
      },
      { kind: 'delete', source: 'oci://registry.example/team/nemo:1.2.0', options: { dryRun: true } },
      { kind: 'copy', source: 'oci://registry.example/team/nemo:1.2.0', destination: 'oci://other.example/team' },
      { kind: 'mirror', source: 'oci://registry.example/team/nemo:1.2.0', destination: 'oci://other.example/images' },
    ],
  },
)
export type JobBody = Static<typeof JobBody>

/** What lists and streams of jobs are filtered by. */
export const jobFilterQuery = {
  state: Type.Optional(Type.Array(JobState, { description: 'Repeatable; any of them.' })),
  kind: Type.Optional(Type.Array(JobKind, { description: 'Repeatable; any of them.' })),
  label: Type.Optional(
    Type.Array(Type.String({ pattern: '^[^=]+=', maxLength: 400 }), {
      maxItems: 32,
      description: 'key=value; repeatable, all of them.',
    }),
  ),
  registry: Type.Optional(Type.String({ maxLength: 300, description: 'host[:port] that the job talks to.' })),
}

const JobQuery = Type.Object(
  {
    ...pageQuery,
    ...jobFilterQuery,
    createdAfter: Type.Optional(Type.String({ format: 'date-time' })),
    endedAfter: Type.Optional(Type.String({ format: 'date-time' })),
    errorCode: Type.Optional(
      Type.Array(Type.String({ maxLength: 64 }), { maxItems: 32, description: 'Repeatable; any of them.' }),
    ),
    package: Type.Optional(
      Type.String({ minLength: 1, maxLength: 256, description: "The package's or bundle's name, as the job has it." }),
    ),
    principal: Type.Optional(Type.String({ maxLength: 200, description: 'Who asked for the job.' })),
    requestId: Type.Optional(Type.String({ maxLength: 128, description: 'X-Request-Id of the request that made it.' })),
    traceparent: Type.Optional(Type.String({ maxLength: 128, description: 'The whole header, or its trace-id.' })),
    q: Type.Optional(
      Type.String({
        minLength: 1,
        maxLength: 200,
        description:
          'Stands in id, source, destination, package (name:version), result, labels or principal, whatever the case.',
      }),
    ),
    sort: Type.Optional(
      Type.Enum([...JOB_SORTS], { description: 'Default -createdAt, newest first. By endedAt: ended jobs alone.' }),
    ),
  },
  { additionalProperties: false },
)
export type JobQuery = Static<typeof JobQuery>

const TransferQuery = Type.Object(
  {
    ...pageQuery,
    state: Type.Optional(Type.Array(Type.Enum([...TRANSFER_STATES]), { description: 'Repeatable; any of them.' })),
    q: Type.Optional(
      Type.String({ minLength: 1, maxLength: 200, description: 'Stands in title or digest, whatever the case.' }),
    ),
    sort: Type.Optional(Type.Enum([...TRANSFER_SORTS], { description: 'Default added, as they appeared.' })),
  },
  { additionalProperties: false },
)
export type TransferQuery = Static<typeof TransferQuery>

const JobParams = Type.Object({ id: Type.String() })

/** A body that may be absent; Fastify shows an absent one as null. */
const ReasonBody = Type.Unsafe<{ reason?: string } | null>({
  type: ['object', 'null'],
  properties: { reason: { type: 'string', maxLength: 500, description: 'Kept in the job.' } },
  additionalProperties: false,
})
const NoBody = Type.Unsafe<Record<string, never> | null>({ type: ['object', 'null'], additionalProperties: false })

const accepted = (description: string) => ({
  description,
  headers: {
    Location: { type: 'string', description: 'The job.' },
    'Retry-After': { type: 'integer', description: 'Seconds.' },
    ETag: { type: 'string', description: 'The revision, for If-None-Match.' },
  },
  content: { 'application/json': { schema: Type.Ref('Job') } },
})

export const credentialsHeader = Type.Optional(
  Type.String({
    description:
      'Registry credentials as the Docker Engine takes them: base64url of {"username","password","serveraddress","identitytoken","registrytoken"}.',
  }),
)
const preferHeader = Type.Optional(
  Type.String({
    description: 'wait=N: answer when the job has ended (or changed, with If-None-Match), after N s at most (60).',
  }),
)

const tags = ['jobs']

export const createJobSchema = {
  tags,
  operationId: 'createJob',
  summary: 'Accept a job',
  body: JobBody,
  headers: Type.Object({
    'idempotency-key': Type.Optional(Type.String({ description: 'The same key and body give the same job for 24 h.' })),
    'x-registry-auth': credentialsHeader,
    prefer: preferHeader,
  }),
  response: { 202: accepted('Accepted and kept.') },
}

export const listJobsSchema = {
  tags,
  operationId: 'listJobs',
  summary: 'Jobs, newest first',
  querystring: JobQuery,
  response: { 200: pageOf('Job') },
}

export const getJobSchema = {
  tags,
  operationId: 'getJob',
  summary: 'One job',
  params: JobParams,
  headers: Type.Object({ 'if-none-match': Type.Optional(Type.String()), prefer: preferHeader }),
  response: {
    200: {
      description: 'The job.',
      headers: {
        ETag: { type: 'string', description: 'The revision, for If-None-Match.' },
        'Retry-After': { type: 'integer', description: 'Seconds; while it has not ended.' },
      },
      content: { 'application/json': { schema: Type.Ref('Job') } },
    },
    304: Type.Null({ description: 'It still has this ETag.' }),
  },
}

export const listTransfersSchema = {
  tags,
  operationId: 'listTransfers',
  summary: 'One row a blob of the job: in pages, or all at once as NDJSON, by Accept',
  params: JobParams,
  querystring: TransferQuery,
  response: {
    200: {
      description: 'The rows that match.',
      content: {
        'application/json': {
          schema: pageOf('Transfer', {
            counts: Type.Record(Type.String(), Type.Integer({ minimum: 0 }), {
              description: 'Rows by state, all of the job.',
            }),
          }),
        },
        'application/x-ndjson': { schema: Type.Ref('Transfer', { description: 'One a line, without pages.' }) },
      },
    },
  },
}

export const listRunsSchema = {
  tags,
  operationId: 'listRuns',
  summary: "A job's runs: on which worker, why each began and ended, and what it moved",
  description: 'Oldest first; of more than a hundred the first ten and the last ninety. They go with the job.',
  params: JobParams,
  response: {
    200: {
      description: 'The runs.',
      content: {
        'application/json': {
          schema: Type.Object({
            items: Type.Array(Type.Ref('JobRun')),
            leftOut: Type.Integer({ minimum: 0, description: 'How many there were beside these.' }),
          }),
        },
      },
    },
  },
}

export const jobLogSchema = {
  tags,
  operationId: 'readJobLog',
  summary: "A job's log: plain lines or NDJSON, by Accept",
  description: 'The newest MiB of what became of the job, in words, kept as long as the job.',
  params: JobParams,
  querystring: Type.Object(
    {
      follow: Type.Optional(Type.Boolean({ description: 'Go on until the job has ended.' })),
      since: Type.Optional(Type.String({ format: 'date-time', description: 'Lines from then on.' })),
      level: Type.Optional(Type.Enum([...LOG_LEVELS], { description: 'This level and what is worse.' })),
    },
    { additionalProperties: false },
  ),
  response: {
    200: {
      description: 'The lines.',
      content: {
        'text/plain': { schema: Type.String() },
        'application/x-ndjson': { schema: Type.Ref('JobLogLine', { description: 'One a line.' }) },
      },
    },
  },
}

export const cancelJobSchema = {
  tags,
  operationId: 'cancelJob',
  summary: 'Stop a job; repeating it gives the same answer',
  params: JobParams,
  body: ReasonBody,
  response: { 200: Type.Ref('Job'), 202: Type.Ref('Job') },
}

export const pauseJobSchema = {
  tags,
  operationId: 'pauseJob',
  summary: 'Let a job rest: one that runs stops within a second and keeps what it has moved',
  params: JobParams,
  body: ReasonBody,
  response: { 202: accepted('Paused; or still running, with a reason, until its worker has stopped.') },
}

export const resumeJobSchema = {
  tags,
  operationId: 'resumeJob',
  summary: 'Go on with a paused job where it stopped',
  params: JobParams,
  body: NoBody,
  headers: Type.Object({ 'x-registry-auth': credentialsHeader }),
  response: { 202: accepted('Queued again; a job that is not paused stays as it is.') },
}

export const retryJobSchema = {
  tags,
  operationId: 'retryJob',
  summary: 'Run a failed or canceled job again, under the same id',
  params: JobParams,
  body: NoBody,
  headers: Type.Object({ 'x-registry-auth': credentialsHeader }),
  response: { 202: accepted('Queued again.') },
}

export const deleteJobSchema = {
  tags,
  operationId: 'deleteJob',
  summary: 'Forget a job that has ended',
  params: JobParams,
  response: { 204: Type.Null({ description: 'Gone.' }) },
}
