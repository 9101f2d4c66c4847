import type { Descriptor } from '../../content/descriptor.ts'
import type { BlobOpener, PushOptions } from '../../content/endpoints.ts'
import { createVerifier } from '../../content/hashing/verify.ts'
import { throwIfAborted } from '../../lib/abort.ts'

/**
 * Has a source give all of a blob, over one stream, and keeps none of it: who can is who may have the one that is there.
 * Throws DIGEST_MISMATCH, SIZE_MISMATCH, and what the opener throws for good.
 */
export async function prove(descriptor: Descriptor, open: BlobOpener, options: PushOptions): Promise<void> {
  const { signal, onEvent, verify } = options
  const verifier = createVerifier(descriptor, verify)
  let waiting = false
  onEvent?.({ type: 'started', offset: 0 })
  const stream = await open({
    signal,
    onRetry(error, attempt, retryAt) {
      waiting = true
      onEvent?.({ type: 'retrying', error, attempt, retryAt })
    },
  })
  for await (const chunk of stream) {
    throwIfAborted(signal)
    if (waiting) onEvent?.({ type: 'started', offset: verifier.position })
    waiting = false
    verifier.take(chunk)
    onEvent?.({ type: 'bytes', offset: verifier.position, wire: chunk.length })
  }
  onEvent?.({ type: 'verifying' })
  verifier.end()
}
