import type { IncomingHttpHeaders } from 'node:http'
import { Metadata } from '@tus/server'
import type { FastifyReply, FastifyRequest } from 'fastify'
import type { NewPartial } from '../../../files/uploads/partial-uploads.ts'
import { AppError } from '../../../lib/errors.ts'
import { readBodyDigest } from '../../requests/bodies/body-digest.ts'
import { checkFileName } from '../../requests/bodies/upload-name.ts'

export const TUS_VERSION = '1.0.0'
export const BODY_TYPE = 'application/offset+octet-stream'
/** By tus' names; the first is what every server has to know. */
export const CHECKSUM_ALGORITHMS = ['sha1', 'sha256'] as const
/** Of Upload-Metadata: a file's name, a type and a hash take a tenth of it. */
const METADATA_BYTES = 4096
const NUMBER = /^(?:0|[1-9]\d{0,14})$/

/** What every request of tus says. Throws TUS_VERSION_UNSUPPORTED, REQUEST_INVALID. Source: tus 1.0.0 "Headers". */
export function requireTus({ headers }: FastifyRequest, reply: FastifyReply): void {
  void reply.header('tus-resumable', TUS_VERSION)
  const version = one(headers, 'tus-resumable')
  if (version !== TUS_VERSION) {
    void reply.header('tus-version', TUS_VERSION)
    const said = version === undefined ? 'says no version of tus' : `speaks tus "${version.slice(0, 100)}"`
    throw new AppError('TUS_VERSION_UNSUPPORTED', `the request ${said}; ${TUS_VERSION} is spoken here`, {
      hint: `Send "Tus-Resumable: ${TUS_VERSION}", or the whole file with PUT /v1/uploads/{file name}.`,
    })
  }
  // A method that nothing on the way saw must not be the one that counts.
  if (headers['x-http-method-override'] !== undefined)
    throw invalid('X-HTTP-Method-Override is not taken: send the method itself')
  if (headers['upload-concat'] !== undefined)
    throw invalid('uploads are not put together out of others (Upload-Concat)')
  for (const name of ['upload-offset', 'upload-length'] as const) numberIn(headers, name)
}

/** Of a request whose body is bytes of an upload. Throws UNSUPPORTED_MEDIA_TYPE, REQUEST_INVALID. */
export function requireBytes({ headers }: FastifyRequest): void {
  if (headers['content-type'] !== BODY_TYPE) {
    throw new AppError('UNSUPPORTED_MEDIA_TYPE', `bytes of an upload come as ${BODY_TYPE}`, {
      hint: `Send the header 'Content-Type: ${BODY_TYPE}'.`,
      details: { contentType: headers['content-type']?.slice(0, 200) ?? null },
    })
  }
  if (headers['content-range'] !== undefined)
    throw invalid('where bytes begin is said by Upload-Offset, not by Content-Range')
}

/** Where the bytes begin. Throws REQUEST_INVALID. */
export function requireOffset({ headers }: FastifyRequest): void {
  if (numberIn(headers, 'upload-offset') === undefined) throw invalid('the header Upload-Offset is missing')
}

/** What is to be made of a creation. Throws REQUEST_INVALID, PACKAGE_FORMAT_UNSUPPORTED, BODY_DIGEST_MISMATCH. */
export function readCreation({ headers }: Pick<FastifyRequest, 'headers'>): Omit<NewPartial, 'id'> {
  const length = numberIn(headers, 'upload-length')
  const deferred = one(headers, 'upload-defer-length')
  if (deferred !== undefined && deferred !== '1') throw invalid('Upload-Defer-Length is 1 or not there')
  if ((length === undefined) === (deferred === undefined)) {
    throw invalid('either Upload-Length or Upload-Defer-Length says how long the upload is')
  }
  const metadata = one(headers, 'upload-metadata')
  const { filename: name, sha256, as } = readMetadata(metadata)
  if (name === undefined || name === null) {
    throw invalid(
      'Upload-Metadata has no filename',
      'It is "filename <base64 of the file name>", as tus clients send it.',
    )
  }
  checkFileName(name, as === 'file' ? 'file' : 'package')
  const digest = sameDigest(readBodyDigest({ 'repr-digest': headers['repr-digest'] }), sha256)
  return {
    name,
    ...(length === undefined ? {} : { length }),
    ...(metadata === undefined ? {} : { metadata }),
    ...(digest === undefined ? {} : { sha256: digest }),
  }
}

/** The file name of a creation, be it what it may. */
export function nameIn({ headers }: Pick<FastifyRequest, 'headers'>): string | undefined {
  try {
    return readMetadata(one(headers, 'upload-metadata'))['filename'] ?? undefined
  } catch {
    return undefined
  }
}

/** Throws REQUEST_INVALID. Source: tus 1.0.0 "Checksum". */
export function readChecksum(headers: IncomingHttpHeaders): { algorithm: string; digest: Buffer } | undefined {
  const text = one(headers, 'upload-checksum')
  if (text === undefined) return undefined
  const [, algorithm = '', base64 = ''] = /^([a-z0-9]{1,16}) ([A-Za-z0-9+/]{1,100}={0,2})$/.exec(text) ?? []
  const digest = Buffer.from(base64, 'base64')
  const bytes = { sha1: 20, sha256: 32 }[algorithm]
  if (bytes !== undefined && digest.length === bytes) return { algorithm, digest }
  throw invalid(
    'the header Upload-Checksum cannot be read',
    `It is "sha256 <base64 of the 32 bytes>"; ${CHECKSUM_ALGORITHMS.join(' and ')} are known.`,
  )
}

function readMetadata(text: string | undefined): Record<string, string | null> {
  if (text === undefined) return {}
  if (text.length > METADATA_BYTES) {
    throw invalid(`Upload-Metadata has ${text.length} bytes; ${METADATA_BYTES} are taken`)
  }
  try {
    return Metadata.parse(text)
  } catch {
    throw invalid(
      'Upload-Metadata cannot be read',
      'It is a list of "key base64", with commas between and each key once, as tus 1.0.0 says.',
    )
  }
}

function sameDigest(header: string | undefined, inMetadata: string | null | undefined): string | undefined {
  if (inMetadata === undefined || inMetadata === null) return header
  const sha256 = inMetadata.toLowerCase()
  if (!/^[0-9a-f]{64}$/.test(sha256)) {
    throw invalid(
      'the sha256 in Upload-Metadata is none',
      'It is 64 hexadecimal digits (base64 of these, as every value there).',
    )
  }
  if (header === undefined || header === sha256) return sha256
  throw new AppError('BODY_DIGEST_MISMATCH', 'Repr-Digest and Upload-Metadata name two digests for one file', {
    details: { reprDigest: header, metadata: sha256 },
  })
}

function numberIn(headers: IncomingHttpHeaders, name: string): number | undefined {
  const text = one(headers, name)
  if (text === undefined) return undefined
  if (NUMBER.test(text)) return Number(text)
  throw invalid(`the header ${name} is "${text.slice(0, 100)}", which is no number of bytes`)
}

/** Node joins what comes twice. */
function one(headers: IncomingHttpHeaders, name: string): string | undefined {
  const value = headers[name]
  return Array.isArray(value) ? value.join(', ') : value
}

function invalid(message: string, hint?: string): AppError {
  return new AppError('REQUEST_INVALID', message, hint === undefined ? {} : { hint })
}
