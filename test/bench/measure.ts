/**
 * How the benches measure: warm up, repeat, take the median of the time that the thread was busy.
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

/**
 * Seconds that `work` keeps this thread busy: real time, unless other programs had the processor meanwhile, which the CPU time of the
 * process leaves out. That in turn counts what compiles and collects garbage beside us; so the smaller of the two.
 */
export function busySeconds(work: () => void): number {
  const began = performance.now()
  const before = process.cpuUsage()
  work()
  const used = process.cpuUsage(before)
  const real = (performance.now() - began) / 1e3
  return Math.min(real, (used.user + used.system) / 1e6)
}
