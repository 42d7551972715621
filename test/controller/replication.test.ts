/** Partitions under fencing, shutdown, ISR changes, elections and reassignment. Cases of Kafka's ReplicationControlManagerTest. */

import { describe, expect, it } from 'vitest'
import { balanceLeaders, electUncleanLeaders } from '../../sim/controller/leader-elections.js'
import { fenceOneStaleBroker, unregisterBroker } from '../../sim/controller/broker-transitions.js'
import { deleteTopics } from '../../sim/controller/topic-creation.js'
import { listPartitionReassignments } from '../../sim/controller/reassignment-control.js'
import { RESOURCE_BROKER, RESOURCE_TOPIC } from '../../sim/kraft/metadata/records.js'
import { directoryOf, StateLab } from './state-lab.js'

function lab(brokers: readonly number[], options: ConstructorParameters<typeof StateLab>[0] = {}): StateLab {
  const made = new StateLab(options)
  made.start(...brokers)
  return made
}

describe('fencing', () => {
  it('takes a broker out of every ISR and hands its leadership to the next live in-sync replica', () => {
    const l = lab([0, 1, 2, 3, 4], { elr: false })
    l.create('foo', [
      [1, 2, 3],
      [2, 3, 4],
      [0, 2, 1],
    ])
    l.fence(2, 3)
    expect(l.show('foo-0')).toBe('leader 1 isr 1')
    expect(l.show('foo-1')).toBe('leader 4 isr 4')
    expect(l.show('foo-2')).toBe('leader 0 isr 0,1')
  })

  it('leaves a partition without a leader when the last in-sync replica goes, keeping it in the ISR without ELR', () => {
    const l = lab([1, 2, 3], { elr: false })
    l.create('foo', [[1, 2, 3]])
    l.fence(2, 3)
    expect(l.show('foo-0')).toBe('leader 1 isr 1')
    l.fence(1)
    expect(l.show('foo-0')).toBe('leader none isr 1')
    l.unfence(2)
    expect(l.show('foo-0')).toBe('leader none isr 1')
    l.unfence(1)
    expect(l.show('foo-0')).toBe('leader 1 isr 1')
    expect(l.partition('foo-0').leaderEpoch).toBe(2)
  })

  it('happens one broker at a time to those whose session has expired', () => {
    const l = lab([1, 2, 3], { elr: false })
    l.create('foo', [[1, 2, 3]])
    l.nowMs = 5_000
    l.heartbeat(3)
    l.nowMs = 9_000
    expect(l.decide(fenceOneStaleBroker(l.state))).toBe(false)
    l.nowMs = 9_001
    expect(l.decide(fenceOneStaleBroker(l.state))).toBe(true)
    expect(l.show('foo-0')).toBe('leader 2 isr 2,3')
    expect(l.decide(fenceOneStaleBroker(l.state))).toBe(true)
    expect(l.show('foo-0')).toBe('leader 3 isr 3')
    expect(l.decide(fenceOneStaleBroker(l.state))).toBe(false)
    expect([...l.state.cluster.brokers.values()].map((broker) => broker.fenced)).toEqual([true, true, false])
  })

  it('writes partition changes first and the registration change last', () => {
    const l = lab([1, 2], { elr: false })
    l.create('foo', [[1, 2]])
    l.fence(1)
    expect(l.records.map((record) => record.type)).toEqual(['PartitionChangeRecord', 'BrokerRegistrationChangeRecord'])
    l.unfence(1)
    expect(l.records.map((record) => record.type)).toEqual(['BrokerRegistrationChangeRecord'])
  })
})

describe('eligible leader replicas', () => {
  it('gather below min.insync.replicas and go when the ISR is large enough again', () => {
    const l = lab([0, 1, 2])
    l.create('foo', [[0, 1, 2]], { 'min.insync.replicas': '2' })
    expect(l.alterIsr('foo-0', [0])).toBe('NONE')
    expect(l.show('foo-0')).toBe('leader 0 isr 0 elr 1,2')
    expect(l.alterIsr('foo-0', [0, 1])).toBe('NONE')
    expect(l.show('foo-0')).toBe('leader 0 isr 0,1')
  })

  it('include the last ISR member of a clean shutdown: the ISR may be empty', () => {
    const l = lab([0, 1, 2])
    l.create('foo', [[0, 1, 2]], { 'min.insync.replicas': '3' })
    l.fence(1, 2)
    expect(l.show('foo-0')).toBe('leader 0 isr 0 elr 1,2')
    l.restart(0, 'clean')
    expect(l.show('foo-0')).toBe('leader none isr none elr 0,1,2 last 0')
  })

  it('are only those who left while the ISR was below the minimum', () => {
    const l = lab([0, 1, 2, 3])
    l.create('foo', [[0, 1, 2, 3]], { 'min.insync.replicas': '3' })
    l.fence(2, 3)
    expect(l.show('foo-0')).toBe('leader 0 isr 0,1 elr 3')
    l.fence(1)
    expect(l.show('foo-0')).toBe('leader 0 isr 0 elr 1,3')
    l.unfence(1, 2, 3)
    expect(l.show('foo-0')).toBe('leader 0 isr 0 elr 1,3')
  })

  it('elect cleanly when nobody is in sync', () => {
    const l = lab([0, 1, 2, 3])
    l.create('foo', [[0, 1, 2, 3]], { 'min.insync.replicas': '3' })
    l.fence(1, 2, 3)
    expect(l.show('foo-0')).toBe('leader 0 isr 0 elr 2,3')
    l.unfence(2)
    l.fence(0, 1)
    expect(l.show('foo-0')).toBe('leader 2 isr 2 elr 0,3')
  })

  it('lose a member that comes back from an unclean shutdown; the last leader stays known', () => {
    const l = lab([0, 1, 2, 3])
    l.create('foo', [[0, 1, 2, 3]], { 'min.insync.replicas': '3' })
    l.fence(1, 2, 3)
    l.restart(3, 'unclean')
    expect(l.show('foo-0')).toBe('leader 0 isr 0 elr 2')
    l.restart(0, 'unclean')
    expect(l.show('foo-0')).toBe('leader none isr none elr 2 last 0')
  })

  it('count with the replication factor where min.insync.replicas is larger', () => {
    const l = lab([0, 1, 2])
    l.create('foo', [[0, 1, 2]], { 'min.insync.replicas': '5' })
    l.fence(2)
    expect(l.show('foo-0')).toBe('leader 0 isr 0,1 elr 2')
  })

  it('give way to the last known leader when everybody else is gone', () => {
    const l = lab([0, 1])
    l.create('foo', [[0, 1]], { 'min.insync.replicas': '2' })
    l.fence(1)
    expect(l.show('foo-0')).toBe('leader 0 isr 0 elr 1')
    l.restart(0, 'unclean')
    expect(l.show('foo-0')).toBe('leader none isr none elr 1 last 0')
    l.restart(1, 'unclean')
    expect(l.show('foo-0')).toBe('leader none isr none last 0')
    l.unfence(1)
    expect(l.show('foo-0')).toBe('leader none isr none last 0')
    l.unfence(0)
    expect(l.show('foo-0')).toBe('leader 0 isr 0 recovering')
  })

  it('are forgotten with their topic', () => {
    const l = lab([0, 1, 2])
    l.create('foo', [[0, 1, 2]], { 'min.insync.replicas': '2' })
    l.alterIsr('foo-0', [0])
    expect(l.state.topics.elrs.partitionsOf(1)).toHaveLength(1)
    l.decide(deleteTopics(l.state, [l.topicId('foo')]))
    expect(l.state.topics.elrs.partitionsOf(1)).toEqual([])
    expect(l.state.topics.isrs.partitionsOf(0)).toEqual([])
  })

  it.each([
    ['the topic', RESOURCE_TOPIC, 'foo', 'leader 2 isr 2', 'leader 2 isr 2 elr 1'],
    ['the cluster', RESOURCE_BROKER, '', 'leader 2 isr 2', 'leader 2 isr 2'],
  ])('are emptied when min.insync.replicas of %s is set', (_what, type, name, foo, bar) => {
    const l = lab([1, 2, 3, 4])
    l.create('foo', [[1, 2, 4]])
    l.create('bar', [[1, 2, 4]])
    l.setConfig(RESOURCE_BROKER, '', 'min.insync.replicas', '2')
    l.fence(4, 1)
    expect(l.show('foo-0')).toBe('leader 2 isr 2 elr 1')
    const { partitionEpoch, leaderEpoch } = l.partition('foo-0')
    expect(l.setConfig(type, name, 'min.insync.replicas', '3')).toBe('NONE')
    expect(l.show('foo-0')).toBe(foo)
    expect(l.show('bar-0')).toBe(bar)
    expect(l.partition('foo-0')).toMatchObject({ partitionEpoch: partitionEpoch + 1, leaderEpoch })
  })
})

describe('an unclean shutdown without ELR', () => {
  it('is handled as fencing: the last in-sync replica stays the only one who may lead', () => {
    const l = lab([0, 1], { elr: false })
    l.create('foo', [[0, 1]])
    l.fence(1)
    l.restart(0, 'unclean')
    expect(l.show('foo-0')).toBe('leader none isr 0')
    l.unfence(1)
    expect(l.show('foo-0')).toBe('leader none isr 0')
    l.unfence(0)
    expect(l.show('foo-0')).toBe('leader 0 isr 0')
  })
})

describe('controlled shutdown', () => {
  it('marks the broker and moves its leadership away', () => {
    const l = lab([0, 1, 2], { elr: false, version: '3.3' })
    l.create('foo', [[0, 1, 2]])
    const epoch = l.epoch(0)
    expect(l.heartbeat(0, { wantShutDown: true })).toEqual({
      isCaughtUp: true,
      isFenced: false,
      inControlledShutdown: true,
      shouldShutDown: false,
    })
    expect(l.records).toEqual([
      {
        type: 'BrokerRegistrationChangeRecord',
        version: 1,
        brokerId: 0,
        brokerEpoch: epoch,
        fenced: 0,
        inControlledShutdown: 1,
        logDirs: [],
      },
      expect.objectContaining({ type: 'PartitionChangeRecord', version: 0, partitionId: 0, isr: [1, 2], leader: 1 }),
    ])
  })

  it('ends when the broker leads nothing and every active broker has passed the shutdown offset', () => {
    const l = lab([0, 1, 2])
    l.create('foo', [[0, 1, 2]])
    l.heartbeat(0, { wantShutDown: true })
    const shutdownOffset = l.nextOffset - 1
    l.heartbeat(1)
    l.heartbeat(2, { offset: shutdownOffset - 1 })
    expect(l.heartbeat(0, { wantShutDown: true })).toMatchObject({ shouldShutDown: false, inControlledShutdown: true })
    l.heartbeat(2, { offset: shutdownOffset })
    expect(l.heartbeat(0, { wantShutDown: true })).toMatchObject({ shouldShutDown: true, isFenced: true })
    expect(l.state.cluster.brokers.get(0)).toMatchObject({ fenced: true, inControlledShutdown: true })
  })

  it('is immediate for a broker that leads nothing', () => {
    const l = lab([0, 1])
    expect(l.heartbeat(0, { wantShutDown: true })).toMatchObject({ shouldShutDown: true, isFenced: true })
  })

  it('leaves the last in-sync replica of a partition without a leader, and goes on', () => {
    const l = lab([0, 1], { elr: false })
    l.create('foo', [[0, 1]])
    l.fence(1)
    expect(l.heartbeat(0, { wantShutDown: true })).toMatchObject({ inControlledShutdown: true })
    expect(l.show('foo-0')).toBe('leader none isr 0')
    expect(l.heartbeat(0, { wantShutDown: true })).toMatchObject({ shouldShutDown: true })
  })

  it('keeps the broker out of new ISRs, and a restart ends it', () => {
    const l = lab([0, 1, 2])
    l.create('foo', [[0, 1, 2]])
    l.heartbeat(0, { wantShutDown: true })
    expect(l.alterIsr('foo-0', [1, 2, 0])).toBe('INELIGIBLE_REPLICA')
    l.restart(0, 'clean')
    l.unfence(0)
    expect(l.alterIsr('foo-0', [1, 2, 0])).toBe('NONE')
  })
})

describe('AlterPartition', () => {
  it('shrinks and expands the ISR, one partition epoch at a time and without a leader epoch', () => {
    const l = lab([0, 1, 2], { elr: false })
    l.create('foo', [[0, 1, 2]])
    expect(l.alterIsr('foo-0', [0, 1])).toBe('NONE')
    expect(l.partition('foo-0')).toMatchObject({ isr: [0, 1], leaderEpoch: 0, partitionEpoch: 1 })
    expect(l.alterIsr('foo-0', [0, 1, 2])).toBe('NONE')
    expect(l.partition('foo-0')).toMatchObject({ isr: [0, 1, 2], leaderEpoch: 0, partitionEpoch: 2 })
  })

  it('changes nothing, not even the epoch, when the ISR is what it was', () => {
    const l = lab([0, 1, 2], { elr: false })
    l.create('foo', [[0, 1, 2]])
    expect(l.alterIsr('foo-0', [0, 1, 2])).toBe('NONE')
    expect(l.records).toEqual([])
    expect(l.partition('foo-0').partitionEpoch).toBe(0)
  })

  it('checks in Kafka’s order', () => {
    const l = lab([0, 1, 2])
    l.create('foo', [[0, 1, 2]])
    l.alterIsr('foo-0', [0, 1])
    l.fence(0)
    l.unfence(0)
    // Now led by 1, leader epoch 1, partition epoch 2. Each request is wrong in every way that comes later, too.
    const invalid = { newIsr: [], newIsrWithEpochs: [{ brokerId: 9, brokerEpoch: -1 }] }
    expect(l.show('foo-0')).toBe('leader 1 isr 1')
    expect(l.alterIsr('foo-0', [], { ...invalid, partitionIndex: 5 })).toBe('UNKNOWN_TOPIC_OR_PARTITION')
    expect(l.alterIsr('foo-0', [], { ...invalid, from: 0, leaderEpoch: 2, partitionEpoch: 1 })).toBe('NOT_CONTROLLER')
    expect(l.alterIsr('foo-0', [], { ...invalid, from: 0, leaderEpoch: 0, partitionEpoch: 3 })).toBe('NOT_CONTROLLER')
    expect(l.alterIsr('foo-0', [], { ...invalid, from: 0, leaderEpoch: 0, partitionEpoch: 1 })).toBe(
      'FENCED_LEADER_EPOCH',
    )
    expect(l.alterIsr('foo-0', [], { ...invalid, from: 0, partitionEpoch: 1 })).toBe('INVALID_REQUEST')
    expect(l.alterIsr('foo-0', [], { ...invalid, partitionEpoch: 1 })).toBe('INVALID_UPDATE_VERSION')
    expect(l.alterIsr('foo-0', [], invalid)).toBe('INVALID_REQUEST')
    expect(l.alterIsr('foo-0', [1, 1])).toBe('INVALID_REQUEST')
    expect(l.alterIsr('foo-0', [0, 2])).toBe('INVALID_REQUEST')
    expect(l.alterIsr('foo-0', [1, 2], { leaderRecoveryState: 1 })).toBe('INVALID_REQUEST')
    expect(l.alterIsr('foo-0', [1], { leaderRecoveryState: 1 })).toBe('INVALID_REQUEST')
    l.fence(2)
    expect(l.alterIsr('foo-0', [1, 2])).toBe('INELIGIBLE_REPLICA')
    expect(l.alterIsr('foo-0', [1, 0])).toBe('NONE')
  })

  it('refuses a member of another broker epoch, from version 3 on', () => {
    const l = lab([0, 1])
    l.create('foo', [[0, 1]])
    l.alterIsr('foo-0', [0])
    const epochOf = (broker: number): number => (broker === 1 ? l.epoch(1) - 1 : l.epoch(broker))
    expect(l.alterIsr('foo-0', [0, 1], { epochOf })).toBe('INELIGIBLE_REPLICA')
    expect(l.alterIsr('foo-0', [0, 1], { epochOf, version: 2 })).toBe('NONE')
  })

  it('of a stale broker epoch is refused as a whole', () => {
    const l = lab([0, 1])
    l.create('foo', [[0, 1]])
    expect(l.state.cluster.checkBrokerEpoch(0, l.epoch(0) + 1)?.error).toBe(77)
    expect(l.state.cluster.checkBrokerEpoch(9, 0)?.error).toBe(77)
  })

  it('ends the recovery of an uncleanly elected leader, who must be alone until then', () => {
    const l = lab([0, 1], { elr: false })
    l.create('foo', [[0, 1]], { 'unclean.leader.election.enable': 'true' })
    l.fence(1)
    l.fence(0)
    l.unfence(1)
    expect(l.show('foo-0')).toBe('leader 1 isr 1 recovering')
    l.unfence(0)
    expect(l.alterIsr('foo-0', [1, 0])).toBe('INVALID_REQUEST')
    expect(l.alterIsr('foo-0', [1], { leaderRecoveryState: 0 })).toBe('NONE')
    expect(l.alterIsr('foo-0', [1, 0])).toBe('NONE')
    expect(l.show('foo-0')).toBe('leader 1 isr 1,0')
  })
})

describe('elections', () => {
  it('are unclean only for partitions without a leader, on request', () => {
    const l = lab([0, 1, 2, 3, 4], { elr: false, version: '3.6-IV1' })
    l.create('foo', [
      [1, 2, 3],
      [2, 3, 4],
      [0, 2, 1],
    ])
    l.fence(2, 3, 1)
    expect(l.show('foo-0')).toBe('leader none isr 1')
    expect(l.elect('unclean', 'foo-0')).toBe('ELIGIBLE_LEADERS_NOT_AVAILABLE')
    expect(l.elect('unclean', 'foo-1')).toBe('ELECTION_NOT_NEEDED')
    l.unfence(2)
    expect(l.alterIsr('foo-1', [2, 4])).toBe('NONE')
    expect(l.elect('unclean', 'foo-0')).toBe('NONE')
    expect(l.show('foo-0')).toBe('leader 2 isr 2 recovering')
    expect(l.elect('unclean', 'foo-1')).toBe('ELECTION_NOT_NEEDED')
    expect(l.show('foo-1')).toBe('leader 4 isr 2,4')
    expect(l.elect('unclean', 'bar-0')).toBe('UNKNOWN_TOPIC_OR_PARTITION')
  })

  it('of preferred leaders never become unclean', () => {
    const l = lab([1, 2, 3], { elr: false })
    l.create('foo', [[1, 2, 3]], { 'unclean.leader.election.enable': 'false' })
    l.fence(2, 3, 1)
    l.unfence(2)
    expect(l.elect('preferred', 'foo-0')).toBe('PREFERRED_LEADER_NOT_AVAILABLE')
    expect(l.show('foo-0')).toBe('leader none isr 1')
  })

  it('give partitions back to their preferred leaders', () => {
    const l = lab([2, 3, 4])
    l.register(0)
    l.register(1)
    l.create('foo', [
      [1, 2, 3],
      [2, 3, 4],
      [0, 2, 1],
    ])
    expect(l.elect('preferred', 'foo-0')).toBe('PREFERRED_LEADER_NOT_AVAILABLE')
    expect(l.elect('preferred', 'foo-1')).toBe('ELECTION_NOT_NEEDED')
    l.unfence(1)
    l.alterIsr('foo-0', [1, 2, 3])
    expect(l.decide(balanceLeaders(l.state))).toBe(false)
    expect(l.records).toEqual([expect.objectContaining({ partitionId: 0, leader: 1 })])
    expect(l.state.topics.imbalanced).toEqual([{ topicId: l.topicId('foo'), partition: 2 }])
    l.unfence(0)
    l.alterIsr('foo-2', [0, 2, 1])
    l.decide(balanceLeaders(l.state))
    expect(l.show('foo-2')).toBe('leader 0 isr 0,2,1')
    expect(l.state.topics.imbalanced).toEqual([])
  })

  it.each([
    ['the topic', RESOURCE_TOPIC, 'foo'],
    ['the cluster', RESOURCE_BROKER, ''],
    ['the controller', RESOURCE_BROKER, '3001'],
  ])('happen uncleanly at the next check once %s allows it', (_what, type, name) => {
    const l = lab([0, 1], { elr: false })
    l.create('foo', [[0, 1]])
    l.fence(1, 0)
    l.unfence(1)
    l.decide(electUncleanLeaders(l.state))
    expect(l.show('foo-0')).toBe('leader none isr 0')
    expect(l.setConfig(type, name, 'unclean.leader.election.enable', 'true')).toBe('NONE')
    expect(l.show('foo-0')).toBe('leader none isr 0')
    l.decide(electUncleanLeaders(l.state))
    expect(l.show('foo-0')).toBe('leader 1 isr 1 recovering')
  })
})

describe('a reassignment', () => {
  it('runs until the new replicas are in sync', () => {
    const l = lab([0, 1, 2, 3])
    l.create('foo', [
      [1, 2, 3],
      [3, 2, 1],
    ])
    expect(l.reassign('foo-0', [3, 2, 1])).toBe('NONE')
    expect(l.partition('foo-0')).toMatchObject({ replicas: [3, 2, 1], addingReplicas: [], removingReplicas: [] })
    expect(l.reassign('foo-1', [0, 2, 1])).toBe('NONE')
    expect(listPartitionReassignments(l.image, { timeoutMs: 0, topics: null }).topics).toEqual([
      {
        name: 'foo',
        partitions: [{ partitionIndex: 1, replicas: [0, 2, 1, 3], addingReplicas: [0], removingReplicas: [3] }],
      },
    ])
    expect(l.reassign('foo-2', [0, 2, 1])).toBe('UNKNOWN_TOPIC_OR_PARTITION')
    expect(l.reassign('foo-0', null)).toBe('NO_REASSIGNMENT_IN_PROGRESS')
    // The leader is not part of the target: the change that completes it elects another one.
    expect(l.alterIsr('foo-1', [3, 0, 2, 1])).toBe('NEW_LEADER_ELECTED')
    expect(l.partition('foo-1')).toMatchObject({ replicas: [0, 2, 1], isr: [0, 2, 1], leader: 0, removingReplicas: [] })
    expect(listPartitionReassignments(l.image, { timeoutMs: 0, topics: null }).topics).toEqual([])
  })

  it('can be cancelled, which bumps the leader epoch as a replica goes', () => {
    const l = lab([0, 1, 2, 3])
    l.create('foo', [[3, 2, 1]])
    l.reassign('foo-0', [0, 2, 1])
    expect(l.reassign('foo-0', null)).toBe('NONE')
    expect(l.records).toEqual([
      expect.objectContaining({
        leader: 3,
        replicas: [2, 1, 3],
        directories: [2, 1, 3].map(directoryOf),
        removingReplicas: [],
        addingReplicas: [],
        isr: null,
      }),
    ])
  })

  it('completes at once where the ISR already fits, and checks its brokers', () => {
    const l = lab([0, 1, 2, 3, 4], { elr: false })
    l.create('foo', [
      [1, 2, 3, 4],
      [0, 1, 2, 3],
      [4, 3, 1, 0],
    ])
    l.create('bar', [[4, 3, 2]])
    l.fence(3)
    expect(l.reassign('foo-0', [1, 2, 4])).toBe('NONE')
    expect(l.partition('foo-0')).toMatchObject({
      replicas: [1, 2, 4],
      isr: [1, 2, 4],
      leader: 1,
      leaderEpoch: 1,
      partitionEpoch: 2,
    })
    expect(l.reassign('foo-1', [1, 2, 3, 0])).toBe('NONE')
    expect(l.partition('foo-1')).toMatchObject({
      replicas: [1, 2, 3, 0],
      isr: [0, 1, 2],
      leader: 0,
      leaderEpoch: 0,
      partitionEpoch: 2,
    })
    expect(l.reassign('foo-2', [5, 6, 7])).toBe('INVALID_REPLICA_ASSIGNMENT')
    expect(l.reassign('foo-2', [])).toBe('INVALID_REPLICA_ASSIGNMENT')
    expect(l.reassign('bar-0', [1, 2, 3, 4, 0])).toBe('NONE')
    expect(l.partition('bar-0')).toMatchObject({ replicas: [1, 2, 3, 4, 0], isr: [4, 2], addingReplicas: [0, 1] })
    expect(l.reassign('bar-0', null)).toBe('NONE')
    expect(l.partition('bar-0')).toMatchObject({
      replicas: [2, 3, 4],
      isr: [4, 2],
      leader: 4,
      leaderEpoch: 1,
      partitionEpoch: 3,
    })
  })

  it('can be replaced by another that removes what the first one was adding', () => {
    const l = lab([0, 1, 2, 3, 4, 5])
    l.create('foo', [[0, 1]])
    l.reassign('foo-0', [2, 3])
    expect(l.partition('foo-0')).toMatchObject({
      replicas: [2, 3, 0, 1],
      addingReplicas: [2, 3],
      removingReplicas: [0, 1],
    })
    expect(l.alterIsr('foo-0', [0, 1, 2])).toBe('NONE')
    expect(l.elect('preferred', 'foo-0')).toBe('NONE')
    expect(l.partition('foo-0').leader).toBe(2)
    expect(l.reassign('foo-0', [4, 5])).toBe('NONE')
    expect(l.partition('foo-0')).toMatchObject({
      replicas: [4, 5, 0, 1, 2, 3],
      addingReplicas: [4, 5],
      removingReplicas: [0, 1, 2, 3],
      leader: 2,
    })
    expect(l.alterIsr('foo-0', [0, 1, 2, 3, 4, 5])).toBe('NEW_LEADER_ELECTED')
    expect(l.partition('foo-0')).toMatchObject({ replicas: [4, 5], isr: [4, 5], leader: 4 })
  })

  it('cannot be cancelled when only new replicas are in sync, unless unclean elections are allowed', () => {
    for (const unclean of ['false', 'true']) {
      const l = lab([0, 1, 2, 3], { elr: false })
      l.create('foo', [[0, 1]], { 'unclean.leader.election.enable': unclean })
      l.reassign('foo-0', [2, 3])
      l.alterIsr('foo-0', [0, 2])
      l.fence(0)
      expect(l.show('foo-0')).toBe('leader 2 isr 2 adding 2,3 removing 0,1')
      l.unfence(0)
      expect(l.reassign('foo-0', null)).toBe(unclean === 'true' ? 'NONE' : 'INVALID_REPLICA_ASSIGNMENT')
      if (unclean === 'true') expect(l.show('foo-0')).toBe('leader 0 isr 0')
    }
  })

  it('may be forbidden to change the replication factor', () => {
    const l = lab([0, 1, 2, 3])
    l.create('foo', [[0, 1, 2]])
    expect(l.reassign('foo-0', [1, 2], false)).toBe('INVALID_REPLICATION_FACTOR')
    expect(l.reassign('foo-0', [1, 2, 3], false)).toBe('NONE')
    expect(l.reassign('foo-0', [0, 1, 2, 3], false)).toBe('INVALID_REPLICATION_FACTOR')
    expect(l.reassign('foo-0', [0, 3, 2], false)).toBe('NONE')
  })
})

describe('unregistering', () => {
  it('takes the broker out of every ISR', () => {
    const l = lab([0, 1], { elr: false })
    l.create('foo', [[0, 1]])
    expect(l.decide(unregisterBroker(l.state, 7))).toBe('BROKER_ID_NOT_REGISTERED')
    expect(l.decide(unregisterBroker(l.state, 0))).toBeNull()
    expect(l.show('foo-0')).toBe('leader 1 isr 1')
    expect(l.state.cluster.brokers.has(0)).toBe(false)
  })
})

describe('an offline directory', () => {
  it('takes the replicas in it out of sync', () => {
    const l = new StateLab({ elr: false })
    l.register(0, { logDirs: [directoryOf(0), directoryOf(100)] })
    l.register(1)
    l.unfence(0, 1)
    l.create('foo', [[0, 1]])
    // With several directories the broker has to say which one holds the replica; until then it counts as online.
    l.heartbeat(0, { offlineLogDirs: [directoryOf(0)] })
    expect(l.show('foo-0')).toBe('leader 0 isr 0,1')
    expect(l.state.cluster.brokers.get(0)?.logDirs).toEqual([directoryOf(100)])
    expect(l.records).toEqual([expect.objectContaining({ type: 'BrokerRegistrationChangeRecord', version: 2 })])
  })
})
