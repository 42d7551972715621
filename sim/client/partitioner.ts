/**
 * Which partition a record goes to (Kafka's BuiltInPartitioner; KIP-480, KIP-794).
 *
 * A record with a key: its murmur2 hash, always the same partition. Without: all go to one partition until `batch.size`
 * bytes went there, then another is drawn; partitions with shorter queues are more likely, in proportion to (longest queue +
 * 1 − own queue). A switch in the middle of a batch waits until the batch is ready, but not beyond twice the size.
 */

import type { Random } from '../kernel/random.js'
import type { Bytes } from '../kernel/units.js'
import type { MetadataSnapshot, PartitionMetadata } from './metadata-snapshot.js'

/** Integer.MAX_VALUE + 1: what a non-negative random int is below. */
const TWO_31 = 2_147_483_648

/** Shares of the partitions as running sums: a draw below the sum of place i, and not below the one before, means `partitions[i]`. */
export interface PartitionLoad {
  readonly sums: readonly number[]
  readonly partitions: readonly number[]
}

export class StickyPartitioner {
  readonly #topic: string
  readonly #stickyBytes: Bytes
  readonly #random: Random
  #current = -1
  #producedBytes: Bytes = 0
  #load: PartitionLoad | undefined

  /** @param stickyBytes bytes after which to switch, at least 1 */
  constructor(topic: string, stickyBytes: Bytes, random: Random) {
    this.#topic = topic
    this.#stickyBytes = stickyBytes
    this.#random = random
  }

  /** The partition for the next record. */
  current(metadata: MetadataSnapshot): number {
    if (this.#current < 0) this.#current = this.#next(metadata)
    return this.#current
  }

  /** `bytes` went to the current partition. `maySwitch`: no batch there is half full. Returns true when it switched. */
  produced(bytes: Bytes, metadata: MetadataSnapshot, maySwitch: boolean): boolean {
    this.#producedBytes += bytes
    const enough = this.#producedBytes >= this.#stickyBytes && maySwitch
    if (!enough && this.#producedBytes < this.#stickyBytes * 2) return false
    this.#current = this.#next(metadata)
    this.#producedBytes = 0
    return true
  }

  /** Takes the queues of the partitions into account; undefined for equal shares. */
  updateLoad(load: PartitionLoad | undefined): void {
    this.#load = load
  }

  #next(metadata: MetadataSnapshot): number {
    const random = this.#random.int(TWO_31)
    const load = this.#load
    if (load !== undefined) {
      const draw = random % (load.sums[load.sums.length - 1] as number)
      let place = 0
      while ((load.sums[place] as number) <= draw) place++
      return load.partitions[place] as number
    }
    const available = metadata.availableOf(this.#topic)
    const partitions = available.length > 0 ? available : metadata.partitionsOf(this.#topic)
    return (partitions[random % partitions.length] as PartitionMetadata).index
  }
}

/**
 * Shares from queue lengths: `queues[i]` batches wait for `partitions[i]`. `total` partitions were looked at, some of which may
 * have been left out. Undefined when all have the same share.
 */
export function partitionLoad(
  queues: readonly number[],
  partitions: readonly number[],
  total: number,
): PartitionLoad | undefined {
  if (queues.length < 1 || total < 2) return undefined
  let longest = queues[0] as number
  let allEqual = true
  for (const queue of queues) {
    if (queue !== queues[0]) allEqual = false
    if (queue > longest) longest = queue
  }
  if (allEqual && queues.length === total) return undefined
  const sums: number[] = []
  let sum = 0
  for (const queue of queues) {
    sum += longest + 1 - queue
    sums.push(sum)
  }
  return { sums, partitions }
}
