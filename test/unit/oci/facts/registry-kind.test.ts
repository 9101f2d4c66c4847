import assert from 'node:assert/strict'
import { test } from 'node:test'
import { traitsOf } from '../../../../src/oci/auth/traits.ts'
import { toldFacts } from '../../../../src/oci/facts/kept-facts.ts'
import { createLearnedFacts } from '../../../../src/oci/facts/learned-facts.ts'
import { learnShown, registryKind } from '../../../../src/oci/facts/registry-kind.ts'
import { knownProfile, profileOf } from '../../../../src/oci/facts/registry-profile.ts'

const HOST = 'registry.example:5000'
const traits = (headers: Record<string, string>, text?: string) => traitsOf((name) => headers[name], text)
const bearer = (realm: string, service: string) => ({
  'www-authenticate': `Bearer realm="${realm}",service="${service}",scope="repository:a/b:pull"`,
})
const V2 = { 'docker-distribution-api-version': 'registry/2.0' }

for (const [headers, profile, version, text] of [
  [{ 'x-jfrog-version': 'Artifactory/7.93.2 79302900' }, 'artifactory', '7.93.2'],
  [{ 'x-artifactory-id': 'abc', ...V2 }, 'artifactory', undefined],
  [{ server: 'Nexus/3.70.1-02 (OSS)' }, 'nexus', '3.70.1'],
  [{ 'www-authenticate': 'BASIC realm="Sonatype Nexus Repository Manager"' }, 'nexus', undefined],
  [{ ...bearer('https://h.example/service/token', 'harbor-registry'), ...V2 }, 'harbor', undefined],
  [{ 'www-authenticate': 'Basic realm="harbor"' }, 'harbor', undefined],
  [{ 'www-authenticate': 'Basic realm="https://r/",service="ecr.amazonaws.com"' }, 'ecr', undefined],
  [bearer('https://public.ecr.aws/token/', 'public.ecr.aws'), 'ecr-public', undefined],
  [
    {},
    'ecr',
    undefined,
    `{"errors":[{"code":"NAME_UNKNOWN","message":"The repository with name 'a/b' does not exist in the registry with id '123456789012'"}]}`,
  ],
  [{ 'x-ms-correlation-request-id': '1', ...V2 }, 'acr', undefined],
  [bearer('https://europe-docker.pkg.dev/v2/token', 'europe-docker.pkg.dev'), 'gar', undefined],
  [
    V2,
    'gar',
    undefined,
    String.raw`{"errors":[{"code":"DENIED","message":"Permission \"artifactregistry.repositories.uploadArtifacts\" denied"}]}`,
  ],
  [bearer('https://auth.docker.io/token', 'registry.docker.io'), 'hub', undefined],
  [bearer('https://ghcr.io/token', 'ghcr.io'), 'ghcr', undefined],
  [bearer('https://api.digitalocean.com/v2/registry/auth', 'registry.digitalocean.com'), 'digitalocean', undefined],
  [bearer('/token', 'olareg registry'), 'olareg', undefined],
  [{ 'oci-chunk-min-length': '5242880', 'oci-chunk-max-length': '100000000' }, 'cloudflare', undefined],
  [bearer('https://gitlab.example/jwt/auth', 'container_registry'), 'gitlab', undefined],
  [{ ...bearer('https://quay.example/v2/auth', 'quay.example'), ...V2 }, 'quay', undefined],
  [bearer('https://git.example/v2/token', 'container_registry'), 'gitea', undefined],
  [{ ...bearer('https://pulp.example/token/', 'pulp.example'), 'correlation-id': '1' }, 'pulp', undefined],
  [{ 'distribution-api-version': 'registry/2.0' }, 'zot', undefined],
  [V2, 'distribution', undefined],
] satisfies Array<[Record<string, string>, string, string | undefined, string?]>) {
  test(`${JSON.stringify(headers)} ${text ?? ''} shows ${profile}`, () => {
    const found = registryKind(traits(headers, text))
    assert.equal(found?.profile, profile)
    assert.equal(found?.version, version)
  })
}

test('what shows nothing, names repeated in errors, and odd versions are no signs', () => {
  for (const found of [
    traits({}),
    traits({ server: 'nginx/1.22', 'www-authenticate': 'Bearer realm="not a url", Basic' }),
    // What a caller names stands in the errors about it.
    traits({}, '{"errors":[{"message":"artifactregistry.repositories.uploadartifacts/ghcr.io not found"}]}'),
    traits(bearer('https://auth.example/token', 'evil-ghcr.io')),
  ]) {
    assert.equal(registryKind(found), undefined)
  }
  assert.equal(registryKind(traits({ 'x-jfrog-version': 'Artifactory/secret-of-ann' }))?.version, undefined)
  assert.equal(registryKind(traits({ 'x-jfrog-version': `Artifactory/${'1.'.repeat(40_000)}` }))?.version, '1.1.1.1')
})

test('a surer sign takes the place of another, and never the other way round', () => {
  const learned = createLearnedFacts()
  assert.equal(learnShown(learned, traits(V2)), true)
  assert.equal(learnShown(learned, traits({ ...V2, 'x-jfrog-version': 'Artifactory/7.1.2' })), true)
  assert.equal(learnShown(learned, traits(V2)), false)
  assert.equal(learnShown(learned, traits({ 'x-artifactory-id': 'x' })), false)
  assert.deepEqual(learned.shown, { profile: 'artifactory', version: '7.1.2' })
})

test('a name goes before answers, and what a registry does before what they show', () => {
  const learned = createLearnedFacts()
  assert.deepEqual(knownProfile(HOST, learned), { name: 'unknown', by: undefined, kind: undefined, version: undefined })
  learnShown(learned, traits(bearer('https://x.example/token', 'ghcr.io')))
  assert.equal(knownProfile('quay.io', learned).name, 'quay')
  assert.equal(knownProfile('quay.io', learned).by, 'host name')
  assert.equal(knownProfile(HOST, learned).by, 'answers')
  assert.equal(profileOf(HOST, learned).parts?.maxBytes, 4 * 1024 * 1024)
  learned.shown.refuted = true
  assert.equal(profileOf(HOST, learned).name, 'unknown')
  for (const host of [HOST, 'europe-docker.pkg.dev']) {
    assert.deepEqual([knownProfile(host, learned).name, knownProfile(host, learned).by], ['unknown', 'behaviour'])
  }
})

test('what a cut left of an upload tells one distribution from the other', () => {
  const learned = createLearnedFacts()
  learnShown(learned, traits(V2))
  assert.equal(knownProfile(HOST, learned).name, 'distribution')
  for (const [cutKeeps, name] of [
    ['bytes', 'distribution-3'],
    ['nothing', 'distribution-2'],
  ] as const) {
    learned.uploads.cutKeeps = cutKeeps
    assert.deepEqual([knownProfile(HOST, learned).name, knownProfile(HOST, learned).by], [name, 'behaviour'])
  }
  learned.uploads.bytesPerSecond = 26_399_438.596
  assert.deepEqual(toldFacts(learned), { cutKeeps: 'nothing', bytesPerSecond: 26_399_439 })
})
