import { copiers } from './peers.ts'
import { compete, type Contender, type Round, type Row } from './rows.ts'
import { checkLayers, publishJob, type Start, type TaskContext } from './tasks.ts'
import type { Daemon } from './layerd.ts'

/** From one registry to another one: one large layer, then many small ones. */
export async function copyTasks(from: Start, to: Start, context: TaskContext): Promise<Row[]> {
  await using source = await from()
  const rows: Row[] = []
  for (const input of [await context.inputs.blob(), await context.inputs.small()]) {
    const { built, label } = input
    await context.daemon.run(publishJob(built, source, 'copied'))
    const repository = `copied/${built.name}`
    const check = (round: Round) =>
      checkLayers(round, { repository: `${round.id}/${built.name}`, count: built.files.length })
    const task = {
      name: `copy ${label} from ${source.name}`,
      direction: 'push' as const,
      bytes: built.contentBytes,
      farEnd: to,
    }
    const own = copier(context.daemon, { source: `${source.host}/${repository}`, check })
    rows.push(...(await compete(task, [own, ...copiers({ source, repository, name: built.name }, check)], context)))
  }
  return rows
}

function copier(daemon: Daemon, { source, check }: { source: string; check: (round: Round) => unknown }): Contender {
  return {
    name: 'layerd',
    async run(round) {
      const destination = `oci://${round.farEnd.host}/${round.id}`
      const cost = await daemon.run({ kind: 'copy', source: `oci://${source}:1.0.0`, destination })
      await check(round)
      return cost
    },
  }
}
