import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { test } from 'node:test'
import { fileURLToPath } from 'node:url'

/** What an excellent client does, by the names of oci-client.md 17, and the test of each: its file, and what stands in it. */
const TESTS: Readonly<Record<string, readonly [file: string, title: string]>> = {
  'upload.cut-mid-patch.dist3.resumes-at-byte': ['fault/upload-recovery', 'upload.cut-mid-patch.dist3.resumes-at-byte'],
  'upload.cut-mid-patch.dist28.restarts-new-session': [
    'fault/upload-recovery',
    'upload.cut-mid-patch.dist28.restarts-new-session',
  ],
  'upload.cut-mid-patch.zot.session-gone': ['integration/zot', 'upload.cut-mid-patch.zot.session-gone'],
  'upload.cut-mid-patch.quay.bias-plus-one': ['fault/upload-parts', 'upload.quay.bias-plus-one'],
  'upload.old-location-is-dead': ['fault/upload-protocol', 'upload.old-location-is-dead'],
  'upload.201-on-patch': ['fault/upload-protocol', 'upload.201-on-patch'],
  'upload.range-stuck': ['fault/upload-protocol', 'upload.range-stuck'],
  'upload.empty-put-refused.last-chunk-in-put': ['fault/upload-parts', 'upload.empty-put-refused.last-chunk-in-put'],
  'upload.416-too-large-is-not-offset': ['fault/upload-parts', 'upload.416-too-large-is-not-offset'],
  'upload.413-halves-chunk': ['fault/upload-parts', 'upload.413-halves-chunk'],
  'upload.server-deadline-60s.adapts': ['fault/upload-parts', 'upload.server-deadline.adapts'],
  'upload.put-timeout.then-head-200': ['fault/upload-protocol', 'upload.put-timeout.then-head-200'],
  'upload.token-expires-between-patch-and-put': ['fault/upload-protocol', 'upload.token-expires-between-patch-and-put'],
  'upload.401-mid-body': ['fault/upload-auth', 'upload.401-mid-body'],
  'auth.harbor-scheme-flip': ['fault/registry-auth', 'auth.harbor-scheme-flip'],
  'auth.empty-challenge': ['fault/registry-auth', 'auth.empty-challenge'],
  'auth.no-expires-in': ['fault/registry-auth', 'auth.no-expires-in'],
  'auth.basic-uppercase': ['fault/registry-auth', 'auth.basic-uppercase'],
  'auth.realm-ssrf': ['integration/registry-tls', 'auth.realm-ssrf'],
  'auth.oauth-post-404-get': ['fault/registry-auth', 'auth.oauth-post-404-get'],
  'auth.helper-not-found-is-anonymous': ['unit/oci/credentials/docker-config', 'auth.helper-not-found-is-anonymous'],
  'redirect.drops-auth': ['fault/registry-redirect', 'redirect.drops-auth'],
  'redirect.presign-expired-403.reresolves': ['fault/download', 'redirect.presign-expired-403.reresolves'],
  'redirect.head-403.get-range': ['fault/download', 'redirect.head-403.get-range'],
  'download.200-to-range.discards': ['fault/download', 'download.200-to-range.discards'],
  'download.416-at-eof-not-sent': ['fault/download', 'download.416-at-eof-not-sent'],
  'download.cut-at-60s.resumes': ['fault/download', 'download.cut-at-60s.resumes'],
  'download.crash.rehash': ['unit/store/ingest/ingest', 'download.crash.rehash'],
  'mount.202-session-is-used': ['fault/mount', 'mount.202-session-is-used'],
  'mount.needs-both-scopes': ['fault/mount', 'mount.needs-both-scopes'],
  'location.relative': ['fault/upload-protocol', 'location.relative'],
  'location.absolute': ['unit/oci/push/sessions/upload-location', "'absolute'"],
  'location.query': ['unit/oci/push/sessions/upload-location', 'query'],
  'location.port-lost': ['unit/oci/push/sessions/upload-location', "'port lost'"],
  'manifest.accept-missing-404': ['fault/manifest', 'manifest.accept-missing-404'],
  'manifest.digest-alg-differs': ['fault/manifest', 'manifest.digest-alg-differs'],
  'manifest.immutable.ecr': ['fault/registries/manifests', "['dockerhub', 'ecr', 'harbor', 'quay', 'gar']"],
  'manifest.immutable.gar': ['fault/registries/manifests', "['dockerhub', 'ecr', 'harbor', 'quay', 'gar']"],
  'manifest.immutable.harbor': ['fault/registries/manifests', "['dockerhub', 'ecr', 'harbor', 'quay', 'gar']"],
  'manifest.immutable.quay': ['fault/registries/manifests', "['dockerhub', 'ecr', 'harbor', 'quay', 'gar']"],
  'manifest.immutable.hub': ['fault/registries/manifests', "['dockerhub', 'ecr', 'harbor', 'quay', 'gar']"],
  'manifest.blob-unknown.heals-once': ['fault/commit', 'manifest.blob-unknown.heals-once'],
  'manifest.4MiB+1': ['fault/manifest', 'manifest.4MiB+1'],
  'referrers.subject-header-lies': ['fault/registries/referrers', 'referrers.subject-header-lies'],
  'referrers.api-without-header': ['fault/registries/referrers', 'referrers.api-without-header'],
  'referrers.fallback.lost-update': ['fault/registries/referrers', 'referrers.fallback.lost-update'],
  'referrers.303-offsite': ['fault/registries/referrers', 'referrers.303-offsite'],
  'tags.link-on-last-page': ['fault/tags', 'tags.link-on-last-page'],
  'tags.unpaginated-28': ['fault/tags', 'tags.unpaginated-28'],
  'tags.null': ['fault/tags', 'tags.null'],
  'retry.retry-after.seconds': ['fault/registry-network', "['seconds', { 'retry-after'"],
  'retry.retry-after.date': ['fault/registry-network', "['date', { 'retry-after'"],
  'retry.retry-after.503': ['fault/upload-recovery', 'retry.retry-after.503'],
  'retry.retry-after.huge': ['fault/registry-network', 'retry.retry-after.huge'],
  'errors.jfrog': ['unit/oci/errors/error-body', 'errors.jfrog'],
  'errors.html': ['unit/oci/errors/error-body', 'errors.html'],
  'errors.empty-head': ['unit/oci/errors/error-body', 'errors.empty-head'],
  'progress.monotone-acked': ['fault/upload-recovery', 'progress.monotone-acked'],
}

test('each acceptance name has its test', () => {
  const lacking = Object.entries(TESTS).filter(([, [file, title]]) => {
    const path = fileURLToPath(new URL(`../${file}.test.ts`, import.meta.url))
    return !readFileSync(path, 'utf8').includes(title)
  })
  assert.deepEqual(
    lacking.map(([name]) => name),
    [],
  )
})
