import { requireBelow, requireKind, requirePlace } from '../../access/limits.ts'
import type { Principal } from '../../access/principal.ts'
import { requireScope, scopesOfJob } from '../../access/scopes.ts'
import { isDigest } from '../../content/digest.ts'
import {
  checkNotItself,
  copiedRepository,
  formatReference,
  formatRegistryPlace,
  parseReference,
  type Reference,
  parseDestination,
  parseTag,
  registryId,
  storedDigest,
} from '../../content/reference.ts'
import type { Job, JobKind } from '../../jobs/model/definitions.ts'
import type { JobOptions } from '../../jobs/model/job-options.ts'
import { LOCAL_QUEUE, type NewJob } from '../../jobs/model/requests.ts'
import { AppError } from '../../lib/errors.ts'
import { locateFolder } from '../../files/local-folder.ts'
import { tagPattern } from '../../transfer/copy/tags.ts'
import { readRequest } from '../../trust/verification.ts'
import { type KeyNames, keyNamed, signsEachTime } from './key-settings.ts'
import { at, later, type MayName, parsePackageReference } from './package-reference.ts'
import { checkLocalPackage, checkPublishSource, checkStored, type PublishSources } from './publish-source.ts'
import { seenBy } from './seen.ts'
import type { JobBody } from '../schemas/job.ts'

type Checked = Pick<NewJob, 'source' | 'destination' | 'queueHost' | 'registries'>

/** The kinds that this API can check and so accept, with the options of each. */
export const JOB_REQUEST_OPTIONS = {
  publish: [
    'tag',
    'name',
    'sha256',
    'scan',
    'manifest',
    'artifactType',
    'subject',
    'dryRun',
    'verify',
    'sign',
    'concurrency',
    'plainHttp',
    'trace',
  ],
  copy: ['tag', 'tags', 'architectures', 'dryRun', 'verify', 'sign', 'concurrency', 'plainHttp', 'trace'],
  pull: [
    'architecture',
    'components',
    'images',
    'metadataOnly',
    'dryRun',
    'overwrite',
    'transient',
    'verify',
    'concurrency',
    'plainHttp',
    'trace',
  ],
  verify: ['verify', 'architecture', 'plainHttp', 'trace'],
} as const satisfies Partial<Record<JobKind, ReadonlyArray<keyof JobOptions>>>

export interface JobRequestOptions extends PublishSources {
  kinds: ReadonlySet<JobKind>
  /** Throws REGISTRY_NOT_ALLOWED for a registry that callers may not name. */
  mayName: MayName
  keys: KeyNames
  /** Who asks: what it may not, no job may for it. */
  caller: Principal
}

/**
 * Checks what needs neither archive nor registry, so that a job that can't succeed is never made. Throws
 * SCOPE_MISSING, TOKEN_LIMITED, JOB_KIND_UNSUPPORTED, BODY_INVALID, REFERENCE_INVALID, TAG_INVALID, PACKAGE_FORMAT_UNSUPPORTED, REGISTRY_NOT_ALLOWED, KEY_*
 * and what checkPublishSource throws; each names the field by JSON pointer.
 */
export async function checkJobRequest(
  body: JobBody,
  options: JobRequestOptions,
): Promise<Omit<NewJob, 'principal' | 'requestId'>> {
  const { kind } = body
  if (!isChecked(kind) || !options.kinds.has(kind)) {
    throw new AppError('JOB_KIND_UNSUPPORTED', `jobs of the kind "${kind}" are not run here`, {
      hint: `Kinds that are: ${[...options.kinds].join(', ')}.`,
      details: { pointer: '/kind' },
    })
  }
  for (const scope of scopesOfJob(body)) requireScope(options.caller, scope)
  at('/kind', () => requireKind(options.caller, kind), undefined)
  refuseOtherOptions(body, JOB_REQUEST_OPTIONS[kind])
  if (body.options?.dryRun && body.options.sign) throw signsNothing()
  await checkKeys(body, options.keys)
  const { queueHost, registries, ...places } = await CHECKS[kind](body, {
    ...options,
    ...seenBy(options.caller, options),
  })
  // A registry of several names has one queue, and is found by any of them.
  const named = { queueHost: registryId(queueHost), registries: [...new Set(registries.map(registryId))] }
  return { kind, options: body.options ?? {}, labels: body.labels ?? {}, ...places, ...named }
}

/** What a job verifies and signs with, as far as that is known now. Throws BODY_INVALID, KEY_INVALID, KEY_NOT_FOUND. */
async function checkKeys({ options: { verify, sign, tags } = {} }: JobBody, keys: KeyNames): Promise<void> {
  if (verify) at('/options/verify', readRequest, verify)
  if (verify?.keyRef !== undefined) await later('/options/verify/keyRef', keyNamed, { keys, name: verify.keyRef })
  if (!sign) return
  if (tags) throw signsEachTime()
  await later('/options/sign/keyRef', keyNamed, { keys, name: sign.keyRef, signs: true })
}

const CHECKS: Readonly<
  Record<keyof typeof JOB_REQUEST_OPTIONS, (body: JobBody, options: JobRequestOptions) => Promise<Checked>>
> = { publish: checkPublish, copy: checkCopy, pull: checkPull, verify: checkVerify }

function isChecked(kind: JobKind): kind is keyof typeof JOB_REQUEST_OPTIONS {
  return Object.hasOwn(JOB_REQUEST_OPTIONS, kind)
}

/** The registries whose credentials a job may be given: the source of a pull or verify; else the destination, then a copy's source. */
export function registriesOf({ kind, source, destination }: Pick<Job, 'kind' | 'source' | 'destination'>): string[] {
  if (kind === 'verify' && isLocal(source)) return []
  const from = kind === 'publish' ? [] : [at('/source', parseReference, source).registry]
  return kind === 'pull' || kind === 'verify' ? from : [parseDestination(destination ?? '').registry, ...from]
}

async function checkPublish(body: JobBody, options: JobRequestOptions): Promise<Checked> {
  const { mayName, caller } = options
  if (body.destination === undefined) {
    throw noDestination('a publish')
  }
  const { registry, namespace } = at('/destination', parseDestination, body.destination)
  at('/destination', () => requireBelow(caller, { registry, namespace }), undefined)
  await later('/destination', mayName, registry)
  const { tag, subject } = body.options ?? {}
  if (tag !== undefined) at('/options/tag', parseTag, tag)
  if (subject !== undefined) checkSubject(subject)
  await checkPublishSource(body, options)
  const destination = `oci://${formatRegistryPlace({ registry, path: namespace })}`
  return { source: body.source, destination, queueHost: registry, registries: [registry] }
}

function isLocal(source: string): boolean {
  return /^(?:store|file|upload):/.test(source)
}

async function checkVerify(body: JobBody, { sources, store, mayName, caller }: JobRequestOptions): Promise<Checked> {
  const { source } = body
  if (body.destination !== undefined) throw goesNowhere()
  if (isLocal(source)) {
    const stored = at('/source', storedDigest, source)
    if (stored === undefined) await checkLocalPackage(source, sources)
    else await later('/source', (digest) => checkStored(digest, store), stored)
    return { source, destination: null, queueHost: LOCAL_QUEUE, registries: [] }
  }
  const reference = parsePackageReference(source, '/source')
  const { registry } = reference
  at('/source', () => requirePlace(caller, reference), undefined)
  await later('/source', mayName, registry)
  return { source: formatReference(reference), destination: null, queueHost: registry, registries: [registry] }
}

function goesNowhere(): AppError {
  return new AppError('BODY_INVALID', 'a verify job goes nowhere, so it has no "destination"', {
    details: { pointer: '/destination' },
  })
}

async function checkCopy(body: JobBody, { mayName, caller }: JobRequestOptions): Promise<Checked> {
  const reference = copySource(body)
  at('/source', () => requirePlace(caller, reference), undefined)
  await later('/source', mayName, reference.registry)
  if (body.destination === undefined) throw noDestination('a copy')
  const { registry, namespace } = at('/destination', parseDestination, body.destination)
  await later('/destination', mayName, registry)
  const tag = body.options?.tag
  if (tag !== undefined) at('/options/tag', parseTag, tag)
  const repository = at('/destination', () => copiedRepository({ registry, namespace }, reference), undefined)
  at('/destination', () => requirePlace(caller, { registry, repository }), undefined)
  // Signed again it becomes another one where it lies.
  if (!body.options?.sign) checkNotItself(reference, { registry, namespace }, tag)
  const destination = `oci://${formatRegistryPlace({ registry, path: namespace })}`
  const registries = [...new Set([registry, reference.registry])]
  return { source: formatReference(reference), destination, queueHost: registry, registries }
}

/** One thing by tag or digest; or a repository, and patterns of its tags. */
function copySource({ source, options = {} }: JobBody): Reference {
  const { tags, tag } = options
  if (tags === undefined) return parsePackageReference(source, '/source')
  tags.forEach((pattern, place) => at(`/options/tags/${place}`, tagPattern, pattern))
  const reference = at('/source', parseReference, source)
  const pointer = tag !== undefined ? '/options/tag' : '/source'
  if (tag === undefined && reference.tag === undefined && reference.digest === undefined) return reference
  throw new AppError('BODY_INVALID', 'with "options.tags" the source is a repository, and its tags keep their names', {
    hint: 'Leave the tag out: "source": "oci://registry.example/team/nemo".',
    details: { pointer },
  })
}

async function checkPull(body: JobBody, { sources: { roots }, mayName, caller }: JobRequestOptions): Promise<Checked> {
  const { destination = null } = body
  const reference = parsePackageReference(body.source, '/source')
  checkParts(body.options)
  at('/source', () => requirePlace(caller, reference), undefined)
  await later('/source', mayName, reference.registry)
  if (destination?.startsWith('file:') && body.options?.transient === true) throw notTransient()
  if (destination?.startsWith('file:')) await locateFolder(destination, roots)
  else if (destination !== null && destination !== 'store:') throw noPullDestination(destination)
  const { registry } = reference
  return { source: formatReference(reference), destination, queueHost: registry, registries: [registry] }
}

/** Also not with a key that others keep, and what a signature would change is known once it is made. */
function signsNothing(): AppError {
  return new AppError('BODY_INVALID', 'a dry run makes no signature, so it takes no "options.sign"', {
    hint: 'Without it the plan is the same but for zarf.yaml, the signature, config and manifest, a few KiB.',
    details: { pointer: '/options/sign' },
  })
}

/** What describes a package has neither components nor images. */
function checkParts({ metadataOnly = false, components, images }: JobOptions = {}): void {
  const other = components === undefined ? images && 'images' : 'components'
  if (!metadataOnly || other === undefined) return
  throw new AppError(
    'BODY_INVALID',
    `"options.metadataOnly" leaves out all of them, so "options.${other}" chooses none`,
    {
      hint: 'Leave one of the two out.',
      details: { pointer: `/options/${other}` },
    },
  )
}

function noDestination(what: string): AppError {
  return new AppError('BODY_INVALID', `the field "destination" is missing: ${what} goes to a registry`, {
    hint: 'For example "destination": "oci://registry.example/team".',
    details: { pointer: '/destination' },
  })
}

function checkSubject(subject: string): void {
  if (isDigest(subject)) return
  try {
    parseTag(subject)
  } catch {
    throw new AppError('BODY_INVALID', `"${subject.slice(0, 160)}" is neither a tag nor a digest`, {
      hint: 'The subject is what the package refers to, in the repository that it is published to.',
      details: { pointer: '/options/subject' },
    })
  }
}

function notTransient(): AppError {
  return new AppError('BODY_INVALID', 'a pull into a folder leaves nothing in the store, so it cannot be transient', {
    hint: 'Leave "options.transient" out, or "destination".',
    details: { pointer: '/options/transient' },
  })
}

function noPullDestination(destination: string): AppError {
  return new AppError('BODY_INVALID', `a pull cannot go to "${destination.slice(0, 300)}"`, {
    hint: 'Leave "destination" out for the content store, or name a folder of this machine: file:/packages/.',
    details: { pointer: '/destination' },
  })
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
