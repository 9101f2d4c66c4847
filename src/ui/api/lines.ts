import { Refusal, unreachable } from './client.ts'

/** Of NDJSON, as it comes in: what is whole of each piece. Throws Refusal where it ends too early. */
export async function* rowsOf<T>(body: ReadableStream<Uint8Array>): AsyncGenerator<readonly T[]> {
  const reader = body.getReader()
  const decoder = new TextDecoder()
  let unread = ''
  try {
    for (;;) {
      const { done, value } = await reader.read().catch(() => {
        throw new Refusal(unreachable())
      })
      if (done) return
      unread += decoder.decode(value, { stream: true })
      const end = unread.lastIndexOf('\n')
      if (end === -1) continue
      const rows: T[] = JSON.parse(`[${unread.slice(0, end).replaceAll('\n', ',')}]`)
      unread = unread.slice(end + 1)
      yield rows
    }
  } finally {
    await reader.cancel().catch(() => undefined)
  }
}
