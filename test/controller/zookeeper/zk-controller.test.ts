/** The controller as a whole: the cases of Kafka 3.9's ControllerIntegrationTest, on an ensemble in memory. */

import { describe, expect, it } from 'vitest'
import { topicPartition } from '../../../sim/zookeeper/kafka/znodes.js'
import type { Apis } from '../../../sim/wire/apis.js'
import { Errors } from '../../../sim/wire/errors.js'
import { runTask } from '../../../sim/zookeeper/kafka/task.js'
import { alterIsr as alter, ControllerLab } from './controller-lab.js'

const lab = (ids: readonly number[] = [1, 2, 3], config: Record<string, unknown> = {}): ControllerLab =>
  new ControllerLab().start(ids, config)
const withTopic = (replicas: readonly number[] = [1, 2, 3], config: Record<string, unknown> = {}): ControllerLab =>
  lab([1, 2, 3], config).topic('t', { 0: replicas })
const epochOf = (cluster: ControllerLab): string | undefined => cluster.ensemble.text('/controller_epoch')

describe('the election of a controller', () => {
  it('begins with epoch 1, in an empty cluster', () => {
    const cluster = lab([1])
    expect(cluster.active).toBe(1)
    expect(epochOf(cluster)).toBe('1')
    expect(cluster.ensemble.json('/controller')).toMatchObject({ version: 2, brokerid: 1, kraftControllerEpoch: -1 })
  })

  it('takes the next epoch when the office is free again', () => {
    const cluster = lab()
    cluster.die(1)
    expect(cluster.active).toBe(2)
    expect(epochOf(cluster)).toBe('2')
  })

  it('is won by one only', () => {
    const cluster = lab()
    expect([1, 2, 3].filter((id) => cluster.broker(id).server.isActive)).toEqual([1])
    expect(cluster.emitted('controller.active')).toHaveLength(1)
  })

  it('is repeated when somebody deletes /controller', () => {
    const cluster = lab()
    cluster.ensemble.remove('/controller')
    cluster.run()
    expect(epochOf(cluster)).toBe('2')
    expect([1, 2, 3].filter((id) => cluster.broker(id).server.isActive)).toHaveLength(1)
  })

  it('counts as won when its answer was lost and id and epoch are its own', () => {
    const cluster = new ControllerLab()
    let lost = false
    cluster.ensemble.fault = (op, path) => {
      if (op !== 'multi' || !path.includes('/controller ') || lost) return undefined
      lost = true
      // It takes effect, and the connection is lost before the answer.
      cluster.ensemble.put('/controller_epoch', '1')
      cluster.ensemble.put('/controller', { version: 2, brokerid: 1, timestamp: '0', kraftControllerEpoch: -1 })
      return 'CONNECTIONLOSS'
    }
    cluster.start([1])
    expect(cluster.active).toBe(1)
    expect(epochOf(cluster)).toBe('1')
  })

  it('is lost when /controller_epoch has another version by then', () => {
    const cluster = new ControllerLab()
    let moved = false
    cluster.ensemble.before = (op) => {
      if (op.op !== 'create' || op.path !== '/controller' || moved) return
      moved = true
      cluster.ensemble.put('/controller_epoch', '7')
    }
    cluster.start([1])
    expect(cluster.emitted('zk-controller.failed')[0]?.data).toMatchObject({
      event: 'Elect',
      reason: 'ControllerMoved',
    })
    expect(cluster.active).toBe(-1)
  })

  it('deletes notifications of before', () => {
    const cluster = new ControllerLab()
    cluster.ensemble.put('/isr_change_notification/isr_change_0000000001', { version: 1, partitions: [] })
    cluster.ensemble.put('/log_dir_event_notification/log_dir_event_0000000001', { version: 1, broker: 1, event: 1 })
    cluster.start([1])
    expect(cluster.ensemble.children('/isr_change_notification')).toEqual([])
    expect(cluster.ensemble.children('/log_dir_event_notification')).toEqual([])
  })

  it('switches feature versioning on from 2.7 on, and off before', () => {
    expect(lab([1]).ensemble.json('/feature')).toMatchObject({ status: 1 })
    expect(lab([1], { 'inter.broker.protocol.version': '2.6' }).ensemble.json('/feature')).toMatchObject({ status: 0 })
  })
})

describe('a controller whose session expired', () => {
  it('resigns, registers its broker anew and runs again', () => {
    const cluster = withTopic()
    const before = cluster.broker(1).brokerEpoch
    cluster.broker(1).session.expire()
    cluster.run()
    expect(epochOf(cluster)).toBe('2')
    expect(cluster.broker(1).brokerEpoch).toBeGreaterThan(before)
    expect(cluster.ensemble.children('/brokers/ids')).toEqual(['1', '2', '3'])
    expect(cluster.emitted('controller.resigned').map(({ data }) => data)).toEqual([
      { epoch: 1, reason: 'session-expired' },
    ])
  })

  it('fails what it was at, and answers what waits that it is not the controller', () => {
    const cluster = withTopic()
    const { session, server, brokerEpoch } = cluster.broker(1)
    const answers: number[] = []
    session.disconnect()
    for (const isr of [[1, 2], [1, 3], [1]]) {
      server.alterPartition(alter(isr, 0, 0, brokerEpoch), 3, ({ errorCode, topics }) => {
        answers.push(topics[0]?.partitions[0]?.errorCode ?? errorCode)
      })
    }
    cluster.run()
    expect(answers).toEqual([])
    session.expire()
    cluster.run()
    expect(answers).toContain(Errors.UNKNOWN_SERVER_ERROR)
    expect(answers).toContain(Errors.NOT_CONTROLLER)
    expect(answers).toHaveLength(3)
    expect(cluster.state()).toBe('1 e0 [1,2,3] v0')
  })
})

describe('a zombie controller', () => {
  /** Broker 1 has lost its session and does not know; broker 2 is elected. */
  const zombie = (): ControllerLab => {
    const cluster = withTopic()
    cluster.broker(1).session.expire(false)
    cluster.run()
    return cluster
  }

  it('is not the only one that believes to be active', () => {
    const cluster = zombie()
    expect(epochOf(cluster)).toBe('2')
    expect(cluster.broker(1).server.isActive).toBe(true)
    expect(cluster.broker(2).server.isActive).toBe(true)
  })

  it('can write nothing when it still has a connection: the version of /controller_epoch is another', () => {
    const cluster = withTopic()
    // Its office is taken while its session lives.
    cluster.ensemble.put('/controller_epoch', '2')
    const before = cluster.state()
    cluster.broker(1).server.alterPartition(alter([1, 2], 0, 0, cluster.broker(1).brokerEpoch), 3, () => {})
    cluster.run()
    expect(cluster.state()).toBe(before)
    expect(cluster.emitted('zk-controller.failed').map(({ data }) => data)).toContainEqual({
      event: 'AlterPartition',
      reason: 'ControllerMoved',
    })
  })

  it('resigns at the first refused write of an event', () => {
    const cluster = withTopic()
    cluster.ensemble.put('/controller_epoch', '2')
    cluster.ensemble.put('/controller', { version: 2, brokerid: 3, timestamp: '0', kraftControllerEpoch: -1 })
    cluster.die(2)
    expect(cluster.broker(1).server.isActive).toBe(false)
  })
})

describe('brokers that come and go', () => {
  it('are told to all others by UpdateMetadata, and told everything themselves', () => {
    const cluster = lab([1, 2]).topic('t', { 0: [1, 2] })
    cluster.took()
    cluster.start([3])
    expect(cluster.took('UpdateMetadata')).toEqual(['UpdateMetadata→b1', 'UpdateMetadata→b2', 'UpdateMetadata→b3 t-0'])
    expect([...cluster.broker(1).metadata.image.brokers.keys()]).toEqual([1, 2, 3])
  })

  it('lead no more when they die: the next live member of the ISR leads', () => {
    const cluster = withTopic([3, 2, 1])
    expect(cluster.state()).toBe('3 e0 [3,2,1] v0')
    cluster.die(3)
    // Online by election, then out of the ISR: two steps in Kafka.
    expect(cluster.state()).toBe('2 e1 [2,1] v1')
  })

  it('leave the ISR when they die as followers', () => {
    const cluster = withTopic([1, 2, 3])
    cluster.die(3)
    expect(cluster.state()).toBe('1 e1 [1,2] v1')
  })

  it('leave nobody in office when the whole ISR is gone, and are elected when they are back', () => {
    const cluster = lab().topic('t', { 0: [2] })
    cluster.die(2)
    expect(cluster.state()).toBe('-1 e1 [2] v1')
    cluster.start([2])
    expect(cluster.state()).toBe('2 e2 [2] v2')
  })

  it('are replaced uncleanly only where the topic allows it', () => {
    const offline = (unclean: string): string => {
      const cluster = lab().topic('t', { 0: [2, 3] }, { 'unclean.leader.election.enable': unclean })
      cluster.die(3)
      cluster.die(2)
      cluster.start([3])
      return cluster.state()
    }
    expect(offline('false')).toBe('-1 e2 [2] v2')
    expect(offline('true')).toBe('3 e3 [3] v3')
  })

  it('are taken for dead and new when they bounced before anybody looked', () => {
    const cluster = withTopic([2, 1, 3])
    cluster.took()
    const before = cluster.emitted('controller.broker').length
    const node = cluster.ensemble.znodes.get('/brokers/ids/2')
    if (node !== undefined) node.stat = { ...node.stat, czxid: node.stat.czxid + 1_000 }
    cluster.ensemble.put('/brokers/ids/9', null)
    cluster.ensemble.remove('/brokers/ids/9')
    cluster.run()
    expect(
      cluster
        .emitted('controller.broker')
        .slice(before)
        .map(({ data }) => data),
    ).toMatchObject([
      { broker: 2, change: 'fenced', reason: 'bounced' },
      { broker: 2, change: 'registered', reason: 'bounced' },
      { broker: 2, change: 'unfenced' },
    ])
    expect(cluster.state()).toBe('1 e1 [1,3] v1')
  })
})

describe('topics', () => {
  it('get a leader and an ISR of their live replicas', () => {
    const cluster = lab().topic('t', { 0: [3, 1], 1: [4, 2] })
    expect(cluster.state('t', 0)).toBe('3 e0 [3,1] v0')
    expect(cluster.state('t', 1)).toBe('2 e0 [2] v0')
  })

  it('wait for a live replica', () => {
    const cluster = lab().topic('t', { 0: [4] })
    expect(cluster.state()).toBe('none')
    cluster.start([4])
    expect(cluster.state()).toBe('4 e0 [4] v0')
  })

  it('are told to their replicas as new, and to everybody as metadata', () => {
    const cluster = lab()
    cluster.took()
    cluster.topic('t', { 0: [1, 2] })
    expect(cluster.sent.filter(({ api }) => api === 'LeaderAndIsr').map(({ to }) => to)).toEqual(['b1', 'b2'])
    expect(new Set(cluster.sent.filter(({ api }) => api === 'UpdateMetadata').map(({ to }) => to)).size).toBe(3)
    const [first] = cluster.sent.filter(({ api }) => api === 'LeaderAndIsr')
    const body = first?.body as Apis['LeaderAndIsr']['request']
    expect(body).toMatchObject({ controllerId: 1, controllerEpoch: 1, brokerEpoch: cluster.broker(1).brokerEpoch })
    expect(body.topicStates[0]?.partitionStates[0]).toMatchObject({ isNew: true, leaderEpoch: 0, partitionEpoch: 0 })
  })

  it('get an id when they have none', () => {
    const cluster = lab([1])
    cluster.ensemble.put('/brokers/topics/old', { version: 1, partitions: { 0: [1] } })
    cluster.run()
    expect(cluster.ensemble.json('/brokers/topics/old')).toMatchObject({ version: 3, topic_id: expect.any(String) })
  })

  it('grow by partitions that are added to their znode', () => {
    const cluster = withTopic()
    const znode = cluster.ensemble.json('/brokers/topics/t')
    cluster.ensemble.put('/brokers/topics/t', { ...znode, partitions: { 0: [1, 2, 3], 1: [2, 3, 1] } })
    cluster.run()
    expect(cluster.state('t', 1)).toBe('2 e0 [2,3,1] v0')
  })

  it('are deleted: stopped everywhere, then their znodes', () => {
    const cluster = withTopic()
    cluster.took()
    cluster.ensemble.put('/admin/delete_topics/t', null)
    cluster.run()
    const stops = cluster.sent.filter(({ api }) => api === 'StopReplica')
    expect(stops.map(({ to }) => to)).toEqual(['b1', 'b2', 'b3', 'b1', 'b2', 'b3'])
    const states = stops.map(({ body }) => (body as Apis['StopReplica']['request']).topicStates[0]?.partitionStates[0])
    expect(states.map((state) => [state?.leaderEpoch, state?.deletePartition])).toEqual([
      [-2, false],
      [-2, false],
      [-2, false],
      [-2, true],
      [-2, true],
      [-2, true],
    ])
    expect(cluster.ensemble.children('/brokers/topics')).toEqual([])
    expect(cluster.ensemble.children('/admin/delete_topics')).toEqual([])
    expect(cluster.broker(2).metadata.image.topicsByName.size).toBe(0)
  })

  it('are not deleted while a replica is down, and are when it is back', () => {
    const cluster = withTopic()
    cluster.die(3)
    cluster.ensemble.put('/admin/delete_topics/t', null)
    cluster.run()
    expect(cluster.ensemble.children('/brokers/topics')).toEqual(['t'])
    cluster.start([3])
    expect(cluster.ensemble.children('/brokers/topics')).toEqual([])
  })

  it('are not deleted where that is switched off', () => {
    const cluster = withTopic([1, 2, 3], { 'delete.topic.enable': false })
    cluster.ensemble.put('/admin/delete_topics/t', null)
    cluster.run()
    expect(cluster.ensemble.children('/admin/delete_topics')).toEqual([])
    expect(cluster.ensemble.children('/brokers/topics')).toEqual(['t'])
  })

  it('that do not exist are not deleted either', () => {
    const cluster = lab()
    cluster.ensemble.put('/admin/delete_topics/nowhere', null)
    cluster.run()
    expect(cluster.ensemble.children('/admin/delete_topics')).toEqual([])
  })

  it('whose deletion was under way are deleted by the next controller', () => {
    const cluster = lab([3, 1, 2]).topic('t', { 0: [1, 2] })
    cluster.answer = (sent) => (sent.api === 'StopReplica' ? undefined : { errorCode: 0, topics: [] })
    cluster.ensemble.put('/admin/delete_topics/t', null)
    cluster.run()
    expect(cluster.ensemble.children('/brokers/topics')).toEqual(['t'])
    cluster.answer = new ControllerLab().answer
    cluster.die(3)
    expect(cluster.ensemble.children('/brokers/topics')).toEqual([])
  })
})

describe('a reassignment', () => {
  const reassign = (cluster: ControllerLab, target: readonly number[] | null): number[] => {
    const errors: number[] = []
    const partitions = [{ partitionIndex: 0, replicas: target }]
    const body = { timeoutMs: 1_000, allowReplicationFactorChange: true, topics: [{ name: 't', partitions }] }
    cluster.controller.handle('AlterPartitionReassignments', body, undefined, (response) => {
      for (const topic of response?.responses ?? []) for (const one of topic.partitions) errors.push(one.errorCode)
    })
    cluster.run()
    return errors
  }
  const isr = (cluster: ControllerLab, members: readonly number[]): void => {
    const [leader, epoch] = cluster.state().split(' ')
    const id = Number(leader)
    const version = cluster.ensemble.znodes.get('/brokers/topics/t/partitions/0/state')?.stat.version ?? 0
    const request = alter(members, Number(epoch?.slice(1)), version, cluster.broker(id).brokerEpoch, id)
    cluster.controller.alterPartition({ ...request, topics: request.topics }, 3, () => {})
    cluster.run()
  }

  it('keeps target and removed replicas until the target is in sync, then drops the rest', () => {
    const cluster = lab([1, 2, 3]).topic('t', { 0: [1, 2] })
    expect(reassign(cluster, [3, 2])).toEqual([Errors.NONE])
    expect(cluster.ensemble.json('/brokers/topics/t')).toMatchObject({
      partitions: { 0: [3, 2, 1] },
      adding_replicas: { 0: [3] },
      removing_replicas: { 0: [1] },
    })
    expect(cluster.state()).toBe('1 e1 [1,2] v1')
    isr(cluster, [1, 2, 3])
    expect(cluster.ensemble.json('/brokers/topics/t')).toMatchObject({
      partitions: { 0: [3, 2] },
      adding_replicas: {},
      removing_replicas: {},
    })
    expect(cluster.state()).toBe('3 e3 [2,3] v4')
  })

  it('is finished by the next controller', () => {
    const cluster = lab([4, 1, 2, 3]).topic('t', { 0: [1, 2] })
    reassign(cluster, [3, 2])
    cluster.die(4)
    expect(cluster.active).toBe(1)
    isr(cluster, [1, 2, 3])
    expect(cluster.ensemble.json('/brokers/topics/t')).toMatchObject({ partitions: { 0: [3, 2] } })
  })

  it('is cancelled by null, and refused when there is none', () => {
    const cluster = lab([1, 2, 3]).topic('t', { 0: [1, 2] })
    expect(reassign(cluster, null)).toEqual([Errors.NO_REASSIGNMENT_IN_PROGRESS])
    reassign(cluster, [3, 2])
    expect(reassign(cluster, null)).toEqual([Errors.NONE])
    const after = cluster.ensemble.json('/brokers/topics/t')
    expect(after).toMatchObject({ partitions: { 0: [2, 1] }, adding_replicas: {}, removing_replicas: {} })
  })

  it.each([
    ['no replicas', []],
    ['a replica twice', [2, 2]],
    ['a negative broker', [-1, 2]],
    ['a broker that is down', [1, 9]],
  ])('refuses %s', (_, target) => {
    const cluster = lab([1, 2, 3]).topic('t', { 0: [1, 2] })
    expect(reassign(cluster, target)).toEqual([Errors.INVALID_REPLICA_ASSIGNMENT])
  })

  it('by /admin/reassign_partitions is taken up, and taken out when it is done', () => {
    const cluster = lab([1, 2, 3]).topic('t', { 0: [1] })
    const partitions = [{ topic: 't', partition: 0, replicas: [2] }]
    cluster.ensemble.put('/admin/reassign_partitions', { version: 1, partitions })
    cluster.run()
    expect(cluster.ensemble.json('/brokers/topics/t')).toMatchObject({ partitions: { 0: [2, 1] } })
    isr(cluster, [1, 2])
    expect(cluster.ensemble.json('/brokers/topics/t')).toMatchObject({ partitions: { 0: [2] } })
    expect(cluster.ensemble.text('/admin/reassign_partitions')).toBeUndefined()
    expect(cluster.ensemble.znodes.has('/admin/reassign_partitions')).toBe(false)
  })
})

describe('preferred leaders', () => {
  it('are elected when more than a tenth of what a broker should lead is led by others', () => {
    const cluster = lab().topic('t', { 0: [2, 1, 3] })
    cluster.die(2)
    cluster.start([2])
    const [, epoch, , version] = cluster.state().split(' ')
    const request = alter([1, 3, 2], Number(epoch?.slice(1)), Number(version?.slice(1)), cluster.broker(1).brokerEpoch)
    cluster.controller.alterPartition(request, 3, () => {})
    cluster.run()
    cluster.run(6_000)
    expect(cluster.state().startsWith('2 ')).toBe(true)
  })

  it('are elected on request, with what there is to say for each partition', () => {
    const cluster = lab().topic('t', { 0: [2, 1, 3], 1: [1, 2, 3] })
    const answers: unknown[] = []
    const { balance } = cluster.controller.controller
    cluster.controller.controller.ask(
      'test',
      () => {},
      function* () {
        const asked = [topicPartition('t', 0), topicPartition('nowhere', 0)]
        for (const { answer } of (yield* balance.elect(asked, 'preferred')).values()) answers.push(answer)
      },
    )
    cluster.run()
    expect(answers).toMatchObject([{ error: Errors.ELECTION_NOT_NEEDED }, { error: Errors.UNKNOWN_TOPIC_OR_PARTITION }])
  })

  it('asked for by znode are elected, and the znode goes', () => {
    const cluster = lab().topic('t', { 0: [2, 1, 3] })
    cluster.ensemble.put('/admin/preferred_replica_election', {
      version: 1,
      partitions: [{ topic: 't', partition: 0 }],
    })
    cluster.run()
    expect(cluster.ensemble.znodes.has('/admin/preferred_replica_election')).toBe(false)
  })
})

describe('a controlled shutdown', () => {
  const shutDown = (cluster: ControllerLab, id: number, epoch = cluster.broker(id).brokerEpoch): unknown => {
    let result: unknown
    cluster.controller.controller.controlledShutdown(id, epoch, (answer) => (result = answer))
    cluster.run()
    return result
  }

  it('moves leaders to others of the ISR, and takes the broker out of it', () => {
    const cluster = lab().topic('t', { 0: [2, 1, 3], 1: [1, 2, 3] })
    expect(shutDown(cluster, 2)).toEqual({ error: Errors.NONE, remaining: [] })
    expect(cluster.state('t', 0)).toBe('1 e1 [1,3] v1')
    expect(cluster.state('t', 1)).toBe('1 e1 [1,3] v1')
  })

  it('names what nobody else can lead', () => {
    const cluster = lab().topic('t', { 0: [2, 3] })
    cluster.die(3)
    expect(shutDown(cluster, 2)).toMatchObject({ remaining: [{ name: 't-0' }] })
  })

  it('of a broker of an older epoch is refused, and of one that is not there', () => {
    const cluster = lab()
    expect(shutDown(cluster, 2, 0)).toMatchObject({ error: Errors.STALE_BROKER_EPOCH })
    expect(shutDown(cluster, 9, 0)).toMatchObject({ error: Errors.BROKER_NOT_AVAILABLE })
  })

  it('makes the broker no candidate', () => {
    const cluster = lab().topic('t', { 0: [3, 2, 1] })
    shutDown(cluster, 2)
    cluster.die(3)
    expect(cluster.state().startsWith('1 ')).toBe(true)
  })
})

describe('a broker without AlterPartition (before 2.7)', () => {
  it('tells the controller by a notification, which is read and deleted', () => {
    const cluster = withTopic([1, 2, 3], { 'inter.broker.protocol.version': '2.6' })
    const path = '/brokers/topics/t/partitions/0/state'
    cluster.ensemble.put(path, { ...cluster.ensemble.json(path), isr: [1, 2] })
    const told = { version: 1, partitions: [{ topic: 't', partition: 0 }] }
    cluster.ensemble.put('/isr_change_notification/isr_change_0000000000', told)
    cluster.run()
    expect(cluster.broker(3).metadata.image.topicsByName.get('t')?.partitions.get(0)).toMatchObject({ isr: [1, 2] })
    expect(cluster.ensemble.children('/isr_change_notification')).toEqual([])
  })
})

describe('ZooKeeper calls', () => {
  it('are made again after the connection was lost', () => {
    const cluster = withTopic()
    let lost = 3
    cluster.ensemble.fault = (op) => (op === 'multi' && lost-- > 0 ? 'CONNECTIONLOSS' : undefined)
    cluster.die(3)
    expect(cluster.state()).toBe('1 e1 [1,2] v1')
  })

  it('wait for the connection, and fail with the session', () => {
    const cluster = lab([1])
    const { zk, session } = cluster.broker(1)
    const outcomes: string[] = []
    session.disconnect()
    const read = function* () {
      try {
        yield* zk.getData('/controller')
        return 'read'
      } catch (error) {
        return (error as Error).message
      }
    }
    runTask(read(), (outcome) => outcomes.push(outcome))
    cluster.run()
    expect(outcomes).toEqual([])
    session.expire()
    cluster.run()
    expect(outcomes).toEqual(['SESSIONEXPIRED: while waiting for a connection'])
  })
})
