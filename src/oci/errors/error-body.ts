import { isObject, jsonObject } from '../../lib/formats/json-object.ts'
import { withoutUnseen } from '../../lib/text.ts'
import { TELLING_LENGTH } from './mask.ts'

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

type Hide = (text: string) => string

/**
 * Reads any error body: OCI's `{errors:[{code,message}]}`, JFrog's `{errors:[{status,message}]}`, OAuth2's
 * `{error,error_description}`, a lone `{message}` or `{details}`, plain text, a web page, nothing. Never throws.
 * `hide`: takes secrets out of a text that is to be told. Default: nothing is told, and it stays as it is.
 */
export function parseErrorBody(text: string, contentType: string | undefined, hide: Hide = asIs): ErrorBody {
  const trimmed = text.trim()
  if (trimmed === '') return { html: false }
  const json = trimmed.startsWith('{') ? jsonObject(trimmed) : undefined
  if (json !== undefined) return fromJson(json, hide)
  const html = looksLikeHtml(trimmed, contentType)
  // What stands in a page once its tags are gone is looked at anew.
  const plain = html ? htmlText(start(trimmed, hide)) : trimmed
  return { html, ...message(plain, hide, MAX_PLAIN) }
}

function asIs(text: string): string {
  return text
}

function fromJson(json: Record<string, unknown>, hide: Hide): ErrorBody {
  const listed = Array.isArray(json.errors) ? json.errors.filter(isObject) : []
  const entries = (listed.length === 0 ? [json] : listed).map(fromEntry)
  const code = entries.map((entry) => entry.code).find((found) => found !== undefined)
  const said = [...new Set(entries.map((entry) => entry.said).filter(isText))].slice(0, 3)
  const messages = said.map((text) => message(text, hide).message).filter(isText)
  return { html: false, ...(code === undefined ? {} : { code }), ...cut(messages.join('; '), MAX_MESSAGE) }
}

function fromEntry(entry: Record<string, unknown>): { code: string | undefined; said: string | undefined } {
  const code = [entry.code, entry.error].filter(isText).find((found) => CODE.test(found))
  const said = [entry.message, entry.error_description, entry.detail, entry.details, entry.error].find(isText)
  return { code, said: said === code ? undefined : said }
}

function message(text: string, hide: Hide, limit = MAX_MESSAGE): { message?: string } {
  // A registry's text ends up in logs and terminals.
  const plain = withoutUnseen(start(text, hide)).trim()
  return cut(withoutQueries(plain), limit)
}

function cut(text: string, limit: number): { message?: string } {
  const told = text.slice(0, limit)
  return told === '' ? {} : { message: told }
}

/** What is looked at, without the secrets: the beginning of one that the cut has halved goes too. */
function start(text: string, hide: Hide): string {
  const told = hide(text.slice(0, MAX_READ))
  return text.length > MAX_READ ? told.slice(0, -TELLING_LENGTH) : told
}

/** Presigned addresses carry their secret in the query, others before the host or after a #. */
function withoutQueries(text: string): string {
  return text.replace(/https?:\/\/[^\s"'<>]+/g, (address) => {
    const from = address.indexOf('://') + 3
    const rest = address.slice(from)
    const end = rest.search(/[?#]/)
    const place = end === -1 ? rest : `${rest.slice(0, end)}${rest[end]}…`
    const user = place.slice(0, place.search(/[/?#]|$/)).lastIndexOf('@')
    return `${address.slice(0, from)}${place.slice(user + 1)}`
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

function isText(value: unknown): value is string {
  return typeof value === 'string' && value !== ''
}
