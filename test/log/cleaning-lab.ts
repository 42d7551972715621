/**
 * A log and a cleaner at hand: writes keys, cleans, and tells what is left in a few words.
 *
 * Keys are words: `1 2 3!` are three records, the last one a tombstone. What a cleaning yields is done at once: syncs through
 * the disk, bytes for nothing.
 */

import type { Millis, Offset } from '../../sim/kernel/units.js'
import { Cleaner, type CleanerStep, type Cleaning } from '../../sim/log/cleaner.js'
import { OffsetMap } from '../../sim/log/offset-map.js'
import { DEFAULT_PRODUCER_STATE } from '../../sim/log/partition-log-options.js'
import type { PartitionLog } from '../../sim/log/partition-log.js'
import type { ProducerStateConfig } from '../../sim/log/producer-state-manager.js'
import { RecordBatch, type BatchOptions } from '../../sim/wire/record-batch.js'
import { appended, batches, config, LogHost, marker, record } from './harness.js'

const decoder = new TextDecoder()

/** What the host's clock shows at first. */
export const NOW: Millis = 1_767_225_600_000
export const RETENTION: Millis = 1_000
/** Later than any delete horizon of these tests. */
export const LATE: Millis = NOW + 1_000_000_000

export interface LabOptions {
  readonly config?: Record<string, unknown>
  readonly slots?: number
  readonly bufferBytes?: number
  readonly loadFactor?: number
  readonly host?: LogHost
  readonly producers?: ProducerStateConfig
}

export function keyed(keys: string, options: BatchOptions = {}, timestamp: Millis = NOW): RecordBatch {
  return RecordBatch.build(
    options,
    keys.split(' ').map((word) => {
      const key = word.replace('!', '')
      const made = record(`v${key}`, timestamp, key)
      return word.endsWith('!') ? { ...made, value: null } : made
    }),
  )
}

export class CleaningLab {
  readonly host: LogHost
  readonly map: OffsetMap
  readonly cleaner: Cleaner
  readonly overrides: Record<string, unknown>
  log: PartitionLog
  /** Where the last cleaning ended. */
  dirty: Offset = 0
  readonly #producers: ProducerStateConfig
  readonly #sequences = new Map<number, number>()

  constructor({
    config: overrides = {},
    slots = 1_000,
    bufferBytes = 64,
    loadFactor = 1,
    host = new LogHost(),
    producers = DEFAULT_PRODUCER_STATE,
  }: LabOptions = {}) {
    this.host = host
    this.#producers = producers
    this.overrides = {
      'cleanup.policy': 'compact',
      'delete.retention.ms': RETENTION,
      'message.timestamp.after.max.ms': Number.MAX_SAFE_INTEGER,
      ...overrides,
    }
    this.log = host.open({ config: config(this.overrides), producers })
    this.map = new OffsetMap(slots * 24)
    this.cleaner = new Cleaner({ map: this.map, bufferBytes, loadFactor })
  }

  /** One batch of these keys; its first and last offset. */
  write(keys: string, options: BatchOptions = {}, timestamp?: Millis): [Offset, Offset] {
    const { firstOffset, lastOffset } = appended(this.log.appendAsLeader([keyed(keys, options, timestamp)], 0))
    return [firstOffset, lastOffset]
  }

  /** One batch for each key. */
  each(keys: string): this {
    for (const key of keys.split(' ')) this.write(key)
    return this
  }

  /** One batch of an idempotent producer; in a transaction unless `isTransactional` is false. */
  produce(producerId: number, keys: string, isTransactional = true): [Offset, Offset] {
    const baseSequence = this.#sequences.get(producerId) ?? 0
    this.#sequences.set(producerId, baseSequence + keys.split(' ').length)
    const options = { producerId, producerEpoch: 0, baseSequence, isTransactional }
    // Nobody is asked about transactions here.
    const verification = isTransactional
      ? this.log.startTransactionVerification(producerId, baseSequence, 0, false)
      : undefined
    if (verification !== undefined && 'error' in verification) throw new Error(verification.message)
    const result = this.log.appendAsLeader([keyed(keys, options)], 0, { origin: 'client', verification })
    const { firstOffset, lastOffset } = appended(result)
    return [firstOffset, lastOffset]
  }

  end(producerId: number, commit: boolean): void {
    appended(this.log.appendAsLeader([marker(producerId, 0, commit, 0, NOW)], 0, { origin: 'coordinator' }))
  }

  commit(producerId: number): void {
    this.end(producerId, true)
  }

  abort(producerId: number): void {
    this.end(producerId, false)
  }

  /** Steps of a cleaning of all closed segments from `dirty` on. */
  steps(now: Millis = NOW, bound: Offset = this.log.cleanable.activeSegment.baseOffset): Cleaning {
    const log = this.log.cleanable
    const bytes = { cleanBytes: 0, cleanableBytes: 0, ratio: 1, isOverdue: false }
    return this.cleaner.clean({ log, firstDirty: this.dirty, firstUncleanable: bound, ...bytes }, now)
  }

  /** Cleans; where it ended. */
  clean(now?: Millis, bound?: Offset): Offset {
    const steps = this.steps(now, bound)
    for (let step = steps.next(); ; step = steps.next()) {
      if (step.done === true) return (this.dirty = step.value)
      this.perform(step.value)
    }
  }

  /** Cleans all anew. */
  again(now?: Millis): Offset {
    this.dirty = 0
    return this.clean(now)
  }

  /** Cleans all anew, twice: the first sets delete horizons, the second one comes after them. */
  cleanTwice(now: Millis = NOW): void {
    this.again(now)
    this.again(now + RETENTION + 1)
  }

  perform(step: CleanerStep): void {
    if (!('sync' in step)) return
    let isDone = false
    step.sync.sync(() => (isDone = true))
    while (!isDone) this.host.run(10)
  }

  /** Closes the log and opens it again; after a crash it just opens, and recovers. */
  reload({ isCrash = false } = {}): void {
    if (!isCrash) {
      this.log.close()
      this.host.run()
    }
    this.log = this.host.open({ config: config(this.overrides), producers: this.#producers, clean: !isCrash })
  }

  // ── what is left ──────────────────────────────────────────────────────────────────────────────────────────────────

  get batches(): readonly RecordBatch[] {
    return batches(this.log)
  }

  /** `0=a 2=b!`: the records of users. */
  get records(): string {
    return this.batches
      .filter((batch) => !batch.isControl)
      .flatMap((batch) =>
        batch.records().map(({ offsetDelta, key, value }) => {
          return `${batch.baseOffset + offsetDelta}=${decoder.decode(key ?? undefined)}${value === null ? '!' : ''}`
        }),
      )
      .join(' ')
  }

  /** Offsets of all records, markers too. */
  get offsets(): readonly Offset[] {
    return this.batches.flatMap((batch) => batch.records().map(({ offsetDelta }) => batch.baseOffset + offsetDelta))
  }

  get lastOffsets(): readonly Offset[] {
    return this.batches.map((batch) => batch.lastOffset)
  }

  get baseOffsets(): readonly Offset[] {
    return this.batches.map((batch) => batch.baseOffset)
  }
}
