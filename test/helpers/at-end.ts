import process from 'node:process'

const actions = new Set<() => void>()
let watching = false

/**
 * Runs `action`, which must be synchronous, when this process ends before its own clean-up could: a runner's time-out
 * sends SIGTERM, a person Ctrl-C. Call what it returns once the clean-up has been done.
 */
export function atEnd(action: () => void): () => void {
  if (!watching) watchOwnEnd()
  watching = true
  actions.add(action)
  return () => actions.delete(action)
}

function watchOwnEnd(): void {
  process.on('exit', () => {
    for (const action of [...actions].toReversed()) action()
  })
  for (const [name, number] of [
    ['SIGINT', 2],
    ['SIGTERM', 15],
    ['SIGHUP', 1],
  ] as const) {
    process.on(name, () => {
      // a program with a handler of its own decides for itself
      if (process.listenerCount(name) === 1) process.exit(128 + number)
    })
  }
}
