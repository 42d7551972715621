/** Measures of many runs, as a line each: the one value, or median, 99th percentile and range. */

import { describeValue } from '../sim/scenario/expectations.js'
import type { RunResult } from '../sim/scenario/result.js'

/** Of the measures that the scenario wants shown, in its order. */
export function spreadLines(results: readonly RunResult[]): string[] {
  return (results[0]?.scenario.run.show ?? []).flatMap((measure) => {
    const values = results.flatMap((result) => result.measures[measure] ?? [])
    if (values.length === 0) return []
    const numbers = results.map((result) => result.measures[measure]).filter((value) => typeof value === 'number')
    const isOne = new Set(values.map(String)).size === 1
    if (isOne || numbers.length < results.length) {
      return [
        `${measure}: ${[...new Set(results.map((result) => describeValue(result.measures[measure] ?? 'none')))].join(', ')}`,
      ]
    }
    const sorted = [...numbers].sort((a, b) => a - b)
    const [least, most] = [sorted[0] ?? 0, sorted[sorted.length - 1] ?? 0]
    const parts = [
      `median ${shown(rank(sorted, 0.5))}`,
      `99 % ${shown(rank(sorted, 0.99))}`,
      `${shown(least)} to ${shown(most)}`,
    ]
    return [`${measure}: ${parts.join(', ')}`]
  })
}

/** Nearest-rank percentile of sorted numbers. */
function rank(sorted: readonly number[], share: number): number {
  return sorted[Math.max(Math.ceil(share * sorted.length) - 1, 0)] ?? 0
}

function shown(value: number): string {
  return value.toLocaleString('en-US')
}
