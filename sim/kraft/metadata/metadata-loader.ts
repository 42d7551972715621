/**
 * Replays the committed metadata log into images and hands them to publishers (Kafka's `MetadataLoader` and
 * `MetadataBatchLoader`). One on every node; nodes know the cluster's metadata through it and nothing else.
 *
 * Every commit makes one delta and one image, and publishers get both in the order in which they were installed. Nobody is told
 * before the loader has caught up with the high watermark once; a publisher's first delta starts from the empty image. What lies
 * inside a metadata transaction (KIP-868) is published at its end, or never when it is aborted.
 *
 * Emits `metadata.replay` for each batch, those without records (control batches) too, so that the offsets told of have no gaps; its
 * digest is a function of offset and records. That a snapshot was loaded is the raft client's to tell.
 * Applying a batch is a pure function, so nodes that apply the same records to the same image share the result.
 */

import type { Env } from '../../kernel/env.js'
import { assert } from '../../kernel/errors.js'
import type { Bytes, Epoch, Millis, NodeId, Offset } from '../../kernel/units.js'
import { BATCH_OVERHEAD, recordSizeInBytes } from '../../wire/record-batch.js'
import type { MetadataImage } from './image.js'
import { EMPTY_IMAGE } from './image.js'
import { imageToRecords } from './image-records.js'
import { MetadataDelta } from './metadata-delta.js'
import { digestRecords, encodeMetadataRecord } from './record-codec.js'
import type { MetadataBatch, MetadataRecord, MetadataSnapshot } from './records.js'

/** Where a delta came from. */
export interface LoaderManifest {
  readonly type: 'log' | 'snapshot'
  /** Bytes of the log that the delta covers; 0 for a snapshot. */
  readonly bytes: Bytes
  /** A snapshot may be taken at the image's offset: it is the end of a batch. */
  readonly batchAligned: boolean
  /** When the leader appended the last record contained (ms). */
  readonly timestamp: Millis
}

export interface LeaderAndEpoch {
  /** -1 for none. */
  readonly leaderId: NodeId
  readonly epoch: Epoch
}

export interface MetadataPublisher {
  readonly name: string
  /** `delta` leads from the image of the previous call (the empty one at first) to `image`. Both are read-only and may be shared. */
  onMetadataUpdate(delta: MetadataDelta, image: MetadataImage, manifest: LoaderManifest): void
  onControllerChange?(leader: LeaderAndEpoch): void
}

type Transaction = 'none' | 'started' | 'continued' | 'ended' | 'aborted'

export class MetadataLoader {
  readonly #env: Env
  readonly #highWatermark: () => Offset
  readonly #publishers: MetadataPublisher[] = []
  #uninitialized: MetadataPublisher[] = []
  #image: MetadataImage = EMPTY_IMAGE
  #leader: LeaderAndEpoch = { leaderId: -1, epoch: -1 }
  #catchingUp = true
  #hasSeenRecord = false
  #transaction: Transaction = 'none'
  /** Bytes and delta since the image that was published last; the delta only within a transaction. */
  #pendingBytes: Bytes = 0
  #pendingDelta: MetadataDelta | undefined
  /** End of what was read, inside a transaction beyond the image. */
  #lastOffset: Offset = -1
  #lastEpoch: Epoch = -1
  #timestamp: Millis = 0

  /** @param highWatermark the quorum's, exclusive; -1 while unknown. */
  constructor(env: Env, highWatermark: () => Offset) {
    this.#env = env
    this.#highWatermark = highWatermark
  }

  /** The image of everything committed and outside of transactions. */
  get image(): MetadataImage {
    return this.#image
  }

  /** Offset of the last record read; -1 for none. */
  get lastOffset(): Offset {
    return this.#lastOffset
  }

  /** Adds publishers; each gets the whole image as its first delta as soon as the loader has caught up. */
  install(...publishers: MetadataPublisher[]): void {
    this.#uninitialized.push(...publishers)
    this.#env.soon(() => this.#initializePublishers())
  }

  remove(publisher: MetadataPublisher): void {
    this.#uninitialized = this.#uninitialized.filter((each) => each !== publisher)
    const at = this.#publishers.indexOf(publisher)
    if (at >= 0) this.#publishers.splice(at, 1)
  }

  handleCommit(batches: readonly MetadataBatch[]): void {
    for (const batch of batches) this.#emitReplay(batch)
    if (this.#transaction !== 'none' || batches.some(touchesTransaction)) {
      for (const batch of batches) this.#loadInTransaction(batch)
      this.#flushTransaction()
      return
    }
    const before = this.#image
    let delta: MetadataDelta | undefined
    let image = before
    let bytes = 0
    for (const batch of batches) {
      const step = applyBatch(image, batch)
      image = step.image
      delta = step.delta
      bytes += batchBytes(batch.records)
      if (batch.records.length > 0) this.#hasSeenRecord = true
      this.#lastOffset = batch.lastOffset
      this.#timestamp = batch.appendTimestamp
    }
    if (delta === undefined) return
    if (batches.length > 1) image = shared(image)
    if (batches.length > 1 && this.#publishers.length > 0) delta = deltaOf(before, batches)
    this.#publish(delta, image, this.#manifest('log', bytes))
  }

  handleLoadSnapshot(snapshot: MetadataSnapshot): void {
    const { endOffset, epoch, records } = snapshot
    const lastOffset = endOffset - 1
    // The image is made from nothing so that its order is the snapshot's, whatever this node knew before.
    const image = shared(replayAll(new MetadataDelta(EMPTY_IMAGE), records, lastOffset, epoch).apply(lastOffset, epoch))
    const delta = replayAll(new MetadataDelta(this.#image), records, lastOffset, epoch)
    delta.finishSnapshot()
    this.#transaction = 'none'
    this.#pendingDelta = undefined
    this.#pendingBytes = 0
    this.#lastOffset = lastOffset
    this.#timestamp = snapshot.lastContainedLogTimestamp
    this.#hasSeenRecord ||= records.length > 0
    this.#publish(delta, image, this.#manifest('snapshot', 0))
  }

  handleLeaderChange(leader: LeaderAndEpoch): void {
    this.#leader = leader
    for (const publisher of this.#publishers.slice()) publisher.onControllerChange?.(leader)
  }

  beginShutdown(): void {
    this.#publishers.length = 0
    this.#uninitialized = []
  }

  #emitReplay({ baseOffset, lastOffset, epoch, records }: MetadataBatch): void {
    const digest = digestRecords(baseOffset, records)
    this.#env.emit('metadata.replay', { baseOffset, lastOffset, epoch, digest, records })
  }

  #publish(delta: MetadataDelta, image: MetadataImage, manifest: LoaderManifest): void {
    this.#image = image
    if (this.#stillCatchingUp()) return
    for (const publisher of this.#publishers.slice()) publisher.onMetadataUpdate(delta, image, manifest)
    if (this.#uninitialized.length > 0) this.#env.soon(() => this.#initializePublishers())
  }

  #stillCatchingUp(): boolean {
    if (!this.#catchingUp) return false
    const highWatermark = this.#highWatermark()
    this.#catchingUp = highWatermark < 0 || highWatermark - 1 > this.#image.offset || !this.#hasSeenRecord
    return this.#catchingUp
  }

  #initializePublishers(): void {
    if (this.#uninitialized.length === 0 || this.#stillCatchingUp()) return
    const image = this.#image
    const delta = replayAll(new MetadataDelta(EMPTY_IMAGE), imageToRecords(image), image.offset, image.epoch)
    const fresh = this.#uninitialized
    this.#uninitialized = []
    for (const publisher of fresh) {
      publisher.onMetadataUpdate(delta, image, this.#manifest('snapshot', 0))
      publisher.onControllerChange?.(this.#leader)
      this.#publishers.push(publisher)
    }
  }

  #manifest(type: LoaderManifest['type'], bytes: Bytes, batchAligned = true): LoaderManifest {
    return { type, bytes, batchAligned, timestamp: this.#timestamp }
  }

  // ── transactions ──────────────────────────────────────────────────────────────────────────────────────────────────

  #loadInTransaction(batch: MetadataBatch): void {
    let delta = (this.#pendingDelta ??= new MetadataDelta(this.#image))
    for (let i = 0; i < batch.records.length; i++) {
      const record = batch.records[i] as MetadataRecord
      const offset = batch.baseOffset + i
      const open = this.#transaction === 'started' || this.#transaction === 'continued'
      if (record.type === 'BeginTransactionRecord') {
        assert(!open, 'metadata: transaction within a transaction', { offset })
        // What came before the transaction is not part of it and must be known to those who abort it.
        if (i > 0 || this.#pendingBytes > 0) {
          const aligned = i === 0
          this.#publish(
            delta,
            delta.apply(this.#lastOffset, batch.epoch),
            this.#manifest('log', this.#pendingBytes, aligned),
          )
        }
        delta = this.#pendingDelta = new MetadataDelta(this.#image)
        this.#pendingBytes = 0
        this.#transaction = 'started'
      } else if (record.type === 'EndTransactionRecord') {
        assert(open, 'metadata: end of no transaction', { offset })
        this.#transaction = 'ended'
      } else if (record.type === 'AbortTransactionRecord') {
        assert(open, 'metadata: abort of no transaction', { offset })
        this.#transaction = 'aborted'
        delta = this.#pendingDelta = new MetadataDelta(this.#image)
      } else {
        if (this.#transaction === 'started') this.#transaction = 'continued'
        else if (this.#transaction === 'ended' || this.#transaction === 'aborted') this.#transaction = 'none'
        this.#hasSeenRecord = true
        delta.replay(record, offset, batch.epoch)
      }
      this.#lastOffset = offset
    }
    this.#lastOffset = batch.lastOffset
    this.#timestamp = batch.appendTimestamp
    this.#pendingBytes += batchBytes(batch.records)
    this.#lastEpoch = batch.epoch
  }

  #flushTransaction(): void {
    if (this.#transaction === 'started' || this.#transaction === 'continued') return
    const delta = this.#pendingDelta
    if (delta === undefined) return
    const bytes = this.#pendingBytes
    this.#transaction = 'none'
    this.#pendingDelta = undefined
    this.#pendingBytes = 0
    this.#publish(delta, shared(delta.apply(this.#lastOffset, this.#lastEpoch)), this.#manifest('log', bytes))
  }
}

function touchesTransaction(batch: MetadataBatch): boolean {
  for (const record of batch.records) {
    const type = record.type
    if (type === 'BeginTransactionRecord' || type === 'EndTransactionRecord' || type === 'AbortTransactionRecord') {
      return true
    }
  }
  return false
}

function replayAll(
  delta: MetadataDelta,
  records: readonly MetadataRecord[],
  offset: Offset,
  epoch: Epoch,
): MetadataDelta {
  for (const record of records) delta.replay(record, offset, epoch)
  return delta
}

function deltaOf(image: MetadataImage, batches: readonly MetadataBatch[]): MetadataDelta {
  const delta = new MetadataDelta(image)
  for (const batch of batches) replayBatch(delta, batch)
  return delta
}

function replayBatch(delta: MetadataDelta, batch: MetadataBatch): void {
  const records = batch.records
  for (let i = 0; i < records.length; i++) {
    delta.replay(records[i] as MetadataRecord, batch.baseOffset + i, batch.epoch)
  }
}

interface Application {
  readonly base: MetadataImage
  readonly records: readonly MetadataRecord[]
  readonly lastOffset: Offset
  readonly epoch: Epoch
  readonly delta: MetadataDelta
  readonly image: MetadataImage
}

/** The latest applications, newest last. A cache only: what it holds is a function of its key. */
const RECENT_MAX = 8
const recent: Application[] = []

function applyBatch(base: MetadataImage, batch: MetadataBatch): Application {
  const { records, lastOffset, epoch } = batch
  for (let i = recent.length - 1; i >= 0; i--) {
    const known = recent[i] as Application
    if (known.base !== base || known.lastOffset !== lastOffset || known.epoch !== epoch) continue
    if (known.records === records || (known.records.length === 0 && records.length === 0)) return known
  }
  const delta = new MetadataDelta(base)
  replayBatch(delta, batch)
  const made = { base, records, lastOffset, epoch, delta, image: delta.apply(lastOffset, epoch) }
  if (recent.length === RECENT_MAX) recent.shift()
  recent.push(made)
  return made
}

/** The latest images that were made otherwise than by applying one batch, newest last. */
const sources: MetadataImage[] = []

/**
 * An equal image that another node came to, if there is one: from the same image on, nodes share what they apply. A node that
 * reads a snapshot, or catches up after the others, has objects of its own until then.
 */
function shared(image: MetadataImage): MetadataImage {
  const images = [...recent.map((application) => application.image), ...sources]
  for (const known of images) {
    // There is seldom another one of this offset: what costs is seldom done.
    if (known === image || known.offset !== image.offset || known.epoch !== image.epoch) continue
    if (contentOf(known) === contentOf(image)) return known
  }
  if (images.includes(image)) return image
  if (sources.length === RECENT_MAX) sources.shift()
  sources.push(image)
  return image
}

/** All that an image holds, in its order. */
function contentOf(image: MetadataImage): string {
  return JSON.stringify(image, (_, value: unknown) => (value instanceof Map ? [...value] : value))
}

const sizes = new WeakMap<readonly MetadataRecord[], Bytes>()

/** Size of the record batch that carries these records. */
function batchBytes(records: readonly MetadataRecord[]): Bytes {
  let size = sizes.get(records)
  if (size !== undefined) return size
  size = BATCH_OVERHEAD
  for (let i = 0; i < records.length; i++) {
    const value = encodeMetadataRecord(records[i] as MetadataRecord)
    size += recordSizeInBytes({ timestamp: 0, key: null, value }, i, 0)
  }
  sizes.set(records, size)
  return size
}
