/** ISR changes by compare-and-set, before 2.7 (ZkAlterPartitionManager, ReplicationUtils of Kafka 3.9). */

import { beforeEach, describe, expect, it } from 'vitest'
import type { AlterPartitionResult } from '../../../sim/broker/isr-state.js'
import { ZkIsrChanges } from '../../../sim/broker/zookeeper/zk-isr-changes.js'
import { Errors } from '../../../sim/wire/errors.js'
import { KafkaZkClient } from '../../../sim/zookeeper/kafka/kafka-zk-client.js'
import { Path } from '../../../sim/zookeeper/kafka/znodes.js'
import { FakeEnsemble, type FakeSession } from '../../controller/zookeeper/fake-ensemble.js'
import { FakeNode } from '../shell/fake-env.js'

const STATE = Path.state('t', 0)
const PARTITION = { topic: 't', topicId: 'topic-t-AAAAAAAAAAAAAA', index: 0 }

let node: FakeNode
let ensemble: FakeEnsemble
let session: FakeSession
let changes: ZkIsrChanges

beforeEach(() => {
  node = new FakeNode()
  ensemble = new FakeEnsemble()
  ensemble.put('/isr_change_notification', null)
  ensemble.put(STATE, { version: 1, leader: 1, leader_epoch: 4, controller_epoch: 2, isr: [1, 2, 3] })
  const zk = new KafkaZkClient({ connect: (listener) => (session = ensemble.connect(node.env, listener)) })
  changes = new ZkIsrChanges(node.env, { zk, decidedBy: () => 2 })
  node.run(1)
})

function submit(isr: readonly number[], partitionEpoch = 0): AlterPartitionResult[] {
  const results: AlterPartitionResult[] = []
  const members = isr.map((brokerId) => ({ brokerId, brokerEpoch: -1 }))
  const wanted = { leader: 1, leaderEpoch: 4, isr: members, leaderRecoveryState: 0, partitionEpoch } as const
  changes.submit(PARTITION, wanted, (result) => results.push(result))
  node.run(1)
  return results
}

const told = (): string[] => ensemble.children('/isr_change_notification')

describe('an ISR change', () => {
  it('is written over the version that the leader knows, with the epoch of the controller that made it leader', () => {
    expect(submit([1, 2])).toEqual([
      { ok: true, leader: 1, leaderEpoch: 4, isr: [1, 2], leaderRecoveryState: 0, partitionEpoch: 1 },
    ])
    expect(ensemble.json(STATE)).toEqual({ version: 1, leader: 1, leader_epoch: 4, controller_epoch: 2, isr: [1, 2] })
  })

  it('over another version fails, and nothing is written', () => {
    ensemble.put(STATE, { version: 1, leader: 2, leader_epoch: 5, controller_epoch: 3, isr: [2, 3] })
    expect(submit([1, 2])).toEqual([{ ok: false, error: Errors.INVALID_UPDATE_VERSION }])
    expect(ensemble.json(STATE)).toMatchObject({ leader: 2 })
  })

  it('that was written by an earlier try has succeeded', () => {
    ensemble.put(STATE, { version: 1, leader: 1, leader_epoch: 4, controller_epoch: 2, isr: [1, 2] })
    expect(submit([1, 2])).toMatchObject([{ ok: true, partitionEpoch: 1 }])
  })

  it('of a partition that is gone fails', () => {
    ensemble.remove(STATE)
    expect(submit([1, 2])).toEqual([{ ok: false, error: Errors.INVALID_UPDATE_VERSION }])
  })

  it('waits while there is no ZooKeeper', () => {
    session.disconnect()
    const results = submit([1, 2])
    node.run(60_000)
    expect(results).toEqual([])
    session.open()
    node.run(1)
    expect(results).toHaveLength(1)
  })
})

describe('the controller', () => {
  it('is told once nothing has changed for five seconds', () => {
    submit([1, 2])
    node.run(4_900)
    expect(told()).toEqual([])
    node.run(2_700)
    expect(told()).toEqual(['isr_change_0000000000'])
    const text = ensemble.json('/isr_change_notification/isr_change_0000000000')
    expect(text).toEqual({ version: 1, partitions: [{ topic: 't', partition: 0 }] })
  })

  it('is told after a minute, whatever goes on changing', () => {
    for (let version = 0; version < 31; version++) {
      submit(version % 2 === 0 ? [1, 2] : [1, 2, 3], version)
      node.run(1_999)
    }
    node.run(1_000)
    expect(told()).toHaveLength(1)
  })

  it('is told of no change that failed', () => {
    submit([1, 2], 9)
    node.run(20_000)
    expect(told()).toEqual([])
  })
})
