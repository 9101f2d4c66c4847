import { readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'

const folder = fileURLToPath(new URL('../../fixtures/', import.meta.url))

/** What lies beside the project, where it does: not ours to copy into it. */
export function sharedFixture(path: string): string {
  return fileURLToPath(new URL(`../../../../shared/fixtures/${path}`, import.meta.url))
}

/** Packages that the real zarf and uds made. test/fixtures/published holds what these pushed for each. */
export const FIXTURES = {
  nemoAmd64: `${folder}zarf-package-nemo-amd64-1.2.0.tar.zst`,
  nemoArm64: `${folder}zarf-package-nemo-arm64-1.2.0.tar.zst`,
  fleet: `${folder}zarf-package-fleet-amd64-0.0.1.tar.zst`,
  pilotBrass: `${folder}zarf-package-pilot-amd64-2.0.0-rc.7-brass.tar.zst`,
  pilotIron: `${folder}zarf-package-pilot-amd64-2.0.0-rc.7-iron.tar.zst`,
  logbook: `${folder}zarf-package-logbook-amd64-0.1.0.tar.zst`,
  signedNemo: `${folder}signed/zarf-package-nemo-amd64-1.2.0.tar.zst`,
  signedNemoKey: `${folder}signed/cosign.pub`,
  oldSignatureLedger: `${folder}signed/zarf-package-ledger-amd64-0.1.0.tar.zst`,
  keel: `${folder}more/zarf-package-keel-amd64-0.9.0.tar.zst`,
  ledger: `${folder}more/zarf-package-ledger-amd64-0.1.0.tar.zst`,
  tide: `${folder}more/zarf-package-tide-amd64-1.0.0.tar.zst`,
  tideDifferential: `${folder}more/zarf-package-tide-amd64-1.0.0-differential-1.1.0.tar.zst`,
  init: `${folder}more/zarf-init-amd64-0.0.9.tar.zst`,
  armadaBundle: `${folder}bundle/uds-bundle-armada-amd64-0.2.0.tar.zst`,
  splitNemo: [0, 1, 2, 3].map((part) => `${folder}split/zarf-package-nemo-amd64-1.2.0.tar.zst.part00${part}`),
} as const

/** Folders under test/fixtures/published, as repository and tag. */
export const PUBLISHED = {
  nemo: 'zarf/nemo/1.2.0',
  fleet: 'zarf/fleet/0.0.1',
  pilotBrass: 'zarf/pilot/2.0.0-rc.7-brass',
  pilotIron: 'zarf/pilot/2.0.0-rc.7-iron',
  logbook: 'zarf/logbook/0.1.0',
  signedNemo: 'zarf/signed/nemo/1.2.0',
  keel: 'zarf/keel/0.9.0',
  ledger: 'zarf/ledger/0.1.0',
  tide: 'zarf/tide/1.0.0',
  tideDifferential: 'zarf/tide/1.1.0',
  init: 'zarf/init/0.0.9',
  nemoWithSboms: 'zarf/with-sboms/nemo/1.2.0',
  armadaBundle: 'uds/armada/0.2.0',
} as const
export type PublishedName = keyof typeof PUBLISHED

/** What was pushed, byte for byte: the index, or an architecture's manifest or config blob. */
export function publishedIndex(name: PublishedName): Buffer {
  return readPublished(name, 'index')
}

export function publishedManifest(name: PublishedName, architecture = 'amd64'): Buffer {
  return readPublished(name, `manifest-${architecture}`)
}

export function publishedConfig(name: PublishedName, architecture = 'amd64'): Buffer {
  return readPublished(name, `config-${architecture}`)
}

function readPublished(name: PublishedName, file: string): Buffer {
  return readFileSync(`${folder}published/${PUBLISHED[name]}/${file}.json`)
}
