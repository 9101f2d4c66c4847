/** The kinds of jobs that there is a form for. */
export const KINDS = ['publish', 'pull', 'copy', 'verify'] as const
export type JobKind = (typeof KINDS)[number]

export function isFormKind(kind: string): kind is JobKind {
  return KINDS.some((one) => one === kind)
}
