import type { FastifyReply } from 'fastify'
import type { Page, PageOf } from '../../jobs/model/requests.ts'
import { DEFAULT_PAGE_SIZE, MAX_PAGE_SIZE } from '../schemas/page.ts'

export function pageFrom(query: { pageSize?: number; pageToken?: string }): Page {
  const size = Math.min(query.pageSize ?? DEFAULT_PAGE_SIZE, MAX_PAGE_SIZE)
  return { size, ...(query.pageToken === undefined ? {} : { token: query.pageToken }) }
}

/** Answers a page; Link leads to the next one (RFC 8288). */
export function sendPage<T>(reply: FastifyReply, url: string, page: PageOf<T>): FastifyReply {
  if (page.nextPageToken !== undefined) {
    const next = new URL(url, 'http://layerd')
    next.searchParams.set('pageToken', page.nextPageToken)
    void reply.header('link', `<${next.pathname}${next.search}>; rel="next"`)
  }
  return reply.header('cache-control', 'no-cache').send(page)
}
