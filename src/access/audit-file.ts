import { constants } from 'node:fs'
import { type FileHandle, open, stat } from 'node:fs/promises'
import type { AuditRecord } from './audit.ts'

/** A file of JSON lines that is appended to: 0600 where it is made here. */
export interface AuditFile {
  /** Throws errors of the file system; what stands in the file by then is not written again. */
  write(records: readonly AuditRecord[]): Promise<void>
  close(): Promise<void>
}

/** O_NONBLOCK: a pipe that nobody reads holds up nobody. */
const FLAGS = constants.O_APPEND | constants.O_CREAT | constants.O_WRONLY | constants.O_NONBLOCK

/** Opened with the first record, and again where another file, or none, lies at the path by then: it was rotated. */
export function openAuditFile(path: string): AuditFile {
  let handle: FileHandle | undefined
  /** Of the records that are asked for: those that failed are asked for again, first. */
  let written = 0
  let torn = false

  const current = async (): Promise<FileHandle> => {
    if (handle && (await isAt(handle, path))) return handle
    await handle?.close()
    handle = undefined
    torn = false
    handle = await open(path, FLAGS, 0o600)
    return handle
  }
  return {
    async write(records) {
      const file = await current()
      for (; written < records.length; written += 1) {
        // What a full disk cut off is no line: the next one begins anew.
        const line = Buffer.from(`${torn ? '\n' : ''}${JSON.stringify(records[written])}\n`)
        torn = false
        for (let at = 0; at < line.length; ) {
          const { bytesWritten } = await file.write(line, at).catch((error: unknown) => {
            torn = at > 0
            throw error
          })
          at += bytesWritten
        }
      }
      written = 0
    },
    async close() {
      await handle?.close()
    },
  }
}

async function isAt(handle: FileHandle, path: string): Promise<boolean> {
  try {
    const [open, there] = await Promise.all([handle.stat(), stat(path)])
    return open.ino === there.ino && open.dev === there.dev
  } catch {
    return false
  }
}
