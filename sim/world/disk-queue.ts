/**
 * The time that a disk takes: one queue of syncs, and one gate in front of blocking calls.
 *
 * Syncs are served one after the other, each with a latency drawn from the table of the device; a sync is never for free. The gate
 * lets calls pass at once while the device answers promptly; when it is slow they come after their delay, when it hangs after it
 * goes on; always in order. A callback comes with the cause of its call.
 */

import type { Engine } from '../kernel/engine.js'
import type { Quantiles, Random } from '../kernel/random.js'
import type { Micros } from '../kernel/units.js'
import type { FaultHandle } from './fault-rule.js'

/** fsync on a data-centre SSD: 0.2 to 2 ms, with a tail to 8 (microseconds; every 5 %). */
export const SSD_SYNC_MICROS: Quantiles = [
  200, 260, 310, 350, 390, 430, 470, 510, 560, 610, 670, 740, 820, 910, 1_010, 1_130, 1_280, 1_460, 1_700, 2_000, 8_000,
]
/** What one blocking call costs a slow device before its factor; a healthy one hides it in the page cache. */
const ACCESS_MICROS: Micros = 100

/** Whose callbacks come: a process, which may be paused or dead, or the builder of a run. */
export interface DiskUser {
  readonly alive: boolean
  deliver<T>(fire: (argument: T) => void, argument: T): void
}

export interface Slowness {
  /** Of the device's own latencies. */
  readonly factor?: number
  /** Added to each sync and to each call at the gate. */
  readonly addedMicros?: Micros
}

export interface SyncRequest {
  readonly user: DiskUser
  readonly startedAt: Micros
  readonly cause: number
}

interface Access {
  readonly user: DiskUser
  readonly run: () => void
  readonly releaseAt: Micros
  readonly cause: number
}

export class DiskQueue<S extends SyncRequest> {
  readonly #engine: Engine
  readonly #random: Random
  readonly #syncMicros: Quantiles
  readonly #synced: (request: S) => void
  #slowness: Slowness[] = []
  #hangs = 0
  /** When the first of the present hangs began. */
  #hungSince: Micros = Infinity
  #syncs: S[] = []
  /** The first sync is being served; or was, and only waits for the hang to end. */
  #serving = false
  #served = false
  #gate: Access[] = []
  #pumpAt: Micros = Infinity
  /** Grows with `clear`, so that events of before are known to be stale. */
  #life = 0

  constructor(engine: Engine, random: Random, syncMicros: Quantiles, synced: (request: S) => void) {
    this.#engine = engine
    this.#random = random
    this.#syncMicros = syncMicros
    this.#synced = synced
  }

  get pendingSyncs(): readonly S[] {
    return this.#syncs
  }

  get waitingAccesses(): number {
    return this.#gate.length
  }

  get hungSince(): Micros {
    return this.#hungSince
  }

  slow(slowness: Slowness): FaultHandle {
    this.#slowness = [...this.#slowness, slowness]
    return { remove: () => void (this.#slowness = this.#slowness.filter((other) => other !== slowness)) }
  }

  hang(): FaultHandle {
    if (this.#hangs++ === 0) this.#hungSince = this.#engine.now
    let hanging = true
    return {
      remove: () => {
        if (!hanging) return
        hanging = false
        if (--this.#hangs === 0) this.#goOn()
      },
    }
  }

  sync(request: S): void {
    this.#syncs.push(request)
    this.#serve()
  }

  access(user: DiskUser, run: () => void): void {
    if (!user.alive) return
    if (this.#gate.length === 0 && this.#hangs === 0 && this.#slowness.length === 0) return run()
    const now = this.#engine.now
    const before = this.#gate[this.#gate.length - 1]?.releaseAt ?? 0
    const releaseAt = Math.max(now + this.#accessDelay(), before)
    this.#gate.push({ user, run, releaseAt, cause: this.#engine.trace.cause })
    this.#schedulePump()
  }

  /** The power is gone: nothing that waited will be done. */
  clear(): void {
    this.#life++
    this.#syncs = []
    this.#gate = []
    this.#serving = false
    this.#served = false
    this.#pumpAt = Infinity
  }

  #goOn(): void {
    this.#hungSince = Infinity
    if (this.#served) this.#later(this.#engine.now, this.#syncs[0]?.cause ?? 0, () => this.#finish())
    else this.#serve()
    this.#schedulePump()
  }

  #serve(): void {
    const request = this.#syncs[0]
    if (request === undefined || this.#serving || this.#hangs > 0) return
    this.#serving = true
    this.#later(this.#engine.now + this.#syncLatency(), request.cause, () => this.#finish())
  }

  #finish(): void {
    if (this.#hangs > 0) {
      this.#served = true
      return
    }
    const request = this.#syncs.shift() as S
    this.#serving = false
    this.#served = false
    this.#synced(request)
    this.#serve()
  }

  #schedulePump(): void {
    const first = this.#gate[0]
    if (first === undefined || this.#hangs > 0) return
    const at = Math.max(first.releaseAt, this.#engine.now)
    if (this.#pumpAt <= at) return
    this.#pumpAt = at
    this.#later(at, first.cause, () => this.#pump(at))
  }

  #pump(at: Micros): void {
    if (this.#pumpAt !== at) return
    const first = this.#gate[0]
    if (this.#hangs === 0 && first !== undefined) {
      // It leaves the gate only afterwards, so that what it asks for itself comes behind those who wait.
      first.user.deliver(call, first.run)
      if (this.#gate[0] === first) this.#gate.shift()
    }
    this.#pumpAt = Infinity
    this.#schedulePump()
  }

  #syncLatency(): Micros {
    return Math.round(this.#slowed(this.#random.quantile(this.#syncMicros)))
  }

  #accessDelay(): Micros {
    if (this.#slowness.length === 0) return 0
    return Math.round(this.#slowed(ACCESS_MICROS)) - ACCESS_MICROS
  }

  #slowed(micros: number): number {
    let slowed = micros
    for (const { factor = 1 } of this.#slowness) slowed *= factor
    for (const { addedMicros = 0 } of this.#slowness) slowed += addedMicros
    return slowed
  }

  #later(at: Micros, cause: number, run: () => void): void {
    const trace = this.#engine.trace
    const before = trace.cause
    const life = this.#life
    trace.cause = cause
    this.#engine.schedule(at, call, () => {
      if (life === this.#life) run()
    })
    trace.cause = before
  }
}

function call(run: () => void): void {
  run()
}
