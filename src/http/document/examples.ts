import { CHANGES, IDENTITY, INSPECTED, VIEW_EXAMPLES } from './view-examples.ts'
import { ACCESS_EXAMPLES } from './access-examples.ts'
import { CATALOG_EXAMPLES } from './catalog-examples.ts'
import { SYSTEM_EXAMPLES } from './system-examples.ts'
import { BUNDLE } from './bundle-example.ts'
import { RUNS } from './run-example.ts'

/** Answers as they look, by operation. The document shows them; a test holds each against its schema. */
const ID = '01a22857-3e6a-7196-8431-4336bc16b6e8'
const UPLOAD_ID = '3dc92d48-9d6b-4478-9528-b8597a667be8'
const DIGEST = 'sha256:7199104b0e3d1ada9ba3527be3f6bd52b9e3ba05698f2eab989b115dea989aa5'
const LAYER = 'sha256:3d3fa079e821afe23af8d17af2a2d757a86e67ab7509d78a72ba0c519d999796'
const FILE = 'zarf-package-nemo-amd64-1.2.0.tar.zst'
const REFERENCE = 'oci://registry.example/team/nemo:1.2.0'
const TIME = '2026-03-01T12:00:00.000Z'

const PROGRESS = {
  phase: 'transferring',
  bytesTotal: 2_621_440,
  bytesTotalEstimate: null,
  bytesDone: 1_310_720,
  bytesSkipped: 0,
  bytesMounted: 0,
  bytesResumed: 0,
  bytesSent: 1_310_720,
  wireBytes: 1_310_720,
  sourceBytesRead: 1_200_000,
  sourceBytes: 2_400_000,
  layers: { total: 19, done: 9, skipped: 0, mounted: 0, failed: 0 },
  bytesPerSecond: 1_310_720,
  etaSeconds: 1,
  reason: null,
  retryAt: null,
  updatedAt: TIME,
}

const JOB = {
  id: ID,
  kind: 'publish',
  source: `file:/packages/${FILE}`,
  destination: 'oci://registry.example/team',
  options: { concurrency: 6 },
  labels: { env: 'dev' },
  principal: 'ann',
  requestId: 'c0ffee',
  traceparent: null,
  package: null,
  state: 'running',
  reason: null,
  done: false,
  revision: 7,
  attempt: 1,
  createdAt: TIME,
  startedAt: TIME,
  endedAt: null,
  progress: PROGRESS,
  result: null,
  error: null,
}

const HAR = {
  log: {
    version: '1.2',
    creator: { name: 'layerd', version: '0.1.0' },
    pages: [],
    comment: `job ${ID}: the last 1 of 812 requests`,
    entries: [
      {
        startedDateTime: TIME,
        time: 61.5,
        request: {
          method: 'PUT',
          url: `https://registry.example/v2/team/nemo/blobs/uploads/7b0c?…&digest=${LAYER}`,
          httpVersion: 'HTTP/1.1',
          cookies: [],
          headers: [{ name: 'authorization', value: 'Bearer ***' }],
          queryString: [{ name: 'digest', value: LAYER }],
          headersSize: -1,
          bodySize: 48_213,
        },
        response: {
          status: 201,
          statusText: 'Created',
          httpVersion: 'HTTP/1.1',
          cookies: [],
          headers: [{ name: 'docker-content-digest', value: LAYER }],
          content: { size: 0, mimeType: 'x-unknown' },
          redirectURL: '',
          headersSize: -1,
          bodySize: 0,
          _transferSize: 0,
        },
        cache: {},
        timings: { blocked: 0.5, dns: 3, connect: 28, ssl: 16, send: 1, wait: 29, receive: 0 },
        connection: '7',
        _connectionId: '7',
        _resourceType: 'fetch' as const,
        comment: 'push blob, run 1, try 1',
        _op: 'push blob',
        _attempt: 1,
        _try: 1,
        _exchange: 'small',
      },
    ],
  },
}

const QUEUED = {
  ...JOB,
  state: 'queued',
  reason: '1st of 1 waiting for registry.example',
  revision: 1,
  attempt: 0,
  startedAt: null,
  progress: { ...PROGRESS, phase: null, bytesTotal: null, bytesDone: 0, bytesSent: 0, wireBytes: 0, etaSeconds: null },
}

const TRANSFER = {
  digest: LAYER,
  title: 'components/baseline.tar',
  mediaType: 'application/vnd.zarf.layer.v1.blob',
  size: 1_048_576,
  state: 'active',
  bytesDone: 524_288,
  attempt: 1,
  retryAt: null,
  error: null,
}

const UPLOAD = {
  id: UPLOAD_ID,
  name: FILE,
  state: 'complete',
  size: 2_400_000,
  sha256: LAYER.slice('sha256:'.length),
}

const STORED = {
  kind: 'package',
  ...IDENTITY,
  references: [REFERENCE],
  size: 2_621_440,
  layers: 19,
  signed: false,
  components: ['baseline'],
  complete: true,
  storedAt: TIME,
  owners: ['ci'],
  transient: false,
  archive: `/v1/packages/${DIGEST}/archive`,
}

const REMOTE = {
  reference: REFERENCE,
  indexDigest: LAYER,
  architectures: ['amd64', 'arm64'],
  tags: ['1.2.0'],
  ...INSPECTED,
}

const REGISTRY = {
  id: 'registry.example',
  path: null,
  host: 'registry.example',
  plainHttp: false,
  repositories: ['team/**'],
  credentials: { kind: 'basic', username: 'ann' },
  ca: null,
  clientCertificate: null,
  proxy: null,
  mirror: null,
  limits: { jobs: 4, concurrency: 4, requestsPerSecond: 20, bytesPerSecond: null },
  updatedAt: TIME,
  profile: {
    name: 'harbor',
    by: 'answers',
    kind: 'Harbor',
    version: null,
    refuted: null,
    facts: { cutKeeps: 'nothing', parts: 'taken' },
  },
}

const KEY = {
  name: 'release',
  kind: 'private',
  algorithm: 'ECDSA P-256',
  fingerprint: 'sha256:6d4822509ebd73be715140a86c7863352361ed5fd2325b24501ec1d7a1165a65',
  publicKey: '-----BEGIN PUBLIC KEY-----\nMFkwEwYH...\n-----END PUBLIC KEY-----\n',
  kms: null,
  createdAt: TIME,
}

const EVENT = { id: '1772366400000-0', type: 'state', jobId: ID, seq: 1, time: TIME, attempt: 1, job: JOB }

const FLEET_EVENT = {
  id: EVENT.id,
  type: 'state',
  jobId: ID,
  time: TIME,
  revision: JOB.revision,
  matches: true,
  job: JOB,
}

export const RESPONSE_EXAMPLES: Readonly<Record<string, unknown>> = {
  createJob: QUEUED,
  listJobs: { items: [JOB] },
  getJob: JOB,
  cancelJob: { ...JOB, state: 'canceling', reason: 'its worker closes its connections' },
  pauseJob: { ...JOB, reason: 'pausing' },
  resumeJob: QUEUED,
  retryJob: QUEUED,
  listTransfers: { items: [TRANSFER], counts: { active: 1, waiting: 18 } },
  listRuns: RUNS,
  readJobLog: `${TIME} INFO  accepted: publish file:/packages/${FILE} to oci://registry.example/team by ann\n`,
  readJobTrace: HAR,
  followEvents: { items: [FLEET_EVENT], lastEventId: FLEET_EVENT.id },
  followJobEvents: { items: [EVENT], lastEventId: EVENT.id },
  putUpload: UPLOAD,
  getUpload: UPLOAD,
  listUploads: { items: [UPLOAD] },
  listFiles: {
    roots: ['/packages'],
    items: [
      {
        source: `file:///packages/${FILE}`,
        root: '/packages',
        path: FILE,
        name: FILE,
        kind: 'package',
        size: 2_400_000,
        modifiedAt: TIME,
        toldByName: { name: 'nemo', architecture: 'amd64', version: '1.2.0' },
      },
    ],
    skipped: [{ path: '/packages/private', reason: 'it cannot be read (EACCES)' }],
  },
  listPackages: { items: [STORED] },
  getPackage: STORED,
  getPackageChanges: CHANGES,
  createPackageLink: {
    url: `/v1/packages/${DIGEST}/archive?link=N6zJmJqk0yH9v3o0m2mZkqg6B1c7XkqW4l0S2b8pQ5E`,
    expiresAt: TIME,
  },
  ...VIEW_EXAMPLES,
  getRemotePackage: REMOTE,
  getUploadedPackage: INSPECTED,
  getBundle: BUNDLE,
  listReferrers: {
    reference: REFERENCE,
    digest: DIGEST,
    from: 'api',
    referrers: [
      {
        digest: LAYER,
        mediaType: 'application/vnd.oci.image.manifest.v1+json',
        artifactType: 'application/vnd.dev.sigstore.bundle.v0.3+json',
        size: 842,
        annotations: { 'org.opencontainers.image.created': TIME },
      },
    ],
  },
  listRegistries: { items: [REGISTRY] },
  getRegistry: REGISTRY,
  putRegistry: REGISTRY,
  getRegistryProfile: REGISTRY.profile,
  listKeys: { items: [KEY] },
  getKey: KEY,
  putKey: KEY,
  pingRegistry: {
    host: 'registry.example',
    ok: false,
    scheme: 'https',
    profile: 'unknown',
    checks: [
      { name: 'name', state: 'ok', detail: 'registry.example is at 192.0.2.10' },
      {
        name: 'login',
        state: 'failed',
        detail: 'log in: registry.example answered 401 UNAUTHORIZED: authentication required',
        hint: 'It did not take the user "ann": check what the job\'s X-Registry-Auth header says.',
      },
    ],
  },
  ...ACCESS_EXAMPLES,
  ...CATALOG_EXAMPLES,
  ...SYSTEM_EXAMPLES,
  getLiveness: { live: true },
  getReadiness: { ready: true, reasons: [], disk: 'ok' },
  getMetrics: '# TYPE layerd_fleet_workers gauge\nlayerd_fleet_workers 2\n',
  getVersion: { name: 'layerd', version: '0.1.0', node: '24.21.0' },
  getOverview: {
    name: 'layerd',
    version: '0.1.0',
    description: 'Package manager service.',
    addresses: { '/docs': 'read and try' },
  },
}

/** By the name of the parameter, and where one means several things by the operation too. */
export const PARAMETER_EXAMPLES: Readonly<Record<string, unknown>> = {
  id: ID,
  digest: DIGEST,
  upload: UPLOAD_ID,
  'putUpload.upload': FILE,
  ref: REFERENCE,
  host: 'registry.example',
  component: 'vessel',
  'getPackageSbom.name': 'registry.example_team_app_1.json',
  name: 'release',
  'getWorker.id': '1c6f0a2b-mhrk2x9d-1.1',
  'drainWorker.id': '1c6f0a2b-mhrk2x9d-1.1',
  'resumeWorker.id': '1c6f0a2b-mhrk2x9d-1.1',
}
