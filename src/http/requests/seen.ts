import { mayChange, type Owned, requireChange, sees } from '../../access/sight.ts'
import { ANONYMOUS, type Principal } from '../../access/principal.ts'
import { requireScope } from '../../access/scopes.ts'
import type { Digest } from '../../content/digest.ts'
import { parseReference, type Reference } from '../../content/reference.ts'
import type { LocalSources } from '../../files/local-source.ts'
import { noSuchUpload, type ReadUploads, type Upload } from '../../files/upload-folder.ts'
import { incompleteUpload } from '../../files/uploads/upload-rules.ts'
import type { ContentStore, CountsShare } from '../../store/content-store.ts'

/** Throws SCOPE_MISSING for an upload that its caller sees and may not change. */
export function requireUploadChange(caller: Principal, upload: Pick<Upload, 'principal'>): void {
  requireChange(caller, ownedUpload(upload))
}

function ownedUpload({ principal = ANONYMOUS.name }: Pick<Upload, 'principal'>): Owned {
  return { owners: [principal], places: [] }
}

/** Uploads as somebody sees them: one of another is not there. `use` throws UPLOAD_INCOMPLETE too. */
export function uploadsSeenBy(caller: Principal, uploads: ReadUploads): ReadUploads {
  const seen = (upload: Pick<Upload, 'principal'>) => sees(caller, ownedUpload(upload))
  const get = async (id: string) => {
    const upload = await uploads.get(id)
    return upload && seen(upload) ? upload : undefined
  }
  const partials: ReadUploads['partials'] = {
    async get(id) {
      const upload = await uploads.partials.get(id)
      return upload && seen(upload) ? upload : undefined
    },
    list: async () => (await uploads.partials.list()).filter(seen),
  }
  return {
    get,
    partials,
    list: async () => (await uploads.list()).filter(seen),
    async use(id) {
      if (await get(id)) return await uploads.use(id)
      const partial = await partials.get(id)
      if (partial) throw incompleteUpload(partial)
      throw noSuchUpload(id)
    },
  }
}

/** Stored packages as somebody sees them: of what others pulled nothing is there. */
export function storeSeenBy(caller: Principal, store: ContentStore): ContentStore {
  const seen: CountsShare = (share) => sees(caller, ownedShare(share))
  return {
    ...store,
    packages: {
      ...store.packages,
      list: () => store.packages.list(seen),
      get: (digest) => store.packages.get(digest, seen),
      delete: (digest) => deletePackage(caller, store, digest),
      release: (digest, holder) =>
        store.packages.release(digest, holder, (share) => mayChange(caller, ownedShare(share))),
    },
  }
}

/** Their own pulls; without any, those that they may change. Throws SCOPE_MISSING where they see some and may change none. */
async function deletePackage(caller: Principal, store: ContentStore, digest: Digest): Promise<boolean> {
  if (await store.packages.delete(digest, ({ name }) => name === caller.name)) return true
  if (await store.packages.delete(digest, (share) => mayChange(caller, ownedShare(share)))) return true
  if (await store.packages.get(digest, (share) => sees(caller, ownedShare(share))))
    requireScope(caller, ['system:admin'])
  return false
}

/** What a caller may name as a source. */
export function seenBy(
  caller: Principal,
  { store, sources }: { store: ContentStore; sources: LocalSources },
): { store: ContentStore; sources: LocalSources } {
  return {
    store: storeSeenBy(caller, store),
    sources: { ...sources, uploads: uploadsSeenBy(caller, sources.uploads) },
  }
}

function ownedShare({ name, references }: Parameters<CountsShare>[0]): Owned {
  return {
    owners: [name],
    // Who owns it need not know where it is from.
    get places() {
      return references.map(placeOf)
    },
  }
}

/** Nobody covers what can't be read. */
function placeOf(reference: string): Pick<Reference, 'registry' | 'repository'> {
  try {
    return parseReference(reference)
  } catch {
    return { registry: '', repository: '*' }
  }
}
