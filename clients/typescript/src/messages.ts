export interface Message {
  id?: string
  data?: string
  retryMs?: number
}

/** Server-sent events as they come in. Source: WHATWG HTML "Server-sent events"; lines end as layerd ends them, with \n. */
export async function* messages(body: AsyncIterable<Uint8Array>): AsyncGenerator<Message> {
  const decoder = new TextDecoder()
  let unread = ''
  for await (const bytes of body) {
    unread += decoder.decode(bytes, { stream: true })
    for (let end = unread.indexOf('\n\n'); end !== -1; end = unread.indexOf('\n\n')) {
      yield messageOf(unread.slice(0, end).split('\n'))
      unread = unread.slice(end + 2)
    }
  }
}

function messageOf(lines: readonly string[]): Message {
  const message: Message = {}
  const data: string[] = []
  for (const line of lines) {
    const colon = line.indexOf(':')
    if (colon < 1) continue
    const value = line.slice(colon + 1).replace(/^ /, '')
    const field = line.slice(0, colon)
    if (field === 'id') message.id = value
    if (field === 'data') data.push(value)
    if (field === 'retry' && /^\d{1,9}$/.test(value)) message.retryMs = Number(value)
  }
  return data.length === 0 ? message : { ...message, data: data.join('\n') }
}
