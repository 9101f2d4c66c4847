import { type Static, Type } from 'typebox'

const Secret = (description: string) => Type.String({ minLength: 1, maxLength: 16_384, description })
const Name = (description: string, maxLength = 256) => Type.String({ minLength: 1, maxLength, description })
const closed = { additionalProperties: false }

/** What is kept for a registry of a cloud; registry-settings.ts says which fields go together. */
export const AwsCredentials = Type.Object(
  {
    accessKeyId: Type.Optional(Name('With secretAccessKey.')),
    secretAccessKey: Type.Optional(Secret('With accessKeyId.')),
    sessionToken: Type.Optional(Secret('Of keys that run out.')),
    chain: Type.Optional(
      Type.Boolean({
        description:
          "In place of keys: those that layerd's machine has (environment, shared files, web identity). For names of ECR alone.",
      }),
    ),
    metadata: Type.Optional(
      Type.Boolean({
        default: false,
        description: 'With chain: the metadata addresses of EC2, ECS and EKS are asked too.',
      }),
    ),
    region: Type.Optional(Name("Where the registry's name does not tell it.", 64)),
    roleArn: Type.Optional(Name('A role to assume first.', 2048)),
    externalId: Type.Optional(Name('With roleArn.', 1224)),
  },
  { ...closed, description: 'Passwords of Amazon ECR are got and renewed by them.' },
)

export const GoogleCredentials = Type.Object(
  {
    serviceAccountKey: Type.Union(
      [Secret('The JSON of the key, as text.'), Type.Record(Type.String(), Type.Unknown())],
      {
        description: "A service account's key, as its file holds it: as text or as an object.",
      },
    ),
  },
  { ...closed, description: 'Access tokens for Artifact Registry and gcr.io are got and renewed by it.' },
)

export const AzureCredentials = Type.Object(
  {
    refreshToken: Type.Optional(Secret('Of the registry itself: az acr login --expose-token. Without the others.')),
    tenantId: Type.Optional(Name('Of the service principal.', 128)),
    clientId: Type.Optional(Name('Of the service principal.', 128)),
    clientSecret: Type.Optional(Secret('Of the service principal.')),
  },
  {
    ...closed,
    description: "A refresh token, or a service principal by which the registry's own are got and renewed.",
  },
)

export type AwsCredentials = Static<typeof AwsCredentials>
export type GoogleCredentials = Static<typeof GoogleCredentials>
export type AzureCredentials = Static<typeof AzureCredentials>
