import { errors } from 'undici'

export interface RequestLine {
  method: string
  url: URL
  /** Names in lower case. */
  headers: Readonly<Record<string, string>>
}

const TARGET = /^\/[\x21-\x7e]*$/
const NAME = /^[!#$%&'*+.^_`|~0-9a-z-]+$/
/** No control characters: nothing that a caller hands on can end the line, or the head. */
const VALUE = /^[\t\x20-\x7e\x80-\xff]*$/
const WITH_BODY = new Set(['POST', 'PUT', 'PATCH'])

/** The head of a request with this body. Throws for whatever could be read as more than one. */
export function requestHead(request: RequestLine, body: Buffer | undefined): string {
  const { method, url, headers } = request
  const target = `${url.pathname}${url.search}`
  if (!TARGET.test(target)) throw new errors.InvalidArgumentError('the request target holds what no request may')
  let head = `${method} ${target} HTTP/1.1\r\nhost: ${url.host}\r\nconnection: keep-alive\r\n`
  const length = String(body?.length ?? 0)
  for (const [name, value] of Object.entries(headers)) {
    if (!NAME.test(name) || !VALUE.test(value))
      throw new errors.InvalidArgumentError(`header ${name} holds what none may`)
    if (name === 'content-length' && value !== length) throw new errors.RequestContentLengthMismatchError()
    head += `${name}: ${value}\r\n`
  }
  const tells = headers['content-length'] !== undefined
  if (!tells && (body !== undefined || WITH_BODY.has(method))) head += `content-length: ${length}\r\n`
  return `${head}\r\n`
}
