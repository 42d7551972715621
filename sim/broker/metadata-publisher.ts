/**
 * What a broker does with new metadata (`BrokerMetadataPublisher`).
 *
 * Each image goes to what answers from it (metadata cache, configuration), then its delta to the replica manager. At the first
 * image the logs are opened and recovered in between; images that come meanwhile wait in line, as Kafka's loader thread does, and
 * what the broker reports as its metadata offset stands still.
 *
 *   waiting ──first image──→ starting ──logs are open──→ running
 */

import type { Offset } from '../kernel/units.js'
import type { MetadataImage } from '../kraft/metadata/image.js'
import type { MetadataDelta } from '../kraft/metadata/metadata-delta.js'
import type { MetadataPublisher } from '../kraft/metadata/metadata-loader.js'

/** The parts of the broker that follow the metadata, as the publisher calls them. */
export interface MetadataFollower {
  /** From now on questions are answered from this image. */
  setImage(image: MetadataImage): void
  /** Once, with the first image: opens the logs, starts what works on them, then calls `done`. */
  startManagers(image: MetadataImage, done: () => void): void
  applyDelta(delta: MetadataDelta, image: MetadataImage): void
  /** The first image is applied in full. */
  onFirstPublish(): void
}

interface Update {
  readonly delta: MetadataDelta
  readonly image: MetadataImage
}

export class BrokerMetadataPublisher implements MetadataPublisher {
  readonly name = 'BrokerMetadataPublisher'
  readonly #follower: MetadataFollower
  #state: 'waiting' | 'starting' | 'running' | 'closed' = 'waiting'
  #queue: Update[] = []
  #lastApplied: Offset = -1

  constructor(follower: MetadataFollower) {
    this.#follower = follower
  }

  /** The offset that heartbeats report: -1 until the loader has caught up once. */
  get lastAppliedOffset(): Offset {
    return this.#lastApplied
  }

  onMetadataUpdate(delta: MetadataDelta, image: MetadataImage): void {
    switch (this.#state) {
      case 'waiting':
        this.#state = 'starting'
        this.#lastApplied = image.offset
        this.#follower.setImage(image)
        this.#follower.startManagers(image, () => this.#started(delta, image))
        break
      case 'starting':
        this.#queue.push({ delta, image })
        break
      case 'running':
        this.#follower.setImage(image)
        this.#follower.applyDelta(delta, image)
        this.#lastApplied = image.offset
        break
      case 'closed':
        break
    }
  }

  /** Nothing is applied from now on. */
  close(): void {
    this.#state = 'closed'
    this.#queue = []
  }

  #started(delta: MetadataDelta, image: MetadataImage): void {
    if (this.#state !== 'starting') return
    this.#state = 'running'
    this.#follower.applyDelta(delta, image)
    this.#follower.onFirstPublish()
    const waiting = this.#queue
    this.#queue = []
    for (const update of waiting) this.onMetadataUpdate(update.delta, update.image)
  }
}
