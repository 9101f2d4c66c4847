import type { Figures, StatsMeasure } from '../../../src/jobs/system/stats.ts'

/** The sums that are not zero; each is the sum of its series. */
export function totalsOf({ totals, series }: Figures): Partial<Record<StatsMeasure, number>> {
  for (const [measure, figures] of Object.entries(series)) {
    const sum = figures.reduce((all, figure) => all + figure, 0)
    if (sum !== totals[measure as StatsMeasure])
      throw new Error(`the series of ${measure} makes ${sum}, its total is another`)
  }
  return Object.fromEntries(Object.entries(totals).filter(([, total]) => total > 0))
}
