/** KIP-848 groups on the bench: one shard, heartbeats as requests, answers and states as text. */

import { parseConfig } from '../../../../sim/kernel/config-def.js'
import type { MetadataImage } from '../../../../sim/kraft/metadata/image.js'
import type { MetadataDelta } from '../../../../sim/kraft/metadata/metadata-delta.js'
import type { ConsumerGroup } from '../../../../sim/broker/group/consumer/consumer-group.js'
import { checkHeartbeat } from '../../../../sim/broker/group/consumer/refusal.js'
import { GROUP_SETTINGS } from '../../../../sim/broker/group/group-settings.js'
import type { ConsumerGroupHeartbeatResponse } from '../../../../sim/wire/messages/consumer-group-heartbeat.js'
import { Errors } from '../../../../sim/wire/errors.js'
import { GroupBench, nameOf } from '../group-bench.js'
import { imageOf, listText, partitions, textOf } from './assignment-text.js'

export interface Beat {
  readonly epoch?: number
  readonly topics?: string
  readonly regex?: string
  /** What it owns; left out: it does not say. */
  readonly owned?: string
  readonly instance?: string
  readonly assignor?: string
  readonly rebalance?: number
  readonly rack?: string
  readonly client?: string
}

export class ConsumerBench {
  readonly bench: GroupBench

  constructor(topics = 'foo:6 bar:3', given: Record<string, unknown> = {}, bench?: GroupBench) {
    const loose = {
      'group.consumer.min.session.timeout.ms': 1,
      'group.consumer.min.heartbeat.interval.ms': 1,
      ...given,
    }
    this.bench =
      bench ?? new GroupBench(parseConfig(GROUP_SETTINGS, { 'group.initial.rebalance.delay.ms': 0, ...loose }, []))
    this.setTopics(topics)
  }

  /** Other topics from now on: `foo:6 bar:3`. */
  setTopics(topics: string, offset = 1): void {
    const before = this.bench.image
    const after = imageOf(topics, offset)
    this.bench.image = after
    const changed = [...after.topicsByName].filter(([name, { partitions: now }]) => {
      return before.topicsByName.get(name)?.partitions.size !== now.size
    })
    const deleted = [...before.topicsById.keys()].filter((id) => !after.topicsById.has(id))
    const delta = { image: before, changedTopics: new Map(changed), deletedTopicIds: new Set(deleted) }
    this.bench.shard.onMetadata(delta as unknown as MetadataDelta, after as MetadataImage)
  }

  answer(memberId: string, beat: Beat = {}): ConsumerGroupHeartbeatResponse {
    const { epoch = 0, topics, regex, owned, instance, assignor, rack } = beat
    const isJoining = epoch === 0
    const request = {
      groupId: 'shop',
      memberId,
      memberEpoch: epoch,
      instanceId: instance ?? null,
      rackId: rack ?? null,
      rebalanceTimeoutMs: beat.rebalance ?? (isJoining ? 5_000 : -1),
      subscribedTopicNames: topics?.split(' ').filter((name) => name !== '') ?? null,
      subscribedTopicRegex: regex ?? null,
      serverAssignor: assignor ?? null,
      topicPartitions: owned === undefined ? (isJoining ? [] : null) : partitions(owned),
    }
    const wrong = checkHeartbeat(request, 1, ['uniform', 'range'])
    if (wrong !== undefined) throw new Error(`${nameOf(wrong.error)}: ${wrong.message}`)
    const caller = { clientId: beat.client ?? 'client', host: '/g1', version: 1 }
    return this.bench.apply(this.bench.shard.consumer.heartbeat(request, caller))
  }

  /** `7 foo:0,1`: the epoch and what is assigned, `-` when nothing is said of it; or an error's name. */
  beat(memberId: string, beat: Beat = {}): string {
    const { errorCode, memberEpoch, assignment } = this.answer(memberId, beat)
    if (errorCode !== Errors.NONE) return nameOf(errorCode)
    return `${memberEpoch} ${assignment === null ? '-' : listText(assignment.topicPartitions)}`.trim()
  }

  get group(): ConsumerGroup {
    const group = this.bench.shard.consumer.store.find('shop')
    if (group === undefined) throw new Error('no group')
    return group
  }

  /** `A STABLE 7/6 foo:0 -bar:1`: state, epoch, the one before, what it has, what it is to give up. */
  member(memberId: string): string {
    const member = this.group.members.get(memberId)
    if (member === undefined) return 'none'
    const { state, memberEpoch, previousMemberEpoch, assigned, revoking } = member
    const taken = textOf(revoking)
    return `${state} ${memberEpoch}/${previousMemberEpoch} ${textOf(assigned)}${taken === '' ? '' : ` -${taken}`}`.trim()
  }

  target(memberId: string): string {
    return textOf(this.group.targets.get(memberId) ?? new Map())
  }

  /** State and epochs: `Stable 3/3`. */
  get state(): string {
    const { state, groupEpoch, assignmentEpoch } = this.group
    return `${state} ${groupEpoch}/${assignmentEpoch}`
  }

  /** Types of the records written since `from`, tombstones with a minus. */
  written(from: number): string[] {
    return this.bench.log.slice(from).map(({ type, value }) => {
      return `${value === null ? '-' : ''}${type.replace('ConsumerGroup', '')}`
    })
  }

  /** Another coordinator, with nothing but the bytes of this one's log. */
  takeOver(): ConsumerBench {
    const next = new ConsumerBench('', {}, this.bench.takeOver())
    next.bench.image = this.bench.image
    return next
  }
}
