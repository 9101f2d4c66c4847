import { type Static, Type } from 'typebox'

const bytes = (description: string) => Type.Integer({ minimum: 0, description })
const orNull = <T extends Parameters<typeof Type.Union>[0][number]>(type: T, description: string) =>
  Type.Union([type, Type.Null()], { description })

const StoreFacts = Type.Object(
  {
    usedBytes: bytes('Layers, configs and manifests, those that are on their way in among them.'),
    limitBytes: orNull(Type.Integer({ minimum: 0 }), 'LAYERD_STORE_MAX_BYTES; null: what its disk has room for.'),
    promisedBytes: bytes('What pulls, uploads and archives under way still need of its disk.'),
    disk: Type.Object({
      freeBytes: bytes('That may still be written.'),
      totalBytes: bytes('Of the whole disk.'),
      reserveBytes: bytes('Kept free, for Redis: LAYERD_DISK_RESERVE.'),
      low: Type.Boolean({ description: 'Less is free than is kept free: uploads get 507, pulls wait.' }),
    }),
  },
  {
    description:
      'Packages stay until they are deleted. What no package needs any more goes at once where room is needed, else within the hour; a package that was pulled for its archive alone a day later.',
  },
)

const text = (description: string) => orNull(Type.String(), description)

const RedisFacts = Type.Object(
  {
    reachable: Type.Boolean(),
    trouble: text('Why it is not, or does not serve; null: nothing is wrong.'),
    own: Type.Boolean({ description: 'It is a child of this layerd, and nobody else uses it.' }),
    address: text("Where it listens, without credentials; null for layerd's own."),
    version: text('As it calls itself.'),
    role: orNull(Type.Enum(['primary', 'replica']), 'layerd needs the primary.'),
    replicas: orNull(Type.Integer({ minimum: 0 }), 'That are connected to it.'),
    usedBytes: orNull(Type.Integer({ minimum: 0 }), 'Memory.'),
    limitBytes: orNull(Type.Integer({ minimum: 0 }), 'maxmemory; null: it has none, or does not say.'),
    evictionPolicy: text(
      'maxmemory-policy, what it drops when it is full: only noeviction keeps what layerd has accepted.',
    ),
    appendOnly: orNull(Type.Boolean(), 'Whether it writes each change to its append-only file.'),
    appendFsync: text('When that is on the disk: always, everysec or no.'),
    snapshots: orNull(Type.Boolean(), 'Whether it writes all that it holds now and then (save).'),
    writesFail: orNull(Type.Boolean(), 'Whether the last write of either failed.'),
  },
  {
    description: 'null: Redis cannot be reached, does not say, or does not let this user ask (hosted ones CONFIG GET).',
  },
)

export const System = Type.Object(
  { store: StoreFacts, redis: RedisFacts },
  { $id: 'System', description: 'What all of layerd stands on.' },
)
export type System = Static<typeof System>

export const Setting = Type.Object(
  {
    name: Type.String(),
    value: text(
      'As the environment would write it: paths absolute, URLs without user, password and query. null: not set, or a secret.',
    ),
    from: Type.Enum(['default', 'environment', 'file'], { description: 'file: the one that NAME_FILE names.' }),
    secret: Type.Boolean({ description: 'Its value is never told.' }),
    description: Type.String(),
  },
  { $id: 'Setting', description: 'A setting of the process that answers.' },
)

export const getSystemSchema = {
  tags: ['system'],
  operationId: 'getSystem',
  summary: 'The store and Redis: what they hold of what they may, and whether they are well',
  description:
    'Needs the scope system:read, of a token without limits. The store is looked at every five seconds at most.',
  response: { 200: Type.Ref('System') },
}

export const listSettingsSchema = {
  tags: ['system'],
  operationId: 'listSettings',
  summary: 'Every setting in force, by name, in one answer',
  description:
    'Needs the scope system:read, of a token without limits. Of the API process that answers; workers that were started elsewhere have their own environment. Secrets are never told.',
  response: { 200: Type.Object({ items: Type.Array(Type.Ref('Setting')) }) },
}
