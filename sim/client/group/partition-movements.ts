/**
 * Which partitions a rebalance moved between which members (AbstractStickyAssignor.PartitionMovements).
 *
 * Before a partition of a topic is moved from A to B it is looked whether another one of that topic was moved from B to A: then that one goes
 * back instead, so that both stay where they were.
 */

import { JavaHashSet, javaPartitionHash } from './java-hash-order.js'
import type { OwnedPartition } from './sticky-members.js'

interface Movement {
  readonly from: string
  readonly to: string
}

export class PartitionMovements {
  readonly #movements = new Map<OwnedPartition, Movement>()
  /** Topic, from and to → the partitions moved. */
  readonly #moved = new Map<string, JavaHashSet<OwnedPartition>>()

  move(partition: OwnedPartition, from: string, to: string): void {
    const before = this.#movements.get(partition)
    if (before === undefined) {
      this.#add(partition, { from, to })
      return
    }
    this.#movements.delete(partition)
    const moved = this.#moved.get(keyOf(partition, before))
    moved?.delete(partition)
    if (moved?.isEmpty === true) this.#moved.delete(keyOf(partition, before))
    if (before.from !== to) this.#add(partition, { from: before.from, to })
  }

  /** The partition to be moved instead, if there is one. */
  insteadOf(partition: OwnedPartition, from: string, to: string): OwnedPartition {
    const origin = this.#movements.get(partition)?.from ?? from
    return this.#moved.get(keyOf(partition, { from: to, to: origin }))?.first() ?? partition
  }

  #add(partition: OwnedPartition, movement: Movement): void {
    this.#movements.set(partition, movement)
    const key = keyOf(partition, movement)
    let moved = this.#moved.get(key)
    if (moved === undefined) {
      moved = new JavaHashSet(({ topic, index }) => javaPartitionHash(topic, index))
      this.#moved.set(key, moved)
    }
    moved.add(partition)
  }
}

function keyOf({ topic }: OwnedPartition, { from, to }: Movement): string {
  return JSON.stringify([topic, from, to])
}
