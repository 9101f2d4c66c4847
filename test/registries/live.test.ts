import process from 'node:process'
import { test } from 'node:test'
import { liveRounds } from '../helpers/registries/live/rounds.ts'
import { liveRegistries, liveSizes } from '../helpers/registries/live/settings.ts'

const sizes = liveSizes(process.env)

for (const { name, place, skip } of liveRegistries(process.env)) {
  test(`live: ${name}`, { skip: skip ?? false }, async (t) => {
    if (place) await liveRounds(t, place, sizes)
  })
}
