/**
 * Which brokers get the replicas of new partitions (`AdminUtils.assignReplicasToBrokers`, KIP-36). Pure but for the random start.
 *
 * First replicas go round robin from a random broker; the others of a partition follow at a distance that grows by one each time round. With
 * racks, brokers alternate between them, and a rack (a broker) gets a second replica only when every rack (broker) has one.
 */

import type { NodeId } from '../../kernel/units.js'
import type { Random } from '../../kernel/random.js'

export interface PlaceableBroker {
  readonly id: NodeId
  readonly rack: string | null
}

export interface PlacementOptions {
  readonly partitions: number
  readonly replicationFactor: number
  /** Where to begin; at random when missing. */
  readonly startIndex?: number
  readonly firstPartition?: number
}

/** Some brokers have a rack and some have none. */
export const MIXED_RACKS = 'some brokers have a rack and some have none'

/** One list for each partition. `brokers` are in the order of their ids, and at least as many as replicas. */
export function placeReplicas(
  brokers: readonly PlaceableBroker[],
  options: PlacementOptions,
  random: Random,
): NodeId[][] | { readonly impossible: string } {
  const withRack = brokers.filter(({ rack }) => rack !== null)
  if (withRack.length > 0 && withRack.length < brokers.length) return { impossible: MIXED_RACKS }
  const racks = new Map(brokers.map(({ id, rack }) => [id, rack ?? '']))
  const numRacks = withRack.length === 0 ? 0 : new Set(racks.values()).size
  const ids = numRacks === 0 ? brokers.map(({ id }) => id) : alternated(brokers)
  const { partitions, replicationFactor, startIndex } = options
  const start = startIndex ?? random.int(ids.length)
  let shift = startIndex ?? random.int(ids.length)
  const placed: NodeId[][] = []
  for (let i = 0; i < partitions; i++) {
    const partition = (options.firstPartition ?? 0) + i
    if (partition > 0 && partition % ids.length === 0) shift++
    const first = (partition + start) % ids.length
    placed.push(
      numRacks === 0
        ? roundRobin(ids, first, shift, replicationFactor)
        : acrossRacks(ids, racks, numRacks, first, shift, replicationFactor),
    )
  }
  return placed
}

function roundRobin(ids: readonly NodeId[], first: number, shift: number, count: number): NodeId[] {
  const replicas = [ids[first] as NodeId]
  for (let k = 0; k < count - 1; k++) replicas.push(ids[replicaIndex(first, shift, k, ids.length)] as NodeId)
  return replicas
}

function acrossRacks(
  ids: readonly NodeId[],
  racks: ReadonlyMap<NodeId, string>,
  numRacks: number,
  first: number,
  shift: number,
  count: number,
): NodeId[] {
  const leader = ids[first] as NodeId
  const replicas = [leader]
  const usedRacks = new Set([racks.get(leader)])
  for (let k = 0; replicas.length < count; k++) {
    const broker = ids[replicaIndex(first, shift * numRacks, k, ids.length)] as NodeId
    const rack = racks.get(broker)
    if (usedRacks.has(rack) && usedRacks.size < numRacks) continue
    if (replicas.includes(broker) && replicas.length < ids.length) continue
    replicas.push(broker)
    usedRacks.add(rack)
  }
  return replicas
}

function replicaIndex(first: number, shift: number, k: number, count: number): number {
  return (first + 1 + ((shift + k) % (count - 1))) % count
}

/** One of each rack in turn; racks by name, brokers by id. */
function alternated(brokers: readonly PlaceableBroker[]): NodeId[] {
  const byRack = new Map<string, NodeId[]>()
  for (const { id, rack } of brokers) byRack.set(rack ?? '', [...(byRack.get(rack ?? '') ?? []), id])
  const racks = [...byRack].sort(([a], [b]) => (a < b ? -1 : 1)).map(([, ids]) => ids.sort((a, b) => a - b))
  const result: NodeId[] = []
  for (let turn = 0; result.length < brokers.length; turn++) {
    for (const ids of racks) if (turn < ids.length) result.push(ids[turn] as NodeId)
  }
  return result
}
