import { readdir, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { AppError } from '../../lib/errors.ts'
import { tryLockFile } from './file-lock.ts'
import type { StoreLayout } from '../files/layout.ts'
import { ownershipOf, renewing, takeName } from './owned-file.ts'
import { isThisHost, isThisProcess, newOwner, type Owner } from '../../lib/processes/owner.ts'

/**
 * Says that this process works on the store, until disposed or until it ends. A repair comes in only where nobody else
 * does, and nobody comes in during a repair: each writes its own name first and then looks for the other's.
 *
 * Throws STORE_BUSY during a repair.
 */
export async function joinUsers(layout: StoreLayout): Promise<AsyncDisposable> {
  await otherUsers(layout)
  const path = join(layout.users, newOwner().token)
  await takeName(path)
  const renewal = renewing(path)
  const leave = async () => {
    renewal[Symbol.dispose]()
    await rm(path, { force: true })
  }
  const repair = await ownershipOf(layout.repair)
  if (repair.state === 'held' && !isThisProcess(repair.owner)) {
    await leave()
    throw new AppError('STORE_BUSY', `the store in ${layout.folder} is being repaired by ${named([repair.owner])}`, {
      hint: 'Start layerd again when the repair has ended.',
    })
  }
  return { [Symbol.asyncDispose]: leave }
}

/** Keeps every other process out until disposed. Throws STORE_BUSY, naming those that are in. */
export async function lockForRepair(layout: StoreLayout): Promise<AsyncDisposable> {
  const lock = await tryLockFile(layout.repair)
  if (!lock) throw new AppError('STORE_BUSY', `the store in ${layout.folder} is being repaired already`)
  const others = await otherUsers(layout)
  if (others.length === 0) return lock
  await lock[Symbol.asyncDispose]()
  throw new AppError('STORE_BUSY', `the store in ${layout.folder} is in use by ${named(others)}`, {
    hint: 'Stop layerd, all of its processes, then repair. A check without --repair needs no stop.',
  })
}

/** Also takes away the names of those that have ended without a word. */
async function otherUsers(layout: StoreLayout): Promise<Owner[]> {
  const others: Owner[] = []
  for (const name of await readdir(layout.users)) {
    const path = join(layout.users, name)
    const ownership = await ownershipOf(path)
    if (ownership.state === 'abandoned') await rm(path, { force: true })
    if (ownership.state === 'held' && !isThisProcess(ownership.owner)) others.push(ownership.owner)
  }
  return others
}

function named(owners: readonly Owner[]): string {
  const here = owners.filter(isThisHost).map(({ pid }) => pid)
  const away = owners.length - here.length
  const processes = here.length > 0 ? `process ${here.toSorted((a, b) => a - b).join(', ')}` : ''
  const elsewhere = away > 0 ? `${away} of another machine or container` : ''
  return [processes, elsewhere].filter((part) => part !== '').join(' and ')
}
