import { type Static, Type } from 'typebox'
import { pageOf, pageQuery } from './page.ts'

export const Upload = Type.Object(
  {
    id: Type.String({ format: 'uuid', description: 'A job names it as "upload:{id}".' }),
    name: Type.String(),
    size: Type.Integer({ minimum: 0, description: 'Bytes.' }),
    sha256: Type.String({ description: 'Hexadecimal.' }),
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
      description: 'The file name; it ends in .tar.zst or .tar, of a split package then in .part000 to .part999.',
    }),
  }),
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
