import { describe, expect, it } from 'vitest'
import { MetadataSnapshot, type PartitionMetadata } from '../../sim/client/metadata-snapshot.js'
import { partitionLoad, StickyPartitioner } from '../../sim/client/partitioner.js'
import { Random } from '../../sim/kernel/random.js'
import { partitionForKey } from '../../sim/wire/murmur2.js'

const key = (text: string): Uint8Array => new TextEncoder().encode(text)

/** A topic `t` with a leader for every partition but those listed. */
function metadata(partitions: number, leaderless: readonly number[] = []): MetadataSnapshot {
  const list: PartitionMetadata[] = Array.from({ length: partitions }, (_, index) => ({
    topic: 't',
    index,
    name: `t-${index}`,
    error: 0,
    leader: leaderless.includes(index) ? -1 : 1,
    leaderEpoch: 0,
    replicas: [1],
    isr: [1],
    offline: [],
  }))
  return new MetadataSnapshot({
    clusterId: 'c',
    nodes: new Map([[1, { id: 1, host: 'b1' }]]),
    topics: new Map([['t', list]]),
    topicIds: new Map(),
    controllerId: 1,
    invalidTopics: new Set(),
  })
}

/** Draws `count` partitions, one after each switch. */
function draw(partitioner: StickyPartitioner, snapshot: MetadataSnapshot, count: number): number[] {
  const drawn: number[] = []
  for (let i = 0; i < count; i++) {
    drawn.push(partitioner.current(snapshot))
    partitioner.produced(1, snapshot, true)
  }
  return drawn
}

describe('a record with a key', () => {
  it.each([
    // (murmur2 & 0x7fffffff) % 1000, from Kafka's murmur2 vectors.
    ['21', -973932308],
    ['foobar', -790332482],
    ['a-little-bit-long-string', -985981536],
    ['a-little-bit-longer-string', -1486304829],
    ['lkjh234lh9fiuh90y23oiuhsafujhadof229phr9h19h89h8', -58897971],
    ['abc', 479470107],
  ])('%s goes where murmur2 says', (text, hash) => {
    expect(partitionForKey(key(text), 1000)).toBe((hash & 0x7fffffff) % 1000)
  })
})

describe('the shares of partitions', () => {
  it('are the inverse of their queues', () => {
    expect(partitionLoad([0, 3, 1], [0, 1, 2], 3)).toEqual({ sums: [4, 5, 8], partitions: [0, 1, 2] })
  })

  it('are equal while all queues are', () => {
    expect(partitionLoad([1, 1, 1], [0, 1, 2], 3)).toBeUndefined()
  })

  it('leave out what is left out, even with equal queues', () => {
    expect(partitionLoad([0, 0], [0, 2], 3)).toEqual({ sums: [1, 2], partitions: [0, 2] })
  })

  it('need more than one partition', () => {
    expect(partitionLoad([5], [0], 1)).toBeUndefined()
    expect(partitionLoad([], [], 2)).toBeUndefined()
  })
})

describe('a record without a key', () => {
  it('stays on its partition until enough bytes went there', () => {
    const snapshot = metadata(50)
    const partitioner = new StickyPartitioner('t', 100, new Random('s'))
    const first = partitioner.current(snapshot)
    expect(partitioner.produced(99, snapshot, true)).toBe(false)
    expect(partitioner.current(snapshot)).toBe(first)
    expect(partitioner.produced(1, snapshot, true)).toBe(true)
  })

  it('does not leave a batch half full, up to twice the size', () => {
    const snapshot = metadata(50)
    const partitioner = new StickyPartitioner('t', 100, new Random('s'))
    partitioner.current(snapshot)
    expect(partitioner.produced(150, snapshot, false)).toBe(false)
    expect(partitioner.produced(49, snapshot, false)).toBe(false)
    expect(partitioner.produced(1, snapshot, false)).toBe(true)
  })

  it('goes to partitions that have a leader', () => {
    const drawn = draw(new StickyPartitioner('t', 1, new Random('s')), metadata(4, [0, 2]), 200)
    expect(new Set(drawn)).toEqual(new Set([1, 3]))
  })

  it('goes anywhere when no partition has a leader', () => {
    const drawn = draw(new StickyPartitioner('t', 1, new Random('s')), metadata(3, [0, 1, 2]), 200)
    expect(new Set(drawn)).toEqual(new Set([0, 1, 2]))
  })

  it('goes to partitions in proportion to their shares', () => {
    // BuiltInPartitionerTest: queues 5 0 3 0 1 give shares 1 6 3 6 5.
    const snapshot = metadata(5)
    const partitioner = new StickyPartitioner('t', 1, new Random('s'))
    partitioner.updateLoad(partitionLoad([5, 0, 3, 0, 1], [0, 1, 2, 3, 4], 5))
    const drawn = draw(partitioner, snapshot, 21_000)
    const counts = [0, 1, 2, 3, 4].map((index) => drawn.filter((partition) => partition === index).length)
    const shares = [1, 6, 3, 6, 5]
    counts.forEach((count, index) => expect(Math.abs(count / 1000 - (shares[index] as number))).toBeLessThan(0.25))
  })
})
