import { FIXTURES, type PublishedName } from './fixtures.ts'

export interface Case {
  path: string
  published: PublishedName
  reference: string
  architecture: string
}

export const CASES: readonly Case[] = [
  { path: FIXTURES.nemoAmd64, published: 'nemo', reference: 'nemo:1.2.0', architecture: 'amd64' },
  { path: FIXTURES.nemoArm64, published: 'nemo', reference: 'nemo:1.2.0', architecture: 'arm64' },
  { path: FIXTURES.fleet, published: 'fleet', reference: 'fleet:0.0.1', architecture: 'amd64' },
  { path: FIXTURES.pilotBrass, published: 'pilotBrass', reference: 'pilot:2.0.0-rc.7-brass', architecture: 'amd64' },
  { path: FIXTURES.pilotIron, published: 'pilotIron', reference: 'pilot:2.0.0-rc.7-iron', architecture: 'amd64' },
  { path: FIXTURES.logbook, published: 'logbook', reference: 'logbook:0.1.0', architecture: 'amd64' },
  { path: FIXTURES.signedNemo, published: 'signedNemo', reference: 'signed/nemo:1.2.0', architecture: 'amd64' },
]

/** Of kinds that are met less often. */
export const MORE_CASES: readonly Case[] = [
  // Two documents in zarf.yaml: v1alpha1 and v1beta1.
  { path: FIXTURES.keel, published: 'keel', reference: 'keel:0.9.0', architecture: 'amd64' },
  // The old signature, zarf.yaml.sig alone.
  { path: FIXTURES.ledger, published: 'ledger', reference: 'ledger:0.1.0', architecture: 'amd64' },
  { path: FIXTURES.tide, published: 'tide', reference: 'tide:1.0.0', architecture: 'amd64' },
  { path: FIXTURES.tideDifferential, published: 'tideDifferential', reference: 'tide:1.1.0', architecture: 'amd64' },
  // A file name without the package's name.
  { path: FIXTURES.init, published: 'init', reference: 'init:0.0.9', architecture: 'amd64' },
]
