import { type Static, Type } from 'typebox'

const yes = (description: string) => Type.Optional(Type.Boolean({ description }))
const count = (description: string) => Type.Optional(Type.Number({ description }))

const RegistryFacts = Type.Object(
  {
    singlePost: yes('It takes a small blob in one POST.'),
    anonymousMount: yes('It knows a mount that names no repository to mount from.'),
    selfMount: yes('A mount from the repository itself tells whether a blob is there.'),
    severalRanges: yes('false: it does not give a blob in several ranges.'),
    artifactManifests: yes('false: it refused an artifact manifest.'),
    cutKeeps: Type.Optional(
      Type.Enum(['bytes', 'parts', 'nothing'], {
        description:
          'What is left of an upload whose request breaks off: its bytes, the parts before it, or not even the session.',
      }),
    ),
    parts: Type.Optional(
      Type.Enum(['taken', 'equal', 'refused'], {
        description: 'Whether an upload may come in several requests; equal: all of one size but the last.',
      }),
    ),
    lastInPut: yes('The last part has to come with the PUT that completes the upload.'),
    minPartBytes: count('The least that a part may have, as it says.'),
    maxPartBytes: count('The most that a body may have, as it says.'),
    maxBodyBytes: count('Larger bodies were refused.'),
    deadlineMs: count('Requests break off at this age.'),
    rangeBias: count('How much too high the bytes are that it says it has of an upload.'),
    bytesPerSecond: count('What one request with a body was last seen to carry.'),
  },
  { description: 'What it was seen to do. More may come; each is forgotten a week after it was seen.' },
)

export const RegistryProfile = Type.Object(
  {
    name: Type.String({
      description: 'The profile that is gone by. unknown: as docker does, and by what it was seen to do.',
    }),
    by: Type.Union([Type.Enum(['host name', 'answers', 'behaviour']), Type.Null()], {
      description:
        'How that is known: by its name, by what its answers show, or by what it did. null: nothing is known.',
    }),
    kind: Type.Union([Type.String(), Type.Null()], { description: 'What people call such a registry.' }),
    version: Type.Union([Type.String(), Type.Null()], { description: 'As it says itself.' }),
    refuted: Type.Union([Type.String(), Type.Null()], {
      description: 'The profile of its name, else of its answers, where what it did speaks against that.',
    }),
    facts: RegistryFacts,
  },
  { $id: 'RegistryProfile', description: 'What is known of the ways of a registry.' },
)
export type RegistryProfile = Static<typeof RegistryProfile>

const RegistryParams = Type.Object({
  host: Type.String({ minLength: 1, maxLength: 300, description: 'host[:port], percent-encoded, or its id.' }),
})

export const getRegistryProfileSchema = {
  tags: ['registries'],
  operationId: 'getRegistryProfile',
  summary: 'What is known of the ways of a registry, whether or not anything is kept of it',
  description: 'Needs the scope registries:read. Nothing is asked of the registry.',
  params: RegistryParams,
  response: { 200: Type.Ref('RegistryProfile') },
}

export const deleteRegistryProfileSchema = {
  tags: ['registries'],
  operationId: 'deleteRegistryProfile',
  summary: 'Forget what was learnt of a registry, in all processes',
  description: 'Needs the scope registries:admin. Jobs that run may tell again what they have learnt.',
  params: RegistryParams,
  response: { 204: Type.Null({ description: 'Forgotten.' }) },
}
