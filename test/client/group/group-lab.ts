/**
 * A coordinator to play with, on top of the lab's fake brokers: it lets the consumer under test be the only member of its group, or the leader of
 * members that exist on paper only, and keeps what is committed. `lab.next` takes over single requests, as everywhere.
 */

import type { Consumer } from '../../../sim/client/consumer.js'
import { Consumer as RealConsumer, type Polled, type Wanted } from '../../../sim/client/consumer.js'
import { parseConsumerConfig } from '../../../sim/client/consumer-config.js'
import {
  decodeAssignment,
  decodeSubscription,
  encodeAssignment,
  encodeSubscription,
} from '../../../sim/client/group/consumer-protocol.js'
import type { RebalanceListener } from '../../../sim/client/subscription.js'
import { idOf } from '../../../sim/client/workload-record.js'
import { nodeId, parsePartition, partitionName, type NodeName } from '../../../sim/kernel/names.js'
import type { Apis } from '../../../sim/wire/apis.js'
import { Errors } from '../../../sim/wire/errors.js'
import type { WireMode } from '../../../sim/wire/frame.js'
import type { IncomingRequestOf } from '../../../sim/wire/request-server.js'
import { Lab, must } from '../lab.js'

export const GROUP = 'shop'

export interface CommittedOffset {
  readonly offset: number
  readonly leaderEpoch: number
}

export class GroupLab extends Lab {
  coordinator: NodeName = 'b1'
  generation = 0
  /** What SyncGroup gives; undefined: what the member's own assignor says, or nothing for a follower. */
  assigned: readonly string[] | undefined
  /** Who leads; undefined: the member under test. */
  leader: string | undefined
  /** Other members, for a leader to assign to: id → what it says of itself. */
  readonly others = new Map<string, { topics: string; owned?: string }>()
  readonly committed = new Map<string, CommittedOffset>()
  /** Under KIP-848: what the coordinator wants the member to have, told with the next heartbeat. */
  target: readonly string[] | undefined
  memberEpoch = 0
  heartbeatIntervalMs = 5_000
  #members = 0

  constructor(brokers = 1, seed = 'group') {
    super(brokers, seed)
    this.always('FindCoordinator', (request) => request.respond(this.found(request.body.coordinatorKeys)))
    this.always('JoinGroup', (request) => request.respond(this.joined(request.body)))
    this.always('SyncGroup', (request) => request.respond(this.synced(request.body)))
    this.always('Heartbeat', (request) => request.respond({ throttleTimeMs: 0, errorCode: 0 }))
    this.always('LeaveGroup', (request) => request.respond({ throttleTimeMs: 0, errorCode: 0, members: [] }))
    this.always('OffsetCommit', (request) => request.respond(this.commit(request.body)))
    this.always('OffsetFetch', (request) => request.respond(this.fetched(request.body)))
    this.always('ConsumerGroupHeartbeat', (request) => request.respond(this.heartbeat(request.body)))
  }

  found(keys: readonly string[], errorCode = 0): Apis['FindCoordinator']['response'] {
    const host = this.coordinator
    const at =
      errorCode === 0 ? { nodeId: nodeId(host) as number, host, port: 9092 } : { nodeId: -1, host: '', port: -1 }
    return {
      throttleTimeMs: 0,
      errorCode: 0,
      errorMessage: null,
      nodeId: 0,
      host: '',
      port: 0,
      coordinators: keys.map((key) => ({ key, ...at, errorCode, errorMessage: null })),
    }
  }

  joined(
    request: Apis['JoinGroup']['request'],
    fields: Partial<Apis['JoinGroup']['response']> = {},
  ): Apis['JoinGroup']['response'] {
    const { protocols, groupInstanceId } = request
    const { name, metadata } = must(protocols[0])
    const memberId = request.memberId === '' ? `m${++this.#members}` : request.memberId
    const leader = this.leader ?? memberId
    const self = { memberId, groupInstanceId, metadata }
    const others = [...this.others].map(([id, { topics, owned = '' }]) => ({
      memberId: id,
      groupInstanceId: null,
      metadata: encodeSubscription({
        topics: topics.split(' '),
        userData: null,
        owned: owned === '' ? [] : owned.split(' ').map((each) => must(parsePartition(each))),
        generation: this.generation,
        rack: null,
      }),
    }))
    return {
      throttleTimeMs: 0,
      errorCode: 0,
      generationId: ++this.generation,
      protocolType: 'consumer',
      protocolName: name,
      leader,
      skipAssignment: false,
      memberId,
      members: leader === memberId ? [self, ...others] : [],
      ...fields,
    }
  }

  synced(request: Apis['SyncGroup']['request']): Apis['SyncGroup']['response'] {
    const own = request.assignments.find(({ memberId }) => memberId === request.memberId)?.assignment
    const assignment = this.assigned === undefined ? (own ?? encodeAssignment([])) : encodeAssignment(this.assigned)
    const { protocolType, protocolName } = request
    return { throttleTimeMs: 0, errorCode: 0, protocolType, protocolName, assignment }
  }

  commit(request: Apis['OffsetCommit']['request'], errorCode = 0): Apis['OffsetCommit']['response'] {
    return {
      throttleTimeMs: 0,
      topics: request.topics.map(({ name, topicId, partitions }) => ({
        name,
        topicId,
        partitions: partitions.map(({ partitionIndex, committedOffset, committedLeaderEpoch }) => {
          const position = { offset: committedOffset, leaderEpoch: committedLeaderEpoch }
          if (errorCode === 0) this.committed.set(partitionName(name, partitionIndex), position)
          return { partitionIndex, errorCode }
        }),
      })),
    }
  }

  fetched(request: Apis['OffsetFetch']['request'], errorCode = 0, partitionError = 0): Apis['OffsetFetch']['response'] {
    return {
      throttleTimeMs: 0,
      topics: [],
      errorCode: 0,
      groups: request.groups.map(({ groupId, topics }) => ({
        groupId,
        errorCode,
        topics: (topics ?? []).map(({ name, topicId, partitionIndexes }) => ({
          name,
          topicId,
          partitions: partitionIndexes.map((partitionIndex) => {
            const found = this.committed.get(partitionName(name, partitionIndex))
            return {
              partitionIndex,
              committedOffset: found?.offset ?? -1,
              committedLeaderEpoch: found?.leaderEpoch ?? -1,
              metadata: '',
              errorCode: partitionError,
            }
          }),
        })),
      })),
    }
  }

  /** KIP-848: the first heartbeat joins; `target` is told once. */
  heartbeat(
    request: Apis['ConsumerGroupHeartbeat']['request'],
    fields: Partial<Apis['ConsumerGroupHeartbeat']['response']> = {},
  ): Apis['ConsumerGroupHeartbeat']['response'] {
    const leaves = request.memberEpoch < 0
    if (!leaves && request.memberEpoch === 0) this.memberEpoch++
    const target = leaves ? undefined : this.target
    if (!leaves) this.target = undefined
    return {
      throttleTimeMs: 0,
      errorCode: 0,
      errorMessage: null,
      memberId: request.memberId,
      memberEpoch: leaves ? request.memberEpoch : this.memberEpoch,
      heartbeatIntervalMs: this.heartbeatIntervalMs,
      assignment: target === undefined ? null : { topicPartitions: this.byTopicId(target) },
      ...fields,
    }
  }

  byTopicId(names: readonly string[]): { topicId: string; partitions: number[] }[] {
    const topics = new Map<string, number[]>()
    for (const name of names) {
      const { topic, index } = must(parsePartition(name))
      const id = must(this.topics.get(topic)).id
      topics.set(id, [...(topics.get(id) ?? []), index])
    }
    return [...topics].map(([topicId, partitions]) => ({ topicId, partitions }))
  }

  /** States that the member went through, with the generation: `stable 1`. */
  states(): string[] {
    return this.of('consumer.member')
      .filter(({ data }) => data.from !== data.to)
      .map(({ data }) => `${data.to} ${data.generation}`)
  }

  /** What came and went: `+ orders-0 orders-1`, `- orders-1`, `lost orders-0`. */
  changes(): string[] {
    return this.events.flatMap((event) => {
      if (event.type === 'consumer.assigned') return [`+ ${event.data.partitions.join(' ')}`]
      if (event.type !== 'consumer.revoked') return []
      return [`${event.data.how === 'lost' ? 'lost' : '-'} ${event.data.partitions.join(' ')}`]
    })
  }

  /** Commits with what came of them: `auto orders-0@3 ok`. */
  commits(): string[] {
    return this.of('consumer.commit').map(({ data }) => {
      const outcome = this.of('consumer.committed').find((event) => event.data.id === data.id)?.data.outcome ?? '…'
      return `${data.how} ${data.partitions.map((name, at) => `${name}@${data.offsets[at]}`).join(' ')} ${outcome}`
    })
  }
}

/** What a member said of itself in a JoinGroup, for its first assignor. */
export function said(request: Apis['JoinGroup']['request'], at = 0): ReturnType<typeof decodeSubscription> {
  return decodeSubscription(must(request.protocols[at]).metadata)
}

/** Who gets what, as a leader's SyncGroup says. */
export function assignments(request: Apis['SyncGroup']['request']): Record<string, string> {
  return Object.fromEntries(
    request.assignments.map(({ memberId, assignment }) => [memberId, decodeAssignment(assignment).join(' ')]),
  )
}

export interface MemberApp {
  readonly consumer: Consumer
  /** `orders-0@3=p1/3`, in the order in which they were handed over. */
  readonly got: string[]
  readonly errors: string[]
  /** What the listener was told: `assigned orders-0`. */
  readonly told: string[]
  /** Polls no more, until `go`. */
  stop(): void
  go(): void
  /** Lets go on what the listener holds up. */
  release(): void
}

export interface MemberOptions {
  readonly wanted?: Wanted
  /** Listens: `at once`, or holding up revocations until `release`. */
  readonly listens?: 'at once' | 'slowly'
  readonly pollMs?: number
  readonly name?: string
  readonly wire?: WireMode
}

/** An application that subscribes to `orders` and polls. */
export function member(lab: GroupLab, config: Record<string, unknown> = {}, options: MemberOptions = {}): MemberApp {
  const { wanted = ['orders'], listens, pollMs = 100, name = 'g1', wire } = options
  const got: string[] = []
  const errors: string[] = []
  const told: string[] = []
  const held: (() => void)[] = []
  let isStopped = false
  let isPolling = false
  let poll = (): void => undefined
  const listener: RebalanceListener = {
    onAssigned: (names) => void told.push(`assigned ${names.join(' ')}`.trim()),
    onLost: (names) => void told.push(`lost ${names.join(' ')}`),
    onRevoked: (names, done) => {
      told.push(`revoked ${names.join(' ')}`)
      if (listens === 'slowly') held.push(done)
      else done()
    },
  }
  const consumer = lab.client(name, (env) => {
    const all = { 'group.id': GROUP, 'auto.offset.reset': 'earliest', ...config }
    const made = new RealConsumer(env, parseConsumerConfig(all), lab.brokers, wire === undefined ? {} : { wire })
    const take = ({ records, error }: Polled): void => {
      isPolling = false
      for (const { topic, index, offset, value } of records) got.push(`${topic}-${index}@${offset}=${idOf(value)}`)
      if (error !== undefined) errors.push(`${error.partition} ${error.error}`.trim())
      if (error === undefined) poll()
      else env.after(100, () => poll())
    }
    poll = (): void => {
      if (isStopped || isPolling) return
      isPolling = true
      made.poll(take, pollMs)
    }
    made.subscribe(wanted, listens === undefined ? {} : listener)
    poll()
    return made
  })
  return {
    consumer,
    got,
    errors,
    told,
    stop: () => void (isStopped = true),
    go: () => {
      isStopped = false
      poll()
    },
    release: () => {
      for (const done of held.splice(0)) done()
    },
  }
}

/** Answers a request with nothing but an error, in the shape of its API. */
export function refuse(
  request: IncomingRequestOf<'JoinGroup'> | IncomingRequestOf<'SyncGroup'> | IncomingRequestOf<'Heartbeat'>,
  error: keyof typeof Errors,
): void {
  const errorCode = Errors[error]
  if (request.api === 'Heartbeat') request.respond({ throttleTimeMs: 0, errorCode })
  else if (request.api === 'SyncGroup') {
    const assignment = new Uint8Array(0)
    request.respond({ throttleTimeMs: 0, errorCode, protocolType: null, protocolName: null, assignment })
  } else {
    request.respond({
      throttleTimeMs: 0,
      errorCode,
      generationId: -1,
      protocolType: null,
      protocolName: null,
      leader: '',
      skipAssignment: false,
      memberId: error === 'MEMBER_ID_REQUIRED' ? 'given' : '',
      members: [],
    })
  }
}

/** A lab with topic `orders` of some partitions led by b1. */
export function groupLab(partitions = 2, brokers = 1): GroupLab {
  const lab = new GroupLab(brokers)
  lab.topic('orders', partitions, Array<number>(partitions).fill(1))
  return lab
}
