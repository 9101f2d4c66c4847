import { domainToASCII } from 'node:url'
import { AppError } from '../lib/errors.ts'
import { type Digest, parseDigest } from './digest.ts'

/** `registry/repository[:tag][@digest]`. Grammar: distribution/reference `regexp.go`; oci-client.md R1 to R3, R6. */
export interface Reference {
  /** `host[:port]`, lower case. */
  readonly registry: string
  /** Path inside the registry, without host. */
  readonly repository: string
  readonly tag?: string
  readonly digest?: Digest
}

/** Where a publish goes: a registry and an optional namespace; the package's name is appended. */
export interface Destination {
  readonly registry: string
  /** Without slashes at its ends; empty for the registry's root. */
  readonly namespace: string
}

const PATH_COMPONENT = /^[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*$/
const DOMAIN =
  /^(?:(?:[a-zA-Z0-9]|[a-zA-Z0-9][a-zA-Z0-9-]*[a-zA-Z0-9])(?:\.(?:[a-zA-Z0-9]|[a-zA-Z0-9][a-zA-Z0-9-]*[a-zA-Z0-9]))*|\[[a-fA-F0-9:]+\])(?::[0-9]{1,5})?$/
const TAG = /^[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}$/
/** Registries and clients cap the path at 255 (oci-client.md R3). */
const MAX_REPOSITORY = 255

/** Docker Hub's names; all mean docker.io. */
const HUB_NAMES = new Set(['docker.io', 'index.docker.io', 'registry-1.docker.io', 'registry.hub.docker.com'])

/** One name for what may be named in several ways: lower case, and docker.io for all of Docker Hub's. */
export function registryId(host: string): string {
  const name = host.toLowerCase()
  return HUB_NAMES.has(name) ? 'docker.io' : name
}

/**
 * Whether two names lead to one registry as far as they tell it by themselves: Docker Hub's, ports of the schemes, zeros before a port,
 * other forms of an address. What the DNS would say nobody asks.
 */
export function isSameRegistry(one: string, other: string): boolean {
  return plainHost(one) === plainHost(other)
}

/** Source: WHATWG URL 3.5, as what is asked for is made from it. */
function plainHost(registry: string): string {
  const id = registryId(registry)
  const url = URL.canParse(`http://${id}`) ? new URL(`http://${id}`).host : id
  return registryId(url.replace(/:443$/, ''))
}

/** A registry, or the repositories of one that begin with a path. */
export interface RegistryPlace {
  /** registryId of its host[:port]. */
  readonly registry: string
  /** Without slashes at its ends; empty: all of it. */
  readonly path: string
}

/**
 * Reads `host[:port][/path]`, or the id of it. Throws REFERENCE_INVALID.
 */
export function parseRegistryPlace(text: string): RegistryPlace {
  const { registry, namespace } = parseDestination(`oci://${fromPlaceId(text)}`)
  return { registry: registryId(registry), path: namespace }
}

/** `host[:port][/path]`. */
export function formatRegistryPlace({ registry, path }: RegistryPlace): string {
  return path === '' ? registry : `${registry}/${path}`
}

/**
 * A place as one part of a URL's path, with ~ for slashes and brackets: proxies decode %2F, and browsers and curl each have
 * their own mind of brackets. `[::1]:5000/team` is `~::1~:5000~team`. ~ is nothing that a place can hold, and is encoded by nobody.
 */
export function registryPlaceId(place: string): string {
  return place.replaceAll(/[/[\]]/g, '~')
}

function fromPlaceId(text: string): string {
  const [, address, rest] = /^~([^~]{0,100})~(.*)$/.exec(text) ?? []
  return (address === undefined ? text : `[${address}]${rest}`).replaceAll('~', '/')
}

export function isTag(text: string): boolean {
  return TAG.test(text)
}

/** Whether a reference can hold it. */
export function isRepository(text: string): boolean {
  return text.length <= MAX_REPOSITORY && text.split('/').every((component) => PATH_COMPONENT.test(component))
}

/** Throws TAG_INVALID with what is wrong. */
export function parseTag(text: string): string {
  if (TAG.test(text)) return text
  throw new AppError('TAG_INVALID', `"${text.slice(0, 160)}" cannot be a tag`, {
    hint: 'A tag has 1 to 128 characters of A-Z a-z 0-9 _ . - and does not begin with . or -; set "options.tag" to choose another.',
    details: { tag: text.slice(0, 160) },
  })
}

/** Throws REFERENCE_INVALID. `oci://` may be left out. */
export function parseReference(text: string): Reference {
  const { registry, path } = splitRegistry(text)
  const at = path.indexOf('@')
  const digest = at === -1 ? undefined : parseDigest(path.slice(at + 1))
  const named = at === -1 ? path : path.slice(0, at)
  const colon = named.lastIndexOf(':')
  const tag = colon === -1 ? undefined : named.slice(colon + 1)
  const repository = colon === -1 ? named : named.slice(0, colon)
  if (tag !== undefined && !TAG.test(tag)) throw invalid(text, `"${tag.slice(0, 160)}" cannot be a tag`)
  checkRepository(text, repository)
  return { registry, repository, ...(tag === undefined ? {} : { tag }), ...(digest === undefined ? {} : { digest }) }
}

/** Throws REFERENCE_INVALID. The namespace may be empty and may end in a slash; it names neither package nor tag. */
export function parseDestination(text: string): Destination {
  const { registry, path } = splitRegistry(text)
  const namespace = path.replace(/\/$/, '')
  if (namespace.includes(':') || namespace.includes('@')) {
    throw invalid(text, 'a destination is a registry and a namespace, without a tag or a digest', {
      hint: 'The package\'s own name and version become repository and tag; "options.tag" replaces the tag.',
    })
  }
  if (namespace !== '') checkRepository(text, namespace)
  return { registry, namespace }
}

/** Appends the package's name; throws REFERENCE_INVALID when the whole is not a repository. */
export function repositoryFor(destination: Destination, name: string): string {
  const repository = destination.namespace === '' ? name : `${destination.namespace}/${name}`
  checkRepository(`oci://${destination.registry}/${repository}`, repository)
  return repository
}

const STORED = 'store:'

/** Of `store:DIGEST`, as callers name a package of the store; undefined for what is none. Throws DIGEST_INVALID. */
export function storedDigest(source: string): Digest | undefined {
  return source.startsWith(STORED) ? parseDigest(source.slice(STORED.length)) : undefined
}

/** Where a copy of a repository goes: its last part after the namespace. Throws REFERENCE_INVALID. */
export function copiedRepository(destination: Destination, { repository }: Reference): string {
  return repositoryFor(destination, repository.slice(repository.lastIndexOf('/') + 1))
}

/** Throws BODY_INVALID for a copy that would end where it begins. */
export function checkNotItself(source: Reference, destination: Destination, tag: string | undefined): void {
  const there = tag ?? source.tag
  const same = registryId(destination.registry) === registryId(source.registry)
  if (!same || there === undefined || there !== source.tag) return
  if (copiedRepository(destination, source) !== source.repository) return
  throw new AppError('BODY_INVALID', `${formatReference(source)} would be copied onto itself`, {
    hint: 'Name another namespace, or another tag with "options.tag".',
    details: { pointer: '/destination' },
  })
}

export function formatReference(reference: Reference): string {
  const tag = reference.tag === undefined ? '' : `:${reference.tag}`
  const digest = reference.digest === undefined ? '' : `@${reference.digest}`
  return `oci://${reference.registry}/${reference.repository}${tag}${digest}`
}

/** What a manifest is asked for by. Throws REFERENCE_INVALID for a reference that names a repository alone. */
export function manifestName(reference: Reference): string {
  const name = reference.digest ?? reference.tag
  if (name !== undefined) return name
  throw invalid(formatReference(reference), 'it has neither a tag nor a digest', {
    hint: 'Name the version, such as oci://registry.example/team/name:1.0.0.',
  })
}

function splitRegistry(text: string): { registry: string; path: string } {
  const scheme = /^([a-z][a-z0-9+.-]*):\/\//i.exec(text)
  if (scheme && scheme[1]?.toLowerCase() !== 'oci') throw invalid(text, `the scheme "${scheme[1]}" is not oci`)
  const rest = scheme ? text.slice(scheme[0].length) : text
  const slash = rest.indexOf('/')
  const registry = slash === -1 ? rest : rest.slice(0, slash)
  if (registry === '') throw invalid(text, 'the registry host is missing')
  if (!DOMAIN.test(registry))
    throw invalid(text, `"${registry.slice(0, 160)}" is not a registry host`, inAscii(registry))
  const port = /:(\d+)$/.exec(registry)?.[1]
  if (port !== undefined && (Number(port) < 1 || Number(port) > 65_535)) {
    throw invalid(text, `${port} is not a port`, { hint: 'A port is a number from 1 to 65535.' })
  }
  if (!scheme && !looksLikeHost(registry)) {
    throw invalid(text, `"${registry}" does not name a registry host`, {
      hint: `Name the registry in full, for example docker.io/${registry}; a host has a dot or a port, or is localhost.`,
    })
  }
  return { registry: registry.toLowerCase(), path: slash === -1 ? '' : rest.slice(slash + 1) }
}

/** References are ASCII; an internationalised name has another form for that. Source: RFC 5890, what the DNS is asked. */
function inAscii(registry: string): { hint?: string } {
  const [, name = '', port = ''] = /^([^:]{1,253})(:\d{1,5})?$/.exec(registry) ?? []
  const ascii = domainToASCII(name)
  if (ascii === name || !DOMAIN.test(ascii)) return {}
  return { hint: `Write the host as the DNS knows it: ${ascii}${port}.` }
}

/** oci-client.md R2: machine input names the host; no default registry is guessed. After oci:// it is one whatever it looks like. */
function looksLikeHost(domain: string): boolean {
  return domain.includes('.') || domain.includes(':') || domain.toLowerCase() === 'localhost'
}

function checkRepository(text: string, repository: string): void {
  if (repository === '') throw invalid(text, 'the repository is missing')
  if (repository.length > MAX_REPOSITORY)
    throw invalid(text, `the repository is longer than ${MAX_REPOSITORY} characters`)
  const wrong = repository.split('/').find((component) => !PATH_COMPONENT.test(component))
  if (wrong === undefined) return
  throw invalid(
    text,
    wrong === ''
      ? 'the repository has an empty path component'
      : `"${wrong.slice(0, 160)}" cannot be part of a repository`,
    {
      hint: 'Repository components are lower-case letters and digits, joined by single . or _, by __ or by dashes.',
    },
  )
}

function invalid(text: string, why: string, options: { hint?: string } = {}): AppError {
  return new AppError('REFERENCE_INVALID', `the reference "${text.slice(0, 300)}" is not valid: ${why}`, {
    hint: options.hint ?? 'A reference looks like oci://registry.example:5000/namespace/name:tag.',
  })
}
