import { readdir, readFile, writeFile } from 'node:fs/promises'
import { join, resolve } from 'node:path'
import { promisify } from 'node:util'
import { brotliCompress, gzip } from 'node:zlib'
import { svelte } from '@sveltejs/vite-plugin-svelte'
import { defineConfig, type Plugin } from 'vite'

/** Built by tools/ui/build.mjs, which says where to. */
export default defineConfig({
  plugins: [svelte(), compressed()],
  build: {
    outDir: join(import.meta.dirname, '../../dist/ui'),
    emptyOutDir: true,
    target: 'es2022',
    // Nothing inline: the content security policy lets no data: address pass.
    assetsInlineLimit: 0,
    modulePreload: { polyfill: false },
    reportCompressedSize: false,
  },
})

/** Compressed once, as well as it goes, instead of with each request. */
function compressed(): Plugin {
  let folder = ''
  return {
    name: 'compressed',
    apply: 'build',
    configResolved({ root, build }) {
      folder = resolve(root, build.outDir)
    },
    async closeBundle() {
      const names = (await readdir(folder, { recursive: true })).filter((name) => /\.(?:js|css|html|svg)$/.test(name))
      for (const name of names) {
        const bytes = await readFile(join(folder, name))
        await writeFile(join(folder, `${name}.gz`), await promisify(gzip)(bytes, { level: 9 }))
        await writeFile(join(folder, `${name}.br`), await promisify(brotliCompress)(bytes))
      }
    },
  }
}
