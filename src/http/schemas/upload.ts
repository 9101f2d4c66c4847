import { type Static, Type } from 'typebox'
import { pageOf, pageQuery } from './page.ts'

export const Upload = Type.Object(
  {
    id: Type.String({ format: 'uuid', description: 'A job names it as "upload:{id}".' }),
    name: Type.String(),
    state: Type.Enum(['complete', 'incomplete'], {
      description: 'Only a complete one can be named by a job; of an incomplete one more is to come.',
    }),
    size: Type.Union([Type.Integer({ minimum: 0 }), Type.Null()], {
      description: 'Bytes in all; null where its sender has not said yet.',
    }),
    sha256: Type.Union([Type.String(), Type.Null()], { description: 'Hexadecimal; null until it is complete.' }),
    offset: Type.Optional(
      Type.Integer({
        minimum: 0,
        description: 'Bytes of an incomplete one that have come; the next goes on from there.',
      }),
    ),
    expiresAt: Type.Optional(
      Type.String({ format: 'date-time', description: 'When an incomplete one goes unless more comes.' }),
    ),
  },
  { $id: 'Upload', description: 'A package sent from the caller; kept 24 h after its last use.' },
)

export type Upload = Static<typeof Upload>

const tags = ['uploads']

/** One name for what PUT takes and what the others do: two templates of one path would be ambiguous. */
export const UploadParams = Type.Object({ upload: Type.String({ description: 'Its id.' }) })

export const putUploadSchema = {
  tags,
  operationId: 'putUpload',
  summary: 'Send a package in one request (curl -T); any Content-Type or none',
  description:
    'Whole and uncompressed: no Content-Range, no Content-Encoding. A SHA-256 in Content-Digest or Repr-Digest (RFC 9530) is checked.',
  params: Type.Object({
    upload: Type.String({
      description:
        'The file name; it ends in .tar.zst or .tar, of a split package then in .part000 to .part999. With as=file any.',
    }),
  }),
  querystring: Type.Object(
    {
      as: Type.Optional(
        Type.Enum(['package', 'file'], {
          description: 'file: for an artifact (options.files), whatever its name ends in. Default: a package.',
        }),
      ),
    },
    { additionalProperties: false },
  ),
  response: {
    201: {
      description: 'Kept, whole.',
      headers: { Location: { type: 'string', description: 'The upload.' } },
      content: { 'application/json': { schema: Type.Ref('Upload') } },
    },
  },
}

export const getUploadSchema = {
  tags,
  operationId: 'getUpload',
  summary: 'One upload',
  params: UploadParams,
  response: { 200: Type.Ref('Upload') },
}

export const getUploadedPackageSchema = {
  tags: ['packages'],
  operationId: 'getUploadedPackage',
  summary: 'The package that an upload is; of a split one the upload of part000',
  description: 'A compressed archive is read through once, within 50 s; what was found is kept for a while.',
  params: UploadParams,
  response: { 200: Type.Ref('InspectedPackage') },
}

export const listUploadsSchema = {
  tags,
  operationId: 'listUploads',
  summary: 'The uploads, by name',
  querystring: Type.Object(pageQuery, { additionalProperties: false }),
  response: { 200: pageOf('Upload') },
}

export const deleteUploadSchema = {
  tags,
  operationId: 'deleteUpload',
  summary: 'Forget an upload',
  description: 'For good: a job that still needs it fails.',
  params: UploadParams,
  response: { 204: Type.Null({ description: 'Gone.' }) },
}

const tusResumable = { 'Tus-Resumable': { type: 'string', description: '1.0.0.' } } as const
const uploadOffset = {
  'Upload-Offset': { type: 'string', description: 'Bytes that are on the disk for good.' },
} as const
const uploadExpires = {
  'Upload-Expires': { type: 'string', description: 'When it goes unless more comes (RFC 9110 date).' },
} as const

/** An answer of headers alone. */
function headersOnly(description: string, headers: object) {
  return { type: 'null', description, headers: { ...tusResumable, ...headers } } as const
}

const tusHeader = {
  'tus-resumable': Type.Optional(Type.String({ description: 'The version of tus: 1.0.0. Without it 412.' })),
}
const checksumHeader = {
  'upload-checksum': Type.Optional(
    Type.String({
      description: '"sha256 <base64>" or "sha1 <base64>" of this body: another body does not count at all (460).',
    }),
  ),
}

export const createUploadSchema = {
  tags,
  operationId: 'createUpload',
  summary: 'Begin an upload that goes on where it breaks off (tus 1.0.0)',
  description: `For clients of tus (tus-js-client, Uppy): creation, creation-with-upload, creation-defer-length, expiration, termination,
checksum. The answer's Location is the upload; PATCH sends its bytes. Once the last is there it is an upload as any other.`,
  headers: Type.Object({
    ...tusHeader,
    'upload-length': Type.Optional(Type.String({ description: 'Bytes in all.' })),
    'upload-defer-length': Type.Optional(Type.String({ description: '1: the length is said later, with a PATCH.' })),
    'upload-metadata': Type.Optional(
      Type.String({
        description:
          'filename, which ends as that of putUpload, and sha256 (64 hexadecimal digits), if it is to be checked at the end; values in base64, 4096 bytes in all.',
      }),
    ),
    'repr-digest': Type.Optional(
      Type.String({
        description:
          'The SHA-256 that the whole file must have (RFC 9530): else it is refused at its last byte, and gone.',
      }),
    ),
    ...checksumHeader,
  }),
  response: {
    201: headersOnly('Begun; of a file of no bytes also ended.', {
      Location: { type: 'string', description: 'The upload.' },
      ...uploadOffset,
      ...uploadExpires,
    }),
  },
}

export const appendUploadSchema = {
  tags,
  operationId: 'appendUpload',
  summary: 'Send more of an upload (tus 1.0.0)',
  description: `Content-Type: application/offset+octet-stream. What came counts, however the request ends. A later HEAD or PATCH of the same upload, to
whichever process, ends an earlier one.`,
  params: UploadParams,
  headers: Type.Object({
    ...tusHeader,
    'upload-offset': Type.Optional(
      Type.String({ description: 'Where the bytes begin: where the upload stands (else 409).' }),
    ),
    'upload-length': Type.Optional(Type.String({ description: 'Bytes in all, where that was not said before.' })),
    ...checksumHeader,
  }),
  response: { 204: headersOnly('Taken.', { ...uploadOffset, ...uploadExpires }) },
}

export const uploadOffsetSchema = {
  tags,
  operationId: 'getUploadOffset',
  summary: 'How far an upload is (tus 1.0.0)',
  description: 'Ends a PATCH that is under way. Without Tus-Resumable it only says whether the upload is there.',
  params: UploadParams,
  headers: Type.Object(tusHeader),
  response: {
    200: headersOnly('On disk for good.', {
      ...uploadOffset,
      ...uploadExpires,
      'Upload-Length': { type: 'string', description: 'Bytes in all.' },
      'Upload-Metadata': { type: 'string', description: 'As it was sent.' },
    }),
  },
}

const options = {
  tags,
  summary: 'What of tus is spoken here',
  response: {
    204: {
      type: 'null',
      description: 'See its headers.',
      headers: {
        'Tus-Version': { type: 'string', description: '1.0.0.' },
        'Tus-Extension': { type: 'string', description: 'Extensions, with commas between.' },
        'Tus-Max-Size': { type: 'string', description: 'Bytes that an upload may have.' },
        'Tus-Checksum-Algorithm': { type: 'string', description: 'Of Upload-Checksum.' },
      },
    },
  },
} as const

export const uploadsOptionsSchema = { ...options, operationId: 'getUploadOptions' }
export const uploadOptionsSchema = { ...options, operationId: 'getOptionsOfUpload', params: UploadParams }
