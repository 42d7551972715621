/**
 * Notices a learner that does not acknowledge proposals in time, though it answers pings.
 *
 * Only the oldest proposal on its way and the newest one are remembered. Source: `LearnerHandler.SyncLimitCheck`.
 */

import type { Millis } from '../../kernel/units.js'
import type { Zxid } from '../api.js'

interface Sent {
  readonly zxid: Zxid
  readonly timeMs: Millis
}

export class SyncLimitCheck {
  readonly #limitMs: Millis
  #isStarted = false
  #current: Sent | undefined
  #next: Sent | undefined

  constructor(limitMs: Millis) {
    this.#limitMs = limitMs
  }

  start(): void {
    this.#isStarted = true
  }

  proposed(zxid: Zxid, timeMs: Millis): void {
    if (!this.#isStarted) return
    if (this.#current === undefined) this.#current = { zxid, timeMs }
    else this.#next = { zxid, timeMs }
  }

  acknowledged(zxid: Zxid): void {
    if (this.#current?.zxid === zxid) {
      this.#current = this.#next
      this.#next = undefined
    } else if (this.#next?.zxid === zxid) this.#next = undefined
  }

  isWithinLimit(timeMs: Millis): boolean {
    return this.#current === undefined || timeMs - this.#current.timeMs < this.#limitMs
  }
}
