/**
 * Who may import whom. A house is a folder of src, a wing a folder in one. A name in `imports` opens a house's faces (all
 * of its files where it lists none), a wing's files, or one file; `types` opens them for types alone. Own files are open
 * to each other, and a house's own lists to all of its wings, but for `top`: what its own files alone may import.
 */
export interface Room {
  readonly faces?: readonly string[]
  readonly top?: readonly string[]
  readonly imports?: readonly string[]
  readonly types?: readonly string[]
  readonly packages?: readonly string[]
}

export const ROOMS: Readonly<Record<string, Room>> = {
  lib: { packages: ['pino'] },
  'lib/loop': { imports: ['lib'] },
  'lib/formats': {},
  'lib/patterns': { imports: ['lib'] },
  content: { imports: ['lib'], packages: ['typebox'] },
  'content/hashing': { imports: ['content'] },
  'content/limits': {},
  config: { imports: ['lib'], packages: ['typebox', 'fastest-levenshtein'] },
  files: { imports: ['content', 'lib'] },

  oci: {
    faces: [
      'registry.ts',
      'connections.ts',
      'manifests',
      'credentials',
      'credentials/clouds/clouds.ts',
      'ping/ping.ts',
      'facts/profile-report.ts',
    ],
    top: [
      'oci/manifests',
      'oci/push',
      'oci/push/sessions',
      'oci/pull',
      'oci/mirror',
      'oci/wire/steps',
      'oci/wire/exchanges',
      'oci/wire/connections',
      'oci/wire/pace',
      'oci/trace',
      'oci/auth',
      'oci/credentials',
      'oci/credentials/clouds',
      'oci/request',
    ],
    imports: ['content', 'lib', 'oci/facts', 'oci/errors'],
    packages: ['undici', 'typebox', 'ipaddr.js'],
  },
  'oci/ping': {
    imports: [
      'oci/auth',
      'oci/credentials',
      'oci/push/sessions',
      'oci/wire/exchanges',
      'oci/wire/connections/secure-contexts.ts',
      'oci/request',
    ],
  },
  'oci/manifests': { imports: ['oci/pull', 'oci/request'] },
  'oci/push': { imports: ['oci/push/parts', 'oci/push/sessions', 'oci/pull', 'oci/request'] },
  'oci/push/parts': { imports: ['oci/request'] },
  'oci/push/sessions': { imports: ['oci/request'] },
  'oci/pull': { imports: ['oci/request'] },
  'oci/mirror': { imports: ['oci/request'] },
  'oci/wire/steps': {
    imports: [
      'oci/auth',
      'oci/credentials',
      'oci/trace',
      'oci/wire/exchanges',
      'oci/wire/connections',
      'oci/wire/pace',
      'oci/request',
    ],
  },
  'oci/trace': { imports: ['oci/auth', 'oci/request'] },
  'oci/auth': { imports: ['oci/request', 'oci/credentials'] },
  'oci/wire/exchanges': { imports: ['oci/wire/connections', 'oci/request'] },
  'oci/wire/connections': { imports: ['oci/request'] },
  'oci/wire/pace': {},
  'oci/request': { types: ['oci/credentials'] },
  // The SDK is loaded where keys of AWS are first needed (aws.ts), never by a process that has none.
  'oci/credentials/clouds': {
    imports: ['oci/credentials'],
    types: ['oci/request'],
    packages: ['@aws-sdk/client-ecr', '@aws-sdk/client-ecr-public', '@aws-sdk/credential-providers'],
  },
  'oci/credentials': {},
  'oci/errors': {},
  'oci/facts': {},

  zarf: {
    faces: ['package.ts', 'pulled-package.ts', 'computed-archive.ts', 'select.ts', 'package-reference.ts'],
    top: ['zarf/sources', 'zarf/contents', 'zarf/selection', 'zarf/definition', 'zarf/archive'],
    imports: ['content', 'lib', 'zarf/layout'],
    packages: ['js-yaml', 'tar-stream'],
  },
  'zarf/sources': { imports: ['zarf/contents', 'zarf/definition', 'zarf/archive'] },
  'zarf/contents': { imports: ['zarf/definition'] },
  'zarf/selection': {},
  'zarf/definition': {},
  'zarf/archive': {},
  'zarf/layout': {},

  uds: { faces: ['bundle-manifest.ts'], imports: ['content', 'lib'] },

  trust: {
    faces: ['verification.ts'],
    imports: ['lib'],
    packages: ['@sigstore/bundle', '@sigstore/protobuf-specs', '@sigstore/verify'],
  },

  store: {
    faces: ['content-store.ts'],
    top: ['store/upkeep', 'store/index', 'store/ingest', 'store/origins', 'store/blobs', 'store/locks'],
    imports: ['content', 'lib', 'store/files'],
    packages: ['typebox'],
  },
  'store/upkeep': { imports: ['store/index', 'store/ingest', 'store/blobs', 'store/locks'] },
  'store/index': { imports: ['store/ingest', 'store/origins', 'store/blobs', 'store/locks'] },
  'store/ingest': { imports: ['store/origins', 'store/locks'] },
  'store/origins': {},
  'store/blobs': {},
  'store/locks': {},
  'store/files': {},

  transfer: {
    faces: [
      'publish/publish.ts',
      'pull/pull.ts',
      'copy/copy.ts',
      'copy/tags.ts',
      'verify/verify.ts',
      'inspect.ts',
      'referrers.ts',
      'signatures.ts',
      'stored-package.ts',
      'events.ts',
    ],
    imports: ['content', 'lib', 'oci', 'zarf', 'uds', 'store', 'trust'],
  },
  'transfer/copy': { imports: ['transfer'] },
  'transfer/publish': { imports: ['transfer', 'transfer/verify'] },
  'transfer/pull': { imports: ['transfer'] },
  'transfer/verify': { imports: ['transfer'] },

  jobs: {
    faces: [
      'queue.ts',
      'runs.ts',
      'dispatch',
      'hints/blob-places.ts',
      'hints/known-packages.ts',
      'hints/registry-facts.ts',
      'model',
      'progress/events.ts',
      'progress/reports.ts',
      'progress/trace.ts',
      'registries/registry-records.ts',
      'registries/shared-limits.ts',
      'redis/keys.ts',
      'redis/tag-locks.ts',
      'redis/redis.ts',
      'redis/signals.ts',
      'uploads/checkpoints.ts',
      'uploads/transfer-claims.ts',
    ],
    top: ['jobs/commands', 'jobs/progress', 'jobs/uploads', 'jobs/dispatch', 'jobs/record', 'jobs/redis'],
    imports: ['content', 'lib', 'jobs/model'],
    types: ['transfer/events.ts'],
    packages: ['bullmq', 'ioredis', 'typebox'],
  },
  'jobs/commands': { imports: ['jobs/progress', 'jobs/dispatch', 'jobs/record', 'jobs/redis'] },
  'jobs/progress': { imports: ['jobs/record', 'jobs/redis'] },
  'jobs/uploads': { imports: ['jobs/record', 'jobs/redis'] },
  'jobs/hints': { imports: ['jobs/redis'] },
  'jobs/registries': { imports: ['jobs/record', 'jobs/redis'] },
  'jobs/dispatch': { imports: ['jobs/redis'] },
  'jobs/record': { imports: ['jobs/redis'] },
  'jobs/redis': {},
  'jobs/model': {},

  daemon: {
    faces: [
      'api-channel.ts',
      'child.ts',
      'data-directory.ts',
      'directory-lock.ts',
      'kept-api.ts',
      'kept-children.ts',
      'kept-redis.ts',
      'kept-workers.ts',
      'shared-id.ts',
    ],
    imports: ['jobs', 'config', 'lib'],
    packages: ['ioredis'],
  },

  worker: {
    faces: ['worker.ts', 'registry-access.ts', 'policies.ts', 'kinds', 'traces/shared-traces.ts'],
    top: ['worker/traces'],
    imports: [
      'jobs',
      'transfer',
      'trust',
      'files',
      'content/reference.ts',
      'content/repository-pattern.ts',
      'content/digest.ts',
      'content/opened.ts',
      'content/wire-request.ts',
      'lib',
    ],
    packages: ['bullmq', 'js-yaml', 'typebox'],
  },

  'worker/kinds': { imports: ['worker'] },
  'worker/traces': {},

  http: {
    faces: ['app.ts', 'schemas'],
    top: ['http/plugins', 'http/routes', 'http/schemas'],
    imports: [
      'jobs',
      'files',
      'transfer',
      'content/clouds.ts',
      'trust',
      'content/reference.ts',
      'content/repository-pattern.ts',
      'content/digest.ts',
      'lib',
    ],
    types: ['store', 'content/wire-request.ts'],
    packages: [
      'fastify',
      'fastify-plugin',
      '@fastify/compress',
      '@fastify/swagger',
      '@fastify/swagger-ui',
      '@fastify/type-provider-typebox',
      'typebox',
    ],
  },
  'http/routes': { imports: ['http/requests', 'http/answers', 'http/events', 'http/schemas'] },
  'http/plugins': { imports: ['http/requests', 'http/answers', 'http/document'] },
  'http/document': { imports: ['http/requests'] },
  'http/requests': { types: ['http/schemas'] },
  'http/answers': { imports: ['http/schemas'] },
  'http/events': {},
  'http/schemas': {},

  cli: {
    faces: ['program.ts'],
    top: ['cli/commands/registries', 'cli/commands', 'cli/view'],
    imports: ['lib', 'cli/client'],
    packages: ['commander'],
  },
  'cli/commands/registries': { imports: ['cli/commands', 'cli/view'] },
  'cli/commands': { imports: ['cli/view'] },
  'cli/view': { packages: ['cli-progress'] },
  // A client like any other: what it knows of the daemon is the contract.
  'cli/client': { types: ['../clients/typescript/src/schema.d.ts'], packages: ['undici', 'openapi-fetch'] },

  metrics: {
    imports: ['lib'],
    types: ['content', 'jobs', 'store', 'oci/errors', 'oci/request', 'worker/run-observer.ts'],
    packages: ['prom-client'],
  },

  tracing: {
    imports: ['lib', 'oci/errors'],
    types: ['jobs', 'oci/request', 'http/app.ts', 'worker/run-observer.ts'],
    packages: [
      '@opentelemetry/api',
      '@opentelemetry/exporter-trace-otlp-http',
      '@opentelemetry/resources',
      '@opentelemetry/sdk-trace',
    ],
  },

  roles: {
    imports: [
      'metrics',
      'tracing',
      'config',
      'content',
      'daemon',
      'files',
      'http',
      'jobs',
      'lib',
      'oci',
      'store',
      'transfer',
      'trust',
      'worker',
      'zarf',
    ],
  },

  'main.ts': { imports: ['roles', 'cli', 'config', 'lib', 'tracing'], packages: ['node:process'] },
}
