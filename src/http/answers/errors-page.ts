import { ERROR_CODES } from '../../lib/errors.ts'

const RETRY = {
  transient: 'may pass: the same request can succeed later',
  permanent: 'stays until something is changed',
  canceled: 'was asked for',
} as const

/** What the `type` of a problem document points at: each code with what it means. Titles are ours and need no escaping. */
export function errorsPage(): string {
  const rows = Object.entries(ERROR_CODES).map(
    ([code, { status, title, retry }]) =>
      `<tr id="${code}"><th><a href="#${code}">${code}</a></th><td>${status}</td><td>${title}</td><td>${RETRY[retry]}</td></tr>`,
  )
  return `<!doctype html>
<html lang="en">
<head><meta charset="utf-8"><title>layerd: error codes</title></head>
<body>
<h1>Error codes</h1>
<p>The member <code>code</code> of a problem document. Codes are stable; messages are for people and may change.</p>
<table>
<thead><tr><th>Code</th><th>HTTP status</th><th>Meaning</th><th>Kind</th></tr></thead>
<tbody>
${rows.join('\n')}
</tbody>
</table>
</body>
</html>
`
}
