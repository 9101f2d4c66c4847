import { answerQuestions } from '../../lib/loop/answering.ts'
import { encodeDefinition } from './encode-definition.ts'

/** What read-definition.ts runs in a thread. */
answerQuestions((bytes: Uint8Array<ArrayBuffer>) => {
  const answer = encodeDefinition(Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength))
  return { answer, transfer: [answer.config.buffer] }
})
