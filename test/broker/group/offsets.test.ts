/** Committed offsets: the cases of Kafka's OffsetMetadataManagerTest, and deletion and expiry of groups. */

import { describe, expect, it } from 'vitest'
import { nameOf, GroupBench } from './group-bench.js'

function grouped(): { bench: GroupBench; id: string } {
  const bench = new GroupBench()
  const { id } = bench.joinNew()
  bench.sync(id, 1, { [id]: 'a' })
  return { bench, id }
}

const DAY_MS = 86_400_000

describe('a commit', () => {
  it('of a member in its generation is seen once it is committed', () => {
    const { bench, id } = grouped()
    expect(bench.commit(5, id, 1, { isCommitted: false })).toBe('NONE')
    expect(bench.fetch()).toBe(-1)
    bench.commitAll()
    expect(bench.fetch()).toBe(5)
  })

  it.each([
    ['an old generation', 'me', 0, 'ILLEGAL_GENERATION'],
    ['an unknown member', 'ghost', 1, 'UNKNOWN_MEMBER_ID'],
    ['nobody, while the group has members', '', -1, 'UNKNOWN_MEMBER_ID'],
  ])('of %s is refused', (_, who, generation, error) => {
    const { bench, id } = grouped()
    expect(bench.commit(5, who === 'me' ? id : who, generation)).toBe(error)
    expect(bench.fetch()).toBe(-1)
  })

  it('is refused while the group waits for its assignment', () => {
    const { bench, id } = grouped()
    const next = bench.joinNew()
    bench.join(id)
    expect(next.response?.generationId).toBe(2)
    expect(bench.state).toBe('CompletingRebalance')
    expect(bench.commit(5, id, 2)).toBe('REBALANCE_IN_PROGRESS')
  })

  it('goes through while members are still joining: it is the last chance before partitions go', () => {
    const { bench, id } = grouped()
    bench.joinNew()
    expect(bench.state).toBe('PreparingRebalance')
    expect(bench.commit(5, id, 1)).toBe('NONE')
  })

  it('needs no group: consumers that assign themselves', () => {
    const bench = new GroupBench()
    expect(bench.commit(9)).toBe('NONE')
    expect(bench.fetch()).toBe(9)
    expect(bench.commit(9, '', 3)).toBe('UNKNOWN_MEMBER_ID')
    expect(new GroupBench().commit(9, '', 3)).toBe('GROUP_ID_NOT_FOUND')
  })

  it('keeps its metadata within bounds', () => {
    const bench = new GroupBench({ 'offset.metadata.max.bytes': 10 })
    expect(bench.commit(1, '', -1, { metadata: 'x'.repeat(11) })).toBe('OFFSET_METADATA_TOO_LARGE')
    expect(bench.fetch()).toBe(-1)
  })
})

describe('offsets of a transaction', () => {
  it('wait for its end', () => {
    const bench = new GroupBench()
    bench.commit(3)
    bench.commit(8, '', -1, { producerId: 7 })
    expect(bench.fetch()).toBe(3)
    expect(bench.fetch(true)).toBe('UNSTABLE_OFFSET_COMMIT')
    bench.endTransaction(7, true)
    bench.commitAll()
    expect(bench.fetch(true)).toBe(3)
    bench.commit(4)
    expect(bench.fetch(true)).toBe(4)
  })

  it('are forgotten when it is aborted', () => {
    const bench = new GroupBench()
    bench.commit(3)
    bench.commit(8, '', -1, { producerId: 7 })
    bench.endTransaction(7, false)
    expect(bench.fetch(true)).toBe(3)
  })

  it('do not overwrite what was committed after them', () => {
    const bench = new GroupBench()
    bench.commit(8, '', -1, { producerId: 7 })
    bench.commit(9)
    bench.endTransaction(7, true)
    bench.commit(9)
    expect(bench.fetch()).toBe(9)
  })
})

describe('time', () => {
  it('takes offsets of an empty group after the retention, and the group with them', () => {
    const { bench, id } = grouped()
    bench.commit(5, id, 1)
    bench.leave(id)
    bench.pass(6.9 * DAY_MS)
    expect(bench.fetch()).toBe(5)
    bench.pass(0.2 * DAY_MS)
    expect(bench.fetch()).toBe(-1)
    expect(bench.state).toBe('Dead')
    expect(bench.log.at(-1)).toMatchObject({ type: 'GroupMetadata', value: null })
  })

  it('leaves offsets of a group with members alone', () => {
    const { bench, id } = grouped()
    bench.commit(5, id, 1)
    for (let day = 0; day < 9; day++) {
      for (let beat = 0; beat < 9; beat++) bench.heartbeat(id, 1)
      // The member lives on: its heartbeats come more often than its session ends.
      for (let step = 0; step < 24 * 450; step++) {
        bench.pass(8_000)
        bench.heartbeat(id, 1)
      }
    }
    expect(bench.fetch()).toBe(5)
  })

  it('counts from the commit where nobody was ever a member', () => {
    const bench = new GroupBench({ 'offsets.retention.minutes': 60 })
    bench.commit(5)
    bench.pass(3_590_000)
    expect(bench.fetch()).toBe(5)
    bench.pass(1_000_000)
    expect(bench.fetch()).toBe(-1)
  })
})

describe('administration', () => {
  it('deletes a group that is empty, and no other', () => {
    const { bench, id } = grouped()
    bench.commit(5, id, 1)
    expect(nameOf(bench.apply(bench.shard.deleteGroup('shop')))).toBe('NON_EMPTY_GROUP')
    bench.leave(id)
    expect(nameOf(bench.apply(bench.shard.deleteGroup('shop')))).toBe('NONE')
    expect(bench.fetch()).toBe(-1)
    expect(nameOf(bench.apply(bench.shard.deleteGroup('shop')))).toBe('GROUP_ID_NOT_FOUND')
  })

  it('forgets offsets of topics that are deleted', () => {
    const bench = new GroupBench()
    bench.commit(5)
    bench.apply(bench.shard.topicsDeleted(new Set(['orders'])))
    expect(bench.fetch()).toBe(-1)
  })

  it('lists groups by their states', () => {
    const { bench } = grouped()
    expect(bench.shard.list(['stable'], [], 0)).toEqual([
      { groupId: 'shop', protocolType: 'consumer', groupState: 'Stable', groupType: 'classic' },
    ])
    expect(bench.shard.list(['Empty'], [], 0)).toEqual([])
    expect(bench.shard.list([], ['consumer'], 0)).toEqual([])
  })
})
