/**
 * What the controller reads from ZooKeeper and writes there (`KafkaZkClient` of Kafka 3.9, the part of the controller).
 *
 * Every write but those of an election checks the version of /controller_epoch in the same transaction, and throws `ControllerMoved` when another
 * controller was elected meanwhile. What took effect is told to the trace with its transaction id, so that it can be judged.
 *
 * Election: one transaction creates /controller and takes the next epoch with the version that was read. When it is refused, or an
 * earlier try of it got through unheard, both are read again: it won only if the id and the epoch are its own.
 */

import type { Env } from '../../kernel/env.js'
import type { Epoch, NodeId } from '../../kernel/units.js'
import { ANY_VERSION, type Op, type ZooKeeperError, type Zxid } from '../../zookeeper/api.js'
import {
  ControllerMoved,
  type KafkaZkClient,
  KeeperFailure,
  type Read,
  type WriteOutcome,
} from '../../zookeeper/kafka/kafka-zk-client.js'
import type { Task } from '../../zookeeper/kafka/task.js'
import {
  BrokerIdZnode,
  ConfigZnode,
  ControllerZnode,
  decodeText,
  encodeText,
  FeatureZnode,
  type LeaderAndIsr,
  type LeadershipInfo,
  LogDirEventZnode,
  type PartitionReplicas,
  PartitionsZnode,
  Path,
  ProducerIdBlockZnode,
  type ProducerIdBlock,
  ReassignmentZnode,
  type ReplicaAssignment,
  StateZnode,
  type TopicPartition,
  TopicZnode,
} from '../../zookeeper/kafka/znodes.js'
import type { LiveBroker } from './controller-context.js'

/** Kafka's first controller has epoch 1; the znode is made with 0. */
const INITIAL_CONTROLLER_EPOCH: Epoch = 0
const PRODUCER_ID_BLOCK_SIZE = 1_000

/** Why a state znode could not be used: ZooKeeper's error, or a change that makes no sense any more. */
export type Trouble =
  { readonly kind: 'zookeeper'; readonly error: ZooKeeperError } | { readonly kind: 'state'; readonly why: string }

export type StateRead = { readonly partition: TopicPartition } & (
  { readonly info: LeadershipInfo | undefined } | { readonly trouble: Trouble }
)

export interface StateWrites {
  /** New partition epochs. */
  readonly updated: readonly { readonly partition: TopicPartition; readonly leaderAndIsr: LeaderAndIsr }[]
  readonly failed: readonly { readonly partition: TopicPartition; readonly trouble: Trouble }[]
  /** The znode was changed meanwhile. */
  readonly retry: readonly TopicPartition[]
}

export interface WantedState {
  readonly partition: TopicPartition
  readonly leaderAndIsr: LeaderAndIsr
}

export interface Elected {
  readonly epoch: Epoch
  readonly zkVersion: number
  readonly zxid: Zxid
}

export class ControllerStore {
  readonly zk: KafkaZkClient
  readonly #env: Env
  #epoch: Epoch = 0
  #epochVersion = 0

  constructor(env: Env, zk: KafkaZkClient) {
    this.#env = env
    this.zk = zk
  }

  /** From now on writes are those of this epoch. */
  setEpoch(epoch: Epoch, zkVersion: number): void {
    this.#epoch = epoch
    this.#epochVersion = zkVersion
  }

  // ── election ──────────────────────────────────────────────────────────────────────────────────────────────────────

  /** -1: nobody. */
  *controllerId(): Task<NodeId> {
    const found = yield* this.zk.getData(Path.controller)
    return (found && ControllerZnode.decode(found.data)) ?? -1
  }

  *#controllerEpoch(): Task<{ epoch: Epoch; version: number; zxid: Zxid } | undefined> {
    const found = yield* this.zk.getData(Path.controllerEpoch)
    if (found === undefined || found.data === null) return undefined
    const { version, mzxid } = found.stat
    return { epoch: Number(decodeText(found.data)), version, zxid: mzxid }
  }

  /** @throws ControllerMoved when somebody else was elected */
  *elect(brokerId: NodeId): Task<Elected> {
    const current = (yield* this.#controllerEpoch()) ?? (yield* this.#createControllerEpoch())
    const epoch = current.epoch + 1
    const data = ControllerZnode.encode(brokerId, this.#env.clock.wallMs())
    const outcome = yield* this.zk.multi([
      { op: 'create', path: Path.controller, data, mode: 'EPHEMERAL' },
      { op: 'setData', path: Path.controllerEpoch, data: encodeText(String(epoch)), version: current.version },
    ])
    if (outcome.ok) {
      const written = outcome.results[1]
      if (written?.op !== 'setData') throw new KeeperFailure('SYSTEMERROR', Path.controllerEpoch)
      return { epoch, zkVersion: written.stat.version, zxid: written.stat.mzxid }
    }
    if (outcome.error !== 'NODEEXISTS' && outcome.error !== 'BADVERSION') {
      throw new KeeperFailure(outcome.error, Path.controller)
    }
    return yield* this.#checkElected(brokerId, epoch)
  }

  *#checkElected(brokerId: NodeId, epoch: Epoch): Task<Elected> {
    if ((yield* this.controllerId()) === brokerId) {
      const now = yield* this.#controllerEpoch()
      if (now?.epoch === epoch) return { epoch, zkVersion: now.version, zxid: now.zxid }
    }
    throw new ControllerMoved('another broker was elected')
  }

  *#createControllerEpoch(): Task<{ epoch: Epoch; version: number }> {
    try {
      yield* this.zk.create(Path.controllerEpoch, encodeText(String(INITIAL_CONTROLLER_EPOCH)), 'PERSISTENT')
      return { epoch: INITIAL_CONTROLLER_EPOCH, version: 0 }
    } catch (error) {
      if (!(error instanceof KeeperFailure) || error.code !== 'NODEEXISTS') throw error
      const found = yield* this.#controllerEpoch()
      if (found === undefined) throw new KeeperFailure('NONODE', Path.controllerEpoch)
      return found
    }
  }

  /** Gives the office up, if it is still this controller's. */
  *deleteController(epochVersion: number): Task<void> {
    yield* this.#write([{ op: 'delete', path: Path.controller, version: ANY_VERSION }], epochVersion)
  }

  // ── writes ────────────────────────────────────────────────────────────────────────────────────────────────────────

  *#write(ops: readonly Op[], epochVersion = this.#epochVersion): Task<WriteOutcome[]> {
    const epoch = this.#epoch
    const outcomes = yield* this.zk.guarded(ops, epochVersion)
    outcomes.forEach((outcome, at) => {
      const op = ops[at] as Op
      if (outcome.ok) this.#env.emit('zk-controller.write', { path: op.path, op: op.op, epoch, zxid: outcome.zxid })
    })
    return outcomes
  }

  *#writeAll(ops: readonly Op[], mayBeMissing: boolean): Task<void> {
    const outcomes = yield* this.#write(ops)
    outcomes.forEach((outcome, at) => {
      if (outcome.ok || (mayBeMissing && outcome.error === 'NONODE')) return
      throw new KeeperFailure(outcome.error, (ops[at] as Op).path)
    })
  }

  // ── brokers and topics ────────────────────────────────────────────────────────────────────────────────────────────

  *brokers(): Task<LiveBroker[]> {
    const ids = (yield* this.zk.getChildren(Path.brokerIds)).map(Number).sort((a, b) => a - b)
    const reads = yield* this.zk.getDataOfAll(ids.map(Path.brokerId))
    return ids.flatMap((id, at) => {
      const read = reads[at] as Read
      if (!read.ok) {
        if (read.error === 'NONODE') return []
        throw new KeeperFailure(read.error, Path.brokerId(id))
      }
      const broker = BrokerIdZnode.decode(read.data)
      return broker === undefined ? [] : [{ id, ...broker, epoch: read.stat.czxid }]
    })
  }

  *broker(id: NodeId): Task<LiveBroker | undefined> {
    const found = yield* this.zk.getData(Path.brokerId(id))
    const broker = found && BrokerIdZnode.decode(found.data)
    return broker === undefined || found === undefined ? undefined : { id, ...broker, epoch: found.stat.czxid }
  }

  *topics(): Task<readonly string[]> {
    return yield* this.zk.getChildren(Path.topics)
  }

  *topicZnodes(topics: readonly string[]): Task<Map<string, TopicZnode>> {
    const reads = yield* this.zk.getDataOfAll(topics.map(Path.topic))
    const found = new Map<string, TopicZnode>()
    topics.forEach((topic, at) => {
      const read = reads[at] as Read
      if (read.ok) found.set(topic, TopicZnode.decode(read.data))
      else if (read.error === 'NONODE') found.set(topic, { topicId: undefined, assignment: new Map() })
      else throw new KeeperFailure(read.error, Path.topic(topic))
    })
    return found
  }

  /** Gives ids to topics from before there were any. */
  *setTopicIds(topics: ReadonlyMap<string, TopicZnode>): Task<void> {
    const ops = [...topics].map(([topic, znode]): Op => ({
      op: 'setData',
      path: Path.topic(topic),
      data: TopicZnode.encode(znode),
      version: ANY_VERSION,
    }))
    yield* this.#writeAll(ops, false)
  }

  /** @throws KeeperFailure NONODE when the topic is gone */
  *setTopicAssignment(
    topic: string,
    topicId: string | undefined,
    assignment: ReadonlyMap<number, ReplicaAssignment>,
  ): Task<void> {
    const data = TopicZnode.encode({ topicId, assignment })
    yield* this.#writeAll([{ op: 'setData', path: Path.topic(topic), data, version: ANY_VERSION }], false)
  }

  // ── partition states ──────────────────────────────────────────────────────────────────────────────────────────────

  /** In the order of `partitions`; no info where there is no znode. */
  *readStates(partitions: readonly TopicPartition[]): Task<StateRead[]> {
    const reads = yield* this.zk.getDataOfAll(partitions.map(({ topic, index }) => Path.state(topic, index)))
    return partitions.map((partition, at) => {
      const read = reads[at] as Read
      if (read.ok) return { partition, info: StateZnode.decode(read.data, read.stat) }
      if (read.error === 'NONODE') return { partition, info: undefined }
      return { partition, trouble: { kind: 'zookeeper', error: read.error } }
    })
  }

  /** Of those that have one. @throws KeeperFailure */
  *states(partitions: readonly TopicPartition[]): Task<{ partition: TopicPartition; info: LeadershipInfo }[]> {
    const found: { partition: TopicPartition; info: LeadershipInfo }[] = []
    for (const read of yield* this.readStates(partitions)) {
      if ('trouble' in read) throw new KeeperFailure(zookeeperError(read.trouble), read.partition.name)
      if (read.info !== undefined) found.push({ partition: read.partition, info: read.info })
    }
    return found
  }

  /** Makes the znodes of new partitions; the outcome of each, in their order. @throws ControllerMoved */
  *createStates(states: readonly { partition: TopicPartition; info: LeadershipInfo }[]): Task<WriteOutcome[]> {
    const create = (path: string, data: Uint8Array | null): Op => ({ op: 'create', path, data, mode: 'PERSISTENT' })
    const topics = [...new Set(states.map(({ partition }) => partition.topic))]
    yield* this.#write(topics.map((topic) => create(Path.partitions(topic), null)))
    yield* this.#write(states.map(({ partition: { topic, index } }) => create(Path.partition(topic, index), null)))
    return yield* this.#write(
      states.map(({ partition: { topic, index }, info }) => create(Path.state(topic, index), StateZnode.encode(info))),
    )
  }

  /** Writes leaderships over the versions that they were made from (`updateLeaderAndIsr`). @throws ControllerMoved */
  *updateStates(wanted: readonly WantedState[], controllerEpoch: Epoch): Task<StateWrites> {
    let outcomes: WriteOutcome[]
    try {
      outcomes = yield* this.#write(
        wanted.map(({ partition: { topic, index }, leaderAndIsr }) => ({
          op: 'setData',
          path: Path.state(topic, index),
          data: StateZnode.encode({ leaderAndIsr, controllerEpoch }),
          version: leaderAndIsr.partitionEpoch,
        })),
      )
    } catch (error) {
      if (!(error instanceof KeeperFailure)) throw error
      const trouble: Trouble = { kind: 'zookeeper', error: error.code }
      return { updated: [], failed: wanted.map(({ partition }) => ({ partition, trouble })), retry: [] }
    }
    const updated: WantedState[] = []
    const failed: { partition: TopicPartition; trouble: Trouble }[] = []
    const retry: TopicPartition[] = []
    wanted.forEach(({ partition, leaderAndIsr }, at) => {
      const outcome = outcomes[at] as WriteOutcome
      if (outcome.ok) {
        const partitionEpoch = outcome.stat?.version ?? leaderAndIsr.partitionEpoch + 1
        updated.push({ partition, leaderAndIsr: { ...leaderAndIsr, partitionEpoch } })
      } else if (outcome.error === 'BADVERSION') retry.push(partition)
      else failed.push({ partition, trouble: { kind: 'zookeeper', error: outcome.error } })
    })
    return { updated, failed, retry }
  }

  // ── administration ────────────────────────────────────────────────────────────────────────────────────────────────

  /** Own settings of a topic; none when it has none. */
  *topicConfigs(topics: readonly string[]): Task<Map<string, ReadonlyMap<string, string>>> {
    const reads = yield* this.zk.getDataOfAll(topics.map((topic) => Path.config('topics', topic)))
    const configs = new Map<string, ReadonlyMap<string, string>>()
    topics.forEach((topic, at) => {
      const read = reads[at] as Read
      if (read.ok) configs.set(topic, ConfigZnode.decode(read.data))
      else if (read.error === 'NONODE') configs.set(topic, new Map())
    })
    return configs
  }

  *topicDeletions(): Task<readonly string[]> {
    return yield* this.zk.getChildren(Path.deleteTopics)
  }

  *deleteTopicDeletions(topics: readonly string[]): Task<void> {
    yield* this.#write(
      topics.map((topic): Op => ({ op: 'delete', path: Path.deleteTopic(topic), version: ANY_VERSION })),
    )
  }

  /** The topic's znodes, its settings, and the wish to delete it: in this order. */
  *deleteTopic(topic: string): Task<void> {
    yield* this.zk.deleteRecursive(Path.topic(topic), this.#epochVersion)
    yield* this.#write([{ op: 'delete', path: Path.config('topics', topic), version: ANY_VERSION }])
    yield* this.deleteTopicDeletions([topic])
  }

  *partitionReassignments(): Task<PartitionReplicas> {
    const found = yield* this.zk.getData(Path.reassignPartitions)
    return found === undefined ? new Map() : ReassignmentZnode.decode(found.data)
  }

  *setPartitionReassignments(reassignments: PartitionReplicas): Task<void> {
    const data = ReassignmentZnode.encode(reassignments)
    const path = Path.reassignPartitions
    const [outcome] = yield* this.#write([{ op: 'setData', path, data, version: ANY_VERSION }])
    if (outcome?.ok === false && outcome.error === 'NONODE') {
      yield* this.#writeAll([{ op: 'create', path, data, mode: 'PERSISTENT' }], false)
    } else if (outcome?.ok === false) throw new KeeperFailure(outcome.error, path)
  }

  *deletePartitionReassignments(): Task<void> {
    yield* this.#write([{ op: 'delete', path: Path.reassignPartitions, version: ANY_VERSION }])
  }

  *preferredElection(): Task<readonly TopicPartition[]> {
    const found = yield* this.zk.getData(Path.preferredElection)
    return found === undefined ? [] : PartitionsZnode.decode(found.data)
  }

  *deletePreferredElection(): Task<void> {
    yield* this.#write([{ op: 'delete', path: Path.preferredElection, version: ANY_VERSION }])
  }

  // ── notifications ─────────────────────────────────────────────────────────────────────────────────────────────────

  /** Names of children, with the partitions that they tell of. */
  *isrChanges(): Task<{ names: readonly string[]; partitions: readonly TopicPartition[] }> {
    const names = yield* this.zk.getChildren(Path.isrChanges)
    const reads = yield* this.zk.getDataOfAll(names.map((name) => `${Path.isrChanges}/${name}`))
    return { names, partitions: reads.flatMap((read) => (read.ok ? PartitionsZnode.decode(read.data) : [])) }
  }

  *logDirEvents(): Task<{ names: readonly string[]; brokers: readonly NodeId[] }> {
    const names = yield* this.zk.getChildren(Path.logDirEvents)
    const reads = yield* this.zk.getDataOfAll(names.map((name) => `${Path.logDirEvents}/${name}`))
    const brokers = reads.flatMap((read) => (read.ok ? (LogDirEventZnode.decode(read.data) ?? []) : []))
    return { names, brokers }
  }

  *deleteNotifications(folder: string, names?: readonly string[]): Task<void> {
    const all = names ?? (yield* this.zk.getChildren(folder))
    yield* this.#write(all.map((name): Op => ({ op: 'delete', path: `${folder}/${name}`, version: ANY_VERSION })))
  }

  /** Switches feature versioning on (2.7 and later) or off; no features are finalised in ZooKeeper mode. */
  *setUpFeatures(isSupported: boolean): Task<void> {
    const status = isSupported ? 1 : 0
    const found = yield* this.zk.getData(Path.feature)
    if (found === undefined) {
      yield* this.zk.create(Path.feature, FeatureZnode.encode(status), 'PERSISTENT')
      // For its version, which brokers wait for.
      yield* this.zk.getData(Path.feature)
    } else if (FeatureZnode.decodeStatus(found.data) !== status) {
      yield* this.zk.setData(Path.feature, FeatureZnode.encode(status), ANY_VERSION)
    }
  }

  /** The next block of producer ids, for `broker` (`ZkProducerIdManager`). Not guarded: brokers did this themselves once. */
  *nextProducerIdBlock(broker: NodeId): Task<ProducerIdBlock> {
    for (;;) {
      const found = yield* this.zk.getData(Path.producerIdBlock)
      const last = found && ProducerIdBlockZnode.decode(found.data)
      const first = last === undefined ? 0 : last.last + 1
      const block = { broker, first, last: first + PRODUCER_ID_BLOCK_SIZE - 1 }
      const version = found?.stat.version ?? ANY_VERSION
      const data = ProducerIdBlockZnode.encode(block)
      if ((yield* this.zk.conditionalUpdate(Path.producerIdBlock, data, version)) !== undefined) return block
    }
  }
}

function zookeeperError(trouble: Trouble): ZooKeeperError {
  return trouble.kind === 'zookeeper' ? trouble.error : 'SYSTEMERROR'
}
