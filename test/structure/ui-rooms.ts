import type { Room } from './table.ts'

/** Pages of the dashboard know nothing of each other: each is loaded alone. */
const PAGE: Room = { imports: ['ui/api', 'ui/state', 'ui/parts', 'ui/format', 'ui/place'] }

/** The dashboard's. */
export const UI_ROOMS: Readonly<Record<string, Room>> = {
  // A client like any other, in a browser: of the daemon it knows the contract, and nothing of src.
  ui: {
    faces: [],
    top: ['ui/shell', 'ui/state', 'ui/styles'],
    types: ['../clients/typescript/src/schema.d.ts'],
    packages: ['svelte', 'vite', '@sveltejs/vite-plugin-svelte'],
  },
  'ui/shell': {
    imports: [
      'ui/api',
      'ui/state',
      'ui/parts',
      'ui/place',
      ...['overview', 'jobs', 'job', 'new', 'packages', 'registries', 'system'].map((page) => `ui/pages/${page}`),
    ],
  },
  'ui/pages/overview': { ...PAGE, packages: ['uplot'] },
  'ui/pages/jobs': PAGE,
  'ui/pages/job': PAGE,
  'ui/pages/registries': PAGE,
  'ui/pages/new': { ...PAGE, packages: ['tus-js-client'] },
  'ui/pages/packages': PAGE,
  'ui/pages/system': PAGE,
  'ui/parts': {
    imports: ['ui/state', 'ui/format', 'ui/place'],
    types: ['ui/api'],
    packages: ['@tanstack/svelte-virtual'],
  },
  'ui/state': { imports: ['ui/api'] },
  'ui/format': { types: ['ui/api/types.ts'] },
  'ui/api': { imports: ['../clients/typescript/src/messages.ts'], packages: ['openapi-fetch'] },
  'ui/place': {},
  'ui/styles': {},
}
