import process from 'node:process'

/**
 * Loaded into each test file by test/run.ts. The runner bounds tests, not files: one that leaves a socket or a timer
 * open after its last test would never end, and the runner would wait for it for ever.
 */
const boundMs = Number(process.env['LAYERD_TEST_FILE_MS'] ?? 1_200_000)

setTimeout(() => {
  const open = [...new Set(process.getActiveResourcesInfo())]
  process.stderr.write(`this test file has not ended after ${boundMs} ms; open: ${open.join(', ')}\n`)
  process.exit(1)
}, boundMs).unref()
