import type { FastifyReply } from 'fastify'

/** Nothing is loaded from elsewhere, and no script runs. */
const CSP = "default-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"

/** `title`, `body` and `head` are HTML. */
export function htmlPage(title: string, body: string, head = ''): string {
  return `<!doctype html>
<html lang="en">
<head><meta charset="utf-8"><meta name="viewport" content="width=device-width"><title>${title}</title>${head}</head>
<body>
${body}
</body>
</html>
`
}

/** Typed as the route's JSON form: a page goes out as it is. */
export function sendPage(reply: FastifyReply, page: string): never {
  return reply
    .header('content-security-policy', CSP)
    .type('text/html; charset=utf-8')
    .serializer(String)
    .send(page) as never
}

export function escaped(text: string): string {
  return text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;').replaceAll('"', '&quot;')
}

/** An address as a link, unless it has a place to fill in. */
export function linked(address: string): string {
  const shown = escaped(address)
  return address.includes('{') ? shown : `<a href="${shown}">${shown}</a>`
}
