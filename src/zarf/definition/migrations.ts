import type { Action, ActionSet, Component, PackageDefinition } from './definition-shape.ts'

/**
 * What zarf v0.84 does to a v1alpha1 definition between reading zarf.yaml and encoding the config blob; the blob's digest
 * depends on each step. Source: zarf v0.84 src/internal/api/v1alpha1/migrate.go and convert.go.
 */
const SCRIPTS_TO_ACTIONS = 'scripts-to-actions'
const PLURALIZE_SET_VARIABLE = 'pluralize-set-variable'
const LEGACY_MAX_RETRIES = 10_000n

export function migrate(definition: PackageDefinition): PackageDefinition {
  const done = new Set(definition.build?.migrations)
  const components = definition.components?.map((component) => {
    const scripted = done.has(SCRIPTS_TO_ACTIONS) ? { ...component, scripts: {} } : scriptsToActions(component)
    return mapActions(scripted, done.has(PLURALIZE_SET_VARIABLE) ? clearSetVariable : pluralizeSetVariable)
  })
  return {
    ...definition,
    build: { ...definition.build, migrations: [SCRIPTS_TO_ACTIONS, PLURALIZE_SET_VARIABLE] },
    ...(components ? { components } : {}),
  }
}

/** Defaults that zarf's way through its version-neutral form fills in, and annotations it takes for old fields. */
export function normalize(definition: PackageDefinition): PackageDefinition {
  const { components, ...rest } = definition
  return {
    ...rest,
    kind: definition.kind || 'ZarfPackageConfig',
    metadata: restoreMetadata(definition.metadata ?? {}),
    ...(components && components.length > 0 ? { components } : {}),
  }
}

const RESTORED = ['url', 'image', 'authors', 'documentation', 'source', 'vendor'] as const

function restoreMetadata(metadata: NonNullable<PackageDefinition['metadata']>): typeof metadata {
  if (!metadata.annotations) return metadata
  const annotations = new Map(metadata.annotations)
  const restored: { -readonly [K in (typeof RESTORED)[number]]?: string } = {}
  for (const field of RESTORED) {
    const value = annotations.get(`metadata.${field}`)
    if (value !== undefined && !metadata[field]) restored[field] = value
    annotations.delete(`metadata.${field}`)
  }
  return { ...metadata, ...restored, annotations }
}

function scriptsToActions(component: Component): Component {
  const { scripts = {}, actions = {} } = component
  const defaults: ActionSet['defaults'] = {
    mute: !scripts.showOutput,
    ...(scripts.timeoutSeconds === undefined ? {} : { maxTotalSeconds: BigInt.asIntN(32, scripts.timeoutSeconds) }),
    ...(scripts.retry ? { maxRetries: LEGACY_MAX_RETRIES } : {}),
  }
  const append = (set: ActionSet = {}, extra: Pick<ScriptLists, 'before' | 'after'>): ActionSet => {
    if (extra.before.length + extra.after.length === 0) return set
    return {
      ...set,
      defaults,
      before: [...(set.before ?? []), ...extra.before.map((cmd) => ({ cmd }))],
      after: [...(set.after ?? []), ...extra.after.map((cmd) => ({ cmd }))],
    }
  }
  const { prepare = [], before = [], after = [] } = scripts
  return {
    ...component,
    actions: {
      ...actions,
      onCreate: append(actions.onCreate, { before: prepare, after: [] }),
      onDeploy: append(actions.onDeploy, { before, after }),
    },
  }
}

interface ScriptLists {
  before: readonly string[]
  after: readonly string[]
}

function pluralizeSetVariable(action: Action): Action {
  if (!action.setVariable || (action.setVariables?.length ?? 0) > 0) return action
  return { ...action, setVariables: [{ name: action.setVariable }] }
}

function clearSetVariable(action: Action): Action {
  return { ...action, setVariable: '' }
}

function mapActions(component: Component, change: (action: Action) => Action): Component {
  const inSet = (set: ActionSet = {}): ActionSet => {
    const changed: { -readonly [K in keyof ActionSet]: ActionSet[K] } = { ...set }
    for (const when of ['before', 'after', 'onSuccess', 'onFailure'] as const) {
      const actions = set[when]
      if (actions) changed[when] = actions.map(change)
    }
    return changed
  }
  const { onCreate, onDeploy, onRemove } = component.actions ?? {}
  return {
    ...component,
    actions: { onCreate: inSet(onCreate), onDeploy: inSet(onDeploy), onRemove: inSet(onRemove) },
  }
}
