import type { Server } from 'node:http'
import type { TypeBoxTypeProvider } from '@fastify/type-provider-typebox'
import {
  type FastifyBaseLogger,
  type FastifyInstance,
  fastify,
  LogController,
  type RawReplyDefaultExpression,
  type RawRequestDefaultExpression,
} from 'fastify'
import { createDownloadLinks, type LinkRecords } from '../access/links.ts'
import { type Authenticator, createAuthenticator } from '../access/authenticator.ts'
import type { Sessions } from '../access/sessions.ts'
import type { IssuedTokens } from '../access/issued-tokens.ts'
import type { JobKind } from '../jobs/model/definitions.ts'
import {
  Job,
  JobLogLine,
  Problem,
  Progress,
  Removal,
  Signature,
  Transfer,
  TransferPlan,
} from '../jobs/model/definitions.ts'
import { JobRun } from '../jobs/model/job-run.ts'
import type { JobEventReader } from '../jobs/progress/events.ts'
import type { JobQueue } from '../jobs/queue.ts'
import type { AuditRecorder } from '../access/audit.ts'
import type { AuditLog } from '../jobs/access/audit-log.ts'
import type { PolicyRecords } from '../jobs/access/policy-records.ts'
import type { KeyRecords } from '../jobs/keys/key-records.ts'
import type { RegistryRecords } from '../jobs/registries/registry-records.ts'
import type { UploadLocks } from '../jobs/uploads/upload-locks.ts'
import type { Logger } from '../lib/logger.ts'
import type { UploadFolder } from '../files/upload-folder.ts'
import type { ContentStore } from '../store/content-store.ts'
import { registerRoutes } from './all-routes.ts'
import type { AnswerLimits } from './answers/open-answers.ts'
import type { LookLimits } from './requests/look.ts'
import { cookiesPlugin } from './plugins/cookies.ts'
import { type BodyPaceOptions, bodyPacePlugin } from './plugins/body-pace.ts'
import { answersPlugin } from './plugins/answers.ts'
import { auditPlugin } from './plugins/audit.ts'
import { downloadLinksPlugin } from './plugins/download-links.ts'
import { authPlugin } from './plugins/auth.ts'
import { answerBrokenRequest } from './plugins/broken-request.ts'
import { continuePlugin } from './plugins/continue.ts'
import { identityBodiesPlugin } from './plugins/identity-bodies.ts'
import { joiningPlugin } from './plugins/joining.ts'
import { jobSightPlugin } from './plugins/job-sight.ts'
import { jsonOnlyPlugin } from './plugins/json-only.ts'
import { openapiPlugin } from './plugins/openapi.ts'
import { ownOriginPlugin } from './plugins/own-origin.ts'
import { type ProblemOptions, problemPlugin, sendProblem } from './plugins/problem.ts'
import { queryCoercionPlugin } from './plugins/query-coercion.ts'
import { type RateLimitsOptions, rateLimitsPlugin } from './plugins/rate-limits.ts'
import { requestContextPlugin, requestId } from './plugins/request-context.ts'
import { type RequestTracer, requestTracingPlugin } from './plugins/request-tracing.ts'
import { createBrowsers, type LogIn } from './access/browsers.ts'

import type { CatalogRoutesOptions } from './routes/catalog/search.ts'
import type { FleetEventRoutesOptions } from './routes/fleet-events.ts'
import type { KeyRoutesOptions } from './routes/keys.ts'
import type { ApiObserver } from './routes/metrics.ts'
import type { SystemFacts } from './routes/system/system.ts'
import type { MayName, RegistryPinger } from './routes/registries.ts'
import type { RegistryProfiles } from './routes/registry-profiles.ts'
import type { RegistryReader } from './routes/remote-packages.ts'
import { FleetEventSchema, JobEventSchema, JobMove } from './schemas/event.ts'
import { CatalogPackage, CatalogRegistry, CatalogVersion } from './schemas/catalog/catalog.ts'
import { Har } from './schemas/har.ts'
import { Key } from './schemas/key.ts'
import { PackageLink, PackageSignatures, StoredPackage } from './schemas/package.ts'
import { PACKAGE_VIEWS } from './schemas/package-views.ts'
import { Bundle } from './schemas/bundle.ts'
import { RemotePackage, RemoteReferrers, RemoteRepository } from './schemas/remote-package.ts'
import { Registry, RegistryPing } from './schemas/registry.ts'
import { RegistryProfile } from './schemas/registry-profile.ts'
import { Session } from './schemas/session.ts'
import { Queue } from './schemas/system/queue.ts'
import { AuditEntry } from './schemas/audit.ts'
import { Policy } from './schemas/policy.ts'
import { Stats, StatsSeries, StatsTotals } from './schemas/system/stats.ts'
import { StoreCheck } from './schemas/system/store-check.ts'
import { Setting, System } from './schemas/system/system.ts'
import { Worker } from './schemas/system/worker.ts'
import { Token } from './schemas/token.ts'
import { LocalFile } from './schemas/system/file.ts'
import { Upload } from './schemas/upload.ts'

export type { RequestTracer } from './plugins/request-tracing.ts'
export type { ApiObserver } from './routes/metrics.ts'

export type App = FastifyInstance<
  Server,
  RawRequestDefaultExpression,
  RawReplyDefaultExpression,
  FastifyBaseLogger,
  TypeBoxTypeProvider
>

export interface AppOptions {
  queue: JobQueue
  events: JobEventReader
  uploads: UploadFolder
  store: ContentStore
  /** Looks at packages in registries, for GET /v1/remote-packages. */
  remote: RegistryReader
  /** Finds out what is wrong with a registry. */
  ping: RegistryPinger
  logger: Logger
  /** layerd's own version. */
  version: string
  /** Host part of LAYERD_LISTEN; requests that name it are served. */
  listenHost: string
  /** LAYERD_PUBLIC_URL. */
  publicUrl?: string | undefined
  /** Told to who may read the system. */
  system: SystemFacts
  /** Folder of the built dashboard. Default: dist/ui; without one `GET /` is a page of links. */
  dashboard?: string | undefined
  /** Who is who. Default: nobody has to be known. */
  authenticator?: Authenticator
  /** What browsers have instead of a token. Default: nothing. */
  sessions?: Sessions | undefined
  /** Those that layerd issues. */
  tokens: IssuedTokens
  /** How browsers log in at an OIDC issuer. Default: not at all. */
  logIn?: LogIn | undefined
  /** LAYERD_FILE_ROOTS, absolute paths. */
  fileRoots: readonly string[]
  /** Throws REGISTRY_NOT_ALLOWED for a registry that callers may not name. Default: they may name all. */
  mayName?: MayName
  /** The same for registries that are to be kept. */
  mayKeep?: (registry: string) => void
  /** What is kept of registries. */
  registries: RegistryRecords
  /** Keys that jobs sign and verify with. */
  keys: KeyRecords
  /** Links to downloads, as they are kept. */
  linkRecords: LinkRecords
  /** What packages have to be signed by. */
  policies: PolicyRecords
  /** Is told who did what, and tells it. */
  audit: AuditRecorder & Pick<AuditLog, 'list'>
  /** Asks AWS for the public half of a key. */
  kmsPublicKey: KeyRoutesOptions['kmsPublicKey']
  /** What is known of their ways. */
  profiles: RegistryProfiles
  /** What they hold, as it is kept. */
  catalogue: CatalogRoutesOptions['catalogue']
  /** The kinds of jobs that the workers can run; others are refused with JOB_KIND_UNSUPPORTED. */
  kinds: ReadonlySet<JobKind>
  /** Whether workers belong to this process's role: then /readyz waits for one. */
  allInOne: boolean
  /** Counts, and tells what was counted at /metrics. Default: nobody. */
  observer?: ApiObserver
  /** Keeps traces of requests. Default: nobody does. */
  tracer?: RequestTracer | undefined
  /** Whether Redis is there and this layerd's; until then only probes are answered. Default: it is. */
  joined?: () => boolean
  /** Asked when Redis does not answer: what better describes it than that, and what to do. Default: nothing. */
  whyNoRedis?: ProblemOptions['whyNoRedis']
  /** How often who may ask. Default: as often as they like. */
  rates?: RateLimitsOptions['rates']
  /** Who may write to uploads that come in pieces. */
  uploadLocks: UploadLocks
  /** Most uploads that a caller may have open at once, in this process. Default 32. */
  uploadsPerPrincipal?: number
  /** What a sender of a body must bring. Default: 1 KiB a second over 30 s. */
  bodyPace?: BodyPaceOptions['bodyPace']
  /** Event streams, followed logs and waits that may be open at once. Default: 1,000 of a caller, 20,000 in all. */
  streamLimits?: AnswerLimits
  /** Downloads at once. Default: 128 of a caller, 1,000 in all. */
  downloadLimits?: AnswerLimits
  /** Looks at packages and registries at once. Default: 8 of a caller, with 200 that wait, 32 in all. */
  lookLimits?: LookLimits
  /** Heartbeat, patience and tick of event streams, ms; default 15 s, 30 s and 500 ms. */
  streams?: FleetEventRoutesOptions['streams']
}

const SCHEMAS = [
  Problem,
  Progress,
  Transfer,
  Job,
  JobEventSchema,
  JobMove,
  FleetEventSchema,
  JobLogLine,
  JobRun,
  Har,
  LocalFile,
  Upload,
  StoredPackage,
  Signature,
  TransferPlan,
  Removal,
  PackageSignatures,
  PackageLink,
  ...PACKAGE_VIEWS,
  Bundle,
  RemotePackage,
  RemoteReferrers,
  RemoteRepository,
  Registry,
  RegistryPing,
  RegistryProfile,
  CatalogPackage,
  CatalogRegistry,
  CatalogVersion,
  Queue,
  Key,
  Session,
  Policy,
  StatsTotals,
  StatsSeries,
  Stats,
  Token,
  System,
  StoreCheck,
  Setting,
  Worker,
  AuditEntry,
]

const JSON_BODY_BYTES = 1024 * 1024
/** A socket on which nothing moves either way for so long is closed: slow senders and dead readers. Streams have a heartbeat. */
const IDLE_SOCKET_MS = 120_000
/** Longer than the 60 s after which common proxies close idle connections, so that they and not we close first. */
const KEEP_ALIVE_MS = 72_000
const HEADERS_MS = 60_000

/**
 * The HTTP side of layerd as a Fastify instance that does not listen yet. `close()` ends open streams first and refuses
 * what still comes in; it closes neither queue nor events: who made them does.
 */
export function createApp(options: AppOptions): App {
  const closing = new AbortController()
  const {
    authenticator = createAuthenticator([]),
    joined = () => true,
    mayName = () => undefined,
    mayKeep = () => undefined,
  } = options
  const loggerInstance: FastifyBaseLogger = options.logger
  const app = fastify({
    loggerInstance,
    logController: new LogController({ disableRequestLogging: true, requestIdLogLabel: 'requestId' }),
    genReqId: requestId,
    bodyLimit: JSON_BODY_BYTES,
    // Forwarded-For and -Host are the sender's claim; nothing here depends on them.
    trustProxy: false,
    // File names of uploads; Fastify's own limit is 100.
    routerOptions: { maxParamLength: 1024 },
    connectionTimeout: IDLE_SOCKET_MS,
    keepAliveTimeout: KEEP_ALIVE_MS,
    // None for a whole request: uploads of many GB take their time. Headers and idle sockets have theirs.
    requestTimeout: 0,
    http: { headersTimeout: HEADERS_MS },
    // Ours says why, as a problem document (plugins/request-context.ts).
    return503OnClosing: false,
    ajv: { customOptions: { removeAdditional: false, coerceTypes: false, useDefaults: false, allErrors: true } },
    frameworkErrors: (error, request, reply) => void sendProblem(error, request, reply),
    clientErrorHandler: answerBrokenRequest,
  }).withTypeProvider<TypeBoxTypeProvider>()
  // Before Fastify waits for open requests: it would wait for event streams for ever.
  app.addHook('preClose', async () => closing.abort())
  for (const schema of SCHEMAS) app.addSchema(schema)

  void app.register(requestContextPlugin, { closing: closing.signal, onAnswered: options.observer?.onAnswered })
  void app.register(requestTracingPlugin, { tracer: options.tracer })
  void app.register(auditPlugin, { recorder: options.audit, tokensRequired: authenticator.required })
  void app.register(problemPlugin, { whyNoRedis: options.whyNoRedis })
  void app.register(answersPlugin)
  void app.register(ownOriginPlugin, {
    listenHost: options.listenHost,
    publicUrl: options.publicUrl,
    tokensRequired: authenticator.required,
  })
  void app.register(joiningPlugin, { joined })
  const browsers = createBrowsers(options, app.server)
  const links = createDownloadLinks({ records: options.linkRecords, authenticator })
  void app.register(cookiesPlugin)
  void app.register(rateLimitsPlugin, { rates: options.rates, tokensRequired: authenticator.required })
  void app.register(downloadLinksPlugin, { links })
  void app.register(authPlugin, { authenticator, browsers: browsers?.sessions })
  void app.register(jobSightPlugin, { queue: options.queue })
  void app.register(identityBodiesPlugin)
  void app.register(jsonOnlyPlugin)
  void app.register(queryCoercionPlugin)
  void app.register(continuePlugin)
  void app.register(bodyPacePlugin, { bodyPace: options.bodyPace })
  void app.register(openapiPlugin, { version: options.version })
  const made = { mayName, mayKeep, joined, authenticator, browsers, links }
  registerRoutes(app, { ...options, ...made, closing: closing.signal })
  return app
}
