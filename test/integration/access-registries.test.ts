import assert from 'node:assert/strict'
import { test, type TestContext } from 'node:test'
import type { Problem } from '../../src/jobs/model/definitions.ts'
import { startApp } from '../helpers/streams/http-app.ts'
import { ask, tokensFor } from '../helpers/streams/principals.ts'

const HOST = 'registry.example:5000'
const PEOPLE = {
  ops: '*',
  team: `registries:admin repositories=${HOST}/team/**`,
  one: `registries:admin repositories=${HOST}/team/nemo`,
  host: `registries:admin registries=${HOST}`,
  all: `registries:admin repositories=${HOST}/**,mirror.example/copies/**`,
  elsewhere: 'registries:admin repositories=other.example/**',
}
type Person = keyof typeof PEOPLE
const CREDENTIALS = { credentials: { username: 'ann', password: 'a-password-of-ann' } }

async function start(t: TestContext) {
  const { app } = await startApp(t, { tokensFile: await tokensFor(t, PEOPLE) })
  /** Its status, and the code of the problem. */
  const asked = async (person: Person, method: 'GET' | 'PUT' | 'DELETE' | 'POST', path: string, payload?: object) => {
    const headers = method === 'DELETE' ? { 'if-match': '*' } : {}
    const url = `/v1/registries${path}`
    const answer = await ask(app, person, { method, url, headers, ...(payload ? { payload } : {}) })
    const { code, items }: Partial<Problem> & { items?: { id: string }[] } = answer.body === '' ? {} : answer.json()
    return items?.map(({ id }) => id) ?? code ?? answer.statusCode
  }
  return { asked }
}

test('what is kept of a registry is changed by who may touch all of it, and of a path by who may touch all below', async (t) => {
  const { asked } = await start(t)
  const all = { [`/${HOST}`]: { limits: { concurrency: 2 } }, [`/${HOST}~team`]: CREDENTIALS }
  const paths = { ...all, [`/${HOST}~team~a`]: CREDENTIALS, [`/${HOST}~other`]: CREDENTIALS }
  const changed: Record<Person, readonly number[]> = {
    ops: [0, 1, 2, 3],
    host: [0, 1, 2, 3],
    all: [0, 1, 2, 3],
    team: [1, 2],
    one: [],
    elsewhere: [],
  }
  for (const [person, through] of Object.entries(changed) as Array<[Person, readonly number[]]>) {
    for (const [place, [path, payload]] of Object.entries(paths).entries()) {
      const isThrough = through.includes(place)
      const found = [await asked(person, 'PUT', path, payload), await asked(person, 'DELETE', path)]
      assert.deepEqual(found, isThrough ? [201, 204] : ['TOKEN_LIMITED', 'TOKEN_LIMITED'], `${person} ${path}`)
    }
    const whole = through.includes(0) ? 204 : 'TOKEN_LIMITED'
    assert.equal(await asked(person, 'DELETE', `/${HOST}/profile`), whole, `${person}: what was learnt`)
  }
})

test('of paths one sees those that have to do with what one may touch', async (t) => {
  const { asked } = await start(t)
  const ids = [HOST, `${HOST}~other`, `${HOST}~team`, `${HOST}~team~a`]
  for (const id of ids) assert.equal(await asked('ops', 'PUT', `/${id}`, id === HOST ? {} : CREDENTIALS), 201)
  const seen: Record<Person, readonly string[]> = {
    ops: ids,
    host: ids,
    all: ids,
    team: [HOST, `${HOST}~team`, `${HOST}~team~a`],
    one: [HOST, `${HOST}~team`],
    elsewhere: [],
  }
  for (const [person, theirs] of Object.entries(seen) as Array<[Person, readonly string[]]>) {
    assert.deepEqual(await asked(person, 'GET', ''), theirs, person)
    for (const id of ids.filter((one) => !theirs.includes(one)))
      assert.equal(await asked(person, 'GET', `/${id}`), 'TOKEN_LIMITED', `${person} ${id}`)
    for (const id of theirs) assert.equal(await asked(person, 'GET', `/${id}`), 200, `${person} ${id}`)
  }
})

test("a mirror is read with the daemon's password, so all that lies there has to be the caller's", async (t) => {
  const { asked } = await start(t)
  for (const [mirror, verdict] of [
    ['mirror.example', 'TOKEN_LIMITED'],
    ['mirror.example/other', 'TOKEN_LIMITED'],
    ['mirror.example/copies', 201],
  ] as const)
    assert.equal(await asked('all', 'PUT', `/${HOST}`, { mirror }), verdict, mirror)
})

test('a ping asks for no repository with the password of the daemon that its caller may not touch', async (t) => {
  const { asked } = await start(t)
  const ping = (person: Person, repository: string) => asked(person, 'POST', `/${HOST}/ping`, { repository })
  assert.equal(await ping('team', 'other/nemo'), 'TOKEN_LIMITED')
  assert.equal(await ping('one', 'team/other'), 'TOKEN_LIMITED')
  assert.equal(await ping('elsewhere', 'team/nemo'), 'TOKEN_LIMITED')
})
