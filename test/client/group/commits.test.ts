/** Committed offsets of a classic group: cases of Kafka's ConsumerCoordinatorTest and KafkaConsumerTest. */

import { describe, expect, it } from 'vitest'
import { Consumer } from '../../../sim/client/consumer.js'
import { parseConsumerConfig } from '../../../sim/client/consumer-config.js'
import { UsageError } from '../../../sim/kernel/errors.js'
import { Errors, type ErrorName } from '../../../sim/wire/errors.js'
import { fill } from '../applications.js'
import { must } from '../lab.js'
import { GROUP, type GroupLab, groupLab, member, refuse, type MemberApp } from './group-lab.js'

const MANUAL = { 'enable.auto.commit': false }

/** A member that has read three records of `orders-0`. */
function reading(config: Record<string, unknown> = MANUAL, pollMs = 100): { it: GroupLab; app: MemberApp } {
  const it = groupLab(1, 2)
  fill(it.partition('orders-0'), 3)
  const app = member(it, config, { pollMs })
  it.until(1_000)
  expect(app.got).toHaveLength(3)
  return { it, app }
}

function failNext(it: GroupLab, error: ErrorName, times = 1): void {
  it.next('OffsetCommit', (request) => request.respond(it.commit(request.body, Errors[error])), times)
}

describe('commitSync', () => {
  it('commits positions, with the epoch of the last record', () => {
    const { it, app } = reading()
    const outcomes: (string | undefined)[] = []
    app.consumer.commitSync(undefined, (error) => void outcomes.push(error))
    it.after(50)
    expect(outcomes).toEqual([undefined])
    expect(must(it.sent('OffsetCommit')[0]).body).toEqual({
      groupId: 'shop',
      generationIdOrMemberEpoch: 1,
      memberId: 'm1',
      groupInstanceId: null,
      retentionTimeMs: -1,
      topics: [
        {
          name: 'orders',
          topicId: 'AAAAAAAAAAAAAAAAAAAAAA',
          partitions: [{ partitionIndex: 0, committedOffset: 3, committedLeaderEpoch: 0, committedMetadata: '' }],
        },
      ],
    })
    expect(it.commits()).toEqual(['sync orders-0@3 ok'])
  })

  it('commits what it is told to', () => {
    const { it, app } = reading()
    app.consumer.commitSync(new Map([['orders-0', { offset: 1, metadata: 'half' }]]), () => undefined)
    it.after(50)
    expect(must(it.sent('OffsetCommit')[0]).body.topics[0]?.partitions).toEqual([
      { partitionIndex: 0, committedOffset: 1, committedLeaderEpoch: -1, committedMetadata: 'half' },
    ])
  })

  it.each(['COORDINATOR_LOAD_IN_PROGRESS', 'UNKNOWN_TOPIC_OR_PARTITION'] as const)('tries again after %s', (error) => {
    const { it, app } = reading()
    failNext(it, error, 2)
    const outcomes: (string | undefined)[] = []
    app.consumer.commitSync(undefined, (failure) => void outcomes.push(failure))
    it.after(1_000)
    expect(outcomes).toEqual([undefined])
    expect(it.sent('OffsetCommit')).toHaveLength(3)
    expect(it.commits()).toEqual(['sync orders-0@3 ok'])
  })

  it.each(['NOT_COORDINATOR', 'COORDINATOR_NOT_AVAILABLE', 'REQUEST_TIMED_OUT'] as const)(
    'looks for the coordinator anew after %s',
    (error) => {
      const { it, app } = reading()
      it.next('OffsetCommit', (request) => {
        it.coordinator = 'b2'
        request.respond(it.commit(request.body, Errors[error]))
      })
      const outcomes: (string | undefined)[] = []
      app.consumer.commitSync(undefined, (failure) => void outcomes.push(failure))
      it.after(1_000)
      expect(outcomes).toEqual([undefined])
      expect(it.sent('OffsetCommit').map(({ to }) => to)).toEqual(['b1', 'b2'])
    },
  )

  it('tries again after a lost connection', () => {
    const { it, app } = reading()
    it.next('OffsetCommit', (request) => request.closeConnection())
    const outcomes: (string | undefined)[] = []
    app.consumer.commitSync(undefined, (failure) => void outcomes.push(failure))
    it.after(1_000)
    expect(outcomes).toEqual([undefined])
  })

  it('gives up when its time is over', () => {
    const { it, app } = reading()
    failNext(it, 'COORDINATOR_LOAD_IN_PROGRESS', 100)
    const outcomes: (string | undefined)[] = []
    app.consumer.commitSync(undefined, (failure) => void outcomes.push(failure), 2_000)
    it.after(1_990)
    expect(outcomes).toEqual([])
    it.after(50)
    expect(outcomes).toEqual(['REQUEST_TIMED_OUT'])
  })

  it.each(['UNKNOWN_MEMBER_ID', 'ILLEGAL_GENERATION'] as const)(
    'fails for good after %s, and the member has lost its partitions',
    (error) => {
      const { it, app } = reading()
      failNext(it, error)
      const outcomes: (string | undefined)[] = []
      app.consumer.commitSync(undefined, (failure) => void outcomes.push(failure))
      it.after(1_000)
      expect(outcomes).toEqual(['COMMIT_FAILED'])
      expect(it.changes()).toEqual(['+ orders-0', 'lost orders-0', '+ orders-0'])
      expect(must(it.sent('JoinGroup')[1]).body.memberId).toBe(error === 'ILLEGAL_GENERATION' ? 'm1' : '')
    },
  )

  it('says that a rebalance is under way, and lets the member join', () => {
    const { it, app } = reading()
    failNext(it, 'REBALANCE_IN_PROGRESS')
    const outcomes: (string | undefined)[] = []
    app.consumer.commitSync(undefined, (failure) => void outcomes.push(failure))
    it.after(500)
    expect(outcomes).toEqual(['REBALANCE_IN_PROGRESS'])
    expect(it.sent('JoinGroup')).toHaveLength(2)
    expect(must(it.sent('JoinGroup')[1]).body.reason).toBe('offset commit failed since group is already rebalancing')
  })

  it('asks nobody while the group rebalances', () => {
    const { it, app } = reading({ ...MANUAL, 'partition.assignment.strategy': 'cooperative-sticky' })
    it.next('Heartbeat', (request) => refuse(request, 'REBALANCE_IN_PROGRESS'))
    it.next('JoinGroup', (request) => it.later(5_000, () => it.answer(request)))
    it.until(4_000)
    const outcomes: (string | undefined)[] = []
    app.consumer.commitSync(undefined, (failure) => void outcomes.push(failure))
    it.after(10)
    expect(outcomes).toEqual(['REBALANCE_IN_PROGRESS'])
    expect(it.sent('OffsetCommit')).toEqual([])
  })

  it('fails when the member has left the group', () => {
    const { it, app } = reading({ ...MANUAL, 'max.poll.interval.ms': 5_000 })
    app.stop()
    it.until(10_000)
    const outcomes: (string | undefined)[] = []
    app.consumer.commitSync(undefined, (failure) => void outcomes.push(failure))
    it.after(10)
    expect(outcomes).toEqual(['COMMIT_FAILED'])
  })

  it.each([
    'OFFSET_METADATA_TOO_LARGE',
    'INVALID_COMMIT_OFFSET_SIZE',
    'TOPIC_AUTHORIZATION_FAILED',
    'FENCED_INSTANCE_ID',
  ] as const)('tells of %s', (error) => {
    const { it, app } = reading()
    failNext(it, error)
    const outcomes: (string | undefined)[] = []
    app.consumer.commitSync(undefined, (failure) => void outcomes.push(failure))
    it.after(100)
    expect(outcomes).toEqual([error])
    expect(it.sent('OffsetCommit')).toHaveLength(1)
  })

  it('waits for asynchronous commits before it', () => {
    const { it, app } = reading()
    const done: string[] = []
    it.next('OffsetCommit', (request) => it.later(300, () => request.respond(it.commit(request.body))))
    app.consumer.commitAsync(undefined, () => void done.push('first'))
    app.consumer.commitSync(new Map([['orders-0', { offset: 3 }]]), () => void done.push('second'))
    it.after(1_000)
    expect(done).toEqual(['first', 'second'])
  })

  it('of nothing waits for asynchronous commits only', () => {
    const { it, app } = reading()
    app.stop()
    it.after(200)
    const done: string[] = []
    it.next('OffsetCommit', (request) => it.later(300, () => request.respond(it.commit(request.body))))
    app.consumer.commitAsync(undefined, () => void done.push('first'))
    app.consumer.commitSync(new Map(), () => void done.push('second'))
    it.after(200)
    expect(done).toEqual([])
    it.after(300)
    expect(done).toEqual(['first', 'second'])
  })
})

describe('commitAsync', () => {
  it('calls back within a later call only', () => {
    const { it, app } = reading()
    app.stop()
    it.after(200)
    const outcomes: (string | undefined)[] = []
    app.consumer.commitAsync(undefined, (error) => void outcomes.push(error))
    it.after(100)
    expect(it.committed.get('orders-0')?.offset).toBe(3)
    expect(outcomes).toEqual([])
    app.go()
    it.after(10)
    expect(outcomes).toEqual([undefined])
  })

  it.each(['COORDINATOR_LOAD_IN_PROGRESS', 'NOT_COORDINATOR'] as const)('does not try again after %s', (error) => {
    const { it, app } = reading()
    failNext(it, error)
    const outcomes: (string | undefined)[] = []
    app.consumer.commitAsync(undefined, (failure) => void outcomes.push(failure))
    it.after(1_000)
    expect(outcomes).toEqual([error])
    expect(it.sent('OffsetCommit')).toHaveLength(1)
    expect(it.commits()).toEqual([`async orders-0@3 ${error}`])
  })

  it('of a static member that was replaced ends the consumer', () => {
    const { it, app } = reading({ ...MANUAL, 'group.instance.id': 'i1' })
    failNext(it, 'FENCED_INSTANCE_ID')
    app.consumer.commitAsync()
    it.after(150)
    expect(app.errors).toContain('FENCED_INSTANCE_ID')
  })

  it('finds the coordinator first', () => {
    const it = groupLab(1)
    const consumer = it.client('g1', (env) => {
      const made = new Consumer(env, parseConsumerConfig({ 'group.id': GROUP }), it.brokers)
      made.assign([{ topic: 'orders', index: 0 }])
      return made
    })
    consumer.commitAsync(new Map([['orders-0', { offset: 7 }]]))
    it.until(200)
    expect(it.committed.get('orders-0')?.offset).toBe(7)
  })
})

describe('the automatic commit', () => {
  it('commits positions by its interval, while the application polls', () => {
    const { it, app } = reading({})
    it.until(4_900)
    expect(it.sent('OffsetCommit')).toHaveLength(0)
    it.until(5_200)
    expect(it.commits()).toEqual(['auto orders-0@3 ok'])
    app.stop()
    it.until(20_000)
    expect(it.sent('OffsetCommit')).toHaveLength(1)
    app.go()
    it.until(20_100)
    expect(it.sent('OffsetCommit')).toHaveLength(2)
  })

  it('comes within a long poll, too', () => {
    const { it } = reading({ 'auto.commit.interval.ms': 1_000 }, 60_000)
    it.until(10_000)
    expect(it.sent('OffsetCommit').length).toBeGreaterThanOrEqual(8)
  })

  it('comes again soon when it failed and may work', () => {
    const { it } = reading({})
    failNext(it, 'COORDINATOR_LOAD_IN_PROGRESS')
    it.until(5_500)
    const times = it.sent('OffsetCommit').map(({ time }) => time)
    expect(times).toHaveLength(2)
    expect(must(times[1]) - must(times[0])).toBeLessThan(220_000)
  })

  it('comes before partitions are given up, and is waited for', () => {
    const { it } = reading({})
    it.next('OffsetCommit', (request) => it.later(400, () => request.respond(it.commit(request.body))))
    it.next('Heartbeat', (request) => refuse(request, 'REBALANCE_IN_PROGRESS'))
    it.until(3_300)
    expect([it.sent('OffsetCommit').length, it.sent('JoinGroup').length]).toEqual([1, 1])
    // Nothing more of what is to be given up is handed over.
    fill(it.partition('orders-0'), 1)
    it.until(4_000)
    expect(it.commits()).toEqual(['auto orders-0@3 ok'])
    expect(it.sent('JoinGroup')).toHaveLength(2)
    expect(it.changes()).toEqual(['+ orders-0', '- orders-0', '+ orders-0'])
  })

  it('is tried again before partitions are given up, for max.poll.interval.ms', () => {
    const { it } = reading({ 'max.poll.interval.ms': 6_000 })
    failNext(it, 'COORDINATOR_LOAD_IN_PROGRESS', 1_000)
    it.next('Heartbeat', (request) => refuse(request, 'REBALANCE_IN_PROGRESS'))
    it.until(8_000)
    expect(it.sent('JoinGroup')).toHaveLength(1)
    it.until(10_000)
    expect(it.sent('JoinGroup')).toHaveLength(2)
    expect(it.sent('OffsetCommit').length).toBeGreaterThan(10)
  })

  it('that cannot work holds nothing up', () => {
    const { it } = reading({})
    failNext(it, 'OFFSET_METADATA_TOO_LARGE', 1)
    it.next('Heartbeat', (request) => refuse(request, 'REBALANCE_IN_PROGRESS'))
    it.until(3_200)
    expect(it.sent('JoinGroup')).toHaveLength(2)
  })

  it('does not commit for a generation that is gone', () => {
    const { it } = reading({})
    it.next('Heartbeat', (request) => refuse(request, 'UNKNOWN_MEMBER_ID'))
    it.until(3_200)
    expect(it.sent('OffsetCommit')).toEqual([])
    expect(it.commits()).toEqual(['auto orders-0@3 COMMIT_FAILED'])
  })

  it('comes when the consumer is closed', () => {
    const { it, app } = reading({})
    app.consumer.close(() => undefined)
    it.after(100)
    expect(it.commits()).toEqual(['auto orders-0@3 ok'])
    expect(it.sent('LeaveGroup')).toHaveLength(1)
  })

  it('needs a group', () => {
    expect(() => parseConsumerConfig({ 'enable.auto.commit': true })).toThrow(UsageError)
    expect(parseConsumerConfig({})['enable.auto.commit']).toBe(false)
    expect(parseConsumerConfig({ 'group.id': 'g' })['enable.auto.commit']).toBe(true)
  })
})

describe('committed offsets', () => {
  it('are told when asked for', () => {
    const { it, app } = reading()
    it.committed.set('orders-0', { offset: 2, leaderEpoch: 0 })
    let found: unknown
    app.consumer.committed(['orders-0', 'others-1'], (_, committed) => (found = [...committed]))
    it.after(100)
    expect(found).toEqual([
      ['orders-0', { offset: 2, leaderEpoch: 0, metadata: '' }],
      ['others-1', null],
    ])
  })

  it('of transactions that are not decided are waited for', () => {
    const it = groupLab(1)
    fill(it.partition('orders-0'), 5)
    it.next(
      'OffsetFetch',
      (request) => {
        it.committed.set('orders-0', { offset: 4, leaderEpoch: 0 })
        request.respond(it.fetched(request.body, 0, Errors.UNSTABLE_OFFSET_COMMIT))
      },
      3,
    )
    const app = member(it, {}, { pollMs: 1_000 })
    it.until(3_000)
    expect(app.got).toEqual(['orders-0@4=p0/4'])
    expect(it.sent('OffsetFetch')).toHaveLength(4)
  })

  it.each(['COORDINATOR_LOAD_IN_PROGRESS', 'NOT_COORDINATOR'] as const)('are asked for again after %s', (error) => {
    const it = groupLab(1)
    it.next('OffsetFetch', (request) => request.respond(it.fetched(request.body, Errors[error])))
    const app = member(it)
    it.until(1_000)
    expect(app.consumer.position('orders-0')).toBe(0)
    expect(it.sent('OffsetFetch')).toHaveLength(2)
  })

  it('that may not be read end the poll with an error', () => {
    const it = groupLab(1)
    it.next('OffsetFetch', (request) => request.respond(it.fetched(request.body, Errors.GROUP_AUTHORIZATION_FAILED)))
    const app = member(it)
    it.until(80)
    expect(app.errors).toEqual(['GROUP_AUTHORIZATION_FAILED'])
  })

  it('decide where a consumer of a group starts that assigns itself', () => {
    const it = groupLab(1)
    it.committed.set('orders-0', { offset: 2, leaderEpoch: 0 })
    fill(it.partition('orders-0'), 5)
    const config = parseConsumerConfig({ 'group.id': GROUP })
    const got: number[] = []
    it.client('g1', (env) => {
      const made = new Consumer(env, config, it.brokers)
      made.assign([{ topic: 'orders', index: 0 }])
      const poll = (): void =>
        made.poll(({ records }) => {
          got.push(...records.map(({ offset }) => offset))
          poll()
        }, 100)
      poll()
    })
    it.until(6_000)
    expect(got).toEqual([2, 3, 4])
    expect(it.sent('JoinGroup')).toEqual([])
    const commit = must(it.sent('OffsetCommit')[0]).body
    expect([commit.generationIdOrMemberEpoch, commit.memberId]).toEqual([-1, ''])
  })

  it('are none: then the reset policy decides', () => {
    const it = groupLab(1)
    fill(it.partition('orders-0'), 5)
    const app = member(it, { 'auto.offset.reset': 'none' })
    it.until(60)
    expect(app.errors).toEqual(['orders-0 NO_OFFSET_FOR_PARTITION'])
  })

  it('may be those of a time', () => {
    const it = groupLab(1)
    const { clock } = it.client('t1', (env) => env)
    let distance: number | undefined
    it.next('ListOffsets', (request) => {
      distance = clock.wallMs() - must(must(request.body.topics[0]).partitions[0]).timestamp
      it.answer(request)
    })
    member(it, { 'auto.offset.reset': 'by_duration:PT1H30M' })
    it.until(500)
    expect(Math.abs(must(distance) - 5_400_000)).toBeLessThanOrEqual(1)
    expect(() => parseConsumerConfig({ 'auto.offset.reset': 'by_duration:-PT1H' })).toThrow(UsageError)
    expect(() => parseConsumerConfig({ 'auto.offset.reset': 'by_duration:P' })).toThrow(UsageError)
  })
})
