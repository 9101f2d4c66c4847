import { listedNames } from '../../../lib/text.ts'
import type { CommandContext } from '../../client/context.ts'
import type { ExitCode } from '../../client/terminal.ts'
import { type VerifyChoices, verifyOption } from '../../client/verify-option.ts'
import { withAnyPackage } from '../publish.ts'
import { type DryRunOptions, dryRunOption, jobOptions, labels, type SubmitOptions } from '../submit.ts'

export interface MirrorOptions extends SubmitOptions, DryRunOptions, VerifyChoices {
  architecture?: string
  components?: string
  images?: string
  /** Commander's, of --no-checksum. */
  checksum: boolean
}

/** `layerd mirror PACKAGE DESTINATION`: images of a package in a registry (oci://), in the store (its digest), or in a file of this machine. */
export async function mirror(
  context: CommandContext,
  what: string,
  destination: string,
  options: MirrorOptions,
): Promise<ExitCode> {
  const { architecture, components, images, checksum } = options
  const body = {
    kind: 'mirror' as const,
    destination,
    options: {
      ...(architecture === undefined ? {} : { architecture }),
      ...(components === undefined ? {} : { components: listedNames(components) }),
      ...(images === undefined ? {} : { images: listedNames(images) }),
      ...(checksum ? {} : { imageChecksum: false }),
      ...(await verifyOption(context, options)),
      ...dryRunOption(options),
      ...jobOptions(options),
    },
    ...labels(options),
  }
  return await withAnyPackage(context, what, (source) => ({ ...body, source }), { ...options, destination })
}
