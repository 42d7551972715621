/**
 * How the benches measure: warm up, repeat, take the median of CPU time.
 */

export interface Figure {
  readonly name: string
  readonly value: number
  readonly unit: string
}

/** Median over `repeats` of what `once` gives, after one run that does not count. */
export function median(repeats: number, once: () => number): number {
  once()
  const values = Array.from({ length: repeats }, once).sort((a, b) => a - b)
  return values[Math.floor(values.length / 2)] as number
}

/** CPU seconds of this process that `work` takes: what other processes do does not count. */
export function cpuSeconds(work: () => void): number {
  const before = process.cpuUsage()
  work()
  const used = process.cpuUsage(before)
  return (used.user + used.system) / 1e6
}
