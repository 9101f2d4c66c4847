import { api, dataOf, problemOf, Refusal } from '../../api/client.ts'
import type { Job, JobRequest, Problem } from '../../api/types.ts'
import { Action } from '../../state/action.svelte.ts'
import { fleet } from '../../state/fleet.svelte.ts'
import { perform } from '../../state/job-actions.ts'
import { isFormKind, type JobKind, KINDS } from '../../state/kinds.ts'
import { hostOf, type Login, NO_LOGIN, registryAuthOf, type Side } from '../../state/logins.ts'
import { filledOf, joinedOptions, optionsOf } from './options.ts'

/** Where what is to be moved comes from. */
export type Origin = 'upload' | 'file' | 'store' | 'web' | 'reference'

export const ORIGINS: Readonly<Record<JobKind, readonly Origin[]>> = {
  publish: ['upload', 'file', 'store', 'web'],
  pull: ['reference'],
  copy: ['reference'],
  verify: ['reference', 'upload', 'file', 'store'],
}

export interface Label {
  name: string
  value: string
}

const SCHEMES: readonly [start: string, origin: Origin][] = [
  ['upload:', 'upload'],
  ['file:', 'file'],
  ['store:', 'store'],
  ['https:', 'web'],
]

/** What is asked for, as far as it has been said. What was refused is kept until it is asked for again. */
export class JobForm {
  kind = $state<JobKind>('publish')
  origin = $state<Origin>('upload')
  /** One of each origin, so that a look at another loses nothing. */
  sources = $state<Record<Origin, string>>({ upload: '', file: '', store: '', web: '', reference: '' })
  webSha256 = $state('')
  /** publish, copy: a registry. */
  destination = $state('')
  /** pull: a folder; empty: the store. */
  folder = $state('')
  options = $state<Record<string, string | boolean>>({})
  labels = $state<Label[]>([])
  /** Options that are kept though no field shows them, as the interface takes them. */
  more = $state.raw<Readonly<Record<string, unknown>>>({})
  logins = $state<Record<Side, Login>>({ source: { ...NO_LOGIN }, destination: { ...NO_LOGIN } })
  /** The job that it is filled in with. */
  again = $state.raw<Job | undefined>()
  readonly asking = new Action()
  readonly planning = new Action()
  planned = $state.raw<Job | undefined>()
  #key: { readonly of: string; readonly key: string } | undefined
  #plan = new AbortController()

  constructor(query: URLSearchParams) {
    this.choose(KINDS.find((kind) => kind === query.get('kind')) ?? 'publish')
    this.destination = query.get('destination') ?? ''
    if (query.get('plainHttp') === 'true') this.options['plainHttp'] = true
    this.#from(query.get('source') ?? '')
  }

  /** As that job was asked for, but for its log-in. Of a kind that has no form nothing is filled in. */
  fill(job: Job): void {
    const { kind, source, destination, labels } = job
    if (!isFormKind(kind)) return
    this.choose(kind)
    this.again = job
    this.#from(source)
    if (kind === 'pull') this.folder = destination?.startsWith('file:') ? destination : ''
    else this.destination = destination ?? ''
    const { dryRun: _, sha256 = '', ...options } = job.options as { dryRun?: boolean; sha256?: string }
    this.webSha256 = sha256
    const { said, rest } = filledOf(kind, options)
    this.options = said
    this.more = rest
    this.labels = Object.entries(labels).map(([name, value]) => ({ name, value }))
  }

  #from(source: string): void {
    if (source === '') return
    const origin = SCHEMES.find(([start]) => source.startsWith(start))?.[1] ?? 'reference'
    if (!ORIGINS[this.kind].includes(origin)) return
    this.origin = origin
    this.sources[origin] = source
  }

  choose(kind: JobKind): void {
    // Which options another kind takes nobody here knows.
    if (kind !== this.kind) this.more = {}
    this.kind = kind
    this.#forget()
    if (!ORIGINS[kind].includes(this.origin)) this.origin = ORIGINS[kind][0] ?? 'reference'
  }

  /** What the interface says of a field, by its pointer or one below it. */
  complaintOf(pointer: string): string | undefined {
    const { errors = [] } = this.refused ?? {}
    const own = errors.filter((error) => error.pointer === pointer || error.pointer.startsWith(`${pointer}/`))
    return own.length === 0 ? undefined : own.map(({ detail }) => detail).join('; ')
  }

  get source(): string {
    const said = this.sources[this.origin].trim()
    return this.origin === 'reference' ? withScheme(said) : said
  }

  /** Whose registry a log-in would be for. */
  get loginSides(): readonly Side[] {
    if (this.kind === 'copy') return ['source', 'destination']
    if (this.kind === 'publish') return ['destination']
    return this.kind === 'pull' || this.origin === 'reference' ? ['source'] : []
  }

  get refused(): Problem | undefined {
    return this.asking.refused ?? this.planning.refused
  }

  /** Gives the job, once it is accepted; else what was refused is in `refused`. */
  async submit(): Promise<Job | undefined> {
    this.planning.refused = undefined
    const job = await this.asking.run(() => this.#ask({}))
    if (job !== undefined) this.forgetSecrets()
    return job
  }

  /** What would happen; in `planned`, once it is known. */
  async plan(): Promise<void> {
    this.#forget()
    const { signal } = this.#plan
    const job = await this.planning.run(() => this.#planned(signal))
    if (!signal.aborted) this.planned = job
  }

  async #planned(signal: AbortSignal): Promise<Job | undefined> {
    let job: Job | undefined
    try {
      job = await this.#ask({ dryRun: true })
      while (!job.done) job = await nextOf(job, signal)
      return job
    } catch (error) {
      if (signal.aborted) return undefined
      throw error
    } finally {
      // Asked for once more it is another look.
      this.#key = undefined
      if (job) void forgetLook(job)
    }
  }

  forgetSecrets(): void {
    for (const login of Object.values(this.logins)) login.password = ''
  }

  leave(): void {
    this.forgetSecrets()
    this.#forget()
  }

  #forget(): void {
    this.#plan.abort()
    this.#plan = new AbortController()
    this.planned = undefined
    this.asking.refused = undefined
    this.planning.refused = undefined
  }

  async #ask(more: { dryRun?: true }): Promise<Job> {
    if (this.source === '') throw new Refusal(nothingChosen())
    const body = this.#body(more)
    const auth = registryAuthOf(this.loginSides.map((side) => ({ ...this.logins[side], address: this.#hostOf(side) })))
    const header = {
      'idempotency-key': this.#keyOf(JSON.stringify([body, auth])),
      ...(auth && { 'x-registry-auth': auth }),
    }
    const job = await dataOf(api.POST('/v1/jobs', { params: { header }, body }))
    fleet.learn([job])
    return job
  }

  /** The same for the same body, so that what is asked for twice is done once. */
  #keyOf(of: string): string {
    if (this.#key?.of !== of) this.#key = { of, key: randomKey() }
    return this.#key.key
  }

  #hostOf(side: Side): string {
    return hostOf(side === 'source' ? this.source : withScheme(this.destination.trim()))
  }

  #body(more: { dryRun?: true }): JobRequest {
    const said = joinedOptions(this.more, optionsOf(this.kind, this.options))
    const options = { ...said, ...this.#hash(), ...more }
    const labels = Object.fromEntries(
      this.labels.filter(({ name }) => name.trim() !== '').map(({ name, value }) => [name.trim(), value.trim()]),
    )
    // Which options a kind takes is the daemon's to say.
    return {
      kind: this.kind,
      source: this.source,
      ...this.#destination(),
      ...(Object.keys(options).length === 0 ? {} : { options }),
      ...(Object.keys(labels).length === 0 ? {} : { labels }),
    } as JobRequest
  }

  #hash(): { sha256?: string } {
    const sha256 = this.webSha256.trim().toLowerCase()
    return this.kind === 'publish' && this.origin === 'web' && sha256 !== '' ? { sha256 } : {}
  }

  #destination(): { destination?: string } {
    if (this.kind === 'verify') return {}
    if (this.kind !== 'pull') return { destination: withScheme(this.destination.trim()) }
    const folder = this.folder.trim()
    if (folder === '') return {}
    return { destination: folder.startsWith('/') ? `file:${folder.endsWith('/') ? folder : `${folder}/`}` : folder }
  }
}

/** People leave it out, as they may with other tools. */
function withScheme(reference: string): string {
  return reference === '' || reference.includes('://') ? reference : `oci://${reference}`
}

/** A look stays in no list of jobs. Where it cannot be deleted now it stays there, as what it is. */
async function forgetLook(job: Job): Promise<void> {
  try {
    if (!job.done) await perform('cancel', job.id)
    for (let now = job; !now.done; ) now = await nextOf(now)
    await perform('remove', job.id)
  } catch (error) {
    problemOf(error)
  }
}

/** As it is when it has changed, or half a minute later. */
async function nextOf(job: Job, signal?: AbortSignal): Promise<Job> {
  const params = { path: { id: job.id }, header: { prefer: 'wait=30' } }
  return dataOf(api.GET('/v1/jobs/{id}', { params, ...(signal && { signal }) }))
}

/** crypto.randomUUID is there only behind TLS and on this machine. */
function randomKey(): string {
  return Array.from(crypto.getRandomValues(new Uint32Array(4)), (part) => part.toString(16).padStart(8, '0')).join('')
}

function nothingChosen(): Problem {
  const detail = 'say what it is about first'
  return {
    type: 'about:blank',
    title: 'Nothing is chosen',
    status: 0,
    code: 'NOTHING_CHOSEN',
    detail,
    retryable: false,
    errors: [{ pointer: '/source', detail, code: 'NOTHING_CHOSEN' }],
  }
}
