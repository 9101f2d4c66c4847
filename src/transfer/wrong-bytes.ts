import { type Descriptor, descriptorTitle } from '../content/descriptor.ts'
import type { VerifyOptions } from '../content/endpoints.ts'
import { AppError } from '../lib/errors.ts'
import type { Repository } from '../oci/registry.ts'

/** How bytes are reported that a registry served and that are not those of their digest. */
export function wrongBytes(blob: Descriptor, { registry, repository }: Repository): VerifyOptions {
  const name = descriptorTitle(blob) ?? 'the config'
  return {
    name,
    mismatch: (found) =>
      new AppError('DIGEST_MISMATCH', `${registry} served other bytes for ${name}: they have the digest ${found}`, {
        side: 'source',
        upstream: { registry, repository, digest: blob.digest },
        details: { title: name, expected: blob.digest, found },
        hint: "The registry's storage is damaged, or something in between changes answers: publish the package again.",
      }),
  }
}
