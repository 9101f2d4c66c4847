import { setImmediate as nextTurn } from 'node:timers/promises'
import { openUploadFolder } from '../../../src/files/upload-folder.ts'
import { createUploadLocks } from '../../../src/jobs/uploads/upload-locks.ts'
import { isAppError } from '../../../src/lib/errors.ts'

/**
 * A process that writes to an upload until somebody else may: `SOCKET FOLDER ID EXPIRY_MS`. It prints the code of the error that ended
 * it, or `stopped` where it was asked to.
 */
const [socketPath = '', folder = '', id = '', expiryMs = '0'] = process.argv.slice(2)
const locks = createUploadLocks({ redis: { socketPath }, expiryMs: Number(expiryMs) })
const uploads = await openUploadFolder({ folder })
const stop = new AbortController()
const lock = await locks.acquire(id, { signal: new AbortController().signal, onWanted: () => stop.abort() })
const right = { isDoubtful: lock.isDoubtful, check: () => lock.check(), commit: async () => undefined }

async function* bytes(): AsyncGenerator<Buffer> {
  while (!stop.signal.aborted) {
    await nextTurn()
    yield Buffer.alloc(16 * 1024, 'a')
  }
}

try {
  await uploads.partials.append(id, bytes(), { offset: 0, right })
  console.log('stopped')
} catch (error) {
  console.log(isAppError(error) ? error.code : String(error))
}
await lock.release()
await locks.close()
