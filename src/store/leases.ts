import type { Descriptor } from '../content/descriptor.ts'
import { AppError } from '../lib/errors.ts'
import { fileError } from './files/file-errors.ts'
import type { Lease } from './locks/locks.ts'
import { collectWith, type Parts } from './parts.ts'
import { sweepAbandoned } from './upkeep/abandoned.ts'
import { heldOn } from './upkeep/room.ts'
import { bytesToCome, checkSpace, measureSpace } from './upkeep/space.ts'

export interface LeaseNeeds {
  besideBytes: number
  maxBytes: number | undefined
}

/**
 * When there is no room, what nobody refers to goes first, grace or not: but nothing that this lease wants. The caller holds the
 * store's lock.
 */
export async function leaseOrCollect(parts: Parts, blobs: readonly Descriptor[], needs: LeaseNeeds): Promise<Lease> {
  await sweepAbandoned(parts.layout, parts.locks)
  const attempt = async (): Promise<Lease> => {
    await checkNeeds(parts, blobs, { ...needs, freedBytes: 0, sweep: true })
    return await parts.locks.lease(blobs)
  }
  try {
    return await attempt()
  } catch (thrown) {
    const error = await fileError(thrown, parts.layout.folder, 'the reservation of space')
    if (error.code !== 'STORE_FULL') throw error
    const { freedBytes } = await collectWith(parts, { graceMs: 0, keep: digestsOf(blobs) })
    if (freedBytes === 0) throw error
    return attempt()
  }
}

/** ContentStore's. */
export async function checkRoom(parts: Parts, blobs: readonly Descriptor[], needs: LeaseNeeds): Promise<void> {
  const check = (freedBytes: number) => checkNeeds(parts, blobs, { ...needs, freedBytes, sweep: false })
  try {
    await check(0)
  } catch (error) {
    if (!(error instanceof AppError) || error.code !== 'STORE_FULL') throw error
    const { freedBytes } = await collectWith(parts, { graceMs: 0, keep: digestsOf(blobs), countOnly: true })
    if (freedBytes === 0) throw error
    await check(freedBytes)
  }
}

function digestsOf(blobs: readonly Descriptor[]) {
  return new Set(blobs.map(({ digest }) => digest))
}

/** `freedBytes`: what a collection would bring; `sweep` as of LeasedOptions. Throws STORE_FULL. */
async function checkNeeds(
  { layout, locks, keepFree }: Parts,
  blobs: readonly Descriptor[],
  { besideBytes, maxBytes, freedBytes, sweep }: LeaseNeeds & { freedBytes: number; sweep: boolean },
): Promise<void> {
  const others = await locks.leased({ sweep })
  const mine = new Map(blobs.filter(({ digest }) => !others.has(digest)).map(({ digest, size }) => [digest, size]))
  const neededBytes = await bytesToCome(layout, mine)
  if (neededBytes === 0) return
  const promisedBytes = await bytesToCome(layout, others)
  const wholeBytes = [...new Map(blobs.map(({ digest, size }) => [digest, size])).values()].reduce((a, b) => a + b, 0)
  const heldBytes = await heldOn(layout.folder, locks, sweep)
  const space = await measureSpace(layout, keepFree)
  const [usedBytes, freeBytes] = [space.usedBytes - freedBytes, space.freeBytes + freedBytes]
  checkSpace(
    { ...space, usedBytes, freeBytes, low: freeBytes < space.reserveBytes },
    { neededBytes, wholeBytes, besideBytes, promisedBytes, heldBytes, maxBytes, folder: layout.folder },
  )
}
