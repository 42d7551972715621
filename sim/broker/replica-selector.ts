/**
 * Which replica a consumer should read from (KIP-392; Kafka's `ReplicaSelector`, `RackAwareReplicaSelector`).
 *
 * With `replica.selector.class` a leader sends a consumer that tells its rack to a replica of that rack: to itself where it
 * stands there, else to the one that has most, was caught up last, has the largest id. Only members of the ISR count, and only while what
 * the consumer asks for lies in their log. Without a replica in the rack the consumer stays with the leader.
 */

import type { Setting } from '../kernel/config-def.js'
import type { Millis, NodeId, Offset } from '../kernel/units.js'
import type { MetadataImage } from '../kraft/metadata/image.js'
import type { Partition } from './partition.js'

export const RACK_AWARE_SELECTOR = 'org.apache.kafka.common.replica.RackAwareReplicaSelector'
const LEADER_SELECTOR = 'org.apache.kafka.common.replica.LeaderSelector'

/** `replica.selector.class`: empty for none. */
export const REPLICA_SELECTOR: Setting<string> = {
  default: '',
  doc: 'Which replica consumers read from: the leader when left out',
  parse: (raw) => {
    const name = ['', LEADER_SELECTOR, RACK_AWARE_SELECTOR].find((known) => known === (raw ?? ''))
    return name !== undefined ? { value: name } : { wrong: `expected ${LEADER_SELECTOR} or ${RACK_AWARE_SELECTOR}` }
  },
}

interface ReplicaView {
  readonly id: NodeId
  readonly logEndOffset: Offset
  readonly sinceCaughtUpMs: Millis
}

/** The replica to read `offset` from in the reader's rack; -1: the leader. */
export function preferredReadReplica(
  partition: Partition,
  offset: Offset,
  rack: string,
  leader: NodeId,
  image: MetadataImage,
  nowMs: Millis,
): NodeId {
  const isInRack = (id: NodeId): boolean => {
    const broker = image.brokers.get(id)
    return broker !== undefined && !broker.fenced && broker.rack === rack
  }
  if (isInRack(leader)) return -1
  const isr = partition.isrState.isr
  let best: ReplicaView | undefined
  for (const { brokerId: id, logStartOffset, logEndOffset, lastCaughtUpTimeMs } of partition.remoteReplicas) {
    if (!isr.includes(id) || logEndOffset < offset || logStartOffset > offset || !isInRack(id)) continue
    const view = { id, logEndOffset, sinceCaughtUpMs: nowMs - lastCaughtUpTimeMs }
    if (best === undefined || isBetter(view, best)) best = view
  }
  return best?.id ?? -1
}

function isBetter(a: ReplicaView, b: ReplicaView): boolean {
  return (a.logEndOffset - b.logEndOffset || b.sinceCaughtUpMs - a.sinceCaughtUpMs || a.id - b.id) > 0
}
