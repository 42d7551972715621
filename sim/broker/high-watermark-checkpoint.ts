/**
 * High watermarks on disk: `replication-offset-checkpoint` (Kafka's `ReplicaManager.checkpointHighWatermarks`,
 * `LazyOffsetCheckpoints`).
 *
 * Read once, when the first log is opened; written every `replica.high.watermark.checkpoint.interval.ms` and at
 * shutdown. Writing starts only after the first metadata was applied: before that the broker hosts nothing and would
 * forget everything. What is on disk may be up to an interval old, so a restarted replica begins with a lower watermark
 * than it had: it learns the rest from its leader, or from its followers.
 */

import type { DiskError, Env } from '../kernel/env.js'
import type { Millis, Offset } from '../kernel/units.js'
import { OffsetCheckpoint } from '../log/checkpoint-file.js'
import { HIGH_WATERMARK_FILE } from '../log/log-files.js'
import type { Partition } from './partition.js'

export class HighWatermarkCheckpoint {
  readonly #env: Env
  readonly #file: OffsetCheckpoint
  readonly #intervalMs: Millis
  readonly #partitions: () => Iterable<Partition>
  #loaded: ReadonlyMap<string, Offset> | undefined
  #started = false

  constructor(env: Env, intervalMs: Millis, partitions: () => Iterable<Partition>) {
    this.#env = env
    this.#file = new OffsetCheckpoint(env.disk, HIGH_WATERMARK_FILE)
    this.#intervalMs = intervalMs
    this.#partitions = partitions
  }

  /** What the last life of this broker wrote for a partition; 0 without an entry. */
  get(partition: string): Offset {
    this.#loaded ??= this.#file.read() ?? new Map<string, Offset>()
    return this.#loaded.get(partition) ?? 0
  }

  /** Writes now and from now on. */
  start(): void {
    if (this.#started) return
    this.#started = true
    this.#tick()
  }

  /** `done` when it will last. @throws DiskError */
  write(done?: (error?: DiskError) => void): void {
    const offsets = new Map<string, Offset>()
    for (const { name, log } of this.#partitions()) if (log !== undefined) offsets.set(name, log.highWatermark)
    this.#file.write(offsets, done)
  }

  #tick(): void {
    this.#env.after(this.#intervalMs, () => this.#tick())
    this.#env.disk.access(() => this.write())
  }
}
