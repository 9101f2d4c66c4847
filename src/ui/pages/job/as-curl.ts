import type { Job } from '../../api/types.ts'

/** The request that asks for the same again; who is logged in by a cookie needs a token there. */
export function asCurl({ kind, source, destination, options, labels }: Job, origin: string): string {
  const body = {
    kind,
    source,
    ...(destination === null ? {} : { destination }),
    ...(Object.keys(options).length === 0 ? {} : { options }),
    ...(Object.keys(labels).length === 0 ? {} : { labels }),
  }
  return `curl -X POST ${quoted(`${origin}/v1/jobs`)} \\\n  -H 'content-type: application/json' \\\n  -d ${quoted(JSON.stringify(body))}`
}

/** For a POSIX shell, whatever stands in it. */
export function quoted(text: string): string {
  return `'${text.replaceAll("'", `'\\''`)}'`
}
