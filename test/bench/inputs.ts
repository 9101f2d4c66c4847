import { join } from 'node:path'
import { buildPackage, type BuiltPackage } from '../helpers/packages/package-builder.ts'
import type { BlobFile } from './peers.ts'

/** What is moved, made once when it is first asked for. */
export interface Inputs {
  /** A real-looking package: few large layers, many small ones, half of it compressible. */
  large(): Promise<{ built: BuiltPackage; label: string }>
  /** A package that is one layer, as a folder: the layer is a file that others push. */
  blob(): Promise<{ built: BuiltPackage; blob: BlobFile; label: string }>
  /** A package of many layers of 2 KiB, and the same as a folder. */
  small(): Promise<{ built: BuiltPackage; folder: string; label: string }>
}

export interface InputOptions {
  folder: string
  /** Of the large package and of the one layer. */
  bytes: number
  /** As people say it: 2GiB. */
  size: string
  smallLayers: number
}

const LARGE_LAYERS = 20
const SMALL_BYTES = 2048
/** Each layer is this share of what is left: the largest has a quarter of the bytes, the last ones a few MiB. */
const SHARE = 0.25

export function createInputs({ folder, bytes, size, smallLayers }: InputOptions): Inputs {
  return {
    large: once(async () => ({
      label: `${size}, ${LARGE_LAYERS} layers`,
      built: await buildPackage(folder, {
        name: 'large',
        layers: LARGE_LAYERS,
        layerBytes: largeLayers(bytes),
        compressible: 0.5,
      }),
    })),
    blob: once(async () => {
      const built = await buildPackage(folder, {
        name: 'one',
        layers: 1,
        layerBytes: bytes,
        compressible: 0,
        seed: 2,
        format: 'directory',
      })
      const layer = built.files.find(({ size }) => size === bytes)
      if (!layer) throw new Error('the package has no large layer')
      const blob = { path: join(built.path, layer.path), digest: layer.digest, size: bytes }
      return { built, blob, label: `one layer of ${size}` }
    }),
    small: once(async () => {
      const options = { name: 'small', layers: smallLayers, layerBytes: SMALL_BYTES, seed: 3 }
      const built = await buildPackage(folder, options)
      const { path } = await buildPackage(folder, { ...options, format: 'directory' })
      return { built, folder: path, label: `${smallLayers} layers of 2 KiB` }
    }),
  }
}

function largeLayers(bytes: number): number[] {
  const sizes: number[] = []
  let left = bytes
  while (sizes.length < LARGE_LAYERS) {
    const size = sizes.length === LARGE_LAYERS - 1 ? left : Math.ceil(left * SHARE)
    sizes.push(size)
    left -= size
  }
  return sizes
}

function once<T>(make: () => Promise<T>): () => Promise<T> {
  let made: Promise<T> | undefined
  return () => (made ??= make())
}
