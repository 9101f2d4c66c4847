import { answer } from '../../client/calls.ts'
import type { CommandContext, RegistryOptions } from '../../client/context.ts'
import { type ExitCode, screenColumns } from '../../client/terminal.ts'
import { pingText } from '../../view/ping-text.ts'
import { idOf, registryAuth, withoutScheme } from '../registry-auth.ts'

/** `layerd ping HOST[/REPOSITORY]`: what is wrong with a registry; 1 where anything is. Throws ApiProblem. */
export async function ping(context: CommandContext, place: string, options: RegistryOptions): Promise<ExitCode> {
  const { terminal, json, quiet, client } = context
  const [host = '', ...path] = withoutScheme(place).split('/')
  const repository = path.join('/')
  const login = await registryAuth(context, place, options)
  const found = await answer(
    client.calls.POST('/v1/registries/{host}/ping', {
      params: { path: { host: idOf(host) } },
      body: { ...(repository === '' ? {} : { repository }), ...(options.plainHttp ? { plainHttp: true } : {}) },
      headers: login,
    }),
  )
  if (json) terminal.stdout.write(`${JSON.stringify(found)}\n`)
  else if (quiet) terminal.stdout.write(found.ok ? 'ok\n' : 'failed\n')
  else terminal.stdout.write(pingText(found, screenColumns(terminal.stdout)))
  return found.ok ? 0 : 1
}
