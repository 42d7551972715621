import { describe, expect, it } from 'vitest'
import { MetadataCache } from '../../../sim/broker/metadata-cache.js'
import { Random } from '../../../sim/kernel/random.js'
import type { MetadataRecord } from '../../../sim/kraft/metadata/records.js'
import { Errors } from '../../../sim/wire/errors.js'
import { broker, imageOf, ORDERS_ID, partition, topic } from './images.js'

function cache(...records: MetadataRecord[]): MetadataCache {
  const made = new MetadataCache(new Random('cache'))
  made.setImage(imageOf(records))
  return made
}

const ALL_UP = [broker(1), broker(2), broker(3), topic('orders')]
const all = (): number => 0

describe('a partition in a Metadata response', () => {
  it('has its leader, epoch, replicas and ISR', () => {
    const orders = cache(...ALL_UP, partition(0, { isr: [1, 3] })).topicMetadata('orders')
    expect(orders).toMatchObject({ errorCode: Errors.NONE, name: 'orders', topicId: ORDERS_ID, isInternal: false })
    expect(orders?.partitions).toEqual([
      {
        errorCode: Errors.NONE,
        partitionIndex: 0,
        leaderId: 1,
        leaderEpoch: 5,
        replicaNodes: [1, 2, 3],
        isrNodes: [1, 3],
        offlineReplicas: [],
      },
    ])
  })

  it('has LEADER_NOT_AVAILABLE and leader -1 when there is no leader', () => {
    const orders = cache(...ALL_UP, partition(0, { leader: -1, isr: [] })).topicMetadata('orders')
    expect(orders?.partitions[0]).toMatchObject({
      errorCode: Errors.LEADER_NOT_AVAILABLE,
      leaderId: -1,
      leaderEpoch: 5,
    })
  })

  it('has LEADER_NOT_AVAILABLE when the leader is not registered', () => {
    const orders = cache(broker(2), topic('orders'), partition(0)).topicMetadata('orders')
    expect(orders?.partitions[0]).toMatchObject({
      errorCode: Errors.LEADER_NOT_AVAILABLE,
      leaderId: -1,
      offlineReplicas: [1, 3],
    })
  })

  it('still names a leader that is fenced, as an offline replica', () => {
    const orders = cache(broker(1, true), broker(2), broker(3), topic('orders'), partition(0)).topicMetadata('orders')
    expect(orders?.partitions[0]).toMatchObject({ errorCode: Errors.NONE, leaderId: 1, offlineReplicas: [1] })
  })

  it('counts a replica in a directory that its broker does not have as offline', () => {
    const directories = ['W_3YLFT3Rfmd8Q8RvQYpgw', 'AAAAAAAAAAAAAAAAAAAAAg', 'AAAAAAAAAAAAAAAAAAAAAQ']
    const orders = cache(...ALL_UP, partition(0, { directories })).topicMetadata('orders')
    expect(orders?.partitions[0]?.offlineReplicas).toEqual([2])
  })

  it('is of an internal topic when its name is one of Kafka', () => {
    const made = cache(...ALL_UP.slice(0, 3), topic('__consumer_offsets'), partition(0))
    expect(made.topicMetadata('__consumer_offsets')?.isInternal).toBe(true)
  })
})

describe('the brokers of a cluster', () => {
  it('are alive when they are not fenced', () => {
    const made = cache(broker(3), broker(1), broker(2, true, 'r2'))
    expect(made.aliveBrokers().map((one) => one.id)).toEqual([1, 3])
    expect(made.brokers().map((one) => one.id)).toEqual([1, 2, 3])
    expect(made.aliveBroker(2)).toBeUndefined()
  })

  it('have a random one of the living as controller, -1 when none lives', () => {
    const made = cache(broker(1), broker(2, true), broker(3))
    const named = new Set(Array.from({ length: 50 }, () => made.randomAliveBrokerId()))
    expect(named).toEqual(new Set([1, 3]))
    expect(cache(broker(1, true)).randomAliveBrokerId()).toBe(-1)
  })
})

describe('DescribeTopicPartitions', () => {
  const PAYMENTS_ID = 'vKe1TnIiTCSMPzVLrnVVTg'
  const two = cache(
    ...ALL_UP,
    partition(0, { elr: [2] }),
    partition(1),
    partition(2),
    topic('payments', PAYMENTS_ID),
    partition(0, {}, PAYMENTS_ID),
    partition(1, {}, PAYMENTS_ID),
  )

  it('shows the eligible leader replicas', () => {
    const { topics } = two.describeTopics(['orders'], all, 100, false)
    expect(topics[0]?.partitions[0]).toMatchObject({ eligibleLeaderReplicas: [2], lastKnownElr: [] })
  })

  it('stops at the limit within a topic, with a cursor to the next partition', () => {
    const page = two.describeTopics(['orders', 'payments'], all, 2, false)
    expect(page.topics.map((one) => [one.name, one.partitions.length])).toEqual([['orders', 2]])
    expect(page.nextCursor).toEqual({ topicName: 'orders', partitionIndex: 2 })
  })

  it('stops between two topics, with a cursor to the first partition of the next', () => {
    const page = two.describeTopics(['orders', 'payments'], all, 3, false)
    expect(page.topics.map((one) => [one.name, one.partitions.length])).toEqual([['orders', 3]])
    expect(page.nextCursor).toEqual({ topicName: 'payments', partitionIndex: 0 })
  })

  it('goes on where a cursor stands and has no cursor at the end', () => {
    const page = two.describeTopics(['orders', 'payments'], (name) => (name === 'orders' ? 2 : 0), 10, false)
    expect(page.topics.map((one) => one.partitions.map((p) => p.partitionIndex))).toEqual([[2], [0, 1]])
    expect(page.nextCursor).toBeNull()
  })

  it('answers unknown topics with their error, unless it was asked for all', () => {
    const asked = two.describeTopics(['nothing', 'no/name'], all, 10, false)
    expect(asked.topics.map((one) => one.errorCode)).toEqual([
      Errors.UNKNOWN_TOPIC_OR_PARTITION,
      Errors.INVALID_TOPIC_EXCEPTION,
    ])
    expect(two.describeTopics(['nothing'], all, 10, true).topics).toEqual([])
  })
})
