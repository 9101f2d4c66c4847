import { type Transferable, Worker } from 'node:worker_threads'
import { abortReason } from '../abort.ts'
import { AppError } from '../errors.ts'
import type { Answer } from './answering.ts'
import { unpackError } from './packed-error.ts'

export interface ThreadOptions {
  /** The module that it runs, which answers by answerQuestions. */
  readonly file: URL
  /** How errors call it. */
  readonly name: string
  /** Its heap; a question that needs more ends the thread, not the process. */
  readonly memoryMib: number
  /** A question may take so long, ms, once it is its turn. */
  readonly timeMs: number
  /** The thread ends when nobody asked for so long, ms. */
  readonly idleMs: number
  /** The error of a question that needs more memory or time. */
  readonly tooCostly: (why: string) => AppError
}

interface Question<A> {
  readonly text: unknown
  readonly transfer: readonly Transferable[]
  readonly settle: (outcome: Answer<A> | AppError) => void
}

/**
 * One thread for what would hold the event loop: started when it is first asked, asked one question at a time, in turn,
 * replaced when it dies. It keeps no process alive, except while somebody waits for an answer.
 */
export class Thread<Q, A> {
  readonly #options: ThreadOptions
  readonly #waiting: Question<A>[] = []
  #current: Question<A> | undefined
  #worker: Worker | undefined
  #timer: NodeJS.Timeout | undefined

  constructor(options: ThreadOptions) {
    this.#options = options
  }

  /**
   * What `transfer` names is handed over and gone here. Throws what the thread threw, an AppError with code, message and
   * facts as they were; `tooCostly`; INTERNAL when the thread was lost otherwise; the signal's reason, which also ends the
   * thread where it works on this question.
   */
  ask(text: Q, { transfer = [], signal }: { transfer?: readonly Transferable[]; signal?: AbortSignal }): Promise<A> {
    return new Promise((resolve, reject) => {
      if (signal?.aborted) return reject(abortReason(signal))
      const onAbort = () => this.#giveUp(question, abortReason(signal as AbortSignal))
      const question: Question<A> = {
        text,
        transfer,
        settle(outcome) {
          signal?.removeEventListener('abort', onAbort)
          if (outcome instanceof AppError) reject(outcome)
          else if ('error' in outcome) reject(unpackError(outcome.error))
          else resolve(outcome.answer)
        },
      }
      signal?.addEventListener('abort', onAbort, { once: true })
      this.#waiting.push(question)
      this.#next()
    })
  }

  #next(): void {
    if (this.#current) return
    clearTimeout(this.#timer)
    this.#current = this.#waiting.shift()
    if (!this.#current) {
      this.#worker?.unref()
      this.#timer = setTimeout(() => this.#end(), this.#options.idleMs).unref()
      return
    }
    try {
      this.#put(this.#current)
    } catch (error) {
      // Where the system has no thread left. Those who stand behind it are told in turns of their own.
      const lost = lostThread(this.#options.name, error as Error)
      setImmediate(() => this.#lose(lost))
    }
  }

  #put({ text, transfer }: Question<A>): void {
    const { timeMs, tooCostly } = this.#options
    this.#worker ??= this.#start()
    this.#worker.ref()
    this.#timer = setTimeout(() => this.#lose(tooCostly(`takes longer than ${timeMs / 1000} s`)), timeMs)
    this.#worker.postMessage(text, [...transfer])
  }

  #start(): Worker {
    const { file, memoryMib, name, tooCostly } = this.#options
    // Neither the environment, which holds secrets, nor the flags of the process are for it.
    const worker = new Worker(file, {
      env: {},
      execArgv: [],
      resourceLimits: { maxOldGenerationSizeMb: memoryMib },
    })
    const lost = (error: AppError) => {
      if (worker === this.#worker) this.#lose(error)
    }
    worker.on('message', (answer: Answer<A>) => {
      if (worker === this.#worker) this.#settle(answer)
    })
    worker.on('error', (error: NodeJS.ErrnoException) => {
      const memory = error.code === 'ERR_WORKER_OUT_OF_MEMORY'
      lost(memory ? tooCostly(`takes more than ${memoryMib} MiB of memory`) : lostThread(name, error))
    })
    worker.on('exit', (code) => lost(lostThread(name, new Error(`it ended with ${code}`))))
    return worker
  }

  #settle(outcome: Answer<A> | AppError): void {
    const question = this.#current
    this.#current = undefined
    question?.settle(outcome)
    this.#next()
  }

  /** Ends the thread; the next question starts another. */
  #lose(error: AppError): void {
    this.#end()
    this.#settle(error)
  }

  #giveUp(question: Question<A>, reason: AppError): void {
    if (question === this.#current) return this.#lose(reason)
    const at = this.#waiting.indexOf(question)
    if (at !== -1) this.#waiting.splice(at, 1)
    question.settle(reason)
  }

  #end(): void {
    const worker = this.#worker
    this.#worker = undefined
    void worker?.terminate()
  }
}

function lostThread(name: string, cause: Error): AppError {
  return new AppError('INTERNAL', `${name} was lost: ${cause.message}`, {
    retry: 'transient',
    cause,
    hint: 'The next try starts a new one.',
  })
}
