import type { RegistryPing } from '../client/contract.ts'
import { fold } from './format.ts'

const STATE_WIDTH = 9
const NAME_WIDTH = 10
const INDENT = ' '.repeat(STATE_WIDTH + NAME_WIDTH)

/** A line for each check, with what to do under it. `columns`: of the screen; undefined: nothing is folded. */
export function pingText({ host, checks }: RegistryPing, columns: number | undefined): string {
  const lines = checks.map(({ name, state, detail, hint }) => {
    const head = `${state.padEnd(STATE_WIDTH)}${name.padEnd(NAME_WIDTH)}`
    // What is folded goes on below the text, not below the state.
    const text = fold(`${INDENT}${detail}`, columns).slice(INDENT.length)
    const advice = hint === undefined ? '' : `\n${fold(`${INDENT}${hint}`, columns)}`
    return `${head}${text}${advice}\n`
  })
  return `${lines.join('')}${host}: ${verdict(checks)}\n`
}

function verdict(checks: RegistryPing['checks']): string {
  const count = (wanted: string) => checks.filter(({ state }) => state === wanted).length
  const [failed, warnings] = [count('failed'), count('warning')]
  if (failed > 0) return `${failed} of ${checks.length} checks failed`
  return warnings > 0 ? `usable, with ${warnings} ${warnings === 1 ? 'warning' : 'warnings'}` : 'all is well'
}
