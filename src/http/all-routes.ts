import type { DownloadLinks } from '../access/links.ts'
import type { App, AppOptions } from './app.ts'
import type { Browsers } from './access/browsers.ts'
import { browserSessionRoutes } from './routes/access/browser-session.ts'
import { linkRoutes } from './routes/access/links.ts'
import { logInRoutes } from './routes/access/log-in.ts'
import { sessionRoutes } from './routes/access/session.ts'
import { auditRoutes } from './routes/access/audit.ts'
import { policyRoutes } from './routes/access/policies.ts'
import { tokenRoutes } from './routes/access/tokens.ts'
import { catalogRegistryRoutes } from './routes/catalog/registries.ts'
import { catalogRoutes } from './routes/catalog/search.ts'
import { workerRoutes } from './routes/system/workers.ts'
import { OpenAnswers } from './answers/open-answers.ts'
import { OpenUploads } from './requests/bodies/open-uploads.ts'
import { createLooks, LOOK_LIMITS } from './requests/look.ts'
import { bundleRoutes } from './routes/bundles.ts'
import { dashboardRoutes } from './dashboard/dashboard.ts'
import { fleetEventRoutes } from './routes/fleet-events.ts'
import { healthRoutes } from './routes/health.ts'
import { jobEventRoutes } from './routes/job-events.ts'
import { jobLogRoutes } from './routes/job-log.ts'
import { jobQueries } from './routes/job-queries.ts'
import { jobRoutes } from './routes/jobs.ts'
import { jobTraceRoutes } from './routes/job-trace.ts'
import { keyRoutes } from './routes/keys.ts'
import { metricsRoutes } from './routes/metrics.ts'
import { packageChanges } from './routes/package-changes.ts'
import { packageFiles } from './routes/package-files.ts'
import { packageRoutes } from './routes/packages.ts'
import { packageViews } from './routes/package-views.ts'
import { registryProfileRoutes } from './routes/registry-profiles.ts'
import { registryRoutes } from './routes/registries.ts'
import { remotePackageRoutes } from './routes/remote-packages.ts'
import { queueRoutes } from './routes/system/queues.ts'
import { fileRoutes } from './routes/system/files.ts'
import { tusRoutes } from './routes/tus/tus-routes.ts'
import { statsRoutes } from './routes/system/stats.ts'
import { storeCheckRoutes } from './routes/system/store-check.ts'
import { systemRoutes } from './routes/system/system.ts'
import { uploadRoutes } from './routes/uploads.ts'

/** What routes need, with the app's defaults filled in. */
export type RouteOptions = AppOptions &
  Required<Pick<AppOptions, 'mayName' | 'mayKeep' | 'joined' | 'authenticator'>> & {
    browsers: Browsers | undefined
    links: DownloadLinks
    /** Aborts when the app closes. */
    closing: AbortSignal
  }

/** The interface: every resource has its file. */
export function registerRoutes(app: App, made: RouteOptions): void {
  const options = { ...made, ...sharedPlaces(made) }
  const { observer, fileRoots: roots, uploads } = options
  const withSources = { ...options, sources: { roots, uploads } }
  void app.register(fileRoutes, options)
  void app.register(healthRoutes, options)
  void app.register(dashboardRoutes, options)
  void app.register(metricsRoutes, { observer })
  void app.register(sessionRoutes)
  void app.register(browserSessionRoutes, options)
  void app.register(tokenRoutes, options)
  void app.register(logInRoutes, options)
  void app.register(jobRoutes, withSources)
  void app.register(jobQueries, options)
  void app.register(jobLogRoutes, options)
  void app.register(jobTraceRoutes, options)
  void app.register(jobEventRoutes, options)
  void app.register(fleetEventRoutes, options)
  // Before the others': its HEAD stands in place of that of GET.
  void app.register(tusRoutes, options)
  void app.register(uploadRoutes, options)
  void app.register(packageRoutes, options)
  void app.register(remotePackageRoutes, options)
  void app.register(bundleRoutes, withSources)
  void app.register(registryRoutes, options)
  void app.register(registryProfileRoutes, options)
  void app.register(catalogRoutes, options)
  void app.register(catalogRegistryRoutes, options)
  void app.register(queueRoutes, options)
  void app.register(keyRoutes, options)
  void app.register(policyRoutes, options)
  void app.register(auditRoutes, options)
  void app.register(workerRoutes, options)
  void app.register(statsRoutes, options)
  void app.register(systemRoutes, options)
  void app.register(storeCheckRoutes, options)
  void app.register(linkRoutes, options)
  void app.register(packageFiles, options)
  void app.register(packageChanges, options)
  void app.register(packageViews, withSources)
}

/** What is for all callers, so that none takes it for itself. */
const UPLOADS_PER_PRINCIPAL = 32

function sharedPlaces({
  lookLimits = LOOK_LIMITS,
  streamLimits,
  downloadLimits,
  authenticator,
  ...rest
}: RouteOptions) {
  const { required } = authenticator
  return {
    looks: createLooks(lookLimits, required),
    openStreams: OpenAnswers.streams(streamLimits, required),
    openUploads: new OpenUploads(rest.uploadsPerPrincipal ?? UPLOADS_PER_PRINCIPAL),
    openDownloads: OpenAnswers.downloads(downloadLimits, required),
  }
}
