import type { Component } from 'svelte'

interface Loaded {
  // Each page has its own properties; the router hands them what the address says.
  default: Component<Record<string, string>>
}

export interface ShownPage {
  readonly title: string
  /** Another one is another page: nothing of the last is kept. */
  readonly key: string
  readonly props: Record<string, string>
  readonly load: () => Promise<Loaded>
}

interface Place {
  readonly path: RegExp
  readonly title: string
  readonly load: () => Promise<unknown>
}

/** Loaded when first wanted: the first view is to be small. */
const PLACES: readonly Place[] = [
  { path: /^\/$/, title: 'Overview', load: () => import('../pages/overview/Overview.svelte') },
  { path: /^\/jobs$/, title: 'Jobs', load: () => import('../pages/jobs/Jobs.svelte') },
  { path: /^\/jobs\/(?<id>[^/]+)$/, title: 'Job', load: () => import('../pages/job/JobPage.svelte') },
  { path: /^\/registries$/, title: 'Registries', load: () => import('../pages/registries/Registries.svelte') },
  { path: /^\/packages$/, title: 'Packages', load: () => import('../pages/packages/Packages.svelte') },
  {
    path: /^\/packages\/(?<digest>[^/]+)$/,
    title: 'Package',
    load: () => import('../pages/packages/PackagePage.svelte'),
  },
  { path: /^\/new$/, title: 'New job', load: () => import('../pages/new/NewJob.svelte') },
  { path: /^\/system$/, title: 'System', load: () => import('../pages/system/System.svelte') },
]

export function pageAt(path: string): ShownPage | undefined {
  for (const place of PLACES) {
    const found = place.path.exec(path)
    if (!found) continue
    const props = Object.fromEntries(Object.entries(found.groups ?? {}).map(([name, text]) => [name, decoded(text)]))
    return { title: place.title, key: path, props, load: place.load as () => Promise<Loaded> }
  }
  return undefined
}

function decoded(text: string): string {
  try {
    return decodeURIComponent(text)
  } catch {
    return text
  }
}
