/**
 * Groups that change their protocol while they work, and members of the classic protocol in KIP-848 groups: the cases of Kafka's
 * GroupMetadataManagerTest.
 */

import { describe, expect, it } from 'vitest'
import { readAssignment, writeAssignment } from '../../../../sim/broker/group/consumer-protocol.js'
import { errorOf, type Joined, nameOf, type Synced } from '../group-bench.js'
import { ConsumerBench } from './consumer-bench.js'
import { subscriptionBytes } from './subscription-bytes.js'

interface Join {
  readonly topics?: string
  readonly owned?: string
  readonly instance?: string
  readonly protocols?: string
  readonly type?: string
}

function join(bench: ConsumerBench, memberId: string, options: Join = {}): Joined {
  const joined: Joined = {}
  const { topics = 'foo', owned, instance = null, protocols = 'range', type = 'consumer' } = options
  const metadata = subscriptionBytes(topics.split(' '), owned?.split(' '))
  const request = {
    groupId: 'shop',
    sessionTimeoutMs: 10_000,
    rebalanceTimeoutMs: 20_000,
    memberId,
    groupInstanceId: instance,
    protocolType: type,
    protocols: protocols.split(' ').map((name) => ({ name, metadata })),
    reason: null,
  }
  const caller = { clientId: 'client', host: '/g1', version: 9 }
  bench.bench.apply(bench.bench.shard.join(request, caller, (response) => (joined.response = response)))
  return joined
}

function sync(
  bench: ConsumerBench,
  memberId: string,
  generation: number,
  given: Record<string, Uint8Array> = {},
  protocol = 'range',
): Synced {
  const synced: Synced = {}
  const request = {
    groupId: 'shop',
    generationId: generation,
    memberId,
    groupInstanceId: null,
    protocolType: 'consumer',
    protocolName: protocol,
    assignments: Object.entries(given).map(([id, assignment]) => ({ memberId: id, assignment })),
  }
  bench.bench.apply(bench.bench.shard.sync(request, (response) => (synced.response = response)))
  return synced
}

/** `foo:0,1`, or the error's name. */
function assigned(answer: Synced): string {
  if (errorOf(answer) !== 'NONE') return errorOf(answer)
  const { assigned: parts } = readAssignment(answer.response?.assignment ?? new Uint8Array(0)) ?? { assigned: [] }
  return parts.map(({ topic, partitions }) => `${topic}:${partitions.join(',')}`).join(' ')
}

function heartbeat(bench: ConsumerBench, memberId: string, generationId: number): string {
  const request = { groupId: 'shop', generationId, memberId, groupInstanceId: null }
  return nameOf(bench.bench.shard.heartbeat(request))
}

function leave(bench: ConsumerBench, memberId: string, instance: string | null = null): string {
  const members = [{ memberId, groupInstanceId: instance, reason: null }]
  const response = bench.bench.apply(bench.bench.shard.leave({ groupId: 'shop', memberId: '', members }))
  return nameOf(response.members[0]?.errorCode ?? response.errorCode)
}

/** A stable classic group of one, to which `foo:0…5` are assigned; its member's id. */
function classic(bench: ConsumerBench, options: Join = {}): string {
  const id = join(bench, '', options).response?.memberId ?? ''
  expect(errorOf(join(bench, id, options))).toBe('NONE')
  const all = writeAssignment([{ topic: 'foo', partitions: [0, 1, 2, 3, 4, 5] }], 1)
  expect(errorOf(sync(bench, id, 1, { [id]: all }))).toBe('NONE')
  return id
}

/** The group after a member of the new protocol has joined the classic one. */
function mixed(given: Record<string, unknown> = {}): { bench: ConsumerBench; old: string } {
  const bench = new ConsumerBench('foo:6', given)
  const old = classic(bench)
  expect(bench.beat('N', { topics: 'foo' })).toBe('2')
  return { bench, old }
}

describe('a classic group', () => {
  it('becomes a KIP-848 group when a member of that protocol joins', () => {
    const { bench, old } = mixed()
    expect(bench.member(old)).toBe('STABLE 1/1 foo:0,1,2,3,4,5')
    expect(bench.member('N')).toBe('UNRELEASED_PARTITIONS 2/0')
    expect([bench.target(old), bench.target('N')]).toEqual(['foo:0,1,2', 'foo:3,4,5'])
    expect(bench.state).toBe('Reconciling 2/2')
    expect(bench.bench.shard.describe('shop').errorCode).toBe(69)
  })

  it('is written as one, for whoever loads the log', () => {
    const { bench, old } = mixed()
    const next = bench.takeOver()
    expect([next.state, next.member(old), next.member('N')]).toEqual([
      bench.state,
      bench.member(old),
      bench.member('N'),
    ])
  })

  it('without members is converted, whatever the policy', () => {
    const bench = new ConsumerBench('foo:6', { 'group.consumer.migration.policy': 'disabled' })
    const old = classic(bench)
    expect(leave(bench, old)).toBe('NONE')
    expect(bench.bench.state).toBe('Empty')
    expect(bench.beat('N', { topics: 'foo' })).toBe('1 foo:0,1,2,3,4,5')
  })

  it('stays one where the policy says so, or its members use no consumer protocol', () => {
    const bench = new ConsumerBench('foo:6', { 'group.consumer.migration.policy': 'downgrade' })
    classic(bench)
    expect(bench.beat('N', { topics: 'foo' })).toBe('GROUP_ID_NOT_FOUND')
    const connect = new ConsumerBench('foo:6')
    const id = join(connect, '', { type: 'connect' }).response?.memberId ?? ''
    join(connect, id, { type: 'connect' })
    expect(connect.beat('N', { topics: 'foo' })).toBe('GROUP_ID_NOT_FOUND')
  })

  it('does not take heartbeats of those who do not join', () => {
    const bench = new ConsumerBench('foo:6')
    classic(bench)
    expect(bench.beat('N', { epoch: 1 })).toBe('GROUP_ID_NOT_FOUND')
    expect(bench.beat('N', { epoch: -1 })).toBe('GROUP_ID_NOT_FOUND')
  })

  it('that rebalances has its members join again', () => {
    const bench = new ConsumerBench('foo:6')
    const old = classic(bench)
    const waiting = join(bench, join(bench, '').response?.memberId ?? '')
    expect(errorOf(waiting)).toBe('waits')
    bench.beat('N', { topics: 'foo' })
    expect(errorOf(waiting)).toBe('REBALANCE_IN_PROGRESS')
    expect(heartbeat(bench, old, 1)).toBe('REBALANCE_IN_PROGRESS')
  })
})

describe('a member of the classic protocol in a KIP-848 group', () => {
  it('gives up and gets partitions by joining again', () => {
    const { bench, old } = mixed()
    expect(heartbeat(bench, old, 1)).toBe('REBALANCE_IN_PROGRESS')
    expect(join(bench, old, { owned: 'foo:0,1,2,3,4,5' }).response).toMatchObject({
      generationId: 1,
      leader: '',
      members: [],
    })
    expect(assigned(sync(bench, old, 1))).toBe('foo:0,1,2')
    expect(heartbeat(bench, old, 1)).toBe('REBALANCE_IN_PROGRESS')
    expect(join(bench, old, { owned: 'foo:0,1,2' }).response?.generationId).toBe(2)
    expect(assigned(sync(bench, old, 2))).toBe('foo:0,1,2')
    expect(heartbeat(bench, old, 2)).toBe('NONE')
    expect(bench.beat('N', { epoch: 2 })).toBe('2 foo:3,4,5')
    expect(bench.state).toBe('Stable 2/2')
  })

  it('that is eager gives everything up at once', () => {
    const { bench, old } = mixed()
    expect(join(bench, old).response?.generationId).toBe(2)
    expect(assigned(sync(bench, old, 2))).toBe('foo:0,1,2')
    expect(bench.beat('N', { epoch: 2 })).toBe('2 foo:3,4,5')
  })

  it('that is new is given its id first', () => {
    const { bench } = mixed()
    const asked = join(bench, '')
    expect(errorOf(asked)).toBe('MEMBER_ID_REQUIRED')
    expect(join(bench, asked.response?.memberId ?? '').response).toMatchObject({ errorCode: 0, generationId: 3 })
  })

  it('must speak what all others of the classic protocol speak', () => {
    const { bench } = mixed()
    expect(errorOf(join(bench, 'X', { protocols: 'sticky' }))).toBe('INCONSISTENT_GROUP_PROTOCOL')
    expect(errorOf(join(bench, 'X', { type: 'connect' }))).toBe('INCONSISTENT_GROUP_PROTOCOL')
    expect(errorOf(join(bench, 'X', { protocols: 'sticky range' }))).toBe('NONE')
  })

  it('finds no room in a full group', () => {
    const { bench, old } = mixed({ 'group.consumer.max.size': 2 })
    expect(errorOf(join(bench, ''))).toBe('GROUP_MAX_SIZE_REACHED')
    expect(errorOf(join(bench, old))).toBe('NONE')
  })

  it('is told to join again once others have released what it waits for', () => {
    const bench = new ConsumerBench('foo:6')
    bench.beat('N', { topics: 'foo' })
    expect(join(bench, 'X').response?.generationId).toBe(2)
    expect(assigned(sync(bench, 'X', 2))).toBe('')
    bench.beat('N', { epoch: 1 })
    expect(heartbeat(bench, 'X', 2)).toBe('NONE')
    bench.beat('N', { epoch: 1, owned: 'foo:0,1,2' })
    expect(heartbeat(bench, 'X', 2)).toBe('REBALANCE_IN_PROGRESS')
    join(bench, 'X')
    expect(assigned(sync(bench, 'X', 2))).toBe('foo:3,4,5')
    expect(bench.state).toBe('Stable 2/2')
  })

  it('syncs and lives in its generation only', () => {
    const { bench, old } = mixed()
    expect(heartbeat(bench, old, 2)).toBe('ILLEGAL_GENERATION')
    expect(heartbeat(bench, 'N', 2)).toBe('UNKNOWN_MEMBER_ID')
    expect(heartbeat(bench, 'X', 2)).toBe('UNKNOWN_MEMBER_ID')
    expect(assigned(sync(bench, old, 2))).toBe('ILLEGAL_GENERATION')
    expect(assigned(sync(bench, old, 1, {}, 'sticky'))).toBe('INCONSISTENT_GROUP_PROTOCOL')
    expect(assigned(sync(bench, old, 1))).toBe('REBALANCE_IN_PROGRESS')
  })

  it('commits in its generation', () => {
    const { bench, old } = mixed()
    expect(bench.bench.commit(5, old, 1)).toBe('NONE')
    expect(bench.bench.commit(5, old, 2)).toBe('ILLEGAL_GENERATION')
  })

  it('is removed when it does not join again in time', () => {
    const { bench, old } = mixed()
    heartbeat(bench, old, 1)
    for (let at = 0; at < 3; at++) {
      bench.bench.pass(6_000)
      heartbeat(bench, old, 1)
    }
    expect(bench.group.members.has(old)).toBe(true)
    bench.bench.pass(2_001)
    expect(bench.group.members.has(old)).toBe(false)
  })

  it('is removed when its own session runs out, or when it does not sync', () => {
    const silent = mixed()
    silent.bench.bench.pass(10_001)
    expect(silent.bench.group.members.has(silent.old)).toBe(false)
    const { bench, old } = mixed()
    join(bench, old)
    for (let at = 0; at < 3; at++) {
      bench.bench.pass(6_700)
      if (at < 2) heartbeat(bench, old, 2)
    }
    expect(bench.group.members.has(old)).toBe(false)
  })

  it('that was static takes its place when it comes back with the new protocol', () => {
    const bench = new ConsumerBench('foo:6')
    const old = join(bench, '', { instance: 'one' }).response?.memberId ?? ''
    const all = writeAssignment([{ topic: 'foo', partitions: [0, 1, 2, 3, 4, 5] }], 1)
    const given = { groupId: 'shop', generationId: 1, memberId: old, groupInstanceId: 'one', protocolType: 'consumer' }
    bench.bench.apply(
      bench.bench.shard.sync(
        { ...given, protocolName: 'range', assignments: [{ memberId: old, assignment: all }] },
        () => undefined,
      ),
    )
    expect(bench.beat('N', { topics: 'foo', instance: 'one' })).toBe('1 foo:0,1,2,3,4,5')
    expect([bench.member(old), bench.group.members.size]).toEqual(['none', 1])
  })
})

describe('the last member of the new protocol', () => {
  it('makes the group a classic one when it leaves', () => {
    const { bench, old } = mixed()
    expect(bench.beat('N', { epoch: -1 })).toBe('-1 -')
    expect(bench.bench.state).toBe('PreparingRebalance')
    expect(bench.bench.shard.consumer.store.find('shop')).toBeUndefined()
    expect(heartbeat(bench, old, 2)).toBe('REBALANCE_IN_PROGRESS')
    expect(join(bench, old).response).toMatchObject({ generationId: 3, leader: old })
  })

  it('does so when its session runs out', () => {
    const { bench, old } = mixed({
      'group.consumer.session.timeout.ms': 6_000,
      'group.consumer.heartbeat.interval.ms': 1,
    })
    bench.bench.pass(5_000)
    heartbeat(bench, old, 1)
    bench.bench.pass(1_001)
    expect(bench.bench.state).toBe('PreparingRebalance')
  })

  it('does not where the policy says so', () => {
    const { bench, old } = mixed({ 'group.consumer.migration.policy': 'upgrade' })
    bench.beat('N', { epoch: -1 })
    expect(bench.state).toBe('Assigning 3/2')
    expect(bench.group.members.has(old)).toBe(true)
  })

  it('leaves a log from which the classic group is read', () => {
    const { bench, old } = mixed()
    bench.beat('N', { epoch: -1 })
    const next = bench.takeOver()
    expect([next.bench.state, next.bench.shard.groupCount]).toEqual(['Stable', 1])
    expect(heartbeat(next, old, 2)).toBe('NONE')
  })

  it('that is static may be replaced by one of the classic protocol, without a rebalance', () => {
    const { bench, old } = mixed()
    bench.beat('N', { epoch: -1 })
    join(bench, old)
    const again = new ConsumerBench('foo:6')
    const first = classic(again)
    again.beat('N', { topics: 'foo', instance: 'two' })
    join(again, first)
    sync(again, first, 2)
    expect(again.beat('N', { epoch: 2, instance: 'two' })).toBe('2 foo:3,4,5')
    const replaced = join(again, '', { instance: 'two' })
    expect(replaced.response).toMatchObject({ errorCode: 0, generationId: 2, protocolName: 'range' })
    expect(again.bench.state).toBe('Stable')
    expect(heartbeat(again, first, 2)).toBe('NONE')
  })
})

describe('a KIP-848 group without members', () => {
  it('becomes a classic one when a member of that protocol joins', () => {
    const bench = new ConsumerBench('foo:6')
    bench.beat('N', { topics: 'foo' })
    bench.bench.commit(7, 'N', 1)
    bench.beat('N', { epoch: -1 })
    classic(bench)
    expect([bench.bench.state, bench.bench.fetch()]).toEqual(['Stable', 7])
    expect(bench.takeOver().bench.state).toBe('Stable')
  })
})
