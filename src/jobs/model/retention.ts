import { Type } from 'typebox'

const Patterns = (description: string, minItems: number) =>
  Type.Array(Type.String({ minLength: 1, maxLength: 128 }), { minItems, maxItems: 20, description })

/** `options.retention` of a job. Source: docs/integrate.md, "Retention". */
export const Retention = Type.Object(
  {
    rules: Type.Array(
      Type.Object(
        {
          tags: Patterns('Patterns of tags, * ? [0-9] as in Go.', 1),
          except: Type.Optional(Patterns('Of these, patterns of tags that stay.', 0)),
          keepNewest: Type.Optional(
            Type.Integer({ minimum: 1, maximum: 10_000, description: 'So many of these stay, the newest.' }),
          ),
          newestBy: Type.Optional(
            Type.Enum(['version', 'created'], {
              description:
                'version, the default: by semver of the tag, before which a pre-release comes (zarf adds a flavor as one). created: by what the manifest says (org.opencontainers.image.created, which zarf sets to when the package was built; of an image its config). When it was pushed registries do not tell. A tag of which it cannot be told stays.',
            }),
          ),
          olderThanDays: Type.Optional(
            Type.Integer({ minimum: 1, maximum: 36_500, description: 'What was created since then stays.' }),
          ),
        },
        { additionalProperties: false },
      ),
      {
        minItems: 1,
        maxItems: 10,
        description:
          'Each tag is judged by the first rule that it matches; one that matches none, or that any rule excepts, stays. With both keepNewest and olderThanDays what either keeps stays; with neither all that match go.',
      },
    ),
    untagged: Type.Optional(
      Type.Boolean({
        description: 'Also tags that clients keep for a manifest which is gone: lists of referrers, signatures.',
      }),
    ),
  },
  { additionalProperties: false, description: 'retention: which tags of the repository go.' },
)
