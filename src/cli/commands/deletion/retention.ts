import { type CommandContext, UsageError } from '../../client/context.ts'
import type { ExitCode } from '../../client/terminal.ts'
import { registryAuth } from '../registry-auth.ts'
import { dryRunOption, labels, runJob, sharedOptions } from '../submit.ts'
import type { DeleteOptions } from './delete.ts'

export interface RetentionOptions extends Omit<DeleteOptions, 'architecture'> {
  tags: string[]
  except?: string[]
  keep?: number
  by?: 'version' | 'created'
  olderThan?: string
  untagged?: boolean
  force?: boolean
}

/** `layerd retention REPOSITORY`: one rule; the API takes several. */
export async function retention(context: CommandContext, source: string, options: RetentionOptions): Promise<ExitCode> {
  const { tags, except, keep, by, olderThan, untagged, force } = options
  const rule = {
    tags,
    ...(except === undefined ? {} : { except }),
    ...(keep === undefined ? {} : { keepNewest: keep }),
    ...(by === undefined ? {} : { newestBy: by }),
    ...(olderThan === undefined ? {} : { olderThanDays: daysIn(olderThan) }),
  }
  const request = {
    kind: 'retention' as const,
    source,
    options: {
      retention: { rules: [rule], ...(untagged ? { untagged } : {}) },
      ...(force ? { force } : {}),
      ...dryRunOption(options),
      ...sharedOptions(options),
    },
    ...labels(options),
  }
  const headers = await registryAuth(context, source, options)
  return await runJob(context, request, { headers, detach: options.detach })
}

function daysIn(text: string): number {
  const [, count, unit] = /^(\d{1,5})([dw])$/.exec(text) ?? []
  if (count === undefined) throw new UsageError(`--older-than takes days or weeks, as 30d or 8w, not "${text}"`)
  return Number(count) * (unit === 'w' ? 7 : 1)
}
