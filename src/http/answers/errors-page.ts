import { readFileSync } from 'node:fs'
import { ERROR_CODES, type ErrorCode } from '../../lib/errors.ts'
import { escaped, htmlPage } from './html-page.ts'

const RETRY = {
  transient: 'may pass: the same request can succeed later',
  permanent: 'stays until something is changed',
  canceled: 'was asked for',
} as const

/** In the repository and beside `dist`. */
const TEXTS = new URL('../../../docs/errors.md', import.meta.url)

/** What the `type` of a problem document points at: each code with its meaning and what to do about it. */
export function errorsPage(): string {
  const texts = errorTexts(readTexts())
  const entries = (Object.keys(ERROR_CODES) as ErrorCode[]).map((code) => {
    const { status, title, retry } = ERROR_CODES[code]
    const facts = `<p>HTTP status ${status}. It ${RETRY[retry]}.</p>`
    const told = (texts.get(code) ?? '')
      .split(/\n{2,}/)
      .filter((paragraph) => paragraph !== '')
      .map((paragraph) => `<p>${inline(paragraph)}</p>`)
    return `<h2 id="${code}"><a href="#${code}">${code}</a></h2>\n<p><strong>${title}.</strong></p>\n${[...told, facts].join('\n')}`
  })
  const intro =
    '<p>The member <code>code</code> of a problem document. Codes are stable; messages are for people and may change.</p>'
  return htmlPage('layerd: error codes', `<h1>Error codes</h1>\n${intro}\n${entries.join('\n')}`)
}

/** What docs/errors.md says below each `## CODE`. */
export function errorTexts(markdown: string): Map<string, string> {
  const sections = markdown.split(/^## /m).slice(1)
  return new Map(
    sections.map((section) => {
      const [code = '', ...lines] = section.split(/^# /m)[0]?.split('\n') ?? []
      return [code.trim(), lines.join('\n').trim()]
    }),
  )
}

function readTexts(): string {
  try {
    return readFileSync(TEXTS, 'utf8')
  } catch {
    // A build without docs has titles alone.
    return ''
  }
}

/** Code and the text of links; our own texts have no other marks. */
function inline(markdown: string): string {
  return escaped(markdown)
    .replace(/`([^`]{1,500})`/g, '<code>$1</code>')
    .replace(/\[([^\]]{1,200})\]\([^)]{1,200}\)/g, '$1')
}
