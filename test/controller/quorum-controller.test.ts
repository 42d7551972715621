/** Controllers as processes: leadership, commits, failover, requests. Cases of Kafka's QuorumControllerTest, and golden conversations. */

import { describe, expect, it } from 'vitest'
import type { EventOf } from '../../sim/kernel/events.js'
import type { MetadataRecord } from '../../sim/kraft/metadata/records.js'
import type { Apis } from '../../sim/wire/apis.js'
import { Errors, errorName } from '../../sim/wire/errors.js'
import { BytesFrame, openResponse, RequestFrame } from '../../sim/wire/frame.js'
import { CLUSTER_ID, createRequest, golden, QuorumLab } from './quorum-lab.js'

function replaysOf(lab: QuorumLab): EventOf<'metadata.replay'>[] {
  const replays: EventOf<'metadata.replay'>[] = []
  lab.engine.trace.watch(['metadata.replay'], (event) => replays.push(event as EventOf<'metadata.replay'>))
  return replays
}

function standbyOf(lab: QuorumLab): string {
  return lab.controllers.find((name) => name !== lab.active) as string
}

describe('a new quorum', () => {
  it('writes the bootstrap records in one transaction, with the cluster’s min.insync.replicas as ELR is on', () => {
    const lab = new QuorumLab({ config: { 'min.insync.replicas': 2 } })
    const replays = replaysOf(lab)
    lab.boot()
    const first = replays.find((event) => event.data.records.length > 0)?.data.records as readonly MetadataRecord[]
    expect(first.map((record) => record.type)).toEqual([
      'BeginTransactionRecord',
      'FeatureLevelRecord',
      'FeatureLevelRecord',
      'FeatureLevelRecord',
      'FeatureLevelRecord',
      'ConfigRecord',
      'EndTransactionRecord',
    ])
    expect(first[1]).toMatchObject({ name: 'metadata.version', featureLevel: 27 })
    expect(first[5]).toMatchObject({ resourceType: 4, resourceName: '', name: 'min.insync.replicas', value: '2' })
  })

  it('writes a no-op record every half second, and each controller registers once', () => {
    const lab = new QuorumLab().boot()
    const replays = replaysOf(lab)
    lab.run(10_000)
    const records = replays
      .filter((event) => event.node === 'c1')
      .flatMap((event) => event.data.records as MetadataRecord[])
    expect(records.map((record) => record.type)).toEqual(Array.from({ length: 20 }, () => 'NoOpRecord'))
    const described = lab.ask('b1', 'DescribeCluster', {
      includeClusterAuthorizedOperations: false,
      endpointType: 2,
      includeFencedBrokers: false,
    })
    expect(described.brokers.map((each) => each.brokerId).toSorted((a, b) => a - b)).toEqual([3001, 3002, 3003])
    expect(described.clusterId).toBe(CLUSTER_ID)
  })

  it('gives the same digest on every node for the same offsets', () => {
    const lab = new QuorumLab().boot()
    const replays = replaysOf(lab)
    lab.joinAll()
    lab.create('foo', [[1, 2, 3]])
    lab.run(1_000)
    const byOffset = new Map<number, Set<string>>()
    for (const { data } of replays) {
      const seen = byOffset.get(data.baseOffset) ?? new Set()
      byOffset.set(data.baseOffset, seen.add(`${data.lastOffset} ${data.epoch} ${data.digest}`))
    }
    expect([...byOffset.values()].every((seen) => seen.size === 1)).toBe(true)
    expect(replays.length).toBeGreaterThanOrEqual(3 * byOffset.size - 2)
  })

  it('of one controller works alone', () => {
    const lab = new QuorumLab({ controllers: 1 }).boot()
    lab.joinAll()
    expect(lab.create('foo', [[1, 2, 3]])).toBe('NONE')
  })
})

describe('a decision', () => {
  it('is answered only when a majority has it', () => {
    const lab = new QuorumLab().boot()
    lab.joinAll()
    for (const name of lab.controllers) if (name !== lab.active) lab.world.pause(name)
    let answered = false
    lab.send('b1', lab.active, 'CreateTopics', createRequest('foo', [[1, 2, 3]]), () => (answered = true))
    lab.run(1_000)
    expect(answered).toBe(false)
    for (const name of lab.controllers) if (name !== lab.active) lab.world.resume(name)
    expect(lab.runUntil(() => answered)).toBe(true)
  })

  it('that only reads waits for what it may have seen', () => {
    const lab = new QuorumLab().boot()
    lab.joinAll()
    for (const name of lab.controllers) if (name !== lab.active) lab.world.pause(name)
    const order: string[] = []
    lab.send('b1', lab.active, 'CreateTopics', createRequest('foo', [[1, 2, 3]]), () => order.push('create'))
    lab.run(50)
    lab.send('b2', lab.active, 'CreateTopics', createRequest('foo', [[1, 2, 3]]), (result) => {
      const code = result.ok ? (result.response.topics[0]?.errorCode ?? -1) : -1
      order.push(errorName(code))
    })
    lab.run(500)
    expect(order).toEqual([])
    for (const name of lab.controllers) if (name !== lab.active) lab.world.resume(name)
    lab.run(2_000)
    expect(order).toEqual(['create', 'TOPIC_ALREADY_EXISTS'])
  })

  it('that was never committed is taken back when the leadership is lost', () => {
    const lab = new QuorumLab({ seed: 'lost' }).boot()
    lab.joinAll()
    lab.run(1_000)
    const old = lab.active
    const rest = lab.controllers.filter((name) => name !== old)
    const fault = lab.world.network.partition([[old, 'b1'], rest])
    let outcome = ''
    lab.send('b1', old, 'CreateTopics', createRequest('foo', [[1, 2, 3]]), (result) => {
      outcome = result.ok ? errorName(result.response.topics[0]?.errorCode ?? -1) : result.reason
    })
    lab.run(10_000)
    expect(outcome).toBe('NOT_CONTROLLER')
    expect(lab.active).not.toBe(old)
    fault.remove()
    lab.run(5_000)
    expect(lab.register('b1')).toBe('NONE')
    expect(lab.heartbeat('b1').isFenced).toBe(false)
    expect(lab.events.some((event) => event.type === 'controller.topic')).toBe(false)
    expect(lab.create('foo', [[1]])).toBe('NONE')
    // The old leader applies what the new one decided, as if it had never decided itself.
    for (const name of rest) lab.world.kill(name)
    for (const name of rest) lab.start(name)
    lab.run(5_000)
    expect(lab.create('foo', [[1]])).toBe('TOPIC_ALREADY_EXISTS')
  })
})

describe('a decision that the active controller did not live to see committed', () => {
  it('is told of by the next one', () => {
    const lab = new QuorumLab({ elr: false, seed: 'untold' }).boot()
    lab.joinAll()
    lab.create('foo', [[1, 2]])
    lab.run(1_000)
    lab.lines()
    const old = lab.active
    // The followers have it in their logs, the leader does not know yet.
    const end = lab.engine.trace.watch(['log.append'], (event) => {
      if (event.type !== 'log.append' || event.node === old || event.data.batch.count < 2) return
      end()
      lab.engine.schedule(lab.engine.now, () => lab.world.kill(old), undefined)
    })
    lab.send('b1', old, 'BrokerHeartbeat', lab.heartbeatOf('b1', { wantFence: true }), () => {})
    lab.run(1)
    lab.runUntil(() => lab.hasActive && lab.active !== old)
    lab.run(500)
    expect(lab.lines()).toEqual([
      'partition foo-0: leader b2 epoch 1/1 isr 2 (failover)',
      'broker b1: fenced (failover)',
      expect.stringMatching(/^active/),
    ])
  })
})

describe('a standby controller', () => {
  it('refuses decisions and answers what reads committed metadata', () => {
    const lab = new QuorumLab().boot()
    lab.joinAll()
    lab.create('foo', [[1, 2, 3]])
    lab.run(1_000)
    const standby = standbyOf(lab)
    const create = lab.ask('b1', 'CreateTopics', createRequest('bar', [[1]]), standby)
    expect(create.topics[0]?.errorCode).toBe(Errors.NOT_CONTROLLER)
    expect(lab.ask('b1', 'BrokerHeartbeat', lab.heartbeatOf('b1'), standby).errorCode).toBe(Errors.NOT_CONTROLLER)
    expect(lab.ask('b1', 'AllocateProducerIds', { brokerId: 1, brokerEpoch: 0 }, standby).errorCode).toBe(
      Errors.NOT_CONTROLLER,
    )
    expect(lab.ask('b1', 'ListPartitionReassignments', { timeoutMs: 1, topics: null }, standby).errorCode).toBe(0)
    const remove = (name: string) =>
      lab.ask(
        'b1',
        'DeleteTopics',
        { topics: [{ name, topicId: 'AAAAAAAAAAAAAAAAAAAAAA' }], topicNames: [], timeoutMs: 1_000 },
        standby,
      )
    expect(remove('foo').responses[0]?.errorCode).toBe(Errors.NOT_CONTROLLER)
    expect(remove('none').responses[0]?.errorCode).toBe(Errors.UNKNOWN_TOPIC_OR_PARTITION)
  })

  it('says NOT_CONTROLLER of an envelope itself', () => {
    const lab = new QuorumLab().boot()
    lab.joinAll()
    const inner = new RequestFrame('CreateTopics', 7, 42, 'admin', createRequest('foo', [[1, 2, 3]]))
    const envelope = { requestData: inner.encode(), requestPrincipal: null, clientHostAddress: new Uint8Array(4) }
    expect(lab.ask('b1', 'Envelope', envelope, standbyOf(lab))).toEqual({
      responseData: null,
      errorCode: Errors.NOT_CONTROLLER,
    })
    const answer = lab.ask('b1', 'Envelope', envelope)
    const { message, correlationId } = openResponse(
      new BytesFrame(answer.responseData as Uint8Array),
      'CreateTopics',
      7,
    )
    expect(correlationId).toBe(42)
    expect((message as Apis['CreateTopics']['response']).topics[0]).toMatchObject({
      name: 'foo',
      errorCode: 0,
      numPartitions: 1,
    })
  })
})

describe('requests', () => {
  it('whose time is over when they arrive are timed out', () => {
    const lab = new QuorumLab().boot()
    lab.joinAll()
    const late = { ...createRequest('foo', [[1]]), timeoutMs: 0 }
    expect(lab.ask('b1', 'CreateTopics', late).topics[0]?.errorCode).toBe(Errors.REQUEST_TIMED_OUT)
  })

  it('for topics named twice, or for the metadata log, are refused one by one', () => {
    const lab = new QuorumLab().boot()
    lab.joinAll()
    const topics = ['foo', 'foo', '__cluster_metadata', 'bar'].map((name) => ({
      ...createRequest(name, [[1]]).topics[0],
    }))
    const request = { topics, timeoutMs: 1_000, validateOnly: false } as Apis['CreateTopics']['request']
    const response = lab.ask('b1', 'CreateTopics', request)
    expect(response.topics.map(({ name, errorCode }) => `${name} ${errorName(errorCode)}`)).toEqual([
      'bar NONE',
      'foo INVALID_REQUEST',
      '__cluster_metadata INVALID_REQUEST',
    ])
    const topicId = response.topics[0]?.topicId as string
    const deleted = lab.ask('b1', 'DeleteTopics', {
      topics: [
        { name: 'bar', topicId: 'AAAAAAAAAAAAAAAAAAAAAA' },
        { name: null, topicId },
        { name: null, topicId: 'AAAAAAAAAAAAAAAAAAAAAA' },
        { name: 'x', topicId },
      ],
      topicNames: [],
      timeoutMs: 1_000,
    })
    expect(deleted.responses.map(({ errorCode }) => errorName(errorCode))).toEqual(
      Array.from({ length: 3 }, () => 'INVALID_REQUEST'),
    )
  })

  it('of a resource twice are refused', () => {
    const lab = new QuorumLab().boot()
    const resource = {
      resourceType: 4,
      resourceName: '',
      configs: [{ name: 'log.retention.ms', configOperation: 0, value: '5' }],
    }
    const response = lab.ask('b1', 'IncrementalAlterConfigs', { resources: [resource, resource], validateOnly: false })
    expect(response.responses.map(({ errorCode }) => errorName(errorCode))).toEqual(['INVALID_REQUEST'])
    const one = lab.ask('b1', 'IncrementalAlterConfigs', { resources: [resource], validateOnly: false })
    expect(one.responses.map(({ errorCode }) => errorName(errorCode))).toEqual(['NONE'])
  })

  it('for features need every controller to have told what it supports', () => {
    const lab = new QuorumLab({ elr: false })
    lab.start('c1')
    lab.start('c2')
    lab.start('b1')
    lab.runUntil(() => lab.hasActive)
    lab.run(2_000)
    const update = () =>
      lab.ask('b1', 'UpdateFeatures', {
        timeoutMs: 1_000,
        featureUpdates: [
          { feature: 'eligible.leader.replicas.version', maxVersionLevel: 1, allowDowngrade: false, upgradeType: 1 },
        ],
        validateOnly: false,
      }).errorCode
    expect(errorName(update())).toBe('INVALID_UPDATE_VERSION')
    lab.start('c3')
    lab.run(5_000)
    expect(errorName(update())).toBe('NONE')
  })
})

describe('the state of the cluster', () => {
  it('survives a restart of all controllers, from the log and from snapshots', () => {
    for (const config of [{}, { 'metadata.log.max.record.bytes.between.snapshots': 2_000 }]) {
      const lab = new QuorumLab({ config }).boot()
      const snapshots: string[] = []
      lab.engine.trace.watch(['quorum.snapshot'], (event) => {
        if (event.type === 'quorum.snapshot' && event.data.endOffset > 0) snapshots.push(event.data.how)
      })
      lab.joinAll()
      lab.create(
        'foo',
        [
          [1, 2, 3],
          [2, 3, 1],
        ],
        { 'min.insync.replicas': '2' },
      )
      lab.heartbeat('b3', { wantFence: true })
      lab.beat(['b1', 'b2'], 20_000)
      for (const name of lab.controllers) lab.world.kill(name)
      for (const name of lab.controllers) lab.start(name)
      lab.runUntil(() => lab.hasActive)
      lab.run(1_000)
      lab.lines()
      expect(lab.heartbeat('b1')).toMatchObject({ errorCode: 0, isFenced: false })
      expect(lab.heartbeat('b3')).toMatchObject({ errorCode: 0, isFenced: false })
      expect(lab.create('foo', [[1]])).toBe('TOPIC_ALREADY_EXISTS')
      lab.heartbeat('b1', { wantFence: true })
      lab.run(500)
      expect(lab.lines().filter((line) => line.startsWith('partition'))).toEqual([
        'partition foo-0: leader b2 epoch 1/2 isr 2 elr 1 (broker-fenced)',
        'partition foo-1: leader b2 epoch 0/2 isr 2 elr 1 (broker-fenced)',
      ])
      expect(new Set(snapshots)).toEqual(new Set(Object.keys(config).length === 0 ? [] : ['written', 'loaded']))
    }
  })
})

describe('golden conversations', () => {
  it('a broker that falls silent is fenced, and comes back', () => {
    const lab = new QuorumLab().boot()
    const out: string[] = ['# three brokers join, a topic is created', ...lab.lines()]
    lab.joinAll()
    lab.create(
      'orders',
      [
        [1, 2, 3],
        [2, 3, 1],
      ],
      { 'min.insync.replicas': '2' },
    )
    lab.run(200)
    out.push(...lab.lines(), '# b1 falls silent for 12 s')
    lab.beat(['b2', 'b3'], 12_000)
    out.push(...lab.lines(), '# b2, too: the ISR is below its minimum')
    lab.beat(['b3'], 12_000)
    out.push(...lab.lines(), '# b3 is asked to stop: somebody eligible is left, nobody is in sync')
    lab.heartbeat('b3', { wantShutDown: true })
    lab.run(200)
    out.push(...lab.lines(), '# b2 comes back, who was in sync when the ISR became too small')
    lab.heartbeat('b2')
    lab.run(200)
    out.push(...lab.lines(), '# b1 is started anew without a clean shutdown; it was not eligible any more')
    lab.world.kill('b1')
    lab.start('b1')
    lab.puppet('b1').epoch = -1
    lab.register('b1')
    lab.heartbeat('b1')
    lab.run(200)
    out.push(...lab.lines())
    const { actual, expected } = golden('silent-broker', out)
    expect(actual).toBe(expected)
  })

  it('the active controller dies; the next goes on where it was', () => {
    const lab = new QuorumLab({ elr: false, seed: 'failover' }).boot()
    const out: string[] = ['# two partitions, an unclean one among them', ...lab.lines()]
    lab.joinAll()
    lab.create('safe', [[1, 2]])
    lab.create('fast', [[1, 2]], { 'unclean.leader.election.enable': 'true' })
    lab.run(200)
    out.push(...lab.lines(), '# b2 is fenced, then the active controller dies')
    lab.heartbeat('b2', { wantFence: true })
    lab.world.kill(lab.active)
    lab.runUntil(() => lab.hasActive)
    lab.run(500)
    out.push(...lab.lines(), '# the new one gives everybody a full session, then fences who is silent')
    lab.beat(['b3'], 8_000)
    out.push(...lab.lines())
    lab.beat(['b3'], 4_000)
    out.push(...lab.lines(), '# b2 comes back: only one of the partitions takes it')
    lab.heartbeat('b2')
    lab.run(200)
    out.push(...lab.lines())
    const { actual, expected } = golden('failover', out)
    expect(actual).toBe(expected)
  })
})

describe('a run', () => {
  const play = (wire: 'reference' | 'bytes'): string => {
    const lab = new QuorumLab({ wire, seed: 'again' }).boot()
    lab.joinAll()
    lab.create('foo', [[1, 2, 3]])
    lab.world.kill(lab.active)
    lab.run(6_000)
    return lab.engine.trace.hash
  }

  it('has the same hash every time, whatever the wire', () => {
    expect(play('reference')).toBe(play('reference'))
    expect(play('bytes')).toBe(play('reference'))
  })
})

describe('a controller whose disk is not its own', () => {
  it('does not start', () => {
    const lab = new QuorumLab()
    lab.world.wipe('c1')
    const halted: string[] = []
    lab.engine.trace.watch(['node.down'], (event) => {
      if (event.type === 'node.down') halted.push(`${event.node} ${event.data.how}`)
    })
    lab.start('c1')
    lab.run(10)
    expect(halted).toEqual(['c1 halt'])
  })
})
