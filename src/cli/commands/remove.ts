import type { ApiClient } from '../client/api-client.ts'
import { answer } from '../client/calls.ts'
import type { CommandContext } from '../client/context.ts'
import type { ExitCode } from '../client/terminal.ts'
import { ApiProblem } from '../client/problems.ts'
import { jobIdOf } from './job-id.ts'

interface Removed {
  what: 'package' | 'job' | 'upload'
  id: string
}

/** `layerd rm ID...`: what a digest names is a package, another id a job or an upload. Goes on after one that is not there. */
export async function remove(
  { client, terminal, json, quiet }: CommandContext,
  ids: readonly string[],
): Promise<ExitCode> {
  let exit: ExitCode = 0
  for (const id of ids) {
    try {
      const removed = await removeOne(client, id)
      if (json) terminal.stdout.write(`${JSON.stringify(removed)}\n`)
      else terminal.stdout.write(quiet ? `${removed.id}\n` : `${removed.what} ${removed.id} removed\n`)
    } catch (error) {
      if (!(error instanceof ApiProblem) || ids.length === 1) throw error
      terminal.stderr.write(`${id}: ${error.message}\n`)
      exit = 1
    }
  }
  return exit
}

async function removeOne(client: ApiClient, text: string): Promise<Removed> {
  const { calls } = client
  if (/^sha(?:256|512):/.test(text)) {
    await answer(calls.DELETE('/v1/packages/{digest}', { params: { path: { digest: text } } }))
    return { what: 'package', id: text }
  }
  if (await isUpload(client, text)) {
    await answer(calls.DELETE('/v1/uploads/{upload}', { params: { path: { upload: text } } }))
    return { what: 'upload', id: text }
  }
  const id = await jobIdOf(client, text)
  await answer(calls.DELETE('/v1/jobs/{id}', { params: { path: { id } } }))
  return { what: 'job', id }
}

async function isUpload({ calls }: ApiClient, text: string): Promise<boolean> {
  try {
    await answer(calls.GET('/v1/uploads/{upload}', { params: { path: { upload: text } } }))
    return true
  } catch (error) {
    if (error instanceof ApiProblem && error.problem.status === 404) return false
    throw error
  }
}
