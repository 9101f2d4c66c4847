import { visible } from '../../../lib/text.ts'
import { answer } from '../../client/calls.ts'
import type { CommandContext } from '../../client/context.ts'
import type { System } from '../../client/contract.ts'
import type { ExitCode } from '../../client/terminal.ts'
import { formatBytes } from '../../view/format.ts'

/** `layerd system`: 1 where Redis is not well, or the disk runs low. Throws ApiProblem. */
export async function system({ client, terminal, json, quiet }: CommandContext): Promise<ExitCode> {
  const told = await answer(client.calls.GET('/v1/system'))
  if (json) terminal.stdout.write(`${JSON.stringify(told)}\n`)
  else if (!quiet) for (const line of [...storeLines(told), ...redisLines(told)]) terminal.stdout.write(`${line}\n`)
  return isWell(told) ? 0 : 1
}

function isWell({ store, redis }: System): boolean {
  return !store.disk.low && redis.reachable && redis.trouble === null && redis.writesFail !== true
}

function storeLines({ store: { usedBytes, limitBytes, promisedBytes, disk } }: System): string[] {
  const limit = limitBytes === null ? 'no limit of its own' : `of ${formatBytes(limitBytes)}`
  const promised = promisedBytes === 0 ? '' : `, ${formatBytes(promisedBytes)} promised to what is under way`
  const low = disk.low ? ': less than is kept free' : ''
  return [
    `store  ${formatBytes(usedBytes)} used, ${limit}${promised}`,
    `disk   ${formatBytes(disk.freeBytes)} of ${formatBytes(disk.totalBytes)} free, ${formatBytes(disk.reserveBytes)} kept free${low}`,
  ]
}

function redisLines({ redis }: System): string[] {
  const { address, version, role, usedBytes, limitBytes, evictionPolicy, trouble } = redis
  const which = [address ?? "layerd's own", version, role].filter((word) => word !== null).join(', ')
  const memory = usedBytes === null ? [] : [`       ${formatBytes(usedBytes)} of memory, ${limitText(limitBytes)}`]
  const policy =
    evictionPolicy === null || evictionPolicy === 'noeviction'
      ? []
      : [`       drops keys when it is full (${evictionPolicy}): set noeviction`]
  const kept = persistenceText(redis)
  return [
    visible(`redis  ${which}`),
    ...(trouble === null ? [] : [visible(`       ${trouble}`)]),
    ...memory,
    ...(kept === '' ? [] : [visible(`       ${kept}`)]),
    ...policy.map((line) => visible(line)),
  ]
}

function limitText(bytes: number | null): string {
  return bytes === null ? 'no limit' : `at most ${formatBytes(bytes)}`
}

function persistenceText({ appendOnly, appendFsync, snapshots, writesFail }: System['redis']): string {
  const log = appendOnly === true ? `append-only file${appendFsync === null ? '' : ` (fsync ${appendFsync})`}` : ''
  const kept = [log, snapshots === true ? 'snapshots' : ''].filter(Boolean).join(' and ')
  const none = appendOnly === false && snapshots === false ? 'kept in memory alone' : ''
  return [kept || none, writesFail === true ? 'the last write to its disk failed' : ''].filter(Boolean).join('; ')
}
