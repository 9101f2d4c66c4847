import type { Job } from '../../api/types.ts'

/** The request that asks for the same again. `token`: the daemon wants one, which the line takes from LAYERD_TOKEN. */
export function asCurl(
  { kind, source, destination, options, labels }: Job,
  { origin, token }: { origin: string; token: boolean },
): string {
  const body = {
    kind,
    source,
    ...(destination === null ? {} : { destination }),
    ...(Object.keys(options).length === 0 ? {} : { options }),
    ...(Object.keys(labels).length === 0 ? {} : { labels }),
  }
  return [
    `curl -X POST ${quoted(`${origin}/v1/jobs`)}`,
    "-H 'content-type: application/json'",
    ...(token ? [TOKEN] : []),
    `-d ${quoted(JSON.stringify(body))}`,
  ].join(' \\\n  ')
}

/** As the command line takes it. */
export const TOKEN = '-H "authorization: Bearer $LAYERD_TOKEN"'

/** For a POSIX shell, whatever stands in it. */
export function quoted(text: string): string {
  return `'${text.replaceAll("'", `'\\''`)}'`
}
