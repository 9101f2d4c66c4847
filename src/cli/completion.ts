import type { Command } from 'commander'

export const SHELLS = ['bash', 'zsh', 'fish'] as const
export type Shell = (typeof SHELLS)[number]

/** A command as a shell needs to know it. */
interface Word {
  /** `store check` is two words. */
  path: readonly string[]
  description: string
  options: ReadonlyArray<{ flags: readonly string[]; description: string }>
  /** What its arguments can be, where that is fixed. */
  choices: readonly string[]
  /** It takes a job, whose ids the daemon knows. */
  takesJob: boolean
  /** It takes a package, of which the daemon has some in its file roots. */
  takesPackage: boolean
}

/** A script for the shell that completes commands, options and, from the running daemon, jobs. */
export function completionScript(shell: Shell, program: Command): string {
  const words = wordsOf(program, [])
  if (shell === 'bash') return bashScript(words)
  return shell === 'zsh' ? zshScript(words) : fishScript(words)
}

function wordsOf(command: Command, path: readonly string[]): Word[] {
  return command.commands.flatMap((child) => {
    const own = [...path, child.name()]
    const options = child.createHelp().visibleOptions(child)
    const word: Word = {
      path: own,
      description: child.description(),
      options: options.map(({ short, long, description }) => ({
        flags: [short, long].filter((flag) => flag !== undefined && flag !== null),
        description,
      })),
      choices: child.registeredArguments.flatMap(({ argChoices }) => argChoices ?? []),
      takesJob: child.registeredArguments.some((argument) => argument.name() === 'job'),
      takesPackage: child.registeredArguments.some((argument) => argument.name() === 'package'),
    }
    return [word, ...wordsOf(child, own)]
  })
}

/** The ids of the newest jobs, where a daemon answers. */
const JOBS = 'layerd jobs --quiet --limit 50 2>/dev/null'
/** The paths of packages there; words of a shell have no spaces. */
const FILES = "layerd files --quiet --limit 200 2>/dev/null | grep -v '[[:space:]]'"

/** What asks the daemon for the words that a command takes. */
function askedFor({ takesJob, takesPackage }: Word): string | undefined {
  if (takesJob) return JOBS
  return takesPackage ? FILES : undefined
}

function bashScript(words: readonly Word[]): string {
  const first = words.filter(({ path }) => path.length === 1)
  const cases = words.map((word) => {
    const next = words.filter(({ path }) => path.length === word.path.length + 1 && startsWith(path, word.path))
    const offered = [
      ...next.map(({ path }) => path.at(-1)),
      ...word.choices,
      ...word.options.flatMap(({ flags }) => flags),
    ]
    const asked = askedFor(word)
    const ids = asked === undefined ? '' : ` $([[ $cur == -* ]] || ${asked})`
    return `    '${word.path.join(' ')}') words="${offered.join(' ')}${ids}" ;;`
  })
  return `_layerd() {
  local cur=\${COMP_WORDS[COMP_CWORD]} command="\${COMP_WORDS[1]}" words
  case $command in ${parents(words)}) [[ $COMP_CWORD -gt 2 ]] && command="$command \${COMP_WORDS[2]}" ;; esac
  [[ $COMP_CWORD -le 1 ]] && command=
  case $command in
    '') words="${first.map(({ path }) => path[0]).join(' ')} help --help --version" ;;
${cases.join('\n')}
  esac
  COMPREPLY=($(compgen -W "$words" -- "$cur"))
}
complete -o default -F _layerd layerd
`
}

function zshScript(words: readonly Word[]): string {
  const first = words.filter(({ path }) => path.length === 1)
  const cases = words.map((word) => {
    const next = words.filter(({ path }) => path.length === word.path.length + 1 && startsWith(path, word.path))
    const offered = [
      ...next.map(({ path, description }) => described(path.at(-1) ?? '', description)),
      ...word.choices.map((choice) => described(choice, word.description)),
      ...word.options.flatMap(({ flags, description }) => flags.map((flag) => described(flag, description))),
    ]
    const asked = askedFor(word)
    const ids = asked === undefined ? '' : `; compadd -- \${(f)"$(${asked})"}`
    return `    ${quoted(word.path.join(' '))}) offered=(${offered.join(' ')}); _describe layerd offered; _files${ids} ;;`
  })
  return `#compdef layerd
_layerd() {
  local command=$words[2]
  local -a offered
  case $command in ${parents(words)}) (( CURRENT > 3 )) && command="$command $words[3]" ;; esac
  (( CURRENT <= 2 )) && command=
  case $command in
    '') offered=(${first.map(({ path, description }) => described(path[0] ?? '', description)).join(' ')}); _describe command offered ;;
${cases.join('\n')}
  esac
}
compdef _layerd layerd
`
}

/** The commands that have others in them, as a shell's pattern. */
function parents(words: readonly Word[]): string {
  return [...new Set(words.filter(({ path }) => path.length > 1).map(({ path }) => path[0]))].join('|')
}

/** `name:description` as _describe takes it. */
function described(name: string, description: string): string {
  return quoted(`${name}:${description.replaceAll(':', '\\:')}`)
}

function fishScript(words: readonly Word[]): string {
  const lines = words.flatMap((word) => {
    const name = word.path.at(-1) ?? ''
    const parent = word.path.slice(0, -1)
    const when = parent.length === 0 ? '__fish_use_subcommand' : `__fish_seen_subcommand_from ${parent.join(' ')}`
    const inside = `__fish_seen_subcommand_from ${name}`
    const options = word.options.map(({ flags, description }) => {
      const named = flags.map((flag) => (flag.startsWith('--') ? `-l ${flag.slice(2)}` : `-s ${flag.slice(1)}`))
      return `complete -c layerd -n ${quoted(inside)} ${named.join(' ')} -d ${quoted(description)}`
    })
    const only = word.takesJob ? ' -f' : ''
    const asked = askedFor(word)
    const ids = asked === undefined ? [] : [`complete -c layerd -n ${quoted(inside)}${only} -a ${quoted(`(${asked})`)}`]
    const choices = word.choices.map((choice) => `complete -c layerd -n ${quoted(inside)} -a ${choice}`)
    const own = `complete -c layerd -n ${quoted(when)} -f -a ${name} -d ${quoted(word.description)}`
    return [own, ...choices, ...options, ...ids]
  })
  return `${lines.join('\n')}\n`
}

function startsWith(path: readonly string[], beginning: readonly string[]): boolean {
  return beginning.every((word, at) => path[at] === word)
}

function quoted(text: string): string {
  return `'${text.replaceAll("'", `'\\''`)}'`
}
