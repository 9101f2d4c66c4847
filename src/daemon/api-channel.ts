import type { Channel } from '../lib/channel.ts'

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

/** What the API asks its supervisor: why the private Redis is away. The answer is a WhyNoRedis, or undefined. */
export const WHY_NO_REDIS = 'why-no-redis'

export interface WhyNoRedis {
  readonly detail: string
  readonly hint: string
}

/** The supervisor's side. */
export function onApiNews(child: Pick<Channel, 'on'>, listener: (news: ApiNews) => void): void {
  child.on('message', (message) => {
    const { layerdApi } = (message ?? {}) as Partial<ApiNews>
    if (layerdApi === 'listening' || layerdApi === 'serving') listener(message as ApiNews)
  })
}
