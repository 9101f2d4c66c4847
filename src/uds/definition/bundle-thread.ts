import { answerQuestions } from '../../lib/loop/answering.ts'
import { parseBundle } from './parse-bundle.ts'

/** What read-bundle-definition.ts runs in a thread. */
answerQuestions((bytes: Uint8Array<ArrayBuffer>) => {
  return { answer: parseBundle(Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength)), transfer: [] }
})
