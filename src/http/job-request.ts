import { parseDestination, parseTag } from '../content/reference.ts'
import type { Job, JobKind, JobOptions } from '../jobs/definitions.ts'
import type { NewJob } from '../jobs/queue.ts'
import { AppError, withContext } from '../lib/errors.ts'
import { type LocalSources, locateSource } from '../lib/local-source.ts'
import type { JobBody } from './schemas/job.ts'

type Checked = Pick<NewJob, 'source' | 'destination' | 'queueHost' | 'registries'>

const PUBLISH_OPTIONS = ['tag', 'name', 'scan', 'concurrency', 'plainHttp'] as const satisfies Array<keyof JobOptions>
/** The file name alone decides the format. zarf-packages.md 1.1. */
const ARCHIVE = /\.tar(\.zst)?$/

export interface JobRequestOptions {
  kinds: ReadonlySet<JobKind>
  sources: LocalSources
}

/**
 * Checks what needs neither archive nor registry, so that a job that can't succeed is never made. Throws
 * JOB_KIND_UNSUPPORTED, BODY_INVALID, REFERENCE_INVALID, TAG_INVALID, PACKAGE_FORMAT_UNSUPPORTED and what locateSource
 * throws; each names the field by JSON pointer.
 */
export async function checkJobRequest(
  body: JobBody,
  options: JobRequestOptions,
): Promise<Omit<NewJob, 'principal' | 'requestId'>> {
  const { kind } = body
  if (kind !== 'publish' || !options.kinds.has(kind)) {
    throw new AppError('JOB_KIND_UNSUPPORTED', `jobs of the kind "${kind}" are not run here`, {
      hint: `Kinds that are: ${[...options.kinds].join(', ')}.`,
      details: { pointer: '/kind' },
    })
  }
  const checked = await checkPublish(body, options.sources)
  return { kind, options: body.options ?? {}, labels: body.labels ?? {}, ...checked }
}

/** The registry whose credentials a job may be given. */
export function registryOf(job: Pick<Job, 'destination'>): string {
  return parseDestination(job.destination ?? '').registry
}

async function checkPublish(body: JobBody, sources: LocalSources): Promise<Checked> {
  refuseOtherOptions(body, PUBLISH_OPTIONS)
  if (body.destination === undefined) {
    throw new AppError('BODY_INVALID', 'the field "destination" is missing: a publish goes to a registry', {
      hint: 'For example "destination": "oci://registry.example/team".',
      details: { pointer: '/destination' },
    })
  }
  const { registry, namespace } = at('/destination', parseDestination, body.destination)
  if (body.options?.tag !== undefined) at('/options/tag', parseTag, body.options.tag)
  const source = await locateSource(body.source, sources)
  if (!source.isDirectory && !ARCHIVE.test(source.fileName)) {
    throw new AppError('PACKAGE_FORMAT_UNSUPPORTED', `"${source.fileName}" ends in neither .tar.zst nor .tar`, {
      hint: 'A source is a package archive that zarf made, or an unpacked package directory.',
      details: { pointer: '/source' },
    })
  }
  const destination = `oci://${registry}${namespace === '' ? '' : `/${namespace}`}`
  return { source: body.source, destination, queueHost: registry, registries: [registry] }
}

function refuseOtherOptions(body: JobBody, allowed: ReadonlyArray<keyof JobOptions>): void {
  const others = Object.keys(body.options ?? {}).filter((name) => !allowed.includes(name as keyof JobOptions))
  if (others.length === 0) return
  const code = 'BODY_INVALID'
  throw new AppError(code, `a ${body.kind} job takes no option ${others.map((name) => `"${name}"`).join(', ')}`, {
    hint: `It takes ${allowed.join(', ')}.`,
    details: {
      errors: others.map((name) => ({ pointer: `/options/${name}`, detail: `${body.kind} does not take it`, code })),
    },
  })
}

function at<T>(pointer: string, parse: (text: string) => T, text: string): T {
  try {
    return parse(text)
  } catch (error) {
    throw withContext(error, { details: { pointer } })
  }
}
