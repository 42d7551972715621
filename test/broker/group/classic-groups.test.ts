/** Classic groups, case by case: those of Kafka's GroupMetadataManagerTest and GroupCoordinatorTest about the classic protocol. */

import { describe, expect, it } from 'vitest'
import { Errors } from '../../../sim/wire/errors.js'
import { errorOf, GroupBench } from './group-bench.js'

/** Two members in a stable group: ids in the order of joining; the first leads. */
function stable(bench = new GroupBench()): { bench: GroupBench; leader: string; other: string; generation: number } {
  const first = bench.joinNew()
  bench.sync(first.id, 1, { [first.id]: 'all' })
  const second = bench.joinNew()
  const again = bench.join(first.id)
  const generation = again.response?.generationId ?? 0
  expect(errorOf(second)).toBe('NONE')
  const late = bench.sync(second.id, generation)
  expect(errorOf(late)).toBe('waits')
  bench.sync(first.id, generation, { [first.id]: 'a', [second.id]: 'b' })
  expect(Buffer.from(late.response?.assignment ?? []).toString()).toBe('b')
  expect(bench.state).toBe('Stable')
  return { bench, leader: first.id, other: second.id, generation }
}

describe('joining', () => {
  it('gives a new member its id first (KIP-394)', () => {
    const bench = new GroupBench()
    const asked = bench.join('')
    expect(errorOf(asked)).toBe('MEMBER_ID_REQUIRED')
    expect(asked.response?.memberId).toMatch(/^client-/)
    expect(errorOf(bench.join(asked.response?.memberId ?? ''))).toBe('NONE')
  })

  it('gives old clients and static members a place at once', () => {
    expect(errorOf(new GroupBench().join('', { version: 3 }))).toBe('NONE')
    const joined = new GroupBench().join('', { instance: 'i1' })
    expect(errorOf(joined)).toBe('NONE')
    expect(joined.response?.memberId).toMatch(/^i1-/)
  })

  it('takes back an id that is not used in time', () => {
    const bench = new GroupBench()
    const id = bench.join('').response?.memberId ?? ''
    bench.pass(10_001)
    expect(errorOf(bench.join(id))).toBe('UNKNOWN_MEMBER_ID')
  })

  it('refuses who cannot belong', () => {
    const { bench } = stable()
    expect(errorOf(bench.join('stranger'))).toBe('UNKNOWN_MEMBER_ID')
    expect(errorOf(bench.join('', { protocols: 'sticky' }))).toBe('INCONSISTENT_GROUP_PROTOCOL')
    expect(errorOf(new GroupBench().join('ghost'))).toBe('UNKNOWN_MEMBER_ID')
  })

  it('has room for group.max.size members', () => {
    const { bench } = stable(new GroupBench({ 'group.max.size': 2 }))
    expect(errorOf(bench.join('', { version: 3 }))).toBe('GROUP_MAX_SIZE_REACHED')
  })

  it('tells the leader, and only the leader, who the members are', () => {
    const { bench, leader, other, generation } = stable()
    const again = bench.join(leader)
    bench.join(other)
    expect(again.response).toMatchObject({ generationId: generation + 1, leader, protocolName: 'range' })
    expect(again.response?.members.map(({ memberId }) => memberId)).toEqual([leader, other])
  })

  it('votes for a protocol that everybody has', () => {
    const bench = new GroupBench({ 'group.initial.rebalance.delay.ms': 1_000 })
    const first = bench.joinNew({ protocols: 'sticky range' })
    bench.joinNew({ protocols: 'range' })
    bench.pass(2_000)
    expect(first.response?.protocolName).toBe('range')
  })

  it('answers a member of a stable group that asks again with the same subscription as before', () => {
    const { bench, other, generation } = stable()
    expect(bench.join(other).response).toMatchObject({ errorCode: 0, generationId: generation, members: [] })
    expect(bench.state).toBe('Stable')
    bench.join(other, { metadata: 'another' })
    expect(bench.state).toBe('PreparingRebalance')
  })
})

describe('the first rebalance', () => {
  it('waits, and longer while members keep coming', () => {
    const bench = new GroupBench({ 'group.initial.rebalance.delay.ms': 3_000 })
    const first = bench.joinNew()
    bench.pass(2_000)
    const second = bench.joinNew()
    bench.pass(2_000)
    expect(errorOf(first)).toBe('waits')
    bench.pass(2_000)
    expect([errorOf(first), errorOf(second)]).toEqual(['NONE', 'NONE'])
    expect(first.response?.members).toHaveLength(2)
  })

  it('waits no longer than the rebalance timeout', () => {
    const bench = new GroupBench({ 'group.initial.rebalance.delay.ms': 3_000 })
    const first = bench.joinNew({ rebalance: 7_000 })
    for (let at = 0; at < 4; at++) {
      bench.pass(2_000)
      bench.joinNew({ rebalance: 7_000 })
    }
    expect(errorOf(first)).toBe('NONE')
  })
})

describe('a rebalance', () => {
  it('leaves out dynamic members that do not join in time', () => {
    const { bench, leader, generation } = stable()
    const joined = bench.join(leader)
    expect(errorOf(joined)).toBe('waits')
    for (let at = 0; at < 3; at++) bench.pass(9_000)
    bench.pass(4_000)
    expect(joined.response).toMatchObject({ generationId: generation + 1 })
    expect(joined.response?.members).toHaveLength(1)
  })

  it('elects another leader when the leader does not join', () => {
    const { bench, leader, other } = stable()
    bench.join(other, { metadata: 'another' })
    expect(bench.leave(leader)).toBe('NONE')
    const again = bench.join(other, { metadata: 'another' })
    expect(again.response?.leader ?? other).toBe(other)
  })

  it('removes members that join and never sync', () => {
    const { bench, leader, other, generation } = stable()
    bench.join(leader)
    bench.join(other)
    bench.sync(leader, generation + 1, { [leader]: 'x' })
    for (let at = 0; at < 4; at++) {
      bench.pass(8_000)
      bench.heartbeat(leader, generation + 1)
      bench.heartbeat(other, generation + 1)
    }
    expect(bench.heartbeat(other, generation + 1)).toBe('UNKNOWN_MEMBER_ID')
    expect(bench.state).toBe('PreparingRebalance')
  })

  it('fails syncs of members when somebody joins meanwhile', () => {
    const { bench, leader, other, generation } = stable()
    bench.join(leader)
    bench.join(other)
    const waiting = bench.sync(other, generation + 1)
    bench.joinNew()
    expect(errorOf(waiting)).toBe('REBALANCE_IN_PROGRESS')
  })

  it('begins again when the assignment cannot be written', () => {
    const { bench, leader, other, generation } = stable()
    bench.join(leader)
    bench.join(other)
    const waiting = bench.sync(other, generation + 1)
    bench.failNext(Errors.NOT_ENOUGH_REPLICAS)
    const leading = bench.sync(leader, generation + 1, { [leader]: 'x' })
    expect([errorOf(waiting), errorOf(leading)]).toEqual(['COORDINATOR_NOT_AVAILABLE', 'COORDINATOR_NOT_AVAILABLE'])
    bench.pass(10)
    expect(bench.state).toBe('PreparingRebalance')
  })

  it('holds assignments back until they are committed', () => {
    const { bench, leader, other, generation } = stable()
    bench.join(leader)
    bench.join(other)
    const leading = bench.sync(leader, generation + 1, { [leader]: 'x' }, { isCommitted: false })
    expect(errorOf(leading)).toBe('waits')
    expect(bench.state).toBe('CompletingRebalance')
    bench.commitAll()
    expect(errorOf(leading)).toBe('NONE')
    expect(bench.state).toBe('Stable')
  })

  it('ends with an empty group when everybody has left', () => {
    const { bench, leader, other } = stable()
    expect(bench.leave(other)).toBe('NONE')
    expect(bench.leave(leader)).toBe('NONE')
    expect(bench.state).toBe('Empty')
  })
})

describe('syncing and heartbeats', () => {
  it.each([
    ['an unknown member', 'ghost', 0, 'UNKNOWN_MEMBER_ID'],
    ['an old generation', 'leader', -1, 'ILLEGAL_GENERATION'],
    ['a generation to come', 'leader', 1, 'ILLEGAL_GENERATION'],
  ])('refuse %s', (_, who, by, error) => {
    const { bench, leader, generation } = stable()
    const id = who === 'leader' ? leader : who
    expect(errorOf(bench.sync(id, generation + by))).toBe(error)
    expect(bench.heartbeat(id, generation + by)).toBe(error)
  })

  it('refuse another protocol', () => {
    const { bench, leader, generation } = stable()
    expect(errorOf(bench.sync(leader, generation, {}, { protocol: 'sticky' }))).toBe('INCONSISTENT_GROUP_PROTOCOL')
  })

  it('tell of a rebalance, and keep the member alive', () => {
    const { bench, other, generation } = stable()
    bench.joinNew()
    expect(bench.heartbeat(other, generation)).toBe('REBALANCE_IN_PROGRESS')
    expect(errorOf(bench.sync(other, generation))).toBe('REBALANCE_IN_PROGRESS')
  })

  it('are the life of a member: without them it is gone after its session', () => {
    const { bench, leader, other, generation } = stable()
    bench.pass(9_000)
    expect(bench.heartbeat(leader, generation)).toBe('NONE')
    bench.pass(2_000)
    expect(bench.heartbeat(other, generation)).toBe('UNKNOWN_MEMBER_ID')
    expect(bench.heartbeat(leader, generation)).toBe('REBALANCE_IN_PROGRESS')
  })
})

describe('static members (KIP-345)', () => {
  function staticGroup(): { bench: GroupBench; one: string; two: string; generation: number } {
    const bench = new GroupBench({ 'group.initial.rebalance.delay.ms': 1_000 })
    const one = bench.join('', { instance: 'i1' })
    const two = bench.join('', { instance: 'i2' })
    bench.pass(2_500)
    const ids = [one.response?.memberId ?? '', two.response?.memberId ?? '']
    const [first = '', second = ''] = ids
    bench.sync(first, 1, { [first]: 'a', [second]: 'b' }, { instance: 'i1' })
    bench.sync(second, 1, {}, { instance: 'i2' })
    expect(bench.state).toBe('Stable')
    return { bench, one: first, two: second, generation: 1 }
  }

  it('come back without a rebalance, under a new id; the old one is fenced', () => {
    const { bench, two, generation } = staticGroup()
    const back = bench.join('', { instance: 'i2' })
    expect(back.response).toMatchObject({ errorCode: 0, generationId: generation, skipAssignment: false, members: [] })
    expect(bench.state).toBe('Stable')
    const id = back.response?.memberId ?? ''
    expect(id).not.toBe(two)
    expect(Buffer.from(bench.sync(id, generation, {}, { instance: 'i2' }).response?.assignment ?? []).toString()).toBe(
      'b',
    )
    expect(bench.heartbeat(two, generation, 'i2')).toBe('FENCED_INSTANCE_ID')
    expect(bench.commit(7, two, generation, { instance: 'i2' })).toBe('FENCED_INSTANCE_ID')
  })

  it('as leader are told to leave the assignment as it is (KIP-814)', () => {
    const { bench, one } = staticGroup()
    const back = bench.join('', { instance: 'i1' })
    expect(back.response).toMatchObject({ errorCode: 0, skipAssignment: true, leader: back.response?.memberId })
    expect(back.response?.members).toHaveLength(2)
    const old = staticGroup().bench.join('', { instance: 'i1', version: 8 })
    expect(old.response).toMatchObject({ skipAssignment: false, members: [] })
    expect(old.response?.leader).not.toBe(old.response?.memberId)
    expect(one).not.toBe(back.response?.memberId)
  })

  it('cause a rebalance when another protocol would win', () => {
    const { bench } = staticGroup()
    const back = bench.join('', { instance: 'i2', protocols: 'sticky range' })
    expect(back.response?.errorCode).toBe(Errors.NONE)
    expect(bench.state).toBe('Stable')
  })

  it('do not lose their place by leaving without their instance, and do by it', () => {
    const { bench } = staticGroup()
    expect(bench.leave('', 'i3')).toBe('UNKNOWN_MEMBER_ID')
    expect(bench.leave('wrong', 'i2')).toBe('FENCED_INSTANCE_ID')
    expect(bench.leave('', 'i2')).toBe('NONE')
    expect(bench.state).toBe('PreparingRebalance')
  })

  it('outlive a rebalance that they do not join', () => {
    const { bench, one, generation } = staticGroup()
    const joined = bench.join(one, { instance: 'i1', rebalance: 5_000 })
    for (let at = 0; at < 4; at++) {
      bench.pass(8_000)
      bench.heartbeat(one, generation, 'i1')
    }
    expect(joined.response?.errorCode).toBe(Errors.NONE)
  })
})

describe('a coordinator that takes over', () => {
  it('knows the members, their assignments and the offsets from the log', () => {
    const { bench, leader, other, generation } = stable()
    expect(bench.commit(42, leader, generation)).toBe('NONE')
    const next = bench.takeOver()
    expect(next.state).toBe('Stable')
    expect(next.heartbeat(leader, generation)).toBe('NONE')
    expect(Buffer.from(next.sync(other, generation).response?.assignment ?? []).toString()).toBe('b')
    expect(next.fetch()).toBe(42)
    next.pass(10_001)
    expect(next.heartbeat(other, generation)).toBe('UNKNOWN_MEMBER_ID')
  })
})
