import process from 'node:process'
import { createLogger } from '../../../src/lib/logger.ts'
import { CleanupStack } from '../cleanup.ts'
import { startTestWorker, type TestWorkerOptions } from './test-worker.ts'

/** node worker-child.ts JSON: a worker of TestWorkerOptions (secretKey as hex) until SIGTERM; its log goes to its output. */
type Settings = Omit<TestWorkerOptions, 'secretKey' | 'logger' | 'version'> & { secretKey: string }
const settings = JSON.parse(process.argv[2] ?? '') as Settings
await using stack = new CleanupStack()
const ended = new Promise((resolve) => process.once('SIGTERM', resolve))
await startTestWorker(stack, {
  ...settings,
  secretKey: Buffer.from(settings.secretKey, 'hex'),
  version: settings.name,
  logger: createLogger({ level: 'info', name: settings.name }),
})
console.log('takes jobs')
await ended
