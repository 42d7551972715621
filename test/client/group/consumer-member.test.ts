/** group.protocol=consumer (KIP-848): cases of Kafka's ConsumerMembershipManagerTest and ConsumerHeartbeatRequestManagerTest. */

import { describe, expect, it } from 'vitest'
import { parseConsumerConfig } from '../../../sim/client/consumer-config.js'
import { UsageError } from '../../../sim/kernel/errors.js'
import type { Apis } from '../../../sim/wire/apis.js'
import { Errors, type ErrorName } from '../../../sim/wire/errors.js'
import { fill } from '../applications.js'
import { must } from '../lab.js'
import { type GroupLab, groupLab, member, type MemberApp, type MemberOptions } from './group-lab.js'

const CONSUMER = { 'group.protocol': 'consumer' }

type Heartbeat = Apis['ConsumerGroupHeartbeat']['request']

function heartbeats(lab: GroupLab): Heartbeat[] {
  return lab.sent('ConsumerGroupHeartbeat').map(({ body }) => body)
}

/** What a member says it has, as names. */
function has(lab: GroupLab, { topicPartitions }: Heartbeat): string | undefined {
  return topicPartitions
    ?.flatMap(({ topicId, partitions }) => {
      const topic = [...lab.topics.values()].find(({ id }) => id === topicId)
      return partitions.map((index) => `${topic?.name}-${index}`)
    })
    .join(' ')
}

function refuseNext(lab: GroupLab, error: ErrorName): void {
  lab.next('ConsumerGroupHeartbeat', (request) =>
    request.respond(lab.heartbeat(request.body, { errorCode: Errors[error] })),
  )
}

/** A member of a group that gave it `orders-0` and `orders-1` of four. */
function joined(
  config: Record<string, unknown> = {},
  options: MemberOptions = { listens: 'at once' },
): { it: GroupLab; app: MemberApp } {
  const it = groupLab(4)
  it.target = ['orders-0', 'orders-1']
  const app = member(it, { ...CONSUMER, ...config }, options)
  it.until(1_000)
  return { it, app }
}

describe('a consumer that subscribes', () => {
  it('joins, takes its assignment over, tells the coordinator, and reads', () => {
    const it = groupLab(2)
    fill(it.partition('orders-0'), 2)
    it.committed.set('orders-0', { offset: 1, leaderEpoch: 0 })
    it.target = ['orders-0', 'orders-1']
    const app = member(it, CONSUMER, { listens: 'at once' })
    it.until(1_000)
    expect(it.states()).toEqual(['joining 0', 'reconciling 1', 'acknowledging 1', 'stable 1'])
    expect(app.told).toEqual(['assigned orders-0 orders-1'])
    expect(app.got).toEqual(['orders-0@1=p0/1'])
    expect(app.consumer.groupMetadata()).toMatchObject({ groupId: 'shop', generation: 1, groupInstanceId: null })
  })

  it('does the same with every message encoded', () => {
    const it = groupLab(1)
    it.always('Fetch', () => undefined)
    it.target = ['orders-0']
    const app = member(it, CONSUMER, { wire: 'bytes' })
    it.until(6_000)
    expect(app.consumer.position('orders-0')).toBe(0)
    expect(it.states().at(-1)).toBe('stable 1')
    expect(it.commits()).toEqual(['auto orders-0@0 ok'])
  })

  it('says everything when it joins, and later only what is new', () => {
    const { it } = joined({ 'client.rack': 'east', 'group.remote.assignor': 'uniform' })
    it.until(12_000)
    const [join, acknowledge, ...rest] = heartbeats(it)
    const memberId = must(join).memberId
    expect(memberId).toMatch(/^[\w-]{22}$/)
    expect(join).toEqual({
      groupId: 'shop',
      memberId,
      memberEpoch: 0,
      instanceId: null,
      rackId: 'east',
      rebalanceTimeoutMs: 300_000,
      subscribedTopicNames: ['orders'],
      subscribedTopicRegex: null,
      serverAssignor: 'uniform',
      topicPartitions: [],
    })
    const nothing = {
      groupId: 'shop',
      memberId,
      memberEpoch: 1,
      instanceId: null,
      rackId: null,
      rebalanceTimeoutMs: -1,
      subscribedTopicNames: null,
      subscribedTopicRegex: null,
      serverAssignor: null,
      topicPartitions: null,
    }
    expect(has(it, must(acknowledge))).toBe('orders-0 orders-1')
    expect({ ...acknowledge, topicPartitions: null }).toEqual(nothing)
    expect(rest).toEqual([nothing, nothing])
  })

  it('says everything again after a heartbeat that failed', () => {
    const { it } = joined()
    it.next('ConsumerGroupHeartbeat', (request) => request.closeConnection())
    it.until(8_000)
    const again = must(heartbeats(it)[3])
    expect([again.memberEpoch, again.subscribedTopicNames, has(it, again)]).toEqual([
      1,
      ['orders'],
      'orders-0 orders-1',
    ])
  })

  it('heartbeats by the interval that the coordinator says', () => {
    const it = groupLab(1)
    it.heartbeatIntervalMs = 1_000
    it.target = ['orders-0']
    member(it, CONSUMER)
    it.until(10_000)
    expect(heartbeats(it).length).toBeGreaterThan(9)
    it.heartbeatIntervalMs = 4_000
    it.until(11_200)
    const before = heartbeats(it).length
    it.until(13_800)
    expect(heartbeats(it)).toHaveLength(before)
  })

  it('cannot set what the coordinator decides', () => {
    for (const name of ['session.timeout.ms', 'heartbeat.interval.ms', 'partition.assignment.strategy']) {
      const value = name === 'partition.assignment.strategy' ? 'range' : 1_000
      expect(() => parseConsumerConfig({ ...CONSUMER, 'group.id': 'g', [name]: value })).toThrow(/cannot be set/)
    }
    expect(() => parseConsumerConfig({ 'group.id': 'g', 'group.remote.assignor': 'uniform' })).toThrow(UsageError)
  })
})

describe('an assignment', () => {
  it('that changes is reconciled: given up, told, then taken', () => {
    const { it, app } = joined()
    it.target = ['orders-1', 'orders-2']
    it.until(7_000)
    expect(app.told).toEqual(['assigned orders-0 orders-1', 'revoked orders-0', 'assigned orders-2'])
    expect(app.consumer.assignment().sort()).toEqual(['orders-1', 'orders-2'])
    expect(heartbeats(it).map((request) => has(it, request))).toEqual([
      '',
      'orders-0 orders-1',
      undefined,
      'orders-1 orders-2',
    ])
    expect(it.states().slice(-3)).toEqual(['reconciling 1', 'acknowledging 1', 'stable 1'])
  })

  it('that is the same is no change', () => {
    const { it, app } = joined()
    it.target = ['orders-0', 'orders-1']
    it.until(7_000)
    expect(app.told).toEqual(['assigned orders-0 orders-1'])
    expect(it.states().at(-1)).toBe('stable 1')
  })

  it('of nothing is one, too', () => {
    const { it, app } = joined()
    it.target = []
    it.until(7_000)
    expect(app.told).toEqual(['assigned orders-0 orders-1', 'revoked orders-0 orders-1', 'assigned'])
    expect(has(it, must(heartbeats(it).at(-1)))).toBe('')
  })

  it('is taken over as far as the names of its topics are known', () => {
    const { it, app } = joined({ 'metadata.max.age.ms': 600_000 }, { listens: 'at once', wanted: ['orders', 'later'] })
    const later = it.topic('later', 1, [1])
    it.topics.delete('later')
    const known = it.byTopicId(['orders-0', 'orders-1'])
    it.next('ConsumerGroupHeartbeat', (request) => {
      const topicPartitions = [...known, { topicId: later.id, partitions: [0] }]
      request.respond(it.heartbeat(request.body, { assignment: { topicPartitions } }))
    })
    it.until(6_500)
    expect(app.told).toEqual(['assigned orders-0 orders-1'])
    it.topics.set('later', later)
    it.until(9_000)
    expect(app.told).toEqual(['assigned orders-0 orders-1', 'assigned later-0'])
    expect(app.consumer.assignment().sort()).toEqual(['later-0', 'orders-0', 'orders-1'])
  })

  it('waits for a listener; another one that comes meanwhile is reconciled after it', () => {
    const { it, app } = joined({}, { listens: 'slowly' })
    it.target = ['orders-1']
    it.until(6_500)
    expect(app.told).toEqual(['assigned orders-0 orders-1', 'revoked orders-0'])
    it.target = ['orders-1', 'orders-3']
    it.until(12_000)
    // Heartbeats go on, with what it had.
    expect(heartbeats(it).length).toBeGreaterThan(3)
    expect(has(it, must(heartbeats(it).at(-1)))).toBeUndefined()
    app.release()
    it.until(14_000)
    expect(app.told.slice(2)).toEqual(['assigned', 'assigned orders-3'])
    expect(app.consumer.assignment().sort()).toEqual(['orders-1', 'orders-3'])
  })

  it('is no reason to hand out records before the listener knows of it', () => {
    const it = groupLab(1)
    fill(it.partition('orders-0'), 1)
    it.target = ['orders-0']
    const app = member(it, CONSUMER, { listens: 'at once' })
    it.until(500)
    const assigned = must(it.of('consumer.assigned')[0]).seq
    const polled = must(it.of('consume.polled')[0]).seq
    expect(assigned).toBeLessThan(polled)
    expect(app.told).toEqual(['assigned orders-0'])
  })

  it('is reconciled after positions were committed', () => {
    const { it } = joined()
    fill(it.partition('orders-0'), 3)
    it.until(1_500)
    it.next('OffsetCommit', (request) => it.later(300, () => request.respond(it.commit(request.body))))
    it.target = ['orders-1']
    it.until(7_000)
    const committed = must(it.of('consumer.committed').at(-1)).seq
    const revoked = must(it.of('consumer.revoked')[0]).seq
    expect(committed).toBeLessThan(revoked)
    expect(it.committed.get('orders-0')?.offset).toBe(3)
    expect(must(it.sent('OffsetCommit').at(-1)).body.generationIdOrMemberEpoch).toBe(1)
  })

  it('is reconciled even when nothing can be committed', () => {
    const { it, app } = joined()
    fill(it.partition('orders-0'), 3)
    it.until(1_500)
    it.next('OffsetCommit', (request) => request.respond(it.commit(request.body, Errors.OFFSET_METADATA_TOO_LARGE)), 2)
    it.target = ['orders-1']
    it.until(7_000)
    expect(app.told.at(-2)).toBe('revoked orders-0')
  })
})

describe('a member', () => {
  it.each(['FENCED_MEMBER_EPOCH', 'UNKNOWN_MEMBER_ID'] as const)(
    'that meets %s has lost all, and joins anew',
    (error) => {
      const { it, app } = joined()
      refuseNext(it, error)
      it.next('ConsumerGroupHeartbeat', (request) => {
        it.target = ['orders-2']
        it.answer(request)
      })
      it.until(8_000)
      expect(app.told).toEqual(['assigned orders-0 orders-1', 'lost orders-0 orders-1', 'assigned orders-2'])
      const rejoin = must(heartbeats(it)[3])
      expect([rejoin.memberEpoch, rejoin.subscribedTopicNames, rejoin.topicPartitions]).toEqual([0, ['orders'], []])
      expect(rejoin.memberId).toBe(must(heartbeats(it)[0]).memberId)
      expect(it.states().slice(4, 6)).toEqual(['fenced 1', 'joining 0'])
    },
  )

  it('that was fenced while it reconciles begins anew, whatever the listener does then', () => {
    const { it, app } = joined({}, { listens: 'slowly' })
    it.target = ['orders-1']
    it.until(6_500)
    refuseNext(it, 'FENCED_MEMBER_EPOCH')
    it.next('ConsumerGroupHeartbeat', (request) => {
      it.target = ['orders-3']
      it.answer(request)
    })
    it.until(12_000)
    app.release()
    it.until(14_000)
    expect(app.told).toEqual([
      'assigned orders-0 orders-1',
      'revoked orders-0',
      'lost orders-0 orders-1',
      'assigned orders-3',
    ])
    expect(it.states().at(-1)).toBe('stable 2')
  })

  it.each([
    'GROUP_AUTHORIZATION_FAILED',
    'GROUP_MAX_SIZE_REACHED',
    'UNSUPPORTED_ASSIGNOR',
    'INVALID_REQUEST',
    'UNRELEASED_INSTANCE_ID',
    'FENCED_INSTANCE_ID',
    'UNSUPPORTED_VERSION',
    'INVALID_REGULAR_EXPRESSION',
  ] as const)('cannot go on after %s', (error) => {
    const { it, app } = joined()
    refuseNext(it, error)
    it.until(20_000)
    expect(app.errors).toEqual([error])
    expect(app.told.at(-1)).toBe('lost orders-0 orders-1')
    expect(it.states().at(-1)).toBe('fatal 1')
    expect(heartbeats(it)).toHaveLength(3)
  })

  it('tells of topics that it may not read, and goes on', () => {
    const { it, app } = joined()
    refuseNext(it, 'TOPIC_AUTHORIZATION_FAILED')
    it.until(12_000)
    expect(app.errors).toEqual(['TOPIC_AUTHORIZATION_FAILED'])
    expect(it.states().at(-1)).toBe('stable 1')
    expect(heartbeats(it).length).toBeGreaterThan(3)
  })

  it.each(['NOT_COORDINATOR', 'COORDINATOR_NOT_AVAILABLE'] as const)(
    'looks for the coordinator anew after %s',
    (error) => {
      const it = groupLab(1, 2)
      it.target = ['orders-0']
      member(it, CONSUMER)
      it.until(500)
      it.next('ConsumerGroupHeartbeat', (request) => {
        it.coordinator = 'b2'
        request.respond(it.heartbeat(request.body, { errorCode: Errors[error] }))
      })
      it.until(6_000)
      const sent = it.sent('ConsumerGroupHeartbeat').map(({ to, body }) => `${to} ${body.memberEpoch}`)
      expect(sent).toEqual(['b1 0', 'b1 1', 'b1 1', 'b2 1'])
      expect(it.states().at(-1)).toBe('stable 1')
    },
  )

  it('tries again while the coordinator loads the group', () => {
    const { it, app } = joined()
    refuseNext(it, 'COORDINATOR_LOAD_IN_PROGRESS')
    it.until(6_500)
    expect(heartbeats(it)).toHaveLength(4)
    expect([app.errors, it.states().at(-1)]).toEqual([[], 'stable 1'])
  })

  it('finds a new coordinator and goes on heartbeating while the application is busy', () => {
    const it = groupLab(1, 2)
    it.target = ['orders-0']
    const app = member(it, CONSUMER)
    it.until(500)
    app.stop()
    it.next('ConsumerGroupHeartbeat', (request) => {
      it.coordinator = 'b2'
      request.closeConnection()
    })
    it.until(20_000)
    expect(it.sent('ConsumerGroupHeartbeat').filter(({ to }) => to === 'b2').length).toBeGreaterThan(2)
  })

  it('that does not poll for max.poll.interval.ms leaves, loses all, and joins when it polls again', () => {
    const { it, app } = joined({ 'max.poll.interval.ms': 10_000 })
    app.stop()
    it.until(30_000)
    const leave = must(heartbeats(it).at(-1))
    expect(leave.memberEpoch).toBe(-1)
    expect(Math.round(must(it.sent('ConsumerGroupHeartbeat').at(-1)).time / 1_000_000)).toBe(11)
    expect(it.states().slice(4)).toEqual(['prepare leaving 1', 'leaving -1', 'stale -1'])
    it.target = ['orders-3']
    app.go()
    it.until(32_000)
    expect(app.told.slice(1)).toEqual(['lost orders-0 orders-1', 'assigned orders-3'])
    expect(it.states().at(-1)).toBe('stable 2')
  })

  it('that is static says so, and keeps its place when it leaves', () => {
    const { it, app } = joined({ 'group.instance.id': 'i1' })
    app.consumer.close(() => undefined)
    it.until(2_000)
    expect(heartbeats(it).map(({ instanceId, memberEpoch }) => `${instanceId} ${memberEpoch}`)).toEqual([
      'i1 0',
      'i1 1',
      'i1 -2',
    ])
  })
})

describe('leaving', () => {
  it('by close commits, gives up, tells the coordinator, and ends', () => {
    const { it, app } = joined()
    fill(it.partition('orders-0'), 2)
    it.until(2_000)
    let isDone = false
    app.consumer.close(() => (isDone = true))
    it.until(2_200)
    expect(isDone).toBe(true)
    expect(it.commits().at(-1)).toBe('auto orders-0@2 orders-1@0 ok')
    expect(app.told.at(-1)).toBe('revoked orders-0 orders-1')
    expect(must(heartbeats(it).at(-1)).memberEpoch).toBe(-1)
    const requests = it.of('request.send').length
    it.until(60_000)
    expect(it.of('request.send')).toHaveLength(requests)
  })

  it('by unsubscribe gives up and tells the coordinator; subscribing joins anew', () => {
    const { it, app } = joined()
    app.stop()
    it.until(1_200)
    let isDone = false
    app.consumer.unsubscribe(() => (isDone = true))
    it.until(1_300)
    expect([isDone, app.told.at(-1)]).toEqual([true, 'revoked orders-0 orders-1'])
    expect(must(heartbeats(it).at(-1)).memberEpoch).toBe(-1)
    expect(app.consumer.groupMetadata()).toMatchObject({ memberId: '', generation: -1 })
    it.target = ['orders-3']
    app.consumer.subscribe(['orders'])
    app.go()
    it.until(2_500)
    expect(app.consumer.assignment()).toEqual(['orders-3'])
  })

  it('does not wait for a coordinator that is not there', () => {
    const { it, app } = joined({ 'enable.auto.commit': false })
    refuseNext(it, 'NOT_COORDINATOR')
    it.next(
      'FindCoordinator',
      (request) => request.respond(it.found(request.body.coordinatorKeys, Errors.COORDINATOR_NOT_AVAILABLE)),
      100,
    )
    it.until(7_000)
    let isDone = false
    app.consumer.close(() => (isDone = true))
    it.until(7_100)
    expect(isDone).toBe(true)
  })
})

describe('a subscription', () => {
  it('that changes is told with the next heartbeat', () => {
    const { it, app } = joined()
    it.topic('others', 1, [1])
    app.consumer.subscribe(['others', 'orders'])
    it.until(7_000)
    expect(heartbeats(it).map(({ subscribedTopicNames }) => subscribedTopicNames)).toEqual([
      ['orders'],
      null,
      ['orders', 'others'],
    ])
  })

  it('to a pattern is matched here', () => {
    const it = groupLab(1)
    it.topic('orders2', 1, [1])
    it.topic('others', 1, [1])
    it.target = ['orders-0', 'orders2-0']
    const app = member(it, { ...CONSUMER, 'metadata.max.age.ms': 2_000 }, { wanted: { pattern: 'orders.*' } })
    it.until(1_000)
    expect(must(heartbeats(it)[0]).subscribedTopicRegex).toBeNull()
    expect(app.consumer.assignment().sort()).toEqual(['orders-0', 'orders2-0'])
    it.topic('orders3', 1, [1])
    it.until(12_000)
    expect(
      must(heartbeats(it).find(({ subscribedTopicNames }) => subscribedTopicNames?.length === 3)).memberEpoch,
    ).toBe(1)
  })

  it('to a subscription pattern is matched by the coordinator; topics are asked for by id', () => {
    const it = groupLab(1)
    it.target = ['orders-0']
    const fake = it.metadata.bind(it)
    it.always('Metadata', (request) => {
      const { topics } = request.body
      const names = topics?.map(({ topicId, name }) => ({
        topicId,
        name: name ?? [...it.topics.values()].find(({ id }) => id === topicId)?.name ?? null,
      }))
      request.respond(fake({ ...request.body, topics: names ?? null }))
    })
    const app = member(it, CONSUMER, { wanted: { subscriptionPattern: 'ord.*' } })
    it.until(2_000)
    expect(must(heartbeats(it)[0])).toMatchObject({ subscribedTopicNames: [], subscribedTopicRegex: 'ord.*' })
    expect(must(heartbeats(it)[1]).subscribedTopicRegex).toBeNull()
    const ids = it.sent('Metadata').map(({ body }) => body.topics?.map(({ topicId, name }) => [topicId, name]))
    expect(ids.at(-1)).toEqual([[must(it.topics.get('orders')).id, null]])
    expect(app.consumer.assignment()).toEqual(['orders-0'])
  })
})

describe('commits', () => {
  function failNext(lab: GroupLab, error: ErrorName, times = 1): void {
    lab.next('OffsetCommit', (request) => request.respond(lab.commit(request.body, Errors[error])), times)
  }

  function commitSync(lab: GroupLab, app: MemberApp, timeoutMs?: number): (string | undefined)[] {
    const outcomes: (string | undefined)[] = []
    app.consumer.commitSync(new Map([['orders-0', { offset: 1 }]]), (error) => void outcomes.push(error), timeoutMs)
    return outcomes
  }

  it('carry the member epoch', () => {
    const { it, app } = joined({ 'enable.auto.commit': false })
    const outcomes = commitSync(it, app)
    it.after(100)
    expect(outcomes).toEqual([undefined])
    const { memberId, generationIdOrMemberEpoch } = must(it.sent('OffsetCommit')[0]).body
    expect([memberId, generationIdOrMemberEpoch]).toEqual([must(heartbeats(it)[0]).memberId, 1])
  })

  it.each([
    'COORDINATOR_LOAD_IN_PROGRESS',
    'UNKNOWN_TOPIC_OR_PARTITION',
    'NOT_COORDINATOR',
    'REQUEST_TIMED_OUT',
  ] as const)('that wait are tried again after %s', (error) => {
    const { it, app } = joined({ 'enable.auto.commit': false })
    failNext(it, error, 2)
    const outcomes = commitSync(it, app)
    it.after(2_000)
    expect(outcomes).toEqual([undefined])
    expect(it.sent('OffsetCommit')).toHaveLength(3)
  })

  it.each([
    ['STALE_MEMBER_EPOCH', 'COMMIT_FAILED'],
    ['UNKNOWN_MEMBER_ID', 'COMMIT_FAILED'],
    ['OFFSET_METADATA_TOO_LARGE', 'OFFSET_METADATA_TOO_LARGE'],
    ['GROUP_AUTHORIZATION_FAILED', 'GROUP_AUTHORIZATION_FAILED'],
  ] as const)('that wait fail with %s as %s', (error, told) => {
    const { it, app } = joined({ 'enable.auto.commit': false })
    failNext(it, error)
    const outcomes = commitSync(it, app)
    it.after(500)
    expect(outcomes).toEqual([told])
  })

  it('that wait are given up in time', () => {
    const { it, app } = joined({ 'enable.auto.commit': false })
    failNext(it, 'COORDINATOR_LOAD_IN_PROGRESS', 100)
    const outcomes = commitSync(it, app, 1_500)
    it.after(1_400)
    expect(outcomes).toEqual([])
    it.after(200)
    expect(outcomes).toEqual(['REQUEST_TIMED_OUT'])
  })

  it('that do not wait are not tried again, and call back within a later call', () => {
    const { it, app } = joined({ 'enable.auto.commit': false })
    failNext(it, 'COORDINATOR_LOAD_IN_PROGRESS')
    const outcomes: (string | undefined)[] = []
    app.consumer.commitAsync(new Map([['orders-0', { offset: 1 }]]), (error) => void outcomes.push(error))
    it.after(1_000)
    expect(outcomes).toEqual(['COORDINATOR_LOAD_IN_PROGRESS'])
    expect(it.sent('OffsetCommit')).toHaveLength(1)
  })

  it('go out by their interval, within polls', () => {
    const { it, app } = joined()
    it.until(12_000)
    const count = it.sent('OffsetCommit').length
    expect(count).toBeGreaterThanOrEqual(2)
    app.stop()
    it.until(30_000)
    expect(it.sent('OffsetCommit')).toHaveLength(count)
  })

  it('that were made are asked for as a member', () => {
    const { it } = joined()
    const group = must(must(it.sent('OffsetFetch')[0]).body.groups[0])
    expect([group.memberId, group.memberEpoch]).toEqual([must(heartbeats(it)[0]).memberId, 1])
  })

  it('are asked for again in a new epoch when the epoch was stale', () => {
    const it = groupLab(1)
    it.target = ['orders-0']
    it.next('OffsetFetch', (request) => request.respond(it.fetched(request.body, Errors.STALE_MEMBER_EPOCH)))
    const app = member(it, CONSUMER)
    it.until(1_000)
    expect(it.sent('OffsetFetch')).toHaveLength(2)
    expect(app.consumer.position('orders-0')).toBe(0)
  })
})

describe('a member that lost its partitions and has them again', () => {
  it('asks where the group is by now, and does not go by what it was told before', () => {
    const it = groupLab(4)
    it.target = ['orders-0', 'orders-1']
    // Both have a committed offset, so that nothing is left to ask for.
    for (const name of it.target) it.committed.set(name, { offset: 0, leaderEpoch: -1 })
    const app = member(it, CONSUMER, { listens: 'at once' })
    it.until(1_000)
    expect(it.sent('OffsetFetch')).toHaveLength(1)
    refuseNext(it, 'FENCED_MEMBER_EPOCH')
    it.next('ConsumerGroupHeartbeat', (request) => {
      it.target = ['orders-0', 'orders-1']
      it.answer(request)
    })
    it.until(8_000)
    expect(app.told.slice(1)).toEqual(['lost orders-0 orders-1', 'assigned orders-0 orders-1'])
    expect(it.sent('OffsetFetch')).toHaveLength(2)
  })
})
