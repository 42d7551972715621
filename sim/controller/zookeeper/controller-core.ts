/**
 * What the parts of the ZooKeeper-mode controller share, and how they tell the trace of decisions.
 *
 * A decision on a partition is told once it stands in ZooKeeper: by whoever wrote it, and by a new controller for everything that it finds. Its partition
 * epoch is the version of the partition's state znode.
 */

import type { Env } from '../../kernel/env.js'
import type { NodeId } from '../../kernel/units.js'
import type { LogConfig } from '../../log/log-config.js'
import type { TopicPartition } from '../../zookeeper/kafka/znodes.js'
import type { ControllerContext } from './controller-context.js'
import type { ControllerStore } from './controller-store.js'
import type { RequestBatch } from './request-batch.js'

/** A change that could not be made (`StateChangeFailedException`). */
export class StateChangeFailed extends Error {
  constructor(why: string) {
    super(why)
    this.name = 'StateChangeFailed'
  }
}

export interface ControllerCore {
  readonly env: Env
  readonly brokerId: NodeId
  readonly context: ControllerContext
  readonly store: ControllerStore
  readonly batch: RequestBatch
  /** The settings of a topic that itself says `own`. */
  readonly logConfig: (own: ReadonlyMap<string, string>) => LogConfig
}

/** Tells the trace what the controller knows of the partition's leadership. */
export function announce(core: ControllerCore, partition: TopicPartition, reason: string, unclean = false): void {
  const { context, env } = core
  const info = context.leadership(partition)
  // What is being deleted has been told as deleted.
  if (info === undefined || context.topicsToBeDeleted.has(partition.topic)) return
  const { leaderAndIsr } = info
  const assignment = context.assignment(partition)
  env.emit('controller.partition', {
    partition: partition.name,
    leader: leaderAndIsr.leader,
    leaderEpoch: leaderAndIsr.leaderEpoch,
    partitionEpoch: leaderAndIsr.partitionEpoch,
    isr: leaderAndIsr.isr,
    elr: [],
    replicas: assignment.replicas,
    adding: assignment.adding,
    removing: assignment.removing,
    unclean,
    reason,
  })
}
