/** Cases of Kafka's CooperativeConsumerCoordinatorTest and EagerConsumerCoordinatorTest (KIP-429), and of listeners. */

import { describe, expect, it } from 'vitest'
import { fill } from '../applications.js'
import { must } from '../lab.js'
import { type GroupLab, groupLab, member, refuse, said, type MemberOptions, type MemberApp } from './group-lab.js'

const COOPERATIVE = { 'partition.assignment.strategy': 'cooperative-sticky' }

/** A member that was assigned two partitions of four, and whose coordinator gives other ones from now on. */
function assigned(
  config: Record<string, unknown> = COOPERATIVE,
  options: MemberOptions = { listens: 'at once' },
): { it: GroupLab; app: MemberApp } {
  const it = groupLab(4)
  it.leader = 'somebody'
  it.assigned = ['orders-0', 'orders-1']
  const app = member(it, config, options)
  it.until(1_000)
  return { it, app }
}

function rebalance(it: GroupLab, next: readonly string[]): void {
  it.next('Heartbeat', (request) => refuse(request, 'REBALANCE_IN_PROGRESS'))
  it.assigned = next
}

describe('with a cooperative assignor a member', () => {
  it('keeps what it has while the group rebalances, and goes on reading it', () => {
    const { it, app } = assigned()
    it.next('JoinGroup', (request) => it.later(2_000, () => it.answer(request)))
    rebalance(it, ['orders-0', 'orders-1', 'orders-2'])
    it.until(3_200)
    fill(it.partition('orders-0'), 2)
    it.until(4_000)
    expect(app.got).toEqual(['orders-0@0=p0/0', 'orders-0@1=p0/1'])
    it.until(6_000)
    expect(app.told).toEqual(['assigned orders-0 orders-1', 'assigned orders-2'])
    expect(it.changes()).toEqual(['+ orders-0 orders-1', '+ orders-2'])
    expect(it.sent('JoinGroup')).toHaveLength(2)
  })

  it('tells the leader what it owns, and since which generation', () => {
    const { it } = assigned()
    rebalance(it, ['orders-0'])
    it.until(3_100)
    expect(said(must(it.sent('JoinGroup')[1]).body)).toMatchObject({
      owned: [
        { topic: 'orders', index: 0 },
        { topic: 'orders', index: 1 },
      ],
      generation: 1,
      userData: Uint8Array.of(0, 0, 0, 1),
    })
  })

  it('gives up what the assignment takes, and joins again so that somebody gets it', () => {
    const { it, app } = assigned()
    rebalance(it, ['orders-0', 'orders-2'])
    it.until(5_000)
    expect(app.told).toEqual(['assigned orders-0 orders-1', 'revoked orders-1', 'assigned orders-2', 'assigned'])
    const joins = it.sent('JoinGroup').map(({ body }) => body)
    expect(joins).toHaveLength(3)
    expect(must(joins[2]).reason).toBe('need to revoke partitions and re-join')
    expect(said(must(joins[2])).owned.map(({ index }) => index)).toEqual([0, 2])
  })

  it('does not join again where nothing was taken', () => {
    const { it, app } = assigned()
    rebalance(it, ['orders-0', 'orders-1'])
    it.until(8_000)
    expect(it.sent('JoinGroup')).toHaveLength(2)
    expect(app.told).toEqual(['assigned orders-0 orders-1', 'assigned'])
  })

  it('gives partitions of topics that it does not want any more up before it joins', () => {
    const { it, app } = assigned()
    it.topic('others', 1, [1])
    it.assigned = ['others-0']
    app.consumer.subscribe(['others'], {
      onRevoked: (names, done) => {
        app.told.push(`revoked ${names.join(' ')}`)
        done()
      },
    })
    it.until(2_000)
    expect(app.told.at(-1)).toBe('revoked orders-0 orders-1')
    expect(said(must(it.sent('JoinGroup')[1]).body).owned).toEqual([])
  })

  it('has lost everything when its generation is gone', () => {
    const { it, app } = assigned()
    it.next('Heartbeat', (request) => refuse(request, 'UNKNOWN_MEMBER_ID'))
    it.until(5_000)
    expect(app.told).toEqual(['assigned orders-0 orders-1', 'lost orders-0 orders-1', 'assigned orders-0 orders-1'])
  })
})

describe('with an eager assignor among its assignors a member', () => {
  it('gives everything up before it joins', () => {
    const { it, app } = assigned({ 'partition.assignment.strategy': 'cooperative-sticky, range' })
    rebalance(it, ['orders-1', 'orders-2'])
    it.until(5_000)
    expect(app.told).toEqual(['assigned orders-0 orders-1', 'revoked orders-0 orders-1', 'assigned orders-1 orders-2'])
    expect(said(must(it.sent('JoinGroup')[1]).body).owned).toEqual([])
  })

  it('keeps no position of what it gave up and got again', () => {
    const { it } = assigned({})
    fill(it.partition('orders-0'), 5)
    it.until(1_500)
    it.committed.set('orders-0', { offset: 2, leaderEpoch: 0 })
    it.next('OffsetCommit', (request) => request.respond(it.commit(request.body, 22)), 9)
    rebalance(it, ['orders-0'])
    it.until(5_000)
    const positions = it.of('consume.position').filter(({ data }) => data.partition === 'orders-0')
    expect(positions.at(-1)?.data).toMatchObject({ from: -1, to: 2, reason: 'assigned' })
  })
})

describe('a listener that takes its time', () => {
  it('holds up the poll, and with it the rebalance; heartbeats go on', () => {
    const { it, app } = assigned({}, { listens: 'slowly' })
    rebalance(it, ['orders-1'])
    it.until(20_000)
    expect(app.told).toEqual(['assigned orders-0 orders-1', 'revoked orders-0 orders-1'])
    expect(it.sent('JoinGroup')).toHaveLength(1)
    expect(it.changes()).toEqual(['+ orders-0 orders-1'])
    expect(it.sent('Heartbeat').length).toBeGreaterThan(4)
    app.release()
    it.until(20_100)
    expect(it.sent('JoinGroup')).toHaveLength(2)
    expect(app.told.at(-1)).toBe('assigned orders-1')
    expect(it.changes()).toEqual(['+ orders-0 orders-1', '- orders-0 orders-1', '+ orders-1'])
  })

  it('may commit meanwhile', () => {
    const { it, app } = assigned({ 'enable.auto.commit': false }, { listens: 'slowly' })
    fill(it.partition('orders-0'), 2)
    it.until(2_000)
    rebalance(it, ['orders-1'])
    it.until(5_000)
    const outcomes: (string | undefined)[] = []
    app.consumer.commitSync(undefined, (error) => {
      outcomes.push(error)
      app.release()
    })
    it.until(5_100)
    expect(outcomes).toEqual([undefined])
    expect(it.committed.get('orders-0')?.offset).toBe(2)
    expect(it.sent('JoinGroup')).toHaveLength(2)
  })

  it('holds up a cooperative member until it has let go', () => {
    const { it, app } = assigned(COOPERATIVE, { listens: 'slowly' })
    rebalance(it, ['orders-0'])
    it.until(8_000)
    expect(app.told.at(-1)).toBe('revoked orders-1')
    expect(app.consumer.assignment()).toEqual(['orders-0', 'orders-1'])
    app.release()
    it.until(8_100)
    expect(app.consumer.assignment()).toEqual(['orders-0'])
    expect(it.sent('JoinGroup')).toHaveLength(3)
  })

  it('is waited for by close', () => {
    const { it, app } = assigned({}, { listens: 'slowly' })
    let isDone = false
    app.consumer.close(() => (isDone = true))
    it.until(3_000)
    expect([isDone, it.sent('LeaveGroup').length]).toEqual([false, 0])
    app.release()
    it.until(3_100)
    expect([isDone, it.sent('LeaveGroup').length]).toEqual([true, 1])
  })
})
