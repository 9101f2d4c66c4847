import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { SCOPES } from '../../src/access/scopes.ts'
import { type AccessRow, isPagePart, rowOf } from '../helpers/access/routes.ts'
import {
  MAKERS,
  PARAMETERS,
  pathOf,
  type Person,
  PLAIN_SCOPES,
  startWorld,
  verdictOf,
  type World,
} from '../helpers/access/world.ts'

const [PLAIN, ALL] = [PLAIN_SCOPES, ['*']]

/** Who is what to a thing of ann's, and whether it is shown to them, and theirs to change. */
const RELATIONS: Readonly<Record<string, Person & { sees: boolean; changes: boolean }>> = {
  owner: { name: 'ann', scopes: PLAIN, sees: true, changes: true },
  covering: { name: 'cov', scopes: PLAIN, sees: true, changes: true },
  elsewhere: { name: 'els', scopes: PLAIN, sees: false, changes: false },
  stranger: { name: 'bob', scopes: PLAIN, sees: false, changes: false },
  reader: { name: 'rea', scopes: [...PLAIN, 'system:read'], sees: true, changes: false },
  admin: { name: 'adm', scopes: [...PLAIN, 'system:admin'], sees: true, changes: true },
  all: { name: 'ops', scopes: ALL, sees: true, changes: true },
}

/** A token of ann's for each scope alone, and one with none that layerd knows. */
const SINGLES = [...SCOPES, '*', 'nothing']

function people(registry: string): Record<string, Person> {
  const singles = SINGLES.map((scope) => [scope, { name: 'ann', scopes: [scope] }] as const)
  const limits: Readonly<Record<string, string>> = {
    covering: `repositories=${registry}/team/**`,
    elsewhere: `repositories=${registry}/other/**`,
  }
  const related = Object.entries(RELATIONS).map(([token, { name, scopes }]) => {
    const limit = limits[token]
    return [token, { name, scopes, ...(limit === undefined ? {} : { limits: limit }) }] as const
  })
  return Object.fromEntries([...singles, ...related])
}

/** Asks for a thing of ann's that nobody has changed yet. */
async function askAbout(world: World, token: string | undefined, { method, url }: Route, row: AccessRow) {
  const thing = row.about === undefined ? undefined : await thingFor(world, row)
  const ids = { host: world.registry.host, name: 'none', component: 'none', upload: 'p.tar.zst', id: 'none', ...thing }
  const query = row.query?.replace('{ref}', encodeURIComponent(world.reference)) ?? ''
  return verdictOf(await world.ask(token, method, pathOf(`${url}${query}`, ids), row))
}

const kept = new WeakMap<World, Map<string, string>>()

/** What is only looked at is the same one each time. */
async function thingFor(world: World, { about = 'job', changes }: AccessRow): Promise<Record<string, string>> {
  const known = kept.get(world) ?? new Map<string, string>()
  kept.set(world, known)
  const id = (changes ? undefined : known.get(about)) ?? (await world[MAKERS[about]]('ann'))
  if (!changes) known.set(about, id)
  return { [PARAMETERS[about]]: id }
}

/** An upload is about no repository, so that nobody is given it by one. */
function verdictFor(row: AccessRow, { sees, changes }: { sees: boolean; changes: boolean }) {
  if (!sees) return 'not there'
  return row.changes && !changes ? 'no scope' : 'through'
}

interface Route {
  readonly method: string
  readonly url: string
}

const nameOf = ({ method, url }: Route) => `${method} ${url}`
const isAsked = ({ method, url }: Route) => !isPagePart(url) && method !== 'OPTIONS' && method !== 'HEAD'

/** What changes a thing comes last: a package is the same one however often it is pulled. */
function asked({ routes }: World): readonly Route[] {
  const changes = ({ method, url }: Route) => Number(rowOf(method, url)?.changes ?? false)
  return routes.filter(isAsked).toSorted((a, b) => changes(a) - changes(b))
}

describe('route by scope by owner', () => {
  test('every route has its row, and every row a route', async (t) => {
    const { routes } = await startWorld(t, people)
    const rowless = routes.filter(({ method, url }) => !isPagePart(url) && rowOf(method, url) === undefined)
    assert.deepEqual(rowless, [])
  })

  test('without a token, and with each scope alone, each route lets through exactly who has what it asks for', async (t) => {
    const world = await startWorld(t, people)
    const wrong: string[] = []
    for (const route of asked(world)) {
      const row = rowOf(route.method, route.url)
      if (!row) continue
      const open = row.scopes === 'open'
      const nobody = await askAbout(world, undefined, route, row)
      if (nobody !== (open ? 'through' : 'unknown')) wrong.push(`${nobody}: ${nameOf(route)} without a token`)
      for (const scope of SINGLES) {
        const has = typeof row.scopes === 'string' || scope === '*' || (row.scopes as readonly string[]).includes(scope)
        const verdict = await askAbout(world, scope, route, row)
        if (verdict !== (has ? 'through' : 'no scope')) wrong.push(`${verdict}: ${nameOf(route)} with ${scope}`)
      }
    }
    assert.deepEqual(wrong, [])
  })

  test('a thing shows to whom it should, and is there for nobody else', async (t) => {
    const world = await startWorld(t, people)
    const wrong: string[] = []
    for (const route of asked(world)) {
      const row = rowOf(route.method, route.url)
      if (row?.about === undefined) continue
      for (const [token, { sees, changes }] of Object.entries(RELATIONS)) {
        const wanted = verdictFor(row, { sees: sees && (token !== 'covering' || row.about !== 'upload'), changes })
        const verdict = await askAbout(world, token, route, row)
        if (verdict !== wanted) wrong.push(`${verdict}, not ${wanted}: ${nameOf(route)} by ${token}`)
      }
    }
    assert.deepEqual(wrong, [])
  })
})
