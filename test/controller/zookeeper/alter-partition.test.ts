/** What leaders and brokers ask of the controller: ISR changes and producer ids (ControllerIntegrationTest of Kafka 3.9). */

import { describe, expect, it } from 'vitest'
import type { Apis } from '../../../sim/wire/apis.js'
import { Errors } from '../../../sim/wire/errors.js'
import { alterIsr as alter, ControllerLab } from './controller-lab.js'

const lab = (ids: readonly number[] = [1, 2, 3]): ControllerLab => new ControllerLab().start(ids)
const withTopic = (): ControllerLab => lab().topic('t', { 0: [1, 2, 3] })

describe('AlterPartition', () => {
  const ask = (cluster: ControllerLab, request: Apis['AlterPartition']['request']): [number, number[]] => {
    let answer: [number, number[]] = [-1, []]
    cluster.controller.alterPartition(request, 3, ({ errorCode, topics }) => {
      answer = [errorCode, topics.flatMap(({ partitions }) => partitions.map((one) => one.errorCode))]
    })
    cluster.run()
    return answer
  }
  const epoch = (cluster: ControllerLab, id = 1): number => cluster.broker(id).brokerEpoch

  it('writes the ISR over the version that it names', () => {
    const cluster = withTopic()
    expect(ask(cluster, alter([1, 2], 0, 0, epoch(cluster)))).toEqual([Errors.NONE, [Errors.NONE]])
    expect(cluster.state()).toBe('1 e0 [1,2] v1')
  })

  it.each<[string, number, (cluster: ControllerLab) => Apis['AlterPartition']['request']]>([
    [
      'of an unknown topic',
      Errors.UNKNOWN_TOPIC_ID,
      (cluster) => alter([1], 0, 0, epoch(cluster), 1, 'no-such-topic-AAAAAAAA'),
    ],
    ['of a newer leader epoch', Errors.NOT_CONTROLLER, (cluster) => alter([1, 2], 1, 0, epoch(cluster))],
    ['of a newer partition epoch', Errors.NOT_CONTROLLER, (cluster) => alter([1, 2], 0, 1, epoch(cluster))],
    ['of an older leader epoch', Errors.FENCED_LEADER_EPOCH, (cluster) => alter([1, 2], -1, 0, epoch(cluster))],
    ['of what is so already', Errors.NONE, (cluster) => alter([1, 2, 3], 0, 0, epoch(cluster))],
    [
      'of what is so already, by an older partition epoch',
      Errors.NONE,
      (cluster) => alter([1, 2, 3], 0, -1, epoch(cluster)),
    ],
    ['of an older partition epoch', Errors.INVALID_UPDATE_VERSION, (cluster) => alter([1, 2], 0, -1, epoch(cluster))],
    ['with a member that is down', Errors.INELIGIBLE_REPLICA, (cluster) => alter([1, 2, 9], 0, 0, epoch(cluster))],
  ])('%s', (_, error, request) => {
    const cluster = withTopic()
    expect(ask(cluster, request(cluster))).toEqual([Errors.NONE, [error]])
    expect(cluster.state()).toBe('1 e0 [1,2,3] v0')
  })

  it('back to recovering is invalid', () => {
    const cluster = withTopic()
    const request = alter([1], 0, 0, epoch(cluster))
    const [topic] = request.topics
    const partitions = topic?.partitions.map((one) => ({ ...one, leaderRecoveryState: 1 })) ?? []
    expect(ask(cluster, { ...request, topics: [{ topicId: topic?.topicId ?? '', partitions }] })).toEqual([
      0,
      [Errors.INVALID_REQUEST],
    ])
  })

  it('of another broker epoch, or of a broker that is not there, is refused', () => {
    const cluster = withTopic()
    expect(ask(cluster, alter([1], 0, 0, epoch(cluster) - 1))).toEqual([Errors.STALE_BROKER_EPOCH, []])
    expect(ask(cluster, alter([1], 0, 0, 1, 9))).toEqual([Errors.STALE_BROKER_EPOCH, []])
  })

  it('over another version in ZooKeeper is an old update', () => {
    const cluster = withTopic()
    const path = '/brokers/topics/t/partitions/0/state'
    cluster.ensemble.put(path, cluster.ensemble.text(path))
    expect(ask(cluster, alter([1, 2], 0, 0, epoch(cluster)))).toEqual([0, [Errors.INVALID_UPDATE_VERSION]])
  })
})

describe('producer ids', () => {
  const allocate = (cluster: ControllerLab, id = 1, epoch = cluster.broker(1).brokerEpoch): unknown => {
    let answer: unknown
    cluster.controller.allocateProducerIds({ brokerId: id, brokerEpoch: epoch }, (response) => (answer = response))
    cluster.run()
    return answer
  }

  it('come in blocks of a thousand, each once', () => {
    const cluster = lab([1])
    expect(allocate(cluster)).toMatchObject({ errorCode: 0, producerIdStart: 0, producerIdLen: 1_000 })
    expect(allocate(cluster)).toMatchObject({ errorCode: 0, producerIdStart: 1_000, producerIdLen: 1_000 })
    const block = { version: 1, broker: 1, block_start: '1000', block_end: '1999' }
    expect(cluster.ensemble.json('/latest_producer_id_block')).toEqual(block)
  })

  it('are for brokers that are registered', () => {
    const cluster = lab([1])
    expect(allocate(cluster, 7)).toMatchObject({ errorCode: Errors.BROKER_ID_NOT_REGISTERED })
    expect(allocate(cluster, 1, 0)).toMatchObject({ errorCode: Errors.STALE_BROKER_EPOCH })
  })
})
