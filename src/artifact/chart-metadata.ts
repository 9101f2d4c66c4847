import { always, any, flag, list, map, type Static, struct, text } from '../zarf/definition/shape.ts'
import { encodeGoJson } from '../zarf/definition/go-json.ts'

/**
 * A Chart.yaml as Helm's Go types have it, whose JSON is the config of a chart in a registry. Source: helm v3.22
 * pkg/chart/metadata.go, dependency.go.
 */
const DEPENDENCY = struct({
  name: always(text),
  version: text,
  repository: always(text),
  condition: text,
  tags: list(text),
  enabled: flag,
  'import-values': list(any),
  alias: text,
})
export const CHART = struct({
  name: text,
  home: text,
  sources: list(text),
  version: text,
  description: text,
  keywords: list(text),
  maintainers: list(struct({ name: text, email: text, url: text })),
  icon: text,
  apiVersion: text,
  condition: text,
  tags: text,
  appVersion: text,
  deprecated: flag,
  annotations: map,
  kubeVersion: text,
  dependencies: list(DEPENDENCY),
  type: text,
})
export type Chart = Static<typeof CHART>

/** Its members that helm wants to be texts: a number where one stands is refused there. */
export const CHART_TEXTS: readonly string[] = Object.entries(CHART.fields).flatMap(([name, shape]) =>
  shape === text ? [name] : [],
)

/** The config of a chart, byte for byte as helm writes it. */
export function chartConfig(chart: Chart): Buffer {
  return Buffer.from(encodeGoJson(CHART, chart))
}

/** Without what cannot be seen, as helm has it. Source: helm v3.22 pkg/chart/metadata.go sanitizeString, Go's unicode.IsSpace, IsPrint. */
export function sanitized(chart: Chart): Chart {
  const { name, description, home, icon, condition, tags, appVersion, kubeVersion, ...rest } = chart
  const texts = { name, description, home, icon, condition, tags, appVersion, kubeVersion }
  const { sources, keywords, maintainers, dependencies } = chart
  return {
    ...rest,
    ...plainTexts(texts),
    ...(sources ? { sources: sources.map(plainText) } : {}),
    ...(keywords ? { keywords: keywords.map(plainText) } : {}),
    ...(maintainers ? { maintainers: maintainers.map(plainTexts) } : {}),
    ...(dependencies ? { dependencies: dependencies.map(plainDependency) } : {}),
  }
}

type Dependency = NonNullable<Chart['dependencies']>[number]

function plainDependency({ name, version, repository, condition, tags, ...rest }: Dependency): Dependency {
  return {
    ...rest,
    ...plainTexts({ name, version, repository, condition }),
    ...(tags ? { tags: tags.map(plainText) } : {}),
  }
}

function plainTexts<T extends Record<string, string | undefined>>(texts: T): { [K in keyof T]?: string } {
  const found = Object.entries(texts).flatMap(([name, value]) =>
    value === undefined ? [] : [[name, plainText(value)]],
  )
  return Object.fromEntries(found) as { [K in keyof T]?: string }
}

function plainText(value: string): string {
  return value.replaceAll(/\p{White_Space}/gu, ' ').replaceAll(/[^\p{L}\p{M}\p{N}\p{P}\p{S} ]/gu, '')
}

const OCI = 'org.opencontainers.image.'

/**
 * What a chart's manifest says of it: what helm says, then the chart's own annotations but for those of its name and version.
 * `created`: as RFC 3339. Source: helm v3.22 pkg/registry/util.go generateOCIAnnotations.
 */
export function chartAnnotations(chart: Chart, created: string | undefined): Record<string, string> {
  const { annotations = new Map<string, string>(), name, version, description, home, sources = [] } = chart
  const said: ReadonlyArray<readonly [string, string | undefined]> = [
    ['description', description],
    ['title', name],
    ['version', version],
    ['url', home],
    ['created', created],
    ['source', sources[0]],
    ['authors', authorsOf(chart)],
  ]
  const kept = said.flatMap(([key, value = '']) => (value.trim() === '' ? [] : [[`${OCI}${key}`, value] as const]))
  const fixed = new Set([`${OCI}version`, `${OCI}title`])
  const own = [...annotations].filter(([key]) => !fixed.has(key))
  return Object.fromEntries([...kept, ...own])
}

function authorsOf({ maintainers = [] }: Chart): string {
  return maintainers.map(({ name = '', email = '' }) => (email === '' ? name : `${name} (${email})`)).join(', ')
}
