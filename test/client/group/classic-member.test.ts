/** Cases of Kafka's AbstractCoordinatorTest, HeartbeatTest and ConsumerCoordinatorTest: joining, heartbeats, leaving. */

import { describe, expect, it } from 'vitest'
import { UsageError } from '../../../sim/kernel/errors.js'
import { Errors } from '../../../sim/wire/errors.js'
import { fill } from '../applications.js'
import { must } from '../lab.js'
import { assignments, GroupLab, groupLab, member, refuse, said } from './group-lab.js'

describe('a consumer that subscribes', () => {
  it('finds the coordinator, joins, is assigned, and reads from where its group has got to', () => {
    const it = groupLab()
    fill(it.partition('orders-0'), 3)
    fill(it.partition('orders-1'), 2)
    it.committed.set('orders-0', { offset: 2, leaderEpoch: 0 })
    const app = member(it, {}, { listens: 'at once' })
    it.until(1_000)
    expect(app.got).toEqual(['orders-1@0=p0/0', 'orders-1@1=p0/1', 'orders-0@2=p0/2'])
    expect(app.told).toEqual(['assigned orders-0 orders-1'])
    expect(it.states()).toEqual(['preparing rebalance -1', 'completing rebalance 1', 'stable 1'])
    expect(app.consumer.groupMetadata()).toEqual({
      groupId: 'shop',
      memberId: 'm1',
      generation: 1,
      groupInstanceId: null,
    })
    const asked = must(it.sent('OffsetFetch')[0]).body
    expect([asked.requireStable, asked.groups[0]?.topics?.[0]?.partitionIndexes]).toEqual([true, [0, 1]])
  })

  it('does the same with every message encoded', () => {
    const it = groupLab()
    // The lab's brokers look at topics by name, which Fetch does not carry.
    it.always('Fetch', () => undefined)
    it.committed.set('orders-1', { offset: 4, leaderEpoch: -1 })
    const app = member(it, {}, { wire: 'bytes' })
    it.until(6_000)
    expect(app.consumer.position('orders-1')).toBe(4)
    expect(it.commits()).toEqual(['auto orders-0@0 orders-1@4 ok'])
    expect(it.sent('Heartbeat')).toHaveLength(1)
  })

  it('tells its assignors, sessions and what it owns', () => {
    const it = groupLab()
    const strategies = 'range, org.apache.kafka.clients.consumer.CooperativeStickyAssignor'
    member(it, { 'client.rack': 'east', 'partition.assignment.strategy': strategies })
    it.until(100)
    const body = must(it.sent('JoinGroup')[0]).body
    expect(body).toMatchObject({
      groupId: 'shop',
      sessionTimeoutMs: 45_000,
      rebalanceTimeoutMs: 300_000,
      memberId: '',
      groupInstanceId: null,
      protocolType: 'consumer',
    })
    expect(body.protocols.map(({ name }) => name)).toEqual(['range', 'cooperative-sticky'])
    expect(said(body)).toEqual({
      topics: ['orders'],
      userData: null,
      owned: [],
      generation: -1,
      rack: 'east',
      instanceId: null,
    })
    expect(said(body, 1).userData).toEqual(Uint8Array.of(255, 255, 255, 255))
  })

  it('needs a group, something to subscribe to, and one kind of subscription', () => {
    const it = groupLab()
    const app = member(it)
    expect(() => app.consumer.subscribe({ pattern: 'o.*' })).toThrow(UsageError)
    expect(() => app.consumer.assign([{ topic: 'orders', index: 0 }])).toThrow(UsageError)
    expect(() => app.consumer.subscribe({ subscriptionPattern: 'o.*' })).toThrow(/group.protocol=consumer/)
    expect(() => member(it, { 'group.id': '' }, { name: 'g2' })).toThrow(/in no group/)
  })

  it('joins again at once with the member id that it is given', () => {
    const it = groupLab()
    it.next('JoinGroup', (request) => refuse(request, 'MEMBER_ID_REQUIRED'))
    const app = member(it)
    it.until(100)
    expect(it.sent('JoinGroup').map(({ body }) => body.memberId)).toEqual(['', 'given'])
    expect(must(it.sent('JoinGroup')[1]).body.reason).toMatch(/need to re-join with the given member-id/)
    expect(app.consumer.groupMetadata().memberId).toBe('given')
    expect(app.told).toEqual([])
  })

  it.each(['UNKNOWN_MEMBER_ID', 'REBALANCE_IN_PROGRESS', 'ILLEGAL_GENERATION'] as const)(
    'joins again at once after %s',
    (error) => {
      const it = groupLab()
      it.next('JoinGroup', (request) => refuse(request, error))
      const app = member(it)
      it.until(50)
      expect(it.sent('JoinGroup')).toHaveLength(2)
      expect(app.consumer.assignment()).toEqual(['orders-0', 'orders-1'])
      expect(must(it.sent('JoinGroup')[1]).body.reason).toContain(`rebalance failed due to ${error}`)
    },
  )

  it('looks for the coordinator anew after NOT_COORDINATOR', () => {
    const it = groupLab(1, 2)
    it.next('JoinGroup', (request) => {
      it.coordinator = 'b2'
      refuse(request, 'NOT_COORDINATOR')
    })
    const app = member(it)
    it.until(1_000)
    expect(it.sent('JoinGroup').map(({ to }) => to)).toEqual(['b1', 'b2'])
    expect(app.consumer.assignment()).toEqual(['orders-0'])
  })

  it('tries again while the coordinator loads the group, with the next round of the poll', () => {
    const it = groupLab()
    it.next('JoinGroup', (request) => refuse(request, 'COORDINATOR_LOAD_IN_PROGRESS'), 3)
    const app = member(it)
    it.until(1_000)
    expect(it.sent('JoinGroup')).toHaveLength(4)
    expect(app.errors).toEqual([])
    expect(app.consumer.assignment()).toEqual(['orders-0', 'orders-1'])
  })

  it.each([
    'INCONSISTENT_GROUP_PROTOCOL',
    'INVALID_SESSION_TIMEOUT',
    'GROUP_AUTHORIZATION_FAILED',
    'GROUP_MAX_SIZE_REACHED',
    'FENCED_INSTANCE_ID',
  ] as const)('tells the application of %s', (error) => {
    const it = groupLab()
    it.next('JoinGroup', (request) => refuse(request, error))
    const app = member(it)
    it.until(60)
    expect(app.errors).toEqual([error])
  })

  it('asks for the coordinator until it is there, with backoff', () => {
    const it = groupLab()
    it.next(
      'FindCoordinator',
      (request) => request.respond(it.found(request.body.coordinatorKeys, Errors.COORDINATOR_NOT_AVAILABLE)),
      3,
    )
    const app = member(it, {}, { pollMs: 5_000 })
    it.until(5_000)
    const times = it.sent('FindCoordinator').map(({ time }) => Math.round(time / 1000))
    expect(times).toHaveLength(4)
    const gaps = times.slice(1).map((time, at) => time - must(times[at]))
    expect(must(gaps[0])).toBeGreaterThanOrEqual(80)
    expect(must(gaps[2])).toBeGreaterThan(must(gaps[0]))
    expect(app.consumer.assignment()).toHaveLength(2)
  })

  it('tells the application when it may not know the coordinator', () => {
    const it = groupLab()
    it.next('FindCoordinator', (request) =>
      request.respond(it.found(request.body.coordinatorKeys, Errors.GROUP_AUTHORIZATION_FAILED)),
    )
    const app = member(it)
    it.until(50)
    expect(app.errors).toEqual(['GROUP_AUTHORIZATION_FAILED'])
  })

  it('waits for a JoinGroup as long as the rebalance may take, and some more', () => {
    const it = groupLab()
    it.next('JoinGroup', () => undefined)
    member(it, { 'max.poll.interval.ms': 60_000 })
    it.until(64_900)
    expect(it.sent('JoinGroup')).toHaveLength(1)
    it.until(67_000)
    expect(it.sent('JoinGroup')).toHaveLength(2)
  })

  it.each(['REBALANCE_IN_PROGRESS', 'UNKNOWN_MEMBER_ID', 'ILLEGAL_GENERATION'] as const)(
    'joins again at once when SyncGroup fails with %s',
    (error) => {
      const it = groupLab()
      it.next('SyncGroup', (request) => refuse(request, error))
      const app = member(it)
      it.until(60)
      const ids = it.sent('JoinGroup').map(({ body }) => body.memberId)
      expect(ids).toEqual(error === 'UNKNOWN_MEMBER_ID' ? ['', ''] : ['', 'm1'])
      expect(app.consumer.assignment()).toHaveLength(2)
    },
  )

  it('does not take an assignment of topics that it does not subscribe to any more', () => {
    const it = groupLab()
    it.topic('others', 1, [1])
    const app = member(it, {}, { listens: 'at once' })
    it.next('SyncGroup', (request) => {
      app.consumer.subscribe(['others'], { onAssigned: (names) => void app.told.push(`assigned ${names.join(' ')}`) })
      request.respond(it.synced(request.body))
    })
    it.until(500)
    expect(app.told).toEqual(['assigned others-0'])
    expect(said(must(it.sent('JoinGroup')[1]).body).topics).toEqual(['others'])
  })

  it('stops with wakeup, and polls on when asked to', () => {
    const it = groupLab()
    const app = member(it, {}, { pollMs: 10_000 })
    it.until(500)
    app.consumer.wakeup()
    it.until(550)
    expect(app.errors).toEqual(['WAKEUP'])
    it.until(2_000)
    expect(app.errors).toHaveLength(1)
  })
})

describe('the leader of a group', () => {
  it('learns of the topics of all, and assigns them', () => {
    const it = groupLab(3)
    it.topic('others', 2, [1, 1])
    it.others.set('z9', { topics: 'orders others' })
    const app = member(it)
    it.until(500)
    expect(assignments(must(it.sent('SyncGroup')[0]).body)).toEqual({
      m1: 'orders-0 orders-1',
      z9: 'orders-2 others-0 others-1',
    })
    expect(app.consumer.assignment()).toEqual(['orders-0', 'orders-1'])
    const topics = it.sent('Metadata').map(({ body }) => body.topics?.map(({ name }) => name))
    expect(topics.at(-1)).toEqual(['orders', 'others'])
  })

  it('asks everybody to join again when partitions are added', () => {
    const it = groupLab(1)
    const app = member(it, { 'metadata.max.age.ms': 2_000 })
    it.until(500)
    expect(app.consumer.assignment()).toEqual(['orders-0'])
    it.topic('orders', 3, [1, 1, 1])
    it.until(5_000)
    expect(app.consumer.assignment()).toEqual(['orders-0', 'orders-1', 'orders-2'])
    expect(must(it.sent('JoinGroup')[1]).body.reason).toBe('cached metadata has changed')
  })

  it('of which it is a follower it leaves that to the leader', () => {
    const it = groupLab(1)
    it.leader = 'somebody'
    it.assigned = ['orders-0']
    const app = member(it, { 'metadata.max.age.ms': 1_000 })
    it.until(500)
    it.topic('orders', 3, [1, 1, 1])
    it.until(5_000)
    expect(it.sent('JoinGroup')).toHaveLength(1)
    expect(app.consumer.assignment()).toEqual(['orders-0'])
    expect(must(it.sent('SyncGroup')[0]).body.assignments).toEqual([])
  })

  it('that came back as a static member assigns nothing, but watches', () => {
    const it = groupLab(1)
    it.assigned = ['orders-0']
    it.next('JoinGroup', (request) => request.respond(it.joined(request.body, { skipAssignment: true })))
    member(it, { 'group.instance.id': 'i1', 'metadata.max.age.ms': 1_000 })
    it.until(500)
    expect(must(it.sent('SyncGroup')[0]).body.assignments).toEqual([])
    it.topic('orders', 3, [1, 1, 1])
    it.until(5_000)
    expect(it.sent('JoinGroup')).toHaveLength(2)
  })

  it('makes do with the topics that exist', () => {
    const it = new GroupLab()
    it.topic('orders', 1, [1])
    const app = member(it, {}, { wanted: ['orders', 'missing'] })
    it.until(500)
    expect(app.consumer.assignment()).toEqual(['orders-0'])
    it.topic('missing', 1, [1])
    it.until(3_000)
    expect(app.consumer.assignment()).toEqual(['missing-0', 'orders-0'])
  })
})

describe('a subscription to a pattern', () => {
  it('is of the topics that match, without internal ones, and of those that come later', () => {
    const it = groupLab(1)
    it.topic('orders2', 1, [1])
    it.topic('others', 1, [1])
    const app = member(it, { 'metadata.max.age.ms': 2_000 }, { wanted: { pattern: 'orders.*' } })
    it.until(500)
    expect(app.consumer.subscription()).toEqual(['orders', 'orders2'])
    expect(app.consumer.assignment()).toEqual(['orders-0', 'orders2-0'])
    expect(must(it.sent('Metadata')[0]).body.topics).toBeNull()
    it.topic('orders3', 1, [1])
    it.until(5_000)
    expect(app.consumer.assignment()).toEqual(['orders-0', 'orders2-0', 'orders3-0'])
  })

  it('must be a pattern', () => {
    const it = groupLab(1)
    expect(() => member(it, {}, { wanted: { pattern: '(' } })).toThrow(UsageError)
  })
})

describe('another subscription', () => {
  it('takes effect by joining again; partitions of other topics are read no more', () => {
    const it = groupLab(1)
    it.topic('others', 1, [1])
    const app = member(it, {}, { listens: 'at once' })
    it.until(500)
    app.consumer.subscribe(['others'], {})
    fill(it.partition('orders-0'), 2)
    it.until(1_000)
    expect(app.got).toEqual([])
    expect(app.consumer.assignment()).toEqual(['others-0'])
    expect(must(it.sent('JoinGroup')[1]).body.reason).toBe('subscription has changed')
  })

  it('of nothing leaves the group', () => {
    const it = groupLab()
    const app = member(it, {}, { listens: 'at once' })
    it.until(500)
    app.stop()
    it.until(700)
    app.consumer.subscribe([])
    it.until(800)
    expect(app.told).toEqual(['assigned orders-0 orders-1', 'revoked orders-0 orders-1'])
    expect(it.sent('LeaveGroup').map(({ body }) => body.members)).toEqual([
      [{ memberId: 'm1', groupInstanceId: null, reason: 'the consumer unsubscribed from all topics' }],
    ])
    expect(app.consumer.assignment()).toEqual([])
    expect(() => app.consumer.poll(() => undefined, 10)).toThrow(UsageError)
  })
})

describe('heartbeats', () => {
  it('go out by their interval, whether the application polls or not', () => {
    const it = groupLab()
    const app = member(it)
    it.until(500)
    app.stop()
    it.until(10_000)
    const times = it.sent('Heartbeat').map(({ time }) => Math.round(time / 1_000))
    expect(times).toHaveLength(3)
    expect(must(times[1]) - must(times[0])).toBe(3_000)
    expect(must(it.sent('Heartbeat')[0]).body).toEqual({
      groupId: 'shop',
      generationId: 1,
      memberId: 'm1',
      groupInstanceId: null,
    })
  })

  it('that are answered REBALANCE_IN_PROGRESS make it join again', () => {
    const it = groupLab()
    const app = member(it, {}, { listens: 'at once' })
    it.next('Heartbeat', (request) => refuse(request, 'REBALANCE_IN_PROGRESS'))
    it.until(4_000)
    expect(must(it.sent('JoinGroup')[1]).body).toMatchObject({
      memberId: 'm1',
      reason: 'group is already rebalancing',
    })
    expect(app.told).toEqual(['assigned orders-0 orders-1', 'revoked orders-0 orders-1', 'assigned orders-0 orders-1'])
  })

  it.each([
    ['UNKNOWN_MEMBER_ID', ''],
    ['ILLEGAL_GENERATION', 'm1'],
  ] as const)('that are answered %s cost it what it has', (error, memberId) => {
    const it = groupLab()
    const app = member(it, {}, { listens: 'at once' })
    it.next('Heartbeat', (request) => refuse(request, error))
    it.until(4_000)
    expect(must(it.sent('JoinGroup')[1]).body.memberId).toBe(memberId)
    expect(said(must(it.sent('JoinGroup')[1]).body)).toMatchObject({ owned: [], generation: -1 })
    expect(app.told).toEqual(['assigned orders-0 orders-1', 'lost orders-0 orders-1', 'assigned orders-0 orders-1'])
    expect(it.states()).toContain('unjoined -1')
  })

  it('that are answered FENCED_INSTANCE_ID end with an error', () => {
    const it = groupLab()
    const app = member(it, { 'group.instance.id': 'i1' })
    it.next('Heartbeat', (request) => refuse(request, 'FENCED_INSTANCE_ID'))
    it.until(3_100)
    expect(app.errors).toEqual(['FENCED_INSTANCE_ID'])
  })

  it('that fail are sent again after a backoff', () => {
    const it = groupLab()
    member(it)
    it.next('Heartbeat', (request) => refuse(request, 'UNKNOWN_SERVER_ERROR'))
    it.until(4_000)
    const times = it.sent('Heartbeat').map(({ time }) => Math.round(time / 1_000))
    expect(times).toHaveLength(2)
    expect(must(times[1]) - must(times[0])).toBeLessThan(150)
  })

  it('that nobody answers within the session cost the coordinator its place', () => {
    const it = groupLab(1, 2)
    member(it, { 'session.timeout.ms': 10_000 })
    it.next('Heartbeat', () => (it.coordinator = 'b2'), 4)
    it.until(13_000)
    expect(it.sent('FindCoordinator')).toHaveLength(2)
    expect(it.sent('Heartbeat').at(-1)?.to).toBe('b2')
    expect(it.sent('JoinGroup')).toHaveLength(1)
  })

  it('go to the new coordinator after a lost connection, in the same generation', () => {
    const it = groupLab(1, 2)
    const app = member(it)
    it.next('Heartbeat', (request) => {
      it.coordinator = 'b2'
      request.closeConnection()
    })
    it.until(10_000)
    expect(it.sent('Heartbeat').map(({ to, body }) => `${to} ${body.generationId}`)).toEqual([
      'b1 1',
      'b2 1',
      'b2 1',
      'b2 1',
    ])
    expect(it.sent('JoinGroup')).toHaveLength(1)
    expect(app.errors).toEqual([])
  })

  it('find the new coordinator while the application is busy', () => {
    const it = groupLab(1, 2)
    const app = member(it)
    it.until(500)
    app.stop()
    it.next('Heartbeat', (request) => {
      it.coordinator = 'b2'
      refuse(request, 'NOT_COORDINATOR')
    })
    it.until(5_000)
    expect(it.sent('FindCoordinator').length).toBeGreaterThan(1)
    expect(it.sent('Heartbeat').at(-1)?.to).toBe('b2')
  })

  it('end when the application does not poll for max.poll.interval.ms: the member leaves, and joins with the next poll', () => {
    const it = groupLab()
    const app = member(it, { 'max.poll.interval.ms': 10_000 }, { listens: 'at once' })
    it.until(500)
    app.stop()
    it.until(30_000)
    expect(it.sent('LeaveGroup').map(({ body }) => body.members[0]?.reason)).toEqual([
      'consumer poll timeout has expired.',
    ])
    const left = must(it.sent('LeaveGroup')[0]).time
    expect(Math.round(left / 1_000_000)).toBe(11)
    expect(it.sent('Heartbeat').filter(({ time }) => time > left)).toEqual([])
    expect(app.told).toEqual(['assigned orders-0 orders-1'])
    app.go()
    it.until(31_000)
    expect(app.told.slice(1)).toEqual(['lost orders-0 orders-1', 'assigned orders-0 orders-1'])
    expect(must(it.sent('JoinGroup')[1]).body.memberId).toBe('')
  })

  it('of a static member end silently', () => {
    const it = groupLab()
    const app = member(it, { 'max.poll.interval.ms': 10_000, 'group.instance.id': 'i1' })
    it.until(500)
    app.stop()
    it.until(30_000)
    expect(it.sent('LeaveGroup')).toEqual([])
    expect(it.sent('Heartbeat').at(-1)?.time).toBeLessThan(11_000_000)
    expect(must(it.sent('Heartbeat')[0]).body.groupInstanceId).toBe('i1')
  })

  it('are not sent while a JoinGroup is under way', () => {
    const it = groupLab()
    member(it)
    it.next('Heartbeat', (request) => {
      it.next('JoinGroup', (join) => it.later(20_000, () => it.answer(join)))
      refuse(request, 'REBALANCE_IN_PROGRESS')
    })
    it.until(20_000)
    expect(it.sent('Heartbeat')).toHaveLength(1)
    it.until(30_000)
    expect(it.sent('Heartbeat').length).toBeGreaterThan(1)
  })
})

describe('an answer to a JoinGroup', () => {
  it('that comes while the application is busy lies there until it polls', () => {
    const it = groupLab()
    fill(it.partition('orders-0'), 1)
    const app = member(it, { 'partition.assignment.strategy': 'cooperative-sticky' })
    it.until(500)
    it.next('JoinGroup', (request) => it.later(500, () => it.answer(request)))
    it.next('Heartbeat', (request) => refuse(request, 'REBALANCE_IN_PROGRESS'))
    it.until(3_100)
    expect(it.sent('JoinGroup')).toHaveLength(2)
    app.stop()
    it.until(10_000)
    expect(it.sent('SyncGroup')).toHaveLength(1)
    app.go()
    it.until(10_050)
    expect(it.sent('SyncGroup')).toHaveLength(2)
  })
})

describe('closing', () => {
  it('gives partitions up, leaves the group and closes the connections', () => {
    const it = groupLab()
    const app = member(it, {}, { listens: 'at once' })
    it.until(500)
    let isDone = false
    app.consumer.close(() => (isDone = true))
    it.until(600)
    expect(isDone).toBe(true)
    expect(app.told).toEqual(['assigned orders-0 orders-1', 'revoked orders-0 orders-1'])
    expect(it.sent('LeaveGroup').map(({ body }) => body.members)).toEqual([
      [{ memberId: 'm1', groupInstanceId: null, reason: 'the consumer is being closed' }],
    ])
    const requests = it.of('request.send').length
    it.until(60_000)
    expect(it.of('request.send')).toHaveLength(requests)
  })

  it('as a static member keeps its place', () => {
    const it = groupLab()
    const app = member(it, { 'group.instance.id': 'i1' })
    it.until(500)
    let isDone = false
    app.consumer.close(() => (isDone = true))
    it.until(600)
    expect([isDone, it.sent('LeaveGroup').length]).toEqual([true, 0])
  })

  it('does not wait longer than it may for a coordinator that does not answer', () => {
    const it = groupLab()
    const app = member(it)
    it.until(500)
    it.next('LeaveGroup', () => undefined)
    let isDone = false
    app.consumer.close(() => (isDone = true), 2_000)
    it.until(2_400)
    expect(isDone).toBe(false)
    it.until(2_600)
    expect(isDone).toBe(true)
  })

  it('needs no coordinator', () => {
    const it = groupLab()
    it.next(
      'FindCoordinator',
      (request) => request.respond(it.found(request.body.coordinatorKeys, Errors.COORDINATOR_NOT_AVAILABLE)),
      100,
    )
    const app = member(it, { 'enable.auto.commit': false })
    it.until(500)
    let isDone = false
    app.consumer.close(() => (isDone = true))
    it.until(550)
    expect(isDone).toBe(true)
  })
})
