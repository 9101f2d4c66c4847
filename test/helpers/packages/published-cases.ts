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
