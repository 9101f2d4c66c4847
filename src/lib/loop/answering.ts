import { parentPort, type Transferable } from 'node:worker_threads'
import { type PackedError, packError } from './packed-error.ts'

/** What a thread says of one question. */
export type Answer<A> = { readonly answer: A } | { readonly error: PackedError }

/** The thread's side: answers each question as it comes. What `transfer` names is handed over, not copied. */
export function answerQuestions(
  work: (question: never) => { answer: unknown; transfer: readonly Transferable[] },
): void {
  parentPort?.on('message', (question: unknown) => {
    try {
      const { answer, transfer } = work(question as never)
      tell({ answer }, transfer)
    } catch (error) {
      tell({ error: packError(error) }, [])
    }
  })
}

function tell(answer: Answer<unknown>, transfer: readonly Transferable[]): void {
  parentPort?.postMessage(answer, [...transfer])
}
