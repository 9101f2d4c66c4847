/** What undoes things when it ends: a test's context, `{ after }` of a suite, or a program's own stack. */
export interface Cleanup {
  after(undo: () => Promise<void>): void
}

type Undo = () => void | Promise<void>

const stacks = new WeakMap<Cleanup, Undo[]>()

/**
 * Runs `undo` when `owner` ends, the newest first and each one even if another failed. node:test runs `after` hooks
 * in the order they were registered, which would remove a server's folder before the server has ended.
 */
export function defer(owner: Cleanup, undo: Undo): void {
  const known = stacks.get(owner)
  if (known) {
    known.push(undo)
    return
  }
  const stack = [undo]
  stacks.set(owner, stack)
  owner.after(() => unwind(stack))
}

async function unwind(stack: Undo[]): Promise<void> {
  const errors: unknown[] = []
  for (let undo = stack.pop(); undo !== undefined; undo = stack.pop()) {
    try {
      await undo()
    } catch (error) {
      errors.push(error)
    }
  }
  if (errors.length === 1) throw errors[0]
  if (errors.length > 1) throw new AggregateError(errors, 'several clean-up steps failed')
}

/** An owner for programs that are no test: `await using stack = new CleanupStack()`. */
export class CleanupStack implements Cleanup, AsyncDisposable {
  readonly #undos: Undo[] = []

  after(undo: () => Promise<void>): void {
    this.#undos.push(undo)
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await unwind(this.#undos)
  }
}
