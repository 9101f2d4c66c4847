import type { EventData } from 'node:test'
import { relative } from 'node:path'
import { inspect } from 'node:util'

type Result = EventData.TestPass | EventData.TestFail
interface FileTally {
  tests: number
  failed: number
  output: string
  ended: boolean
}

/** Folds the runner's events into one line a file, the failures whole, and the counts. */
export class TestReport {
  readonly #write: (text: string) => void
  readonly #files = new Map<string, FileTally>()
  readonly #failures: string[] = []
  readonly #skips: string[] = []
  readonly #notes: string[] = []
  #passed = 0
  #failed = 0

  constructor(write: (text: string) => void) {
    this.#write = write
  }

  get failed(): boolean {
    return this.#failed > 0 || this.#passed + this.#skips.length === 0
  }

  /** What a file's tests print is shown only if it fails, else it hides the failures of others. */
  output(file: string | undefined, text: string): void {
    this.#tally(file).output += text
  }

  /** What a test found out, of a tier whose tests look what others do. */
  note(message: string): void {
    this.#notes.push(message)
  }

  pass(test: EventData.TestPass): void {
    if (isFile(test)) return this.#endFile(test, 'the file has no test')
    if (test.details.type === 'suite') return
    this.#tally(fileOf(test)).tests += 1
    if (test.skip === undefined && test.todo === undefined) this.#passed += 1
    else this.#skips.push(`${title(test)}: ${reason(test)}`)
  }

  fail(test: EventData.TestFail): void {
    if (isFile(test)) return this.#endFile(test, causeText(test))
    const { failureType } = test.details.error as { failureType?: string }
    if (failureType === 'subtestsFailed') return
    this.#tally(fileOf(test)).tests += 1
    if (test.todo !== undefined) {
      this.#skips.push(`${title(test)}: ${reason(test)}`)
      return
    }
    this.#addFailure(fileOf(test), title(test), causeText(test))
  }

  /** Each file sends one, unless it crashed or holds no test: then it arrives as a test itself. */
  summary(file: string, durationMs: number): void {
    this.#fileLine(file, durationMs)
  }

  end(durationMs: number): void {
    for (const [file, { ended }] of this.#files) if (!ended) this.#fileLine(file, durationMs)
    for (const note of this.#notes) this.#write(`NOTE ${note}\n`)
    for (const skipped of this.#skips) this.#write(`SKIPPED ${skipped}\n`)
    if (this.#failures.length > 1) {
      this.#write('\nfailed:\n')
      for (const failure of this.#failures) this.#write(`  ${failure}\n`)
    }
    const skipped = this.#skips.length === 0 ? '' : `, ${this.#skips.length} skipped`
    this.#write(`\n${seconds(durationMs)} in ${this.#files.size} files\n`)
    this.#write(`${this.#passed} passed, ${this.#failed} failed${skipped}\n`)
  }

  #endFile(test: Result, problem: string): void {
    this.#addFailure(test.name, test.name, problem)
    this.#fileLine(test.name, test.details.duration_ms)
  }

  #addFailure(file: string | undefined, name: string, problem: string): void {
    this.#failed += 1
    this.#tally(file).failed += 1
    this.#failures.push(name)
    this.#write(`\nFAILED ${name}\n${indent(problem)}\n\n`)
  }

  #fileLine(file: string, durationMs: number): void {
    const tally = this.#tally(file)
    tally.ended = true
    const { tests, failed, output } = tally
    const counts = `${tests} ${tests === 1 ? 'test' : 'tests'}, ${seconds(durationMs)}`
    this.#write(`${failed > 0 ? 'FAIL' : 'ok  '} ${relative(process.cwd(), file)} (${counts})\n`)
    if (failed > 0 && output.trim() !== '') this.#write(`     it printed:\n${indent(output.trimEnd())}\n`)
  }

  #tally(file = 'unknown'): FileTally {
    const tally = this.#files.get(file) ?? { tests: 0, failed: 0, output: '', ended: false }
    this.#files.set(file, tally)
    return tally
  }
}

/** The file that was run; `file` is where the test stands, which for a suite of test/helpers is another one. */
function fileOf(test: Result): string | undefined {
  return (test as { entryFile?: string }).entryFile ?? test.file
}

/** The runner reports a file itself, under its path as name, when it crashed or when no test came out of it. */
function isFile(test: Result): boolean {
  return test.nesting === 0 && test.name === test.file
}

function title(test: Result): string {
  const place = test.file === undefined ? '' : `${relative(process.cwd(), test.file)}:${test.line ?? 0} `
  return `${place}${test.name}`
}

function reason(test: Result): string {
  const said = test.skip ?? test.todo
  return typeof said === 'string' && said !== '' ? said : 'no reason given'
}

/** node:test wraps what a test threw. */
function causeText(test: EventData.TestFail): string {
  const error = test.details.error
  const cause = error.cause ?? error
  const text = typeof cause === 'string' ? cause : inspect(cause, { depth: 6 })
  return text.replaceAll(/^\s+at .*\bnode:internal\/.*\n?/gm, '')
}

function indent(text: string): string {
  return text.replaceAll(/^/gm, '     ')
}

function seconds(ms: number): string {
  return `${(ms / 1000).toFixed(1)} s`
}
