/** What the API tells its supervisor over the channel between them. */
export type ApiNews =
  | {
      /** It listens, and answers probes. */
      readonly layerdApi: 'listening'
      readonly url: string
      readonly port: number
    }
  | {
      /** Redis is there and this layerd's: it serves. */
      readonly layerdApi: 'serving'
    }

interface Listening {
  on(event: 'message', listener: (message: unknown) => void): unknown
}

/** The supervisor's side. */
export function onApiNews(child: Listening, listener: (news: ApiNews) => void): void {
  child.on('message', (message) => {
    const { layerdApi } = (message ?? {}) as Partial<ApiNews>
    if (layerdApi === 'listening' || layerdApi === 'serving') listener(message as ApiNews)
  })
}
