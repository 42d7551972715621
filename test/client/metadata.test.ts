/** Cases of Kafka's MetadataTest and ProducerMetadataTest. */

import { describe, expect, it } from 'vitest'
import { ClientMetadata } from '../../sim/client/client-metadata.js'
import { ConsumerTopics } from '../../sim/client/consumer-topics.js'
import { Subscription } from '../../sim/client/subscription.js'
import { ProducerTopics } from '../../sim/client/topic-interest.js'
import { Random } from '../../sim/kernel/random.js'
import type { Apis } from '../../sim/wire/apis.js'
import { Errors } from '../../sim/wire/errors.js'
import { ZERO_UUID } from '../../sim/wire/uuid.js'
import { must } from './lab.js'

type Response = Apis['Metadata']['response']

const TIMES = { retryBackoffMs: 100, retryBackoffMaxMs: 1_000, maxAgeMs: 300_000 }
const ID_1 = 'AAAAAAAAAAAAAAAAAAAAAw'
const ID_2 = 'AAAAAAAAAAAAAAAAAAAABA'

interface TopicAnswer {
  readonly id?: string
  readonly error?: number
  /** [leader, leader epoch] of each partition. */
  readonly partitions?: readonly (readonly [leader: number, epoch: number])[]
}

function answer(topics: Readonly<Record<string, TopicAnswer>>, brokers: readonly number[] = [1, 2]): Response {
  return {
    throttleTimeMs: 0,
    brokers: brokers.map((nodeId) => ({ nodeId, host: `b${nodeId}`, port: 9092, rack: null })),
    clusterId: 'c',
    controllerId: 1,
    topics: Object.entries(topics).map(([name, { id = ZERO_UUID, error = 0, partitions = [] }]) => ({
      errorCode: error,
      name,
      topicId: id,
      isInternal: false,
      topicAuthorizedOperations: 0,
      partitions: partitions.map(([leaderId, leaderEpoch], partitionIndex) => ({
        errorCode: 0,
        partitionIndex,
        leaderId,
        leaderEpoch,
        replicaNodes: [1, 2],
        isrNodes: [1, 2],
        offlineReplicas: [],
      })),
    })),
    clusterAuthorizedOperations: 0,
    errorCode: 0,
  }
}

function known(topics: readonly string[] = ['t']): {
  metadata: ClientMetadata
  take(response: Response, nowMs?: number): void
} {
  const subscription = new Subscription()
  subscription.subscribe(topics, {})
  const interest = new ConsumerTopics(subscription, true, true)
  const metadata = new ClientMetadata(['b1'], interest, TIMES, new Random('m'))
  return {
    metadata,
    take: (response, nowMs = 1_000_000) => metadata.update(metadata.prepareRequest(nowMs), response, nowMs),
  }
}

describe('metadata', () => {
  it('is due at once after the start', () => {
    expect(known().metadata.timeToNextUpdate(1_000_000)).toBe(0)
    expect(known().metadata.snapshot.nodeList).toEqual([{ id: -1, host: 'b1' }])
  })

  it('that was fetched is due again after its maximum age', () => {
    const { metadata, take } = known()
    take(answer({ t: { partitions: [[1, 0]] } }), 1_000_000)
    expect(metadata.timeToNextUpdate(1_000_000)).toBe(300_000)
    expect(metadata.timeToNextUpdate(1_250_000)).toBe(50_000)
    expect(metadata.timeToNextUpdate(1_300_000)).toBe(0)
  })

  it('that is asked for is due after the backoff since the last attempt', () => {
    const { metadata, take } = known()
    take(answer({ t: { partitions: [[1, 0]] } }), 1_000_000)
    metadata.requestUpdate()
    const wait = metadata.timeToNextUpdate(1_000_000)
    expect(wait).toBeGreaterThanOrEqual(80)
    expect(wait).toBeLessThanOrEqual(120)
    expect(metadata.timeToNextUpdate(1_000_120)).toBe(0)
  })

  it('backs off further with every failure', () => {
    const { metadata } = known()
    const waits: number[] = []
    for (let i = 0; i < 6; i++) {
      metadata.failedUpdate(1_000_000)
      waits.push(metadata.timeToNextUpdate(1_000_000))
    }
    const expected = [100, 200, 400, 800, 1_000, 1_000]
    waits.forEach((wait, i) => {
      expect(wait).toBeGreaterThanOrEqual(must(expected[i]) * 0.8)
      expect(wait).toBeLessThanOrEqual(Math.min(must(expected[i]) * 1.2, 1_000))
    })
  })

  it('backs off further while answers bring no newer epoch, until one does', () => {
    const { metadata, take } = known()
    const wait = (epoch: number): number => {
      take(answer({ t: { partitions: [[1, epoch]] } }), 1_000_000)
      metadata.requestUpdate()
      return metadata.timeToNextUpdate(1_000_000)
    }
    wait(0)
    for (const least of [80, 160, 320, 640, 800]) expect(wait(0)).toBeGreaterThanOrEqual(least)
    expect(wait(1)).toBeLessThanOrEqual(120)
  })

  it('gives the same wait however often it is asked', () => {
    const { metadata } = known()
    metadata.failedUpdate(1_000_000)
    const first = metadata.timeToNextUpdate(1_000_000)
    expect([1, 2, 3].map(() => metadata.timeToNextUpdate(1_000_000))).toEqual([first, first, first])
  })
})

describe('a leader epoch', () => {
  it('older than the last seen one is not believed', () => {
    const { metadata, take } = known()
    take(answer({ t: { partitions: [[1, 100]] } }))
    take(answer({ t: { partitions: [[2, 99]] } }))
    expect(metadata.snapshot.partition('t', 0)).toMatchObject({ leader: 1, leaderEpoch: 100 })
    take(answer({ t: { partitions: [[2, 101]] } }))
    expect(metadata.snapshot.partition('t', 0)).toMatchObject({ leader: 2, leaderEpoch: 101 })
  })

  it('equal to the last seen one is', () => {
    const { metadata, take } = known()
    take(answer({ t: { partitions: [[1, 100]] } }))
    take(answer({ t: { partitions: [[2, 100]] } }))
    expect(metadata.snapshot.partition('t', 0)?.leader).toBe(2)
  })

  it('starts again with another topic id', () => {
    const { metadata, take } = known()
    take(answer({ t: { id: ID_1, partitions: [[1, 100]] } }))
    take(answer({ t: { id: ID_1, partitions: [[2, 10]] } }))
    expect(metadata.lastSeenLeaderEpoch('t-0')).toBe(100)
    take(answer({ t: { id: ID_2, partitions: [[2, 3]] } }))
    expect(metadata.lastSeenLeaderEpoch('t-0')).toBe(3)
    expect(metadata.snapshot.topicName(ID_2)).toBe('t')
  })

  it('seen elsewhere makes what is known out of date', () => {
    const { metadata, take } = known()
    take(answer({ t: { partitions: [[1, 10]] } }))
    expect(metadata.currentLeader('t', 0)).toEqual({ leader: { id: 1, host: 'b1' }, epoch: 10 })
    metadata.sawLeaderEpoch('t-0', 12)
    expect(metadata.updateRequested).toBe(true)
    expect(metadata.currentLeader('t', 0)).toEqual({ leader: undefined, epoch: 12 })
    take(answer({ t: { partitions: [[1, 11]] } }))
    expect(metadata.currentLeader('t', 0)).toEqual({ leader: undefined, epoch: 12 })
    take(answer({ t: { partitions: [[2, 12]] } }))
    expect(metadata.currentLeader('t', 0)).toEqual({ leader: { id: 2, host: 'b2' }, epoch: 12 })
  })

  it('of a partition never heard of is not taken from elsewhere', () => {
    const { metadata, take } = known()
    take(answer({ t: { partitions: [[1, 10]] } }))
    metadata.sawLeaderEpoch('t-7', 3)
    expect([metadata.lastSeenLeaderEpoch('t-7'), metadata.updateRequested]).toEqual([-1, false])
  })
})

describe('a leader named by an error (KIP-951)', () => {
  const change = (leaderId: number, leaderEpoch: number, index = 0) => [{ topic: 't', index, leaderId, leaderEpoch }]

  it('is taken when its epoch is newer, with its address', () => {
    const { metadata, take } = known()
    take(answer({ t: { partitions: [[1, 5]] } }))
    expect(metadata.updateLeaders(change(9, 6), [{ nodeId: 9, host: 'b9' }])).toHaveLength(1)
    expect(metadata.currentLeader('t', 0)).toEqual({ leader: { id: 9, host: 'b9' }, epoch: 6 })
    expect(metadata.snapshot.nodes.size).toBe(3)
  })

  it('is not taken when it is not newer, has no address, or is of an unknown partition', () => {
    const { metadata, take } = known()
    take(answer({ t: { partitions: [[1, 5]] } }))
    expect(metadata.updateLeaders(change(2, 5), [])).toEqual([])
    expect(metadata.updateLeaders(change(9, 6), [])).toEqual([])
    expect(metadata.updateLeaders(change(2, 6, 3), [])).toEqual([])
    expect(metadata.currentLeader('t', 0).leader?.id).toBe(1)
  })
})

describe('an error of a topic', () => {
  it('about stale metadata asks for another update', () => {
    const { metadata, take } = known()
    take(answer({ t: { error: Errors.LEADER_NOT_AVAILABLE } }))
    expect(metadata.updateRequested).toBe(true)
  })

  it('about its name is remembered', () => {
    const { metadata, take } = known()
    take(answer({ t: { error: Errors.INVALID_TOPIC_EXCEPTION } }))
    expect([...metadata.snapshot.invalidTopics]).toEqual(['t'])
    expect(metadata.updateRequested).toBe(false)
  })
})

describe('a leader whose node is not listed', () => {
  it('counts as no leader', () => {
    const { metadata, take } = known()
    take(
      answer({
        t: {
          partitions: [
            [7, 0],
            [1, 0],
          ],
        },
      }),
    )
    expect(metadata.snapshot.availableOf('t').map(({ index }) => index)).toEqual([1])
    expect(metadata.currentLeader('t', 0).leader).toBeUndefined()
    expect(metadata.snapshot.ledBy(1).map(({ name }) => name)).toEqual(['t-1'])
  })
})

describe("a producer's topics", () => {
  function producer() {
    const topics = new ProducerTopics(300_000)
    const metadata = new ClientMetadata(['b1'], topics, TIMES, new Random('m'))
    return { topics, metadata }
  }

  it('that are new are asked for alone and at once, and merged', () => {
    const { topics, metadata } = producer()
    topics.use('a', 1_000_000)
    metadata.update(metadata.prepareRequest(1_000_000), answer({ a: { id: ID_1, partitions: [[1, 0]] } }), 1_000_000)
    topics.use('b', 1_000_010)
    metadata.requestUpdateForNewTopics()
    expect(metadata.timeToNextUpdate(1_000_010)).toBe(0)
    const request = metadata.prepareRequest(1_000_010)
    expect(request.isPartial).toBe(true)
    expect(request.body.topics?.map((topic) => topic.name)).toEqual(['b'])
    metadata.update(request, answer({ b: { id: ID_2, partitions: [[2, 0]] } }), 1_000_011)
    expect([...metadata.snapshot.topics.keys()].sort()).toEqual(['a', 'b'])
    expect(metadata.timeToNextUpdate(1_000_011)).toBe(299_989)
  })

  it('that became new while a request was under way are asked for next', () => {
    const { topics, metadata } = producer()
    topics.use('a', 1_000_000)
    const request = metadata.prepareRequest(1_000_000)
    topics.use('b', 1_000_001)
    metadata.requestUpdateForNewTopics()
    metadata.update(request, answer({ a: { partitions: [[1, 0]] } }), 1_000_002)
    expect(metadata.updateRequested).toBe(true)
    expect(metadata.prepareRequest(1_000_200).body.topics?.map((topic) => topic.name)).toEqual(['b'])
  })

  it('are forgotten when they were not used for long', () => {
    const { topics, metadata } = producer()
    topics.use('a', 0)
    metadata.update(metadata.prepareRequest(0), answer({ a: { partitions: [[1, 0]] } }), 10)
    metadata.update(metadata.prepareRequest(299_999), answer({ a: { partitions: [[1, 0]] } }), 299_999)
    expect(metadata.snapshot.partitionsOf('a')).toHaveLength(1)
    metadata.update(metadata.prepareRequest(600_000), answer({ a: { partitions: [[1, 0]] } }), 600_000)
    expect(metadata.snapshot.partitionsOf('a')).toHaveLength(0)
    expect(topics.topics()).toEqual([])
  })
})
