export interface ServerSentEvent {
  id: string | undefined
  event: string
  data: string
}

/**
 * Reads a text/event-stream response to its end, as the WHATWG standard says (but for a bare CR as line end): fields until
 * an empty line, comments left out, an event without data not told.
 */
export async function* serverSentEvents(response: Response): AsyncGenerator<ServerSentEvent> {
  const type = response.headers.get('content-type') ?? ''
  if (!response.ok || !type.startsWith('text/event-stream') || response.body === null) {
    throw new Error(`no event stream: HTTP ${response.status} ${type} ${await response.text()}`)
  }
  let rest = ''
  let fields: string[] = []
  for await (const text of response.body.pipeThrough(new TextDecoderStream())) {
    const lines = (rest + text).split('\n')
    rest = lines.pop() ?? ''
    for (const line of lines.map((ended) => ended.replace(/\r$/, ''))) {
      if (line !== '') {
        fields.push(line)
        continue
      }
      const event = parseFields(fields)
      fields = []
      if (event) yield event
    }
  }
}

function parseFields(fields: readonly string[]): ServerSentEvent | undefined {
  const valuesOf = (name: string) =>
    fields
      .filter((field) => field.startsWith(`${name}:`))
      .map((field) => field.slice(name.length + 1).replace(/^ /, ''))
  const data = valuesOf('data').join('\n')
  return data === '' ? undefined : { id: valuesOf('id').at(-1), event: valuesOf('event').at(-1) ?? 'message', data }
}
