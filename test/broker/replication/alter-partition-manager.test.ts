import { describe, expect, it } from 'vitest'
import {
  type AlterPartitionExchange,
  AlterPartitionManager,
  type TopicIdPartition,
} from '../../../sim/broker/alter-partition-manager.js'
import type { AlterPartitionResult, LeaderAndIsr } from '../../../sim/broker/isr-state.js'
import { Engine } from '../../../sim/kernel/engine.js'
import type { Env } from '../../../sim/kernel/env.js'
import { millis } from '../../../sim/kernel/units.js'
import { type ErrorCode, Errors } from '../../../sim/wire/errors.js'
import type { AlterPartitionRequest } from '../../../sim/wire/messages/alter-partition.js'
import { World } from '../../../sim/world/world.js'

const ID = 'topicAtopicAtopicAtopA'
const tp0: TopicIdPartition = { topic: 'a', topicId: ID, index: 0 }
const tp1: TopicIdPartition = { topic: 'a', topicId: ID, index: 1 }

function leaderAndIsr(...isr: number[]): LeaderAndIsr {
  const members = isr.map((brokerId) => ({ brokerId, brokerEpoch: 100 + brokerId }))
  return { leader: 1, leaderEpoch: 1, isr: members, leaderRecoveryState: 0, partitionEpoch: 10 }
}

function makeManager() {
  const engine = new Engine('1')
  const world = new World(engine)
  let env: Env | undefined
  world.addNode('b1', (given) => {
    env = given
    return { stop: (done) => done() }
  })
  world.start('b1')
  const sent: { body: AlterPartitionRequest; done: (result: AlterPartitionExchange) => void }[] = []
  const lab = { epoch: 101, engine, sent, results: [] as [number, AlterPartitionResult][], manager: undefined as never }
  const manager = new AlterPartitionManager(env as Env, {
    brokerId: 1,
    brokerEpoch: () => lab.epoch,
    send: (body, done) => void sent.push({ body, done }),
  })
  const submit = (partition: TopicIdPartition, change: LeaderAndIsr): void =>
    manager.submit(partition, change, (result) => lab.results.push([partition.index, result]))
  /** Answers request number `at`: an error for each partition by index; partitions not named are left out. */
  const answer = (at: number, errors: Record<number, ErrorCode>, top: ErrorCode = Errors.NONE): void => {
    const partitions = Object.entries(errors).map(([index, errorCode]) => ({
      partitionIndex: Number(index),
      errorCode,
      leaderId: 1,
      leaderEpoch: 1,
      isr: [1],
      leaderRecoveryState: 0,
      partitionEpoch: 11,
    }))
    const topics = top === Errors.NONE ? [{ topicId: ID, partitions }] : []
    sent[at]?.done({ ok: true, response: { throttleTimeMs: 0, errorCode: top, topics } })
  }
  const indexes = (at: number): number[] =>
    sent[at]?.body.topics.flatMap((topic) => topic.partitions.map((partition) => partition.partitionIndex)) ?? []
  return { ...lab, manager, submit, answer, indexes, lab }
}

// AlterPartitionManagerTest
describe('the alter partition manager', () => {
  it('sends the ISR with broker epochs, and the broker epoch of now', () => {
    const { sent, submit } = makeManager()
    submit(tp0, leaderAndIsr(1, 2))
    expect(sent).toHaveLength(1)
    expect(sent[0]?.body).toEqual({
      brokerId: 1,
      brokerEpoch: 101,
      topics: [
        {
          topicId: ID,
          partitions: [
            {
              partitionIndex: 0,
              leaderEpoch: 1,
              newIsr: [],
              newIsrWithEpochs: [
                { brokerId: 1, brokerEpoch: 101 },
                { brokerId: 2, brokerEpoch: 102 },
              ],
              leaderRecoveryState: 0,
              partitionEpoch: 10,
            },
          ],
        },
      ],
    })
  })

  it('refuses a second change of a partition while the first is under way', () => {
    const { results, submit, sent } = makeManager()
    submit(tp0, leaderAndIsr(1, 2))
    submit(tp0, leaderAndIsr(1))
    expect(results).toEqual([[0, { ok: false, error: Errors.OPERATION_NOT_ATTEMPTED }]])
    expect(sent).toHaveLength(1)
  })

  it('has one request in flight, and sends what came meanwhile together', () => {
    const { sent, submit, answer, indexes } = makeManager()
    submit(tp0, leaderAndIsr(1))
    submit(tp1, leaderAndIsr(1))
    submit({ ...tp1, index: 2 }, leaderAndIsr(1))
    expect(sent).toHaveLength(1)
    answer(0, { 0: Errors.NONE })
    expect(indexes(1)).toEqual([1, 2])
  })

  it('takes a new change of the partition from within the callback', () => {
    const { manager, sent, answer, indexes } = makeManager()
    manager.submit(tp0, leaderAndIsr(1), () => manager.submit(tp0, leaderAndIsr(1, 2), () => undefined))
    answer(0, { 0: Errors.NONE })
    expect(sent).toHaveLength(2)
    expect(indexes(1)).toEqual([0])
  })

  it.each(['STALE_BROKER_EPOCH', 'CLUSTER_AUTHORIZATION_FAILED', 'UNKNOWN_SERVER_ERROR'] as const)(
    'tries again 50 ms after a top-level %s, with the broker epoch of then',
    (error) => {
      const { lab, engine, sent, submit, answer, results } = makeManager()
      submit(tp0, leaderAndIsr(1))
      answer(0, {}, Errors[error])
      lab.epoch = 202
      engine.run(millis(49))
      expect(sent).toHaveLength(1)
      engine.run(millis(50))
      expect(sent).toHaveLength(2)
      expect(sent[1]?.body.brokerEpoch).toBe(202)
      answer(1, { 0: Errors.NONE })
      expect(results.map(([index, result]) => [index, result.ok])).toEqual([[0, true]])
    },
  )

  it.each([
    'INVALID_UPDATE_VERSION',
    'UNKNOWN_TOPIC_OR_PARTITION',
    'NOT_LEADER_OR_FOLLOWER',
    'INVALID_REQUEST',
  ] as const)('hands %s of a partition to whoever asked, and takes another change then', (error) => {
    const { sent, submit, answer, results } = makeManager()
    submit(tp0, leaderAndIsr(1))
    answer(0, { 0: Errors[error] })
    expect(results).toEqual([[0, { ok: false, error: Errors[error] }]])
    submit(tp0, leaderAndIsr(1, 2))
    expect(sent).toHaveLength(2)
  })

  it('sends a partition again that an answer leaves out', () => {
    const { sent, submit, answer, indexes, results } = makeManager()
    submit(tp0, leaderAndIsr(1))
    answer(0, {})
    expect(sent).toHaveLength(2)
    expect(indexes(1)).toEqual([0])
    answer(1, { 0: Errors.NONE })
    expect(results).toHaveLength(1)
  })
})
