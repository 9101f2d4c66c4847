import { withoutUnseen } from '../../lib/text.ts'

/** What can be learnt from the body of a refusal. */
export interface ErrorBody {
  /** The registry's own code, such as DENIED. */
  code?: string
  message?: string
  /** A web page, that is a proxy or some other server, not a registry. */
  html: boolean
}

const MAX_MESSAGE = 500
/** Codes are words: DENIED, invalid_token, 40101. What is none is no code. */
const CODE = /^[A-Za-z0-9_.:-]{1,64}$/
/** Of a text that was not made to be a message. */
const MAX_PLAIN = 200
/** What is looked at of any text: a registry chooses its length, and each expression below reads all of it. */
const MAX_READ = 4096

/**
 * Reads any error body: OCI's `{errors:[{code,message}]}`, JFrog's `{errors:[{status,message}]}`, OAuth2's
 * `{error,error_description}`, a lone `{message}` or `{details}`, plain text, a web page, nothing. Never throws.
 */
export function parseErrorBody(text: string, contentType: string | undefined): ErrorBody {
  const trimmed = text.trim()
  if (trimmed === '') return { html: false }
  const json = trimmed.startsWith('{') ? parseJson(trimmed) : undefined
  if (json !== undefined) return fromJson(json)
  if (looksLikeHtml(trimmed, contentType))
    return { html: true, ...message(htmlText(trimmed.slice(0, MAX_READ)), MAX_PLAIN) }
  return { html: false, ...message(trimmed, MAX_PLAIN) }
}

function fromJson(json: Record<string, unknown>): ErrorBody {
  const listed = Array.isArray(json.errors) ? json.errors.filter(isObject) : []
  if (listed.length === 0) return { html: false, ...fromEntry(json) }
  const code = listed.map((entry) => fromEntry(entry).code).find((found) => found !== undefined)
  const messages = [...new Set(listed.map((entry) => fromEntry(entry).message).filter(isText))].slice(0, 3)
  return { html: false, ...(code === undefined ? {} : { code }), ...message(messages.join('; ')) }
}

function fromEntry(entry: Record<string, unknown>): { code?: string; message?: string } {
  const code = [entry.code, entry.error].filter(isText).find((found) => CODE.test(found))
  const said = [entry.message, entry.error_description, entry.detail, entry.details, entry.error].find(isText)
  return { ...(code === undefined ? {} : { code }), ...message(said === code ? '' : (said ?? '')) }
}

function message(text: string, limit = MAX_MESSAGE): { message?: string } {
  const read = text.slice(0, MAX_READ)
  // A registry's text ends up in logs and terminals.
  const plain = withoutUnseen(read).trim()
  const safe = withoutQueries(plain).slice(0, limit)
  return safe === '' ? {} : { message: safe }
}

/** Presigned addresses carry their secret in the query. */
function withoutQueries(text: string): string {
  return text.replace(/https?:\/\/[^\s"'<>]+/g, (address) => {
    const query = address.indexOf('?')
    return query === -1 ? address : `${address.slice(0, query)}?…`
  })
}

export function looksLikeHtml(text: string, contentType: string | undefined): boolean {
  return /^text\/html\b/i.test(contentType ?? '') || /^(?:<!doctype html|<html)/i.test(text.trimStart())
}

/** The title, or what stands outside of tags, scripts and styles: by one look at each character. */
function htmlText(html: string): string {
  const title = between(html, '<title', '</title')
  const text = title === undefined ? '' : title.slice(title.indexOf('>') + 1).trim()
  if (text !== '' && !text.includes('<')) return text
  return withoutTags(html).replace(/\s+/g, ' ').trim()
}

function between(html: string, start: string, end: string): string | undefined {
  const lower = asciiLower(html)
  const from = lower.indexOf(start)
  const to = from === -1 ? -1 : lower.indexOf(end, from)
  return to === -1 ? undefined : html.slice(from, to)
}

function withoutTags(html: string): string {
  const lower = asciiLower(html)
  const parts: string[] = []
  for (let at = 0; at < html.length; ) {
    const tag = html.indexOf('<', at)
    parts.push(html.slice(at, tag === -1 ? html.length : tag))
    if (tag === -1) break
    const hidden = HIDDEN.find((name) => lower.startsWith(`<${name}`, tag))
    const last = hidden === undefined ? tag : lower.indexOf(`</${hidden}`, tag)
    const end = last === -1 ? -1 : html.indexOf('>', last)
    if (end === -1) break
    at = end + 1
  }
  return parts.join(' ')
}

/** Each character stays where it is, which toLowerCase does not promise. */
function asciiLower(text: string): string {
  return text.replace(/[A-Z]/g, (letter) => letter.toLowerCase())
}

/** Elements whose content is not text for people. */
const HIDDEN = ['script', 'style']

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
