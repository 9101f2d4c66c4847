import assert from 'node:assert/strict'
import { test } from 'node:test'
import { createSessionNotes, type NoteChanges } from '../../../../src/jobs/uploads/session-notes.ts'
import { waitFor } from '../../../helpers/wait-for.ts'

const PLACE = { registry: 'registry.example', repository: 'team/nemo' }

/** Notes whose writing waits for `gate`, and what they hold once written. */
function scene(gate: Promise<void> = Promise.resolve()) {
  const writes: NoteChanges[] = []
  const held = new Map<string, string>()
  const notes = createSessionNotes(async (changes) => {
    writes.push(changes)
    await gate
    for (const { id, session } of changes.open) held.set(id, session.location)
    for (const id of changes.closed) held.delete(id)
  })
  return { notes, writes, held }
}

test('a session that is closed at once is never written, also when the run ends', async () => {
  const { notes, writes } = scene()
  for (let n = 0; n < 100; n += 1) notes.opened(PLACE, `/up/${n}`).closed()
  await notes.settle()
  assert.deepEqual(writes, [])
})

test('what stands open is written together, follows its location, and is taken away when it is closed', async () => {
  const { notes, writes, held } = scene()
  const all = [1, 2, 3].map((n) => notes.opened(PLACE, `/up/${n}`))
  await waitFor('the notes to be written', () => held.size === 3)
  assert.equal(writes.length, 1)
  all[0]?.moved('/up/1/further')
  all[1]?.closed()
  await waitFor('the changes to be written', () => [...held.values()].join() === '/up/1/further,/up/3')
  all.forEach((note) => note.closed())
  await notes.settle()
  assert.equal(held.size, 0)
})

test('the end of a run writes what it leaves open, without waiting for its turn', async () => {
  const { notes, held } = scene()
  notes.opened(PLACE, '/up/1')
  await notes.settle()
  assert.deepEqual([...held.values()], ['/up/1'])
})

test('a saved upload takes the note away, also one that is just being written', async () => {
  const gate = Promise.withResolvers<void>()
  const { notes, writes, held } = scene(gate.promise)
  const early = notes.opened(PLACE, '/up/early')
  const seen: unknown[] = []
  await notes.cover(early, async (id) => seen.push(id) > 0)
  const late = notes.opened(PLACE, '/up/late')
  await waitFor('the note to be on its way', () => writes.length === 1)
  const covered = notes.cover(late, async (id) => {
    assert.equal(held.size, 1, 'the note is there before it is taken away')
    return seen.push(id) > 0
  })
  gate.resolve()
  await covered
  assert.deepEqual(seen, [undefined, [...held.keys()][0]])
  late.closed()
  await notes.settle()
  assert.equal(writes.length, 1, 'what is covered is not taken away twice')
})

test('what a saved upload covered and the registry could not be told of is noted anew, where it stands now', async () => {
  const { notes, held } = scene()
  const note = notes.opened(PLACE, '/up/1')
  await notes.settle()
  await notes.cover(note, async () => true)
  held.clear()
  note.left('/up/1/further')
  await notes.settle()
  assert.deepEqual([...held.values()], ['/up/1/further'])
  note.closed()
  await notes.settle()
  assert.equal(held.size, 0)
})

test('a session that is given up is noted where it stands; one that is closed meanwhile is forgotten after that', async () => {
  const { notes, held } = scene()
  const [given, early] = [notes.opened(PLACE, '/up/1'), notes.opened(PLACE, '/up/2')]
  const uncovers: Array<[string, string]> = []
  const clear = async (id: string, { location }: { location: string }): Promise<boolean> => {
    uncovers.push([id, location])
    held.set(id, location)
    return true
  }
  given.moved('/up/1/further')
  await notes.uncover(given, clear)
  const gate = Promise.withResolvers<void>()
  const uncovered = notes.uncover(early, async (id, session) => {
    await gate.promise
    return clear(id, session)
  })
  early.closed()
  gate.resolve()
  await uncovered
  await notes.settle()
  assert.deepEqual(
    uncovers.map(([, location]) => location),
    ['/up/1/further', '/up/2'],
  )
  assert.deepEqual([...held.values()], ['/up/1/further'])
})

test('where the upload may not be saved any more, the note stays', async () => {
  const { notes, held } = scene()
  await notes.cover(notes.opened(PLACE, '/up/1'), async () => false)
  await notes.settle()
  assert.deepEqual([...held.values()], ['/up/1'])
})
