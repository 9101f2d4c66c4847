/** What can be learnt from the body of a refusal. */
export interface ErrorBody {
  /** The registry's own code, such as DENIED. */
  code?: string
  message?: string
  /** A web page, that is a proxy or some other server, not a registry. */
  html: boolean
}

const MAX_MESSAGE = 500

/**
 * Reads any error body: OCI's `{errors:[{code,message}]}`, JFrog's `{errors:[{status,message}]}`, OAuth2's
 * `{error,error_description}`, a lone `{message}` or `{details}`, plain text, a web page, nothing. Never throws.
 */
export function parseErrorBody(text: string, contentType: string | undefined): ErrorBody {
  const trimmed = text.trim()
  if (trimmed === '') return { html: false }
  const json = trimmed.startsWith('{') ? parseJson(trimmed) : undefined
  if (json !== undefined) return fromJson(json)
  if (looksLikeHtml(trimmed, contentType)) return { html: true, ...message(htmlText(trimmed).slice(0, 200)) }
  return { html: false, ...message(trimmed.slice(0, 200)) }
}

function fromJson(json: Record<string, unknown>): ErrorBody {
  const listed = Array.isArray(json.errors) ? json.errors.filter(isObject) : []
  if (listed.length === 0) return { html: false, ...fromEntry(json) }
  const code = listed.map((entry) => fromEntry(entry).code).find((found) => found !== undefined)
  const messages = [...new Set(listed.map((entry) => fromEntry(entry).message).filter(isText))].slice(0, 3)
  return { html: false, ...(code === undefined ? {} : { code }), ...message(messages.join('; ')) }
}

function fromEntry(entry: Record<string, unknown>): { code?: string; message?: string } {
  const code = [entry.code, entry.error].find(isText)
  const said = [entry.message, entry.error_description, entry.detail, entry.details].find(isText)
  return { ...(code === undefined ? {} : { code: code.slice(0, 64) }), ...message(said ?? '') }
}

function message(text: string): { message?: string } {
  // oxlint-disable-next-line no-control-regex -- a registry's text ends up in logs and terminals
  const plain = text.replace(/[\u0000-\u001f\u007f-\u009f]+/g, ' ').trim()
  // Presigned addresses carry their secret in the query.
  const safe = plain.replace(/(https?:\/\/[^\s"'<>?]+)\?[^\s"'<>]*/g, '$1?…').slice(0, MAX_MESSAGE)
  return safe === '' ? {} : { message: safe }
}

export function looksLikeHtml(text: string, contentType: string | undefined): boolean {
  return /^text\/html\b/i.test(contentType ?? '') || /^(?:<!doctype html|<html)/i.test(text.trimStart())
}

function htmlText(html: string): string {
  const title = /<title[^>]*>([^<]*)<\/title>/i.exec(html)?.[1]?.trim()
  if (title) return title
  return html
    .replace(/<(script|style)[\s\S]*?<\/\1>/gi, ' ')
    .replace(/<[^>]*>/g, ' ')
    .replace(/\s+/g, ' ')
    .trim()
}

function parseJson(text: string): Record<string, unknown> | undefined {
  try {
    const value: unknown = JSON.parse(text)
    return isObject(value) ? value : undefined
  } catch {
    return undefined
  }
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

function isText(value: unknown): value is string {
  return typeof value === 'string' && value !== ''
}
