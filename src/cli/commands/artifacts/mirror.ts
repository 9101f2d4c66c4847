import { listedNames } from '../../../lib/text.ts'
import type { CommandContext } from '../../client/context.ts'
import { storedDigest } from '../../client/stored-digest.ts'
import type { ExitCode } from '../../client/terminal.ts'
import { type VerifyChoices, verifyOption } from '../../client/verify-option.ts'
import { withPackage } from '../publish.ts'
import { registryAuth } from '../registry-auth.ts'
import { type DryRunOptions, dryRunOption, jobOptions, labels, settle, submit, type SubmitOptions } from '../submit.ts'

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
  const { architecture, components, images, checksum, detach = false } = options
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
  const headers = await registryAuth(context, destination, options)
  const make = (source: string) => ({ ...body, source })
  const digest = storedDigest(what)
  const source = digest === undefined ? what : `store:${digest}`
  if (digest === undefined && !/^oci:\/\//i.test(what)) {
    return await withPackage(context, what, { make, headers, detach, mayUpload: options.dryRun !== true })
  }
  const { exit } = await settle(context, await submit(context, make(source), headers), { detach, quietResult: true })
  return exit
}
