/**
 * The group coordinator of a broker: a shard for each partition of `__consumer_offsets` that it leads (`GroupCoordinatorService`).
 *
 * A group belongs to the partition that its id hashes to. Requests about a group that belongs elsewhere are answered NOT_COORDINATOR, while its
 * partition loads COORDINATOR_LOAD_IN_PROGRESS. What waits for others (joins, syncs) is answered by the shard.
 */

import type { Env } from '../../kernel/env.js'
import type { Epoch, NodeId } from '../../kernel/units.js'
import type { MetadataImage } from '../../kraft/metadata/image.js'
import type { MetadataDelta } from '../../kraft/metadata/metadata-delta.js'
import { GROUP_FEATURE } from '../../kraft/metadata/metadata-version.js'
import { type ErrorCode, Errors } from '../../wire/errors.js'
import type { RecordBatch } from '../../wire/record-batch.js'
import { coordinatorError } from '../coordinator/coordinator-errors.js'
import { type Answer, CoordinatorRuntime, type Outcome } from '../coordinator/coordinator-runtime.js'
import { coordinatorPartition } from '../coordinator/internal-topics.js'
import type { ReplicaManager } from '../replica-manager.js'
import { GROUP_METADATA_TOPIC } from '../topic-names.js'
import { GROUP_RECORD_CODEC, type GroupRecord } from './group-records.js'
import type { GroupConfig } from './group-settings.js'
import { GroupShard } from './group-shard.js'

export interface GroupCoordinatorOptions {
  readonly brokerId: NodeId
  readonly replicas: ReplicaManager
  readonly metadata: () => MetadataImage
  readonly config: () => GroupConfig
}

export class GroupCoordinator {
  readonly #options: GroupCoordinatorOptions
  readonly #runtime: CoordinatorRuntime<GroupRecord, GroupShard>

  constructor(env: Env, options: GroupCoordinatorOptions) {
    const { config, replicas } = options
    this.#options = options
    const partition = (index: number): string => `${GROUP_METADATA_TOPIC}-${index}`
    this.#runtime = new CoordinatorRuntime(env, {
      topic: GROUP_METADATA_TOPIC,
      replicas,
      codec: GROUP_RECORD_CODEC,
      writeTimeoutMs: () => config()['offsets.commit.timeout.ms'],
      loadBytes: () => config()['offsets.load.buffer.size'],
      makeShard: (host) => new GroupShard(host, config, options.metadata),
      onLoaded: (index, shard) => {
        const data = { partition: partition(index), groups: shard.groupCount, offsets: shard.offsetCount }
        env.emit('group.loaded', data)
      },
      onUnloaded: (index) => env.emit('group.unloaded', { partition: partition(index) }),
    })
  }

  /** Takes up and gives up partitions, and forgets offsets of deleted topics, as the metadata has it. */
  onMetadata(delta: MetadataDelta): void {
    const { electedLeaders, followers, deletes } = delta.localChanges(this.#options.brokerId)
    for (const { topic, partition, image } of electedLeaders) this.onElection(topic, partition, image.leaderEpoch)
    for (const { topic, partition } of [...followers, ...deletes]) this.onResignation(topic, partition)
    const image = this.#options.metadata()
    for (const { shard } of this.#runtime.active()) shard.onMetadata(delta, image)
    this.onTopicsDeleted(new Set([...delta.deletedTopicIds].map((id) => delta.image.topicsById.get(id)?.name ?? '')))
  }

  onElection(topic: string, partition: number, leaderEpoch: Epoch): void {
    if (topic === GROUP_METADATA_TOPIC) this.#runtime.elect(partition, leaderEpoch)
  }

  onResignation(topic: string, partition: number): void {
    if (topic === GROUP_METADATA_TOPIC) this.#runtime.resign(partition)
  }

  onTopicsDeleted(deleted: ReadonlySet<string>): void {
    if (deleted.size === 0) return
    for (const { index } of [...this.#runtime.active()]) {
      this.#runtime.write(index, (shard) => shard.topicsDeleted(deleted), ignore)
    }
  }

  /** The partition of a group; undefined while the topic does not exist. */
  partitionOf(groupId: string): number | undefined {
    const topic = this.#options.metadata().topicsByName.get(GROUP_METADATA_TOPIC)
    return topic === undefined ? undefined : coordinatorPartition(groupId, topic.partitions.size)
  }

  /** Changes the group's shard; `done` comes once all is committed, with an error that clients know. */
  write<T>(
    groupId: string,
    operate: (shard: GroupShard) => Outcome<GroupRecord, T>,
    done: (answer: Answer<T>) => void,
  ): void {
    const index = this.partitionOf(groupId)
    if (index === undefined) return done({ error: Errors.NOT_COORDINATOR })
    this.#runtime.write(index, operate, (answer) => {
      done('response' in answer ? answer : { error: coordinatorError(answer.error) })
    })
  }

  /** The marker of a transaction in a partition of `__consumer_offsets`. */
  writeMarker(index: number, batch: RecordBatch, isCommit: boolean, done: (error: ErrorCode) => void): void {
    this.#runtime.writeMarker(index, batch, isCommit, done)
  }

  /** Reads the group's shard as of what is committed. */
  read<T>(groupId: string, query: (shard: GroupShard, committed: number) => T): Answer<T> {
    const index = this.partitionOf(groupId)
    if (index === undefined) return { error: Errors.NOT_COORDINATOR }
    const found = this.#runtime.find(index)
    if ('error' in found) return { error: found.error }
    return { error: Errors.NONE, response: query(found.shard, found.committed) }
  }

  /** Every active shard here, and the committed end of its log. */
  shards(): readonly { readonly shard: GroupShard; readonly committed: number }[] {
    return [...this.#runtime.active()]
  }

  /** Whether there may be groups here of which nobody knows yet. */
  get isLoading(): boolean {
    return this.#runtime.isLoading
  }

  /** Whether KIP-848 groups are served (`KafkaApis.isConsumerGroupProtocolEnabled`). */
  get servesConsumerProtocol(): boolean {
    const { config, metadata } = this.#options
    const isConfigured = config()['group.coordinator.rebalance.protocols'].includes('consumer')
    return isConfigured && (metadata().features.get(GROUP_FEATURE) ?? 0) >= 1
  }
}

function ignore(): void {}
