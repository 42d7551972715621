/** States of partitions and replicas: the cases of Kafka 3.9's PartitionStateMachineTest and ReplicaStateMachineTest. */

import { beforeEach, describe, expect, it } from 'vitest'
import type { ControllerChannels } from '../../../sim/controller/zookeeper/controller-channels.js'
import {
  ControllerContext,
  type PartitionState,
  PARTITION_STATES,
  type ReplicaState,
  REPLICA_STATES,
} from '../../../sim/controller/zookeeper/controller-context.js'
import type { ControllerCore } from '../../../sim/controller/zookeeper/controller-core.js'
import { ControllerStore } from '../../../sim/controller/zookeeper/controller-store.js'
import type { ElectionStrategy } from '../../../sim/controller/zookeeper/leader-election.js'
import { PartitionStateMachine } from '../../../sim/controller/zookeeper/partition-state-machine.js'
import { assignmentOf } from '../../../sim/controller/zookeeper/replica-assignment.js'
import { ReplicaStateMachine } from '../../../sim/controller/zookeeper/replica-state-machine.js'
import { RequestBatch } from '../../../sim/controller/zookeeper/request-batch.js'
import { defaultsOf } from '../../../sim/kernel/config-def.js'
import { LOG_SETTINGS, logConfig } from '../../../sim/log/log-config.js'
import type { Apis } from '../../../sim/wire/apis.js'
import { KafkaZkClient } from '../../../sim/zookeeper/kafka/kafka-zk-client.js'
import { runTask, type Task } from '../../../sim/zookeeper/kafka/task.js'
import { Path, topicPartition } from '../../../sim/zookeeper/kafka/znodes.js'
import { ControllerLab } from './controller-lab.js'

const EPOCH = 50
const P = topicPartition('t', 0)
const REPLICA = { partition: P, replica: 1 }
const OFFLINE: ElectionStrategy = { kind: 'offline', allowUnclean: false }

type Sent = { to: number; api: string; body: Apis['LeaderAndIsr' | 'StopReplica' | 'UpdateMetadata']['request'] }

let lab: ControllerLab
let core: ControllerCore
let partitions: PartitionStateMachine
let replicas: ReplicaStateMachine
let sent: Sent[]

beforeEach(() => {
  lab = new ControllerLab()
  const env = lab.env('b1')
  const zk = new KafkaZkClient({ connect: (listener) => lab.ensemble.connect(env, listener) })
  const context = new ControllerContext()
  const store = new ControllerStore(env, zk)
  sent = []
  const channels = {
    send: (to: number, api: string, body: Sent['body']) => sent.push({ to, api, body }),
  } as unknown as ControllerChannels
  const nothing = (): void => {}
  const listener = { onLeaderAndIsr: nothing, onUpdateMetadata: nothing, onStopReplica: nothing }
  const defaults = defaultsOf(LOG_SETTINGS)
  core = {
    env,
    brokerId: 1,
    context,
    store,
    batch: new RequestBatch(1, context, channels, listener),
    logConfig: (own) => logConfig(defaults, Object.fromEntries(own)),
  }
  lab.ensemble.put('/controller_epoch', String(EPOCH))
  context.epoch = EPOCH
  store.setEpoch(EPOCH, 0)
  alive(1)
  context.updateAssignment(P, assignmentOf([1]))
  lab.ensemble.put(Path.topic('t'), null)
  partitions = new PartitionStateMachine(core)
  replicas = new ReplicaStateMachine(core)
})

function alive(...ids: readonly number[]): void {
  core.context.setLiveBrokers(ids.map((id) => ({ id, epoch: 100 + id, host: `b${id}`, port: 9092, rack: null })))
}

/** The state in ZooKeeper and in the controller's memory. */
function led(leader: number, isr: readonly number[], leaderEpoch = 0, controllerEpoch = EPOCH): void {
  const json = { version: 1, leader, leader_epoch: leaderEpoch, controller_epoch: controllerEpoch, isr }
  lab.ensemble.put(Path.state('t', 0), json)
  const version = lab.ensemble.znodes.get(Path.state('t', 0))?.stat.version ?? 0
  const leaderAndIsr = { leader, leaderEpoch, isr, leaderRecoveryState: 0 as const, partitionEpoch: version }
  core.context.putLeadership(P, { leaderAndIsr, controllerEpoch })
}

/** Runs to the end; what it threw. */
function run<T>(task: Task<T>): { value?: T; error?: Error } {
  const outcome: { value?: T; error?: Error } = {}
  const caught = function* (): Task<void> {
    try {
      outcome.value = yield* task
    } catch (error) {
      outcome.error = error as Error
    }
  }
  runTask(caught(), () => {})
  lab.run()
  return outcome
}

const requests = (): string[] => sent.map(({ to, api }) => `${api}→${to}`)

describe('a partition', () => {
  const STATES = Object.keys(PARTITION_STATES) as PartitionState[]
  const cases = STATES.flatMap((from) => STATES.map((to): [PartitionState, PartitionState] => [from, to]))

  it.each(cases.filter(([from, to]) => !PARTITION_STATES[to].includes(from)))(
    'does not go from %s to %s',
    (from, to) => {
      led(1, [1])
      core.context.putPartitionState(P, from)
      run(partitions.handle([P], to, OFFLINE))
      expect(core.context.partitionState(P)).toBe(from)
      expect(sent).toEqual([])
    },
  )

  it.each<[PartitionState, PartitionState]>([
    ['NonExistent', 'New'],
    ['New', 'Offline'],
    ['Online', 'Offline'],
    ['Offline', 'Offline'],
    ['Offline', 'NonExistent'],
  ])('goes from %s to %s, and nobody is told', (from, to) => {
    core.context.putPartitionState(P, from)
    run(partitions.handle([P], to))
    expect(core.context.partitionState(P)).toBe(to)
    expect(sent).toEqual([])
  })

  it('that is new goes online: its state is created, its replicas are told', () => {
    core.context.putPartitionState(P, 'New')
    run(partitions.handle([P], 'Online', OFFLINE))
    expect(core.context.partitionState(P)).toBe('Online')
    expect(lab.state()).toBe('1 e0 [1] v0')
    expect(lab.ensemble.json(Path.state('t', 0))).toMatchObject({ version: 1, controller_epoch: EPOCH })
    expect(requests()).toEqual(['LeaderAndIsr→1', 'UpdateMetadata→1'])
  })

  it.each(['NODEEXISTS', 'SESSIONEXPIRED'] as const)(
    'that is new stays new when its state cannot be created: %s',
    (error) => {
      core.context.putPartitionState(P, 'New')
      lab.ensemble.fault = (op, path) => (op === 'multi' && path.endsWith('/state') ? error : undefined)
      run(partitions.handle([P], 'Online', OFFLINE))
      expect(core.context.partitionState(P)).toBe('New')
      expect(sent).toEqual([])
    },
  )

  it.each<PartitionState>(['Online', 'Offline'])('that is %s is elected anew', (from) => {
    core.context.updateAssignment(P, assignmentOf([1, 2]))
    alive(1, 2)
    led(2, [1, 2])
    core.context.putPartitionState(P, from)
    run(partitions.handle([P], 'Online', { kind: 'preferred' }))
    expect(core.context.partitionState(P)).toBe('Online')
    expect(lab.state()).toBe('1 e1 [1,2] v1')
    expect(requests()).toEqual(['LeaderAndIsr→1', 'LeaderAndIsr→2', 'UpdateMetadata→1', 'UpdateMetadata→2'])
  })

  it('that is online goes to another leader when its leader shuts down', () => {
    core.context.updateAssignment(P, assignmentOf([1, 2]))
    alive(1, 2)
    core.context.shuttingDownBrokerIds.add(1)
    led(1, [1, 2])
    core.context.putPartitionState(P, 'Online')
    run(partitions.handle([P], 'Online', { kind: 'controlled-shutdown' }))
    expect(lab.state()).toBe('2 e1 [2] v1')
  })

  it('is elected again when somebody changed its state meanwhile', () => {
    led(1, [1])
    core.context.putPartitionState(P, 'Offline')
    let changed = 0
    lab.ensemble.before = (op) => {
      if (op.op !== 'setData' || op.path !== Path.state('t', 0) || changed++ > 0) return
      lab.ensemble.put(op.path, lab.ensemble.text(op.path))
    }
    run(partitions.handle([P], 'Online', OFFLINE))
    expect(lab.state()).toBe('1 e1 [1] v2')
    expect(core.context.partitionState(P)).toBe('Online')
  })

  it.each([
    ['has no state', (): void => lab.ensemble.remove(Path.state('t', 0))],
    ['was written by a later controller', (): void => led(1, [1], 0, EPOCH + 1)],
    ['cannot be read', (): void => void (lab.ensemble.fault = (op) => (op === 'getData' ? 'NOAUTH' : undefined))],
    [
      'cannot be written',
      (): void => void (lab.ensemble.fault = (op) => (op === 'multi' ? 'SESSIONEXPIRED' : undefined)),
    ],
  ])('stays offline when it %s', (_, break_) => {
    led(1, [1])
    break_()
    core.context.putPartitionState(P, 'Offline')
    const { value } = run(partitions.handle([P], 'Online', OFFLINE))
    expect(value?.get('t-0')).toHaveProperty('failed')
    expect(core.context.partitionState(P)).toBe('Offline')
    expect(sent).toEqual([])
  })

  it('is left alone by a controller that was deposed, and nothing of its batch is sent', () => {
    led(1, [1])
    core.context.putPartitionState(P, 'Offline')
    lab.ensemble.put('/controller_epoch', String(EPOCH + 1))
    expect(run(partitions.handle([P], 'Online', OFFLINE)).error?.name).toBe('ControllerMoved')
    expect(lab.state()).toBe('1 e0 [1] v0')
    expect(sent).toEqual([])
    expect(() => core.batch.newBatch()).not.toThrow()
  })

  it('of a topic that is being deleted is not brought online', () => {
    led(1, [1])
    core.context.putPartitionState(P, 'Offline')
    core.context.queueTopicDeletion(['t'])
    run(partitions.triggerOnline())
    expect(core.context.partitionState(P)).toBe('Offline')
  })
})

describe('a replica', () => {
  const STATES = Object.keys(REPLICA_STATES) as ReplicaState[]
  const cases = STATES.flatMap((from) => STATES.map((to): [ReplicaState, ReplicaState] => [from, to]))

  it.each(cases.filter(([from, to]) => !REPLICA_STATES[to].includes(from)))('does not go from %s to %s', (from, to) => {
    core.context.putReplicaState(REPLICA, from)
    run(replicas.handle([REPLICA], to))
    expect(core.context.replicaState(REPLICA)).toBe(from)
    expect(sent).toEqual([])
  })

  it('starts as online on a live broker, as ineligible for deletion elsewhere, and is taken offline there', () => {
    core.context.updateAssignment(P, assignmentOf([1, 2]))
    led(1, [1, 2])
    run(replicas.startup())
    expect(core.context.replicaState(REPLICA)).toBe('Online')
    expect(core.context.replicaState({ partition: P, replica: 2 })).toBe('Offline')
    expect(lab.state()).toBe('1 e1 [1] v1')
  })

  it('that is new only follows', () => {
    core.context.putReplicaState(REPLICA, 'NonExistent')
    led(1, [1])
    run(replicas.handle([REPLICA], 'New'))
    expect(core.context.replicaState(REPLICA)).toBe('NonExistent')
    core.context.updateAssignment(P, assignmentOf([1, 2]))
    led(2, [2])
    run(replicas.handle([REPLICA], 'New'))
    expect(core.context.replicaState(REPLICA)).toBe('New')
    const body = sent[0]?.body as Apis['LeaderAndIsr']['request']
    expect(body.topicStates[0]?.partitionStates[0]).toMatchObject({ isNew: true, leader: 2 })
  })

  it('that was new is online without a word', () => {
    core.context.putReplicaState(REPLICA, 'New')
    run(replicas.handle([REPLICA], 'Online'))
    expect(core.context.replicaState(REPLICA)).toBe('Online')
    expect(sent).toEqual([])
  })

  it.each<ReplicaState>(['Online', 'Offline', 'DeletionIneligible'])(
    'that was %s is told its role when it is online',
    (from) => {
      led(1, [1])
      core.context.putReplicaState(REPLICA, from)
      run(replicas.handle([REPLICA], 'Online'))
      expect(core.context.replicaState(REPLICA)).toBe('Online')
      expect(requests()).toEqual(['LeaderAndIsr→1', 'UpdateMetadata→1'])
    },
  )

  it('that goes offline is stopped, leaves the ISR, and the others hear of it', () => {
    core.context.updateAssignment(P, assignmentOf([1, 2, 3]))
    alive(1, 2, 3)
    led(1, [1, 2, 3])
    core.context.putReplicaState(REPLICA, 'Online')
    run(replicas.handle([REPLICA], 'Offline'))
    expect(lab.state()).toBe('-1 e1 [2,3] v1')
    const told = ['LeaderAndIsr→2', 'LeaderAndIsr→3', 'UpdateMetadata→1', 'UpdateMetadata→2', 'UpdateMetadata→3']
    expect(requests()).toEqual([...told, 'StopReplica→1'])
  })

  it('that is the last of the ISR stays in it', () => {
    led(1, [1])
    core.context.putReplicaState(REPLICA, 'Online')
    run(replicas.handle([REPLICA], 'Offline'))
    expect(lab.state()).toBe('-1 e1 [1] v1')
  })

  it('that is not in the ISR changes nothing in ZooKeeper', () => {
    core.context.updateAssignment(P, assignmentOf([1, 2]))
    led(2, [2])
    core.context.putReplicaState(REPLICA, 'Online')
    run(replicas.handle([REPLICA], 'Offline'))
    expect(lab.state()).toBe('2 e0 [2] v0')
    expect(core.context.replicaState(REPLICA)).toBe('Offline')
  })

  it('of a partition without a leadership is offline all the same', () => {
    core.context.putReplicaState(REPLICA, 'New')
    run(replicas.handle([REPLICA], 'Offline'))
    expect(core.context.replicaState(REPLICA)).toBe('Offline')
  })

  it('is deleted, then forgotten', () => {
    core.context.putReplicaState(REPLICA, 'Offline')
    run(replicas.handle([REPLICA], 'DeletionStarted'))
    const body = sent[0]?.body as Apis['StopReplica']['request']
    expect(body.topicStates[0]?.partitionStates[0]).toMatchObject({ deletePartition: true })
    run(replicas.handle([REPLICA], 'DeletionSuccessful'))
    run(replicas.handle([REPLICA], 'NonExistent'))
    expect(core.context.replicas(P)).toEqual([])
    expect(core.context.replicaState(REPLICA)).toBeUndefined()
  })
})

describe('what a batch says', () => {
  const states = (at = 0) =>
    (sent[at] as { body: Apis['LeaderAndIsr']['request'] }).body.topicStates[0]?.partitionStates[0]

  it('is the last word on each partition, and new stays new', () => {
    led(1, [1])
    const info = core.context.leadership(P)
    if (info === undefined) throw new Error('no leadership')
    core.batch.newBatch()
    core.batch.addLeaderAndIsr([1], P, info, core.context.assignment(P), true)
    const next = { ...info, leaderAndIsr: { ...info.leaderAndIsr, leaderEpoch: 9 } }
    core.batch.addLeaderAndIsr([1], P, next, core.context.assignment(P), false)
    core.batch.send(EPOCH)
    expect(states()).toMatchObject({ leaderEpoch: 9, isNew: true })
    expect(sent[0]?.body).toMatchObject({ controllerId: 1, controllerEpoch: EPOCH, brokerEpoch: 101 })
  })

  it('goes to registered brokers only, those that shut down included', () => {
    alive(1, 2)
    core.context.shuttingDownBrokerIds.add(2)
    core.batch.newBatch()
    core.batch.addUpdateMetadata([1, 2, 3, -1], [])
    core.batch.send(EPOCH)
    expect(requests()).toEqual(['UpdateMetadata→1', 'UpdateMetadata→2'])
  })

  it('names no leader of a topic that is being deleted', () => {
    led(1, [1])
    core.context.queueTopicDeletion(['t'])
    core.batch.newBatch()
    core.batch.addUpdateMetadata([1], [P])
    core.batch.addStopReplica([1], P, true)
    core.batch.send(EPOCH)
    expect(states()).toMatchObject({ leader: -2, leaderEpoch: 0, zkVersion: 0 })
    expect(states(1)).toMatchObject({ leaderEpoch: -2, deletePartition: true })
  })

  it('names offline replicas', () => {
    core.context.updateAssignment(P, assignmentOf([1, 2]))
    led(1, [1])
    core.batch.newBatch()
    core.batch.addUpdateMetadata([1], [P])
    core.batch.send(EPOCH)
    expect(states()).toMatchObject({ offlineReplicas: [2], zkVersion: 0 })
  })

  it('deletes once asked to, whatever is asked after', () => {
    core.batch.newBatch()
    core.batch.addStopReplica([1], P, true)
    core.batch.addStopReplica([1], P, false)
    core.batch.send(EPOCH)
    expect(states()).toMatchObject({ deletePartition: true, leaderEpoch: -1 })
  })

  it('must be sent before the next one is begun', () => {
    core.batch.newBatch()
    core.batch.addStopReplica([1], P, true)
    expect(() => core.batch.newBatch()).toThrow('was not sent')
  })
})
