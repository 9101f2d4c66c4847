import { type Static, Type } from 'typebox'
import { pageOf, pageQuery } from '../page.ts'

const KINDS = ['package', 'init', 'bundle', 'split', 'folder', 'archive'] as const

export const LocalFile = Type.Object(
  {
    source: Type.String({ description: 'As a job takes it: file:///packages/...' }),
    root: Type.String({ description: 'Which of the roots it lies in.' }),
    path: Type.String({ description: 'Below its root.' }),
    name: Type.String({ description: 'The last part of its path.' }),
    kind: Type.Enum([...KINDS], {
      description:
        'By its name alone: package (zarf-package-*), init (zarf-init-*), bundle (uds-bundle-*), archive (another .tar or .tar.zst); split: part000, which stands for all parts; folder: an unpacked package.',
    }),
    size: Type.Union([Type.Integer({ minimum: 0 }), Type.Null()], {
      description:
        'Bytes; of a split package those of the whole. Null: not known (a folder; a part000 that cannot be read).',
    }),
    modifiedAt: Type.String({
      format: 'date-time',
      description: "By the file's own clock; of a folder its zarf.yaml.",
    }),
    toldByName: Type.Union(
      [
        Type.Object({
          name: Type.String(),
          architecture: Type.String(),
          version: Type.Union([Type.String(), Type.Null()]),
        }),
        Type.Null(),
      ],
      { description: 'What the file name says, and nobody has checked. Null: nothing.' },
    ),
  },
  { $id: 'LocalFile', description: 'A package in a folder of LAYERD_FILE_ROOTS, as a job may name it.' },
)
export type LocalFile = Static<typeof LocalFile>

export const listFilesSchema = {
  tags: ['packages'],
  operationId: 'listFiles',
  summary: 'The packages in the file roots of this layerd, by path',
  description:
    'For who may make jobs of them (jobs:write, and a token whose kinds have publish or verify). What layerd sees there now: folders are walked through for each page, no link out of the roots is followed, hidden files and names that are no text are left out. A page may be short or empty and have a nextPageToken all the same.',
  querystring: Type.Object(
    {
      ...pageQuery,
      pageToken: Type.Optional(Type.String({ maxLength: 8192, description: '`nextPageToken` of the page before.' })),
      root: Type.Optional(Type.String({ maxLength: 4096, description: 'One of the roots; default: all.' })),
      q: Type.Optional(Type.String({ maxLength: 256, description: 'A part of the path, in upper or lower case.' })),
      kind: Type.Optional(
        Type.Array(Type.Enum([...KINDS]), {
          maxItems: KINDS.length,
          description: 'Any of these; default: all but archive.',
        }),
      ),
    },
    { additionalProperties: false },
  ),
  response: {
    200: pageOf('LocalFile', {
      roots: Type.Array(Type.String(), { description: 'All folders that are listed: LAYERD_FILE_ROOTS.' }),
      skipped: Type.Array(Type.Object({ path: Type.String(), reason: Type.String() }), {
        description: 'Places that this page did not look into; 50 at most.',
      }),
    }),
  },
}
