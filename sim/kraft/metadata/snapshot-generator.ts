/**
 * Decides when a node writes a snapshot of its metadata (Kafka's `SnapshotGenerator`); on every node, each for itself.
 *
 * After `metadata.log.max.record.bytes.between.snapshots` of log, or when something was committed after
 * `metadata.log.max.snapshot.interval.ms`, on the monotonic clock, since the latest snapshot read or written. Only at the end of a
 * batch. Writing happens as an event of its own (Kafka's own thread); a disk that refuses it is no reason to end, the log is still there.
 */

import type { Env } from '../../kernel/env.js'
import { DiskError } from '../../kernel/env.js'
import type { Bytes, Millis } from '../../kernel/units.js'
import type { MetadataImage } from './image.js'
import type { MetadataDelta } from './metadata-delta.js'
import type { LoaderManifest, MetadataPublisher } from './metadata-loader.js'

export interface SnapshotGeneratorOptions {
  readonly maxBytes: Bytes
  /** 0: never because of time. */
  readonly maxIntervalMs: Millis
  /** Writes the snapshot; does nothing when there is one at that offset and epoch. */
  readonly write: (image: MetadataImage, timestamp: Millis) => void
}

export class SnapshotGenerator implements MetadataPublisher {
  readonly name = 'SnapshotGenerator'
  readonly #env: Env
  readonly #options: SnapshotGeneratorOptions
  #bytesSinceLast: Bytes = 0
  #lastMs: Millis
  #scheduled = false

  constructor(env: Env, options: SnapshotGeneratorOptions) {
    this.#env = env
    this.#options = options
    this.#lastMs = env.clock.monotonicMs()
  }

  onMetadataUpdate(_delta: MetadataDelta, image: MetadataImage, manifest: LoaderManifest): void {
    if (manifest.type === 'snapshot') return this.#reset()
    this.#bytesSinceLast += manifest.bytes
    if (this.#scheduled || !manifest.batchAligned || !this.#isDue()) return
    this.#scheduled = true
    this.#env.soon(() => {
      this.#scheduled = false
      this.#reset()
      try {
        this.#options.write(image, manifest.timestamp)
      } catch (error) {
        if (!(error instanceof DiskError)) throw error
      }
    })
  }

  #isDue(): boolean {
    const { maxBytes, maxIntervalMs } = this.#options
    if (this.#bytesSinceLast >= maxBytes) return true
    return maxIntervalMs > 0 && this.#env.clock.monotonicMs() - this.#lastMs >= maxIntervalMs
  }

  #reset(): void {
    this.#bytesSinceLast = 0
    this.#lastMs = this.#env.clock.monotonicMs()
  }
}
