import { join } from 'node:path'
import { createContentStore } from '../../../src/store/content-store.ts'
import { descriptorOf } from './content-suite.ts'
import { someBytes } from '../registries/oci-client.ts'

/**
 * A process that holds on to something of a store until it is killed: `lease FOLDER SIZE` leases a blob of that size,
 * `hold FOLDER SIZE` keeps room for an archive, `push FOLDER SIZE STOP` stores one whose source hangs after STOP bytes. It prints `ready` when it is there.
 */
const [verb, folder = '', size = '0', stop = '0'] = process.argv.slice(2)
const store = await createContentStore({ folder })
const { signal } = new AbortController()
const bytes = someBytes(verb === 'hold' ? 0 : Number(size))

if (verb === 'hold') {
  await store.room.reserve({ path: join(folder, '..', 'uploads', 'p.tar'), bytes: Number(size), what: 'archive' })
  console.log('ready')
  setInterval(() => undefined, 1000)
} else if (verb === 'lease') {
  await store.lease([descriptorOf(bytes)])
  console.log('ready')
  setInterval(() => undefined, 1000)
} else {
  await store.push(descriptorOf(bytes), async () => hanging(), { signal })
}

async function* hanging() {
  const end = Number(stop)
  for (let at = 0; at < end; at += 64 * 1024) yield bytes.subarray(at, Math.min(end, at + 64 * 1024))
  console.log('ready')
  await new Promise(() => setInterval(() => undefined, 1000))
}
