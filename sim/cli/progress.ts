/**
 * How far a sweep has come: done, failed, rate and the time that is left.
 */

import { ProgressLine } from './terminal.js'

const EVERY_MS = 100

export class Progress {
  readonly #total: number
  readonly #line = new ProgressLine()
  readonly #began = performance.now()
  #done = 0
  #failed = 0
  #shownAt = 0

  constructor(total: number) {
    this.#total = total
  }

  add(verdict: 'pass' | 'fail' | 'unknown'): void {
    this.#done++
    if (verdict === 'fail') this.#failed++
    const now = performance.now()
    if (now - this.#shownAt < EVERY_MS || this.#total < 2) return
    this.#shownAt = now
    const rate = this.#done / ((now - this.#began) / 1_000)
    const left = Math.ceil((this.#total - this.#done) / rate)
    const failed = this.#failed > 0 ? `, ${this.#failed} failed` : ''
    this.#line.show(
      `${this.#done}/${this.#total} runs${failed}   ${rate.toFixed(rate < 10 ? 1 : 0)}/s   ${left} s left`,
    )
  }

  clear(): void {
    this.#line.clear()
  }
}
