import { BASE, override, type Overrides, type RegistryWays } from './ways.ts'

const UNUSABLE = { status: 404, code: 'BLOB_UPLOAD_INVALID', message: 'blob upload invalid' } as const

/** What distribution 2.8 and 3 share, without log-in. Source: registries.md 3 and 4, seen on both programs. */
const DISTRIBUTION: Overrides = {
  auth: {
    kind: 'none',
    basicToo: false,
    challenge: ['Bearer realm="<realm>",service="<service>"<scope>'],
    cancelAction: 'delete',
  },
  uploads: {
    location: 'absolute',
    oldStatus: false,
    cut: 'bytes',
    wrongType: { status: 500, code: 'UNKNOWN', message: 'unknown error', detail: {} },
    commitRange: 'ignored',
    singlePost: false,
    sha512: 'sha256',
  },
  blobs: { rangeAtEnd: 'full length' },
  manifests: {
    tooLarge: {
      status: 400,
      code: 'MANIFEST_INVALID',
      message: 'manifest invalid',
      detail: 'http: request body too large',
    },
    referrers: { status: 404, style: 'text', message: '404 page not found\n' },
    subjectHeader: false,
    location: 'absolute',
    linkOnLast: 'where it is full',
  },
}

/** Debian's docker-registry. */
export const DIST28: RegistryWays = override(BASE, DISTRIBUTION, {
  name: 'dist28',
  uploads: { reads: 'never', oldLocation: UNUSABLE, oldStatus: true },
  manifests: {
    paging: false,
    deleteTag: { status: 400, code: 'DIGEST_INVALID', message: 'provided digest did not match uploaded content' },
  },
})

export const DIST3: RegistryWays = override(BASE, DISTRIBUTION, {
  name: 'dist3',
  uploads: {
    reads: 'beside a length',
    oldLocation: { status: 416, code: 'RANGE_INVALID', message: 'invalid content range' },
    badRange: { status: 500, code: 'UNKNOWN', message: 'unknown error' },
    gap: { status: 416, code: 'RANGE_INVALID', message: 'invalid content range' },
  },
})
