import { visible } from '../../lib/text.ts'
import type { Job } from '../client/contract.ts'
import { problemText } from './texts.ts'

type Removal = NonNullable<NonNullable<Job['result']>['removal']>
type Removed = Removal['removed'][number]

/** What was deleted, or would be: a line for each thing, then what stays, and what the registry did not do. */
export function removalText({ dryRun, removed, kept, keptCount, problems, more = 0 }: Removal): string {
  const lines = [
    ...removed.map((item) => `${dryRun ? 'would go' : 'deleted'}  ${removedText(item)}`),
    ...kept.map(({ tag, digest, why }) => `stays  ${tag === undefined ? digest : visible(tag)}: ${visible(why)}`),
    ...(keptCount > kept.length ? [`stays  ${keptCount - kept.length} more`] : []),
    ...(more > 0 ? [`${more} tags more would go: run it again`] : []),
    ...problems.map((problem) => problemText(problem)),
  ]
  return lines.length === 0 ? 'nothing to delete' : lines.join('\n')
}

function removedText({ kind, tag = '', digest, architecture = '', why }: Removed): string {
  if (kind === 'tag') return `tag ${visible(tag)}  ${digest}  (${visible(why)})`
  if (kind === 'entry') return `${visible(architecture)} of ${visible(tag)}  ${digest}`
  return `manifest ${digest}`
}
