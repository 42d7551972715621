/**
 * Which partition of a coordinator's topic a key belongs to, and how that topic comes to be (`CoordinatorType`,
 * `GroupCoordinatorService.partitionFor`).
 *
 * Topics of coordinators are made when somebody first asks for a coordinator, with the broker's own settings, compacted.
 */

import type { GroupConfig } from '../group/group-settings.js'
import type { TxnConfig } from '../txn/txn-settings.js'
import type { InternalTopic } from '../topic-auto-creation.js'
import { GROUP_METADATA_TOPIC, TRANSACTION_STATE_TOPIC } from '../topic-names.js'

/** How a topic of Kafka's own is made; undefined for any other. */
export function internalTopic(name: string, config: GroupConfig & TxnConfig): InternalTopic | undefined {
  if (name === TRANSACTION_STATE_TOPIC) {
    return {
      partitions: config['transaction.state.log.num.partitions'],
      replicationFactor: config['transaction.state.log.replication.factor'],
      config: {
        'cleanup.policy': 'compact',
        'compression.type': 'uncompressed',
        'unclean.leader.election.enable': 'false',
        'min.insync.replicas': String(config['transaction.state.log.min.isr']),
        'segment.bytes': String(config['transaction.state.log.segment.bytes']),
      },
    }
  }
  if (name !== GROUP_METADATA_TOPIC) return undefined
  return {
    partitions: config['offsets.topic.num.partitions'],
    replicationFactor: config['offsets.topic.replication.factor'],
    config: {
      'cleanup.policy': 'compact',
      'compression.type': 'producer',
      'segment.bytes': String(config['offsets.topic.segment.bytes']),
    },
  }
}

/** Java's `String.hashCode`. */
export function javaHash(text: string): number {
  let hash = 0
  for (let i = 0; i < text.length; i++) hash = (Math.imul(hash, 31) + text.charCodeAt(i)) | 0
  return hash
}

/** The partition of a group or transactional id; the smallest int counts as 0, as Kafka's `Utils.abs` has it. */
export function coordinatorPartition(key: string, partitions: number): number {
  const hash = javaHash(key)
  return (hash === -0x80000000 ? 0 : Math.abs(hash)) % partitions
}
