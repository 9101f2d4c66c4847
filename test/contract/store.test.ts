import { createContentStore } from '../../src/store/content-store.ts'
import { contentSuite } from '../helpers/packages/content-suite.ts'
import { tempDir } from '../helpers/temp-dir.ts'

contentSuite('content store', async (t) => createContentStore({ folder: await tempDir(t, 'store') }))
