/** How a program is asked for what: its arguments, and what goes into a file that only it reads. */
export interface ToolCommand {
  readonly args: readonly string[]
  /** Name and text of its settings, in the working folder. */
  readonly config: { readonly name: string; readonly text: string }
  /** Beside what all programs get. */
  readonly env: Readonly<Record<string, string>>
}

export interface ToolWish {
  readonly does: 'deploy' | 'remove'
  /** Absolute: the working folder, which also holds what the program unpacks. */
  readonly folder: string
  /** The package's file in it. */
  readonly archive: string
  readonly set: Readonly<Record<string, string>>
  readonly components: readonly string[] | undefined
  readonly adopt: boolean
  /** Of single steps, such as Helm's. */
  readonly stepTimeoutSeconds: number | undefined
  readonly version: ToolVersion | undefined
}

/** Undefined parts: a build that does not say its version. */
export type ToolVersion = readonly [major: number, minor: number, patch: number]

/** The first with --log-format. Source: zarf-dev/zarf#3120, in v0.44.0. */
export const OLDEST_ZARF: ToolVersion = [0, 44, 0]
/** --adopt-existing-resources before that. Source: zarf-dev/zarf#5010, in v0.81.1. */
const TAKES_OWNERSHIP: ToolVersion = [0, 81, 1]

/**
 * zarf's own: what is asked for stands in its configuration file, not on a command line that every user of the machine can
 * read. Source: zarf src/cmd/viper.go (keys), src/cmd/package.go (what no key is for).
 */
export function zarfCommand(wish: ToolWish): ToolCommand {
  const { does, folder, archive, set, components, adopt, stepTimeoutSeconds, version } = wish
  const adopting = isBefore(version, TAKES_OWNERSHIP) ? '--adopt-existing-resources' : '--take-ownership'
  const config = {
    log_format: 'json',
    log_level: 'info',
    no_color: true,
    tmp_dir: `${folder}/tmp`,
    cache: `${folder}/cache`,
    // Its name before v0.84.
    zarf_cache: `${folder}/cache`,
    package: {
      deploy: {
        set,
        ...(components === undefined ? {} : { components: components.join(',') }),
        ...(stepTimeoutSeconds === undefined ? {} : { timeout: `${stepTimeoutSeconds}s` }),
      },
    },
  }
  return {
    args: ['package', does, archive, '--confirm', ...(adopt && does === 'deploy' ? [adopting] : [])],
    config: { name: 'zarf-config.yaml', text: yamlOf(config) },
    env: { ZARF_CONFIG: `${folder}/zarf-config.yaml` },
  }
}

/** The version in what a program says of itself; undefined where it was built without one. */
export function readVersion(text: string): ToolVersion | undefined {
  const [, major, minor, patch] = /v?(\d{1,6})\.(\d{1,6})\.(\d{1,6})/.exec(text) ?? []
  return major === undefined ? undefined : [Number(major), Number(minor), Number(patch)]
}

export function isBefore(version: ToolVersion | undefined, other: ToolVersion): boolean {
  if (version === undefined) return false
  const at = version.findIndex((part, place) => part !== other[place])
  return at !== -1 && (version[at] ?? 0) < (other[at] ?? 0)
}

/** JSON is YAML, and each text stays the text that it is. */
function yamlOf(value: object): string {
  return `${JSON.stringify(value, (_key, part: unknown) => (typeof part === 'string' ? part.toWellFormed() : part), 1)}\n`
}
