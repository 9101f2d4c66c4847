import { JOB_REQUESTS } from '../requests/jobs/job-request.ts'
import { PARAMETER_EXAMPLES, RESPONSE_EXAMPLES } from './examples.ts'
import { jobRequestVariants, type Schema, type Schemas, typedEnums, withEventVariants } from './variants.ts'

interface MediaType {
  schema?: Schema
  example?: unknown
}

interface Response {
  $ref?: string
  description?: string
  headers?: Record<string, unknown>
  content?: Record<string, MediaType>
  links?: Record<string, unknown>
}

interface Operation {
  operationId?: string
  summary?: string
  description?: string
  parameters?: Array<{ name: string; in: string; example?: unknown }>
  requestBody?: { required?: boolean; content?: Record<string, MediaType> }
  responses?: Record<string, Response>
}

interface Document {
  paths?: Record<string, Record<string, Operation> | undefined>
  components?: { schemas?: Schemas }
}

/** What routes cannot say of themselves, told in one place: problems, unions by kind, links, examples. */
export function completed<T extends object>(document: T): T {
  // Copied, so that what routes share in memory is written out instead of becoming YAML anchors.
  const copy = typedEnums(JSON.parse(JSON.stringify(document)) as T) as T & Document
  for (const operations of Object.values(copy.paths ?? {})) {
    for (const operation of Object.values(operations ?? {})) complete(operation)
  }
  nameVariants(copy)
  return copy
}

function complete(operation: Operation): void {
  const { operationId = '', requestBody } = operation
  const bodies = Object.values(requestBody?.content ?? {})
  // Fastify shows an absent body to the schema as null.
  if (requestBody && bodies.some(({ schema }) => schema?.type?.includes('null'))) requestBody.required = false
  for (const [status, response] of Object.entries(operation.responses ?? {})) {
    if (response.description === 'Default Response') response.description = operation.summary ?? ''
    if (status.startsWith('2')) showAnswer(operationId, response)
  }
  operation.responses = { ...operation.responses, default: { $ref: '#/components/responses/Problem' } }
  if (operation.parameters) operation.parameters = parametersOf(operationId, operation.parameters)
  if (operationId === 'putUpload') operation.requestBody = UPLOAD_BODY
}

type Parameters = NonNullable<Operation['parameters']>

/** Without the header of server-sent events, the query's twin: both would be one name in a generated client. */
function parametersOf(operationId: string, parameters: Parameters): Parameters {
  return parameters
    .filter(({ name }) => name !== 'last-event-id')
    .map((parameter) => {
      const { name } = parameter
      const example = PARAMETER_EXAMPLES[`${operationId}.${name}`] ?? PARAMETER_EXAMPLES[name]
      return example === undefined ? parameter : { ...parameter, example }
    })
}

const UPLOAD_BODY = {
  required: true,
  content: { 'application/octet-stream': { schema: { type: 'string', format: 'binary' } } },
}

function showAnswer(operationId: string, response: Response): void {
  const example = RESPONSE_EXAMPLES[operationId]
  for (const [type, media] of Object.entries(response.content ?? {})) {
    const fits = typeof example === 'string' ? type === 'text/plain' : type === 'application/json'
    if (example !== undefined && fits) media.example = example
    if (media.schema?.$ref === '#/components/schemas/Job') response.links = JOB_LINKS
    if (media.schema?.$ref === '#/components/schemas/Upload') response.links = UPLOAD_LINKS
  }
}

const linkTo = (operationId: string, parameter: string) => ({
  operationId,
  parameters: { [parameter]: '$response.body#/id' },
})
const JOB_LINKS = {
  job: linkTo('getJob', 'id'),
  events: linkTo('followJobEvents', 'id'),
  transfers: linkTo('listTransfers', 'id'),
  runs: linkTo('listRuns', 'id'),
  log: linkTo('readJobLog', 'id'),
  cancel: linkTo('cancelJob', 'id'),
}
const UPLOAD_LINKS = { upload: linkTo('getUpload', 'upload'), delete: linkTo('deleteUpload', 'upload') }

function nameVariants(document: Document): void {
  const { components = {} } = document
  const media = document.paths?.['/v1/jobs']?.['post']?.requestBody?.content?.['application/json']
  const body = media?.schema
  if (!media || !body) return
  const { schema, variants } = jobRequestVariants(body, JOB_REQUESTS)
  media.schema = { $ref: '#/components/schemas/JobRequest' }
  components.schemas = { ...withEventVariants(components.schemas ?? {}), ...variants, JobRequest: schema }
  document.components = components
}
