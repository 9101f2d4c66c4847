import { answer } from '../../client/calls.ts'
import type { CommandContext } from '../../client/context.ts'
import type { ExitCode } from '../../client/terminal.ts'
import { formatTable } from '../../view/format.ts'
import { idOf, withoutScheme } from '../registry-auth.ts'

/** `layerd registries HOST`: what is known of the ways of a registry, whether or not anything is kept of it. Throws ApiProblem. */
export async function registryProfile({ client, terminal, json }: CommandContext, place: string): Promise<ExitCode> {
  const host = withoutScheme(place).replace(/\/$/, '')
  const params = { path: { host: idOf(host) } }
  const profile = await answer(client.calls.GET('/v1/registries/{host}/profile', { params }))
  if (json) {
    terminal.stdout.write(`${JSON.stringify(profile)}\n`)
    return 0
  }
  const { name, by, kind, version, refuted, facts } = profile
  const rows = [
    ['profile', name],
    ['known by', by ?? 'nothing yet'],
    ['kind', kind ?? 'not known'],
    ...(version === null ? [] : [['version', version]]),
    ...(refuted === null ? [] : [['shows', `${refuted}, and does not do as that would`]]),
    ...Object.entries(facts).map(([fact, value]) => [fact, String(value)]),
  ]
  terminal.stdout.write(formatTable(rows))
  return 0
}
