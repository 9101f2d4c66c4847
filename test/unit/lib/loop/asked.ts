import { AppError } from '../../../../src/lib/errors.ts'
import { answerQuestions } from '../../../../src/lib/loop/answering.ts'

/** What thread.test.ts asks: says, fails, or ends in the way that the question names. */
const ways: Readonly<Record<string, () => string>> = {
  say: () => 'said',
  env: () => JSON.stringify([process.env, process.execArgv]),
  refuse() {
    throw new AppError('PACKAGE_INVALID', 'a "\u001b" in it', {
      hint: 'Do this.',
      details: { path: 'zarf.yaml', found: ['a'] },
      cause: new RangeError('deep inside'),
    })
  },
  fail() {
    throw new TypeError('a mistake')
  },
  end: () => process.exit(3),
  spin() {
    for (;;);
  },
}

answerQuestions((way: string) => ({ answer: ways[way]?.() ?? '', transfer: [] }))
