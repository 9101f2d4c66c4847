import { computeBundle } from '../../uds/computed-bundle.ts'
import { type Bundle, readBundle } from '../../uds/contents/bundle.ts'
import { findBundleBlobs } from '../bundle/blobs.ts'
import { checkBundledPackages } from '../bundle/bundled.ts'
import { checkBundleSignature } from '../bundle/signature.ts'
import { bundledPackages } from '../bundle/packages.ts'
import { totalBytes } from '../plan.ts'
import { checkArchitecture } from '../resolve.ts'
import { refuseChoice } from '../bundle/stored.ts'
import type { FoundPull, PullPlan } from './prepare.ts'
import type { PullDependencies } from './request.ts'

/** Of a bundle: all that the registry has of it, if that is all that it should have (uds/contents/left-out.ts). */
export async function planBundle(
  { request, repository, resolved, source }: FoundPull,
  { store, signal, onEvent }: PullDependencies,
): Promise<PullPlan> {
  const { where, raw } = resolved
  refuseChoice(request, where)
  const read = (blob: Parameters<typeof source.read>[0]) => source.read(blob)
  const bundle = await readBundle(raw, { read, where, signal })
  const { architecture, name, version } = bundle.outline
  if (resolved.indexDigest === undefined) checkArchitecture(architecture, request)
  const { verification, bundledVerificationFor: verificationFor } = request
  const signatures = await checkBundleSignature(bundle, { read, verification, where })
  await checkBundledPackages(bundle, { verificationFor, read, where, onEvent, signal })
  onEvent({ type: 'package', identity: bundle.identity })
  const { length } = bundle.packages
  onEvent({ type: 'log', level: 'info', message: `pulling the bundle ${where} of ${length} packages, ${raw.digest}` })
  const blobs = await findBundleBlobs(bundle, { repository, read, where, onEvent, signal })
  const there = new Set(blobs.map(({ digest }) => digest))
  return {
    signatures,
    blobs,
    archive: computeBundle(bundle, { there, source: store }),
    record: {
      kind: 'bundle',
      size: totalBytes(blobs),
      layers: blobs.length,
      signed: bundle.layers.signature !== undefined,
      components: [],
      ...nestedIn(bundle, there),
    },
    identity: { name, version, flavor: null, architecture },
    told: { layers: blobs.length, packages: bundledPackages(bundle) },
  }
}

function nestedIn(
  { blobs, packages }: Bundle,
  there: ReadonlySet<string>,
): Pick<PullPlan['record'], 'nested' | 'without'> {
  const without = blobs.flatMap(({ digest }) => (there.has(digest) ? [] : [digest]))
  return {
    nested: [...new Set(packages.map(({ manifest }) => manifest.digest))],
    ...(without.length > 0 ? { without } : {}),
  }
}
