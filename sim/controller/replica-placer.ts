/**
 * Chooses brokers for new partitions (Kafka's `StripedReplicaPlacer`).
 *
 * Racks take turns, and brokers take turns within their rack, both from a random start that moves on by one with every
 * partition: the striped pattern. Two constraints are hard: no broker holds two replicas of a partition, and the first replica is
 * on an unfenced broker. Fenced brokers are taken only when a rack has no unfenced one left. After as many partitions
 * as there are unfenced brokers, racks and brokers are shuffled.
 */

import { assert } from '../kernel/errors.js'
import type { Random } from '../kernel/random.js'
import type { NodeId } from '../kernel/units.js'

/** A registered broker that is not shutting down. */
export interface UsableBroker {
  readonly id: NodeId
  readonly rack: string | null
  readonly fenced: boolean
}

/** Replica lists, one a partition; or why that replication factor cannot be had (INVALID_REPLICATION_FACTOR). */
export type Placement = { readonly assignments: readonly (readonly NodeId[])[] } | { readonly impossible: string }

export function placeReplicas(
  brokers: Iterable<UsableBroker>,
  partitions: number,
  replicationFactor: number,
  random: Random,
): Placement {
  const racks = new RackList(brokers, random)
  if (replicationFactor <= 0) {
    return { impossible: `a replication factor of ${replicationFactor} is not positive` }
  }
  if (racks.unfenced === 0) return { impossible: 'every broker is fenced' }
  if (replicationFactor > racks.total) {
    return {
      impossible: `${replicationFactor} replicas were asked for, ${racks.total} brokers are registered`,
    }
  }
  const assignments: (readonly NodeId[])[] = []
  for (let i = 0; i < partitions; i++) assignments.push(racks.place(replicationFactor))
  return { assignments }
}

class BrokerList {
  readonly #brokers: NodeId[] = []
  #index = 0
  #offset = 0
  #epoch = 0

  add(broker: NodeId): void {
    this.#brokers.push(broker)
  }

  initialize(random: Random): void {
    if (this.#brokers.length === 0) return
    this.#brokers.sort((a, b) => a - b)
    this.#offset = random.int(this.#brokers.length)
  }

  shuffle(random: Random): void {
    const shuffled = random.shuffle(this.#brokers)
    this.#brokers.splice(0, this.#brokers.length, ...shuffled)
  }

  /** -1 when every broker had its turn in this epoch. */
  next(epoch: number): NodeId {
    const size = this.#brokers.length
    if (size === 0) return -1
    if (this.#epoch !== epoch) {
      this.#epoch = epoch
      this.#index = 0
      this.#offset = (this.#offset + 1) % size
    }
    if (this.#index >= size) return -1
    return this.#brokers[(this.#index++ + this.#offset) % size] as NodeId
  }
}

interface Rack {
  readonly fenced: BrokerList
  readonly unfenced: BrokerList
}

class RackList {
  readonly #random: Random
  #racks: Rack[]
  #epoch = 0
  #offset: number
  total = 0
  unfenced = 0

  constructor(brokers: Iterable<UsableBroker>, random: Random) {
    this.#random = random
    const byName = new Map<string | null, Rack>()
    for (const broker of brokers) {
      let rack = byName.get(broker.rack)
      if (rack === undefined) byName.set(broker.rack, (rack = { fenced: new BrokerList(), unfenced: new BrokerList() }))
      if (broker.fenced) rack.fenced.add(broker.id)
      else {
        rack.unfenced.add(broker.id)
        this.unfenced++
      }
      this.total++
    }
    for (const rack of byName.values()) {
      rack.fenced.initialize(random)
      rack.unfenced.initialize(random)
    }
    this.#racks = [...byName].sort(([a], [b]) => compareRackNames(a, b)).map(([, rack]) => rack)
    this.#offset = this.#racks.length === 0 ? 0 : random.int(this.#racks.length)
  }

  place(replicationFactor: number): NodeId[] {
    // With a single unfenced broker the epoch must go on, or no other epoch would ever come.
    if (this.#epoch === this.unfenced && this.unfenced > 1) {
      this.#shuffle()
      this.#epoch = 0
    }
    const size = this.#racks.length
    if (this.#offset === size) this.#offset = 0
    const brokers: NodeId[] = []
    let firstRack = this.#offset
    for (;;) {
      const broker = this.#rack(firstRack).unfenced.next(this.#epoch)
      if (broker >= 0) {
        brokers.push(broker)
        break
      }
      firstRack = (firstRack + 1) % size
    }
    let rackIndex = this.#offset
    for (let replica = 1; replica < replicationFactor; replica++) {
      let broker = -1
      do {
        // The leader's rack had its turn already: it is passed over once.
        if (rackIndex === firstRack) firstRack = -1
        else {
          const rack = this.#rack(rackIndex)
          broker = rack.unfenced.next(this.#epoch)
          if (broker < 0) broker = rack.fenced.next(this.#epoch)
        }
        rackIndex = (rackIndex + 1) % size
      } while (broker < 0)
      brokers.push(broker)
    }
    this.#epoch++
    this.#offset++
    return brokers
  }

  #rack(index: number): Rack {
    const rack = this.#racks[index]
    assert(rack, 'replica placer: rack', { index })
    return rack
  }

  #shuffle(): void {
    this.#racks = this.#random.shuffle(this.#racks)
    for (const rack of this.#racks) {
      rack.fenced.shuffle(this.#random)
      rack.unfenced.shuffle(this.#random)
    }
  }
}

/** Brokers of no rack come first. */
function compareRackNames(a: string | null, b: string | null): number {
  if (a === b) return 0
  if (a === null) return -1
  if (b === null) return 1
  return a < b ? -1 : 1
}
