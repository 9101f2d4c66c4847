import { type Answer, type RecordedRequest, refusalAnswer } from './exchange.ts'
import type { ManifestWays } from './ways.ts'

const REFERRERS = /^\/v2\/(.+)\/referrers\/([^/]+)$/
const INDEX = 'application/vnd.oci.image.index.v1+json'

interface Referrer {
  readonly mediaType: string
  readonly digest: string
  readonly size: number
  readonly artifactType?: string
}

/** Manifests by their subject. Source: OCI distribution-spec v1.1.1 "Listing Referrers". */
export function createReferrers(ways: ManifestWays) {
  const bySubject = new Map<string, Referrer[]>()
  return {
    /** What the answer to such a manifest tells. */
    add(
      repository: string,
      subject: string | undefined,
      { mediaType, digest, bytes }: { mediaType: string; digest: string; bytes: Buffer },
    ): Record<string, string> {
      if (subject === undefined) return {}
      const { artifactType, config } = JSON.parse(bytes.toString()) as {
        artifactType?: string
        config?: { mediaType: string }
      }
      const type = artifactType ?? config?.mediaType
      const known = bySubject.get(`${repository}@${subject}`) ?? []
      const others = known.filter((referrer) => referrer.digest !== digest)
      const own = { mediaType, digest, size: bytes.length, ...(type === undefined ? {} : { artifactType: type }) }
      bySubject.set(`${repository}@${subject}`, [...others, own])
      return ways.subjectHeader ? { 'oci-subject': subject } : {}
    },
    handle({ path, query }: RecordedRequest): Answer | undefined {
      const [, repository, subject] = REFERRERS.exec(decodeURIComponent(path)) ?? []
      if (repository === undefined) return undefined
      if (typeof ways.referrers === 'object') return refusalAnswer(ways.referrers)
      const wanted = query.get('artifactType')
      const all = bySubject.get(`${repository}@${subject}`) ?? []
      const filters = wanted !== null && ways.referrers === 'api'
      const manifests = filters ? all.filter(({ artifactType }) => artifactType === wanted) : all
      return {
        status: 200,
        headers: { 'content-type': INDEX, ...(filters ? { 'oci-filters-applied': 'artifactType' } : {}) },
        body: JSON.stringify({ schemaVersion: 2, mediaType: INDEX, manifests }),
      }
    },
  }
}
