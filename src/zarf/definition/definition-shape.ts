import { always, any, flag, int, int32, list, map, pointer, type Static, struct, text } from './shape.ts'

/** Source: zarf v0.84 src/api/v1alpha1/package.go and component.go: names, order and omitempty are theirs. */
const shell = struct({ windows: text, linux: text, darwin: text })

const variableFields = { name: always(text), sensitive: flag, autoIndent: flag, pattern: text, type: text }

const action = struct({
  mute: pointer(flag),
  maxTotalSeconds: pointer(int32),
  maxRetries: pointer(int32),
  dir: pointer(text),
  env: list(text),
  cmd: text,
  shell: pointer(shell),
  setVariable: text,
  setVariables: list(struct(variableFields)),
  setValues: list(struct({ key: text, value: pointer(any), type: text })),
  description: text,
  wait: pointer(
    struct({
      cluster: pointer(struct({ kind: always(text), name: always(text), namespace: text, condition: text })),
      network: pointer(struct({ protocol: always(text), address: always(text), code: int32 })),
    }),
  ),
  template: pointer(flag),
})

const actionSet = struct({
  defaults: struct({ mute: flag, maxTotalSeconds: int32, maxRetries: int32, dir: text, env: list(text), shell }),
  before: list(action),
  after: list(action),
  onSuccess: list(action),
  onFailure: list(action),
})

const manifest = struct({
  name: always(text),
  namespace: text,
  files: list(text),
  kustomizeAllowAnyDirectory: flag,
  kustomizations: list(text),
  enableKustomizePlugins: flag,
  noWait: flag,
  serverSideApply: text,
  template: pointer(flag),
})

const chart = struct({
  name: always(text),
  version: text,
  url: text,
  repoName: text,
  gitPath: text,
  localPath: text,
  namespace: text,
  releaseName: text,
  noWait: flag,
  valuesFiles: list(text),
  templatedValuesFiles: list(text),
  variables: list(struct({ name: always(text), description: always(text), path: always(text) })),
  values: list(struct({ sourcePath: always(text), targetPath: always(text), excludePaths: list(text) })),
  schemaValidation: pointer(flag),
  serverSideApply: text,
})

const component = struct({
  name: always(text),
  description: text,
  default: flag,
  required: pointer(flag),
  only: struct({ localOS: text, cluster: struct({ architecture: text, distros: list(text) }), flavor: text }),
  group: text,
  import: struct({ name: text, path: text, url: text }),
  manifests: list(manifest),
  charts: list(chart),
  dataInjections: list(
    struct({
      source: always(text),
      target: struct({
        namespace: always(text),
        selector: always(text),
        container: always(text),
        path: always(text),
      }),
      compress: flag,
    }),
  ),
  files: list(
    struct({
      source: always(text),
      shasum: text,
      target: always(text),
      executable: flag,
      symlinks: list(text),
      extractPath: text,
      template: pointer(flag),
    }),
  ),
  images: list(text),
  imageArchives: list(struct({ path: always(text), images: always(list(text)) })),
  repos: list(text),
  scripts: struct({
    showOutput: flag,
    timeoutSeconds: int,
    retry: flag,
    prepare: list(text),
    before: list(text),
    after: list(text),
  }),
  actions: struct({ onCreate: actionSet, onDeploy: actionSet, onRemove: actionSet }),
  healthChecks: list(
    struct({ apiVersion: always(text), kind: always(text), namespace: always(text), name: always(text) }),
  ),
  stateAccess: list(text),
})

const metadata = struct({
  name: always(text),
  description: text,
  version: text,
  url: text,
  image: text,
  uncompressed: flag,
  architecture: text,
  yolo: flag,
  authors: text,
  documentation: text,
  source: text,
  vendor: text,
  aggregateChecksum: text,
  annotations: map,
  allowNamespaceOverride: pointer(flag),
})

const build = struct({
  terminal: text,
  user: text,
  architecture: always(text),
  timestamp: always(text),
  version: always(text),
  migrations: list(text),
  registryOverrides: map,
  differential: flag,
  differentialPackageVersion: text,
  differentialMissing: list(text),
  flavor: text,
  signed: pointer(flag),
  versionRequirements: list(struct({ version: always(text), reason: text })),
  provenanceFiles: list(text),
})

/** The whole of a v1alpha1 zarf.yaml. */
export const DEFINITION_SHAPE = struct({
  apiVersion: text,
  kind: always(text),
  metadata,
  build,
  components: always(list(component)),
  constants: list(
    struct({ name: always(text), value: always(text), description: text, autoIndent: flag, pattern: text }),
  ),
  variables: list(struct({ ...variableFields, description: text, default: text, prompt: flag })),
  values: struct({ files: list(text), schema: text }),
  documentation: map,
})

export type PackageDefinition = Static<typeof DEFINITION_SHAPE>
export type Component = Static<typeof component>
export type ActionSet = Static<typeof actionSet>
export type Action = Static<typeof action>
