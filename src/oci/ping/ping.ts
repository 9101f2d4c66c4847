import { lookup as systemLookup } from 'node:dns'
import type { LookupFunction } from 'node:net'
import type { RegistryFactStore } from '../../content/registry-facts.ts'
import { registryId } from '../../content/reference.ts'
import { type Clock, systemClock } from '../../lib/clock.ts'
import { childController } from '../../lib/abort.ts'
import { AppError, isAppError } from '../../lib/errors.ts'
import { maskFor } from '../auth/token.ts'
import type { CredentialProvider, RegistryCredential } from '../credentials/provider.ts'
import { createKeptFacts } from '../facts/kept-facts.ts'
import { learnShown } from '../facts/registry-kind.ts'
import { knownProfile } from '../facts/registry-profile.ts'
import type { OutboundPolicy } from '../request/outbound.ts'
import { COMMON_WAY, type RegistryWay } from '../request/registry-way.ts'
import type { RegistryConnections, RegistryTransport } from '../request/transport.ts'
import { type Proxies, proxyFor } from '../wire/exchanges/proxy-choice.ts'
import { type Login, loginCheck, pullCheck, pushCheck } from './access-checks.ts'
import { clockFinding, type EntryAnswer, entryCheck, kindFinding, limitsFinding } from './api-checks.ts'
import { type Check, type CheckList, type CheckName, createCheckList, type Looked } from './check.ts'
import { nameCheck, outboundCheck, routeCheck } from './network-checks.ts'
import { placeOf, type RegistryPlace } from './place.ts'
import { tlsCheck } from './tls-check.ts'

export interface PingRequest {
  /** host[:port]. */
  readonly registry: string
  /** Whose rights to pull and to push are looked at. */
  readonly repository?: string | undefined
}

/** What was found out about a registry. */
export interface PingReport {
  readonly host: string
  /** No check failed. */
  readonly ok: boolean
  /** What was spoken with it; null where it did not come to that. */
  readonly scheme: 'https' | 'http' | null
  /** What layerd takes it for: by its name, by what it shows or by what it did. */
  readonly profile: string
  readonly checks: Check[]
}

export interface PingOptions {
  readonly connections: RegistryConnections
  readonly credentials: CredentialProvider
  readonly plainHttp: boolean
  /** How it is reached. Default: as all are. */
  readonly way?: RegistryWay
  readonly policy: OutboundPolicy
  readonly proxy?: Proxies
  /** What was learnt of registries, to which this ping adds. Default: nothing is known, and nobody is told. */
  readonly facts?: RegistryFactStore
  /** Default: the system's. */
  readonly lookup?: LookupFunction
  readonly clock?: Clock
  /** For all checks together, ms. Default 28 s. */
  readonly withinMs?: number
  /** Of who waits. */
  readonly signal: AbortSignal
}

/** Short of the 30 s that callers are told, and of the minute after which proxies give up. */
const WITHIN_MS = 28_000
const LIMITS_MS = { name: 5000, outbound: 1000, route: 5000, tls: 6000, api: 8000, access: 10_000 }
const MAX_TOLD = 160
const NO_WAITS = { allows: () => false, excuse: () => undefined, progressed: () => undefined }

/**
 * Finds out what is wrong with a registry, one thing after another, each within a time of its own. Nothing is tried twice. Rejects
 * only when the caller goes (the signal's reason) or where the policy knows no such registry (REGISTRY_NOT_ALLOWED); all else is a
 * finding.
 */
export async function pingRegistry(request: PingRequest, options: PingOptions): Promise<PingReport> {
  const { registry, repository } = request
  const { signal, withinMs = WITHIN_MS, plainHttp, way = COMMON_WAY, policy } = options
  const reach = policy.reach(registry)
  const place = placeOf(registry, { plainHttp, reach, lookup: options.lookup ?? systemLookup })
  const list = createCheckList({ signal, withinMs })
  const kept = createKeptFacts(registryId(registry), options.facts)
  await kept.refresh()
  const report = (scheme: PingReport['scheme']): PingReport => ({
    host: registry,
    ok: list.checks.every(({ state }) => state !== 'failed'),
    scheme,
    profile: knownProfile(registry, kept.learned).name,
    checks: [...list.checks],
  })
  const asked = await whoAsks(request, options)
  const mask = maskFor(registry, 'error' in asked ? undefined : asked.credential)
  const told = (text: string): string => {
    const clean = mask.hide(text, { seen: `${registry}/${repository ?? ''} https http` })
    return clean.length > MAX_TOLD ? `${clean.slice(0, MAX_TOLD - 1)}…` : clean
  }
  if (!(await isReached(list, place, { ...options, way, told }))) {
    list.skip(['api', 'kind', 'clock', 'limits', 'login', ...accessNames(repository)], 'a check before it failed')
    return report(null)
  }
  const transport = options.connections.transport(registry, {
    credential: 'error' in asked ? undefined : asked.credential,
    plainHttp,
    way,
    budget: NO_WAITS,
    paced: false,
    onTraits(traits) {
      if (learnShown(kept.learned, traits)) kept.share()
    },
  })
  const entry = await lookAtEntry(list, transport, {
    ...options,
    told,
    repositoryNamed: repository !== undefined,
    profileName: () => knownProfile(registry, kept.learned).name,
  })
  if (entry === undefined) {
    list.skip(['kind', 'clock', 'limits', 'login', ...accessNames(repository)], 'there was no answer to go by')
    return report(null)
  }
  await lookAtAccess(list, { transport, asked, entry, repository })
  return report(entry.url.protocol === 'http:' ? 'http' : 'https')
}

function accessNames(repository: string | undefined): CheckName[] {
  return repository === undefined ? [] : ['pull', 'push']
}

type Asked = Login | { readonly error: AppError }

/** Looked up first, so that no text of the registry is told before it is known what has to be hidden. */
async function whoAsks({ registry, repository = '' }: PingRequest, options: PingOptions): Promise<Asked> {
  using looking = childController(options.signal)
  const timer = setTimeout(() => looking.abort(lateCredentials()), LIMITS_MS.access)
  try {
    const entry = await options.credentials.find({ registry, repository })
    const credential: RegistryCredential | undefined = entry?.given ?? (await entry?.credential(looking.signal))
    return { credential, source: entry?.source ?? '' }
  } catch (error) {
    if (options.signal.aborted || !isAppError(error)) throw error
    return { error }
  } finally {
    clearTimeout(timer)
  }
}

function lateCredentials(): AppError {
  return new AppError('CREDENTIALS_INVALID', `the credentials were not found within ${LIMITS_MS.access / 1000} s`, {
    retry: 'transient',
    hint: 'A cloud or a credential helper takes too long to give them: see whether it can be reached from here.',
  })
}

/** From the name to what is spoken at the port. */
async function isReached(
  list: CheckList,
  place: RegistryPlace,
  { proxy, way, clock = systemClock, told }: PingOptions & { way: RegistryWay; told: (text: string) => string },
): Promise<boolean> {
  const serverFor = proxyFor(way.own, proxy ?? {})
  const server = serverFor(place.url) ?? (place.plain ? serverFor(new URL(`http://${place.url.host}`)) : undefined)
  if (server) {
    list.skip(['name', 'outbound'], 'the proxy looks the name up')
    list.add('proxy', { state: 'ok', detail: `requests go through the proxy that ${server.setting} names` })
    list.skip(['route', 'tls'], 'the proxy connects; what is wrong there, the next check tells')
    return true
  }
  const found = await list.run('name', LIMITS_MS.name, () => nameCheck(place))
  const addresses = found && (await list.run('outbound', LIMITS_MS.outbound, () => outboundCheck(place, found)))
  if (addresses === undefined) {
    list.skip(found ? ['proxy', 'route', 'tls'] : ['outbound', 'proxy', 'route', 'tls'], 'a check before it failed')
    return false
  }
  list.add('proxy', { state: 'ok', detail: 'none: layerd connects by itself' })
  const route = await list.run('route', LIMITS_MS.route, (signal) => routeCheck(place, addresses, signal))
  if (route === undefined) {
    list.skip(['tls'], 'there is no connection')
    return false
  }
  const look = (signal: AbortSignal) => tlsCheck(place, route, { way: way.own, signal, now: clock.now(), told })
  return (await list.run('tls', LIMITS_MS.tls, look)) !== undefined
}

async function lookAtEntry(
  list: CheckList,
  transport: RegistryTransport,
  {
    clock = systemClock,
    told,
    repositoryNamed,
    profileName,
  }: PingOptions & { told: (text: string) => string; repositoryNamed: boolean; profileName: () => string },
): Promise<EntryAnswer | undefined> {
  const entry = await list.run('api', LIMITS_MS.api, (signal) =>
    entryCheck({ transport, told, repositoryNamed, now: () => clock.now(), signal }),
  )
  if (entry === undefined) return undefined
  list.add('kind', kindFinding(entry, profileName(), told))
  list.add('clock', clockFinding(entry))
  list.add('limits', limitsFinding(entry, told))
  return entry
}

/** A registry that asks for none is not failed by those. Throws CREDENTIALS_INVALID. */
function brokenCredentials(error: AppError, { status }: EntryAnswer): Looked<true> {
  if (status === 401) throw error
  const { message, hint = '' } = error
  return { state: 'warning', detail: `it asked for no log-in at /v2/; ${message}`, hint, value: true }
}

interface Access {
  readonly transport: RegistryTransport
  readonly asked: Asked
  readonly entry: EntryAnswer
  readonly repository: string | undefined
}

async function lookAtAccess(list: CheckList, { transport, asked, entry, repository }: Access): Promise<void> {
  const welcome = await list.run('login', LIMITS_MS.access, async (signal) => {
    if ('error' in asked) return brokenCredentials(asked.error, entry)
    return loginCheck(transport, asked, { entry, signal })
  })
  if (repository === undefined) return
  const showsItself = 'error' in asked || asked.credential !== undefined
  // Who shows nothing may still read what is open to all.
  if (welcome === undefined && showsItself) {
    list.skip(['pull', 'push'], 'these credentials are not shown again')
    return
  }
  await list.run('pull', LIMITS_MS.access, (signal) => pullCheck(transport, repository, signal))
  await list.run('push', LIMITS_MS.access, (signal) => pushCheck(transport, repository, signal))
}
