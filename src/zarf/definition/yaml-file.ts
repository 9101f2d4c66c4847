import { DEFINITION } from '../layout/metadata-files.ts'

/** A YAML file that is read, as errors name it. */
export interface YamlFile {
  readonly path: string
  /** Whose work it is. */
  readonly maker: string
}

export const ZARF_YAML: YamlFile = { path: DEFINITION, maker: 'zarf' }
