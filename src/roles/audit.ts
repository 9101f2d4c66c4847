import type { AuditRecord } from '../access/audit.ts'
import { openAuditFile } from '../access/audit-file.ts'
import { type AuditOutlet, createAuditOutlet } from '../access/audit-outlet.ts'
import type { AppOptions } from '../http/app.ts'
import { createAuditLog } from '../jobs/access/audit-log.ts'
import type { RedisTarget } from '../jobs/redis/redis.ts'
import type { Logger } from '../lib/logger.ts'

export interface AuditOptions {
  redis: RedisTarget
  prefix: string
  entries: number
  /** LAYERD_AUDIT_FILE. Default: none. */
  file?: string | undefined
  logger: Logger
}

/** Where records of who did what go: Redis, and a file. */
export interface Audit extends AsyncDisposable {
  readonly trail: AppOptions['audit']
  /** For the figures, by where they go. */
  readonly outlets: ReadonlyMap<string, AuditOutlet>
  close(): Promise<void>
}

export function openAudit({ file: path, logger, ...options }: AuditOptions): Audit {
  const log = createAuditLog(options)
  const file = path === undefined ? undefined : openAuditFile(path)
  const outlet = (where: string, write: (records: readonly AuditRecord[]) => Promise<void>) =>
    createAuditOutlet({
      write,
      onTrouble(error) {
        if (error === undefined) logger.info({ where }, 'the audit is written again')
        else
          logger.error(
            { where, err: error },
            'the audit cannot be written; entries wait, and are lost where too many do',
          )
      },
    })
  const outlets = new Map([
    ['redis', outlet('Redis', (records) => log.append(records))],
    ...(file === undefined ? [] : [['file', outlet(path ?? '', (records) => file.write(records))] as const]),
  ])
  const close = async (): Promise<void> => {
    await Promise.all([...outlets.values()].map((one) => one.close()))
    await file?.close()
    log.close()
  }
  return {
    trail: {
      record(entry) {
        for (const one of outlets.values()) one.record(entry)
      },
      list: (filter, page) => log.list(filter, page),
    },
    outlets,
    close,
    [Symbol.asyncDispose]: close,
  }
}
