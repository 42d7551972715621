/**
 * The threads that compact the logs of a broker.
 *
 * Each thread works without end: it takes the filthiest log that is due and cleans it; then it deletes old segments of compacted logs
 * (those below the log start; by size and time where the policy is `compact,delete`); then it takes the next one at once, or
 * sleeps for `log.cleaner.backoff.ms` when there was none.
 *
 *     idle ──log due──→ cleaning ──done, given up, dropped──→ idle
 *
 * Moving bytes takes time (a device of 500 MB/s behind the disk's gate, and `log.cleaner.io.max.bytes.per.second`), syncing too; a
 * cleaning may be dropped meanwhile, by a truncation, a deletion, a change of the policy, or the end of the process. What
 * can't be read makes a log uncleanable; a DiskError takes it offline. While no log is compacted the threads do not wake
 * up: their sleep goes on by whole periods. Source: LogCleaner, CleanerThread.
 */

import { DiskError, type Env, type EnvTimer } from '../kernel/env.js'
import type { Bytes, Millis, Offset } from '../kernel/units.js'
import { MalformedBytes } from '../wire/primitives.js'
import { Cleaner, Uncleanable, type CleanerStep, type Cleaning } from './cleaner.js'
import type { LogBrokerConfig } from './log-config.js'
import { LogCleanerManager } from './log-cleaner-manager.js'
import type { LogToClean } from './log-to-clean.js'
import { OffsetMap } from './offset-map.js'
import type { PartitionLog } from './partition-log.js'
import { Throttler } from './throttler.js'

/** What the device reads or writes in a millisecond. */
const DISK_BYTES_PER_MS: Bytes = 500_000
/** Kafka's largest array. */
const MAP_BYTES_MAX: Bytes = 2_147_483_647

/** Settings whose change makes the threads begin anew. */
const RECONFIGURABLE = [
  'log.cleaner.threads',
  'log.cleaner.dedupe.buffer.size',
  'log.cleaner.io.buffer.load.factor',
  'log.cleaner.io.buffer.size',
  'message.max.bytes',
  'log.cleaner.io.max.bytes.per.second',
  'log.cleaner.backoff.ms',
] as const

export class LogCleaner {
  readonly manager: LogCleanerManager
  readonly #env: Env
  readonly #throttler: Throttler
  #config: LogBrokerConfig
  #threads: CleanerThread[] = []

  /** @throws DiskError */
  constructor(
    env: Env,
    config: LogBrokerConfig,
    logs: ReadonlyMap<string, PartitionLog>,
    onDiskError: (error: DiskError) => void,
  ) {
    this.#env = env
    this.#config = config
    this.manager = new LogCleanerManager(env, logs, onDiskError)
    this.#throttler = new Throttler(config['log.cleaner.io.max.bytes.per.second'], env.clock.monotonicMs())
  }

  startup(): void {
    const count = this.#config['log.cleaner.threads']
    for (let i = 0; i < count; i++) {
      this.#threads.push(new CleanerThread(this.#env, this.#config, this.manager, this.#throttler))
    }
  }

  /** Ends the threads where they are. What they wrote under `.cleaned` stays until the log is loaded again. */
  shutdown(): void {
    for (const thread of this.#threads) thread.shutdown()
    this.#threads = []
  }

  reconfigure(config: LogBrokerConfig): void {
    const before = this.#config
    this.#config = config
    if (RECONFIGURABLE.every((name) => config[name] === before[name])) return
    this.#throttler.bytesPerSecond = config['log.cleaner.io.max.bytes.per.second']
    this.shutdown()
    this.startup()
  }

  /** A log may have become a compacted one. */
  wake(): void {
    if (this.manager.hasCompacted) for (const thread of this.#threads) thread.wake()
  }

  /** No cleaning of it is in progress any more. */
  abort(partition: string): void {
    this.abortAndPause(partition)
    this.manager.resume(partition)
  }

  /** As `abort`; none begins before `manager.resume`. */
  abortAndPause(partition: string): void {
    if (!this.manager.pause(partition)) return
    for (const thread of this.#threads) thread.drop(partition)
  }
}

interface Work {
  readonly cleanable: LogToClean
  readonly steps: Cleaning
}

class CleanerThread {
  readonly #env: Env
  readonly #manager: LogCleanerManager
  readonly #throttler: Throttler
  readonly #cleaner: Cleaner
  readonly #backoffMs: Millis
  #work: Work | undefined
  #stopped = false
  /** When it fell asleep without setting a timer; undefined while it has one, or works. */
  #asleepSince: Millis | undefined
  #timer: EnvTimer | undefined

  constructor(env: Env, config: LogBrokerConfig, manager: LogCleanerManager, throttler: Throttler) {
    const threads = config['log.cleaner.threads']
    this.#env = env
    this.#manager = manager
    this.#throttler = throttler
    this.#backoffMs = Math.max(1, config['log.cleaner.backoff.ms'])
    this.#cleaner = new Cleaner({
      map: new OffsetMap(Math.min(Math.floor(config['log.cleaner.dedupe.buffer.size'] / threads), MAP_BYTES_MAX)),
      bufferBytes: Math.floor(config['log.cleaner.io.buffer.size'] / threads / 2),
      loadFactor: config['log.cleaner.io.buffer.load.factor'],
    })
    env.soon(() => this.#next())
  }

  shutdown(): void {
    this.#stopped = true
    this.#timer?.cancel()
    const work = this.#work
    this.#work = undefined
    if (work !== undefined) this.#manager.done(work.cleanable.log.partition, work.cleanable.firstDirty)
  }

  wake(): void {
    if (this.#asleepSince === undefined) return
    const slept = this.#env.clock.monotonicMs() - this.#asleepSince
    this.#asleepSince = undefined
    this.#sleep(this.#backoffMs - (slept % this.#backoffMs))
  }

  /** Throws away what is being done with this log, which was paused. */
  drop(partition: string): void {
    const work = this.#work
    if (work?.cleanable.log.partition !== partition) return
    this.#work = undefined
    try {
      work.steps.return(0)
    } catch (error) {
      if (!(error instanceof DiskError)) throw error
      work.cleanable.log.failed(error)
    }
    this.#soon()
  }

  /** One turn of the thread. */
  #next(): void {
    if (this.#stopped) return
    const nowMs = this.#env.clock.wallMs()
    const cleanable = this.#guard(() => this.#manager.grabFilthiest(nowMs))
    if (cleanable === undefined) {
      this.#deleteOld()
      if (this.#manager.hasCompacted) this.#sleep(this.#backoffMs)
      else this.#asleepSince = this.#env.clock.monotonicMs()
      return
    }
    const work = { cleanable, steps: this.#cleaner.clean(cleanable, nowMs) }
    this.#work = work
    this.#goOn(work)
  }

  #goOn(work: Work): void {
    if (this.#work !== work) return
    try {
      const step = work.steps.next()
      if (step.done === true) this.#cleaned(work, step.value)
      else this.#perform(step.value, work)
    } catch (error) {
      this.#failed(work, error)
    }
  }

  #perform(step: CleanerStep, work: Work): void {
    if ('sync' in step) {
      step.sync.sync((error) => {
        if (this.#work !== work) return
        if (error === undefined) this.#goOn(work)
        else this.#failed(work, work.cleanable.log.failed(error))
      })
      return
    }
    const { bytes } = step
    this.#env.after(bytes / DISK_BYTES_PER_MS, () => {
      if (this.#work !== work) return
      this.#env.disk.access(() => {
        const sleep = this.#throttler.sleepMs(bytes, this.#env.clock.monotonicMs())
        if (sleep > 0) this.#env.after(sleep, () => this.#goOn(work))
        else this.#goOn(work)
      })
    })
  }

  #cleaned({ cleanable }: Work, end: Offset): void {
    this.#work = undefined
    this.#guard(() => this.#manager.done(cleanable.log.partition, end))
    this.#deleteOld()
    this.#soon()
  }

  #failed({ cleanable }: Work, error: unknown): void {
    const { log, firstDirty } = cleanable
    this.#work = undefined
    if (!(error instanceof DiskError || error instanceof Uncleanable || error instanceof MalformedBytes)) throw error
    this.#guard(() => this.#manager.done(log.partition, firstDirty))
    if (error instanceof DiskError) {
      log.failed(error)
      return
    }
    this.#manager.markUncleanable(log.partition, error.message)
    this.#sleep(this.#backoffMs)
  }

  #deleteOld(): void {
    for (const log of this.#manager.deletable()) {
      if (log.segments.length > 1 || log.config['cleanup.policy'].includes('delete')) {
        this.#guard(() => log.deleteOldSegments())
      }
    }
  }

  /** A DiskError has taken its log offline already; the broker halts. */
  #guard<T>(act: () => T): T | undefined {
    try {
      return act()
    } catch (error) {
      if (!(error instanceof DiskError)) throw error
      return undefined
    }
  }

  #soon(): void {
    this.#env.soon(() => this.#next())
  }

  #sleep(ms: Millis): void {
    this.#timer = this.#env.after(ms, () => this.#next())
  }
}
