import { answerQuestions } from '../../lib/loop/answering.ts'
import { encodeDefinition } from './encode-definition.ts'
import { markSigned } from './sign-definition.ts'

/** What read-definition.ts asks: what zarf.yaml says, or what it is and says once it is signed. */
export interface DefinitionQuestion {
  readonly bytes: Uint8Array<ArrayBuffer>
  readonly sign: boolean
}

/** What read-definition.ts runs in a thread. */
answerQuestions(({ bytes, sign }: DefinitionQuestion) => {
  const given = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  const signed = sign ? markSigned(given) : undefined
  const answer = encodeDefinition(signed ?? given)
  return {
    answer: signed ? { ...answer, signed: new Uint8Array(signed) } : answer,
    transfer: [answer.config.buffer],
  }
})
