/** Creating topics and partitions, placing replicas, settings, features. Cases of Kafka's tests of the same managers. */

import { describe, expect, it } from 'vitest'
import { placeReplicas } from '../../sim/controller/replica-placer.js'
import { createPartitions, createTopics } from '../../sim/controller/topic-creation.js'
import { Random } from '../../sim/kernel/random.js'
import { RESOURCE_BROKER, RESOURCE_TOPIC } from '../../sim/kraft/metadata/records.js'
import { errorName } from '../../sim/wire/errors.js'
import { StateLab } from './state-lab.js'

const AUTO = { assignments: [], configs: [] }

describe('CreateTopics', () => {
  it('needs unfenced brokers, as many registered ones as replicas, and makes everyone in sync who is active', () => {
    const l = new StateLab()
    expect(l.createTopic({ name: 'foo', numPartitions: -1, replicationFactor: -1, ...AUTO })).toBe(
      'INVALID_REPLICATION_FACTOR',
    )
    l.register(0)
    l.register(1)
    expect(l.createTopic({ name: 'foo', numPartitions: 1, replicationFactor: 2, ...AUTO })).toBe(
      'INVALID_REPLICATION_FACTOR',
    )
    l.unfence(0)
    expect(l.createTopic({ name: 'foo', numPartitions: 1, replicationFactor: 3, ...AUTO })).toBe(
      'INVALID_REPLICATION_FACTOR',
    )
    expect(l.createTopic({ name: 'foo', numPartitions: 1, replicationFactor: 2, ...AUTO })).toBe('NONE')
    expect(l.partition('foo-0')).toMatchObject({
      replicas: [0, 1],
      isr: [0],
      leader: 0,
      leaderEpoch: 0,
      partitionEpoch: 0,
    })
    expect(l.createTopic({ name: 'foo', numPartitions: 1, replicationFactor: 2, ...AUTO })).toBe('TOPIC_ALREADY_EXISTS')
  })

  it('writes the topic, its settings, then its partitions', () => {
    const l = new StateLab()
    l.start(0, 1)
    expect(
      l.create(
        'foo',
        [
          [0, 1],
          [1, 0],
        ],
        { 'retention.ms': '1000' },
      ),
    ).toBe('NONE')
    expect(l.records.map((record) => record.type)).toEqual([
      'TopicRecord',
      'ConfigRecord',
      'PartitionRecord',
      'PartitionRecord',
    ])
  })

  it('answers with the effective settings and where they come from', () => {
    const l = new StateLab({ config: { 'log.retention.hours': 1, 'min.insync.replicas': 2 } })
    l.start(0)
    const topic = {
      name: 'foo',
      numPartitions: 1,
      replicationFactor: 1,
      assignments: [],
      configs: [{ name: 'segment.ms', value: '5' }],
    }
    const response = l.decide(createTopics(l.state, { topics: [topic], timeoutMs: 1, validateOnly: false }))
    if (typeof response === 'string') throw new Error(response)
    const configs = new Map(
      response.topics[0]?.configs?.map((each) => [each.name, `${each.value} from ${each.configSource}`]),
    )
    expect(configs.get('segment.ms')).toBe('5 from 1')
    expect(configs.get('min.insync.replicas')).toBe('2 from 3')
    expect(configs.get('retention.ms')).toBe('3600000 from 4')
    expect(configs.get('cleanup.policy')).toBe('delete from 5')
    expect(configs.has('internal.segment.bytes')).toBe(false)
  })

  it('changes nothing when it only validates', () => {
    const l = new StateLab()
    l.start(0)
    const topic = { name: 'foo', numPartitions: 1, replicationFactor: 1, ...AUTO }
    l.decide(createTopics(l.state, { topics: [topic], timeoutMs: 1, validateOnly: true }))
    expect(l.state.topics.byName.size).toBe(0)
  })

  it.each([
    ['an empty name', '', 'INVALID_TOPIC_EXCEPTION'],
    ['two dots', '..', 'INVALID_TOPIC_EXCEPTION'],
    ['a strange character', 'foo!', 'INVALID_TOPIC_EXCEPTION'],
    ['250 characters', 'x'.repeat(250), 'INVALID_TOPIC_EXCEPTION'],
    ['249 characters', 'x'.repeat(249), 'NONE'],
    ['a collision in metrics', 'foo_bar', 'INVALID_TOPIC_EXCEPTION'],
  ])('judges %s', (_what, name, error) => {
    const l = new StateLab()
    l.start(0)
    l.create('foo.bar', [[0]])
    expect(l.create(name, [[0]])).toBe(error)
  })

  it.each([
    ['partitions beside the assignment', { numPartitions: 1, replicationFactor: -1 }, [[0]], 'INVALID_REQUEST'],
    ['a replication factor beside it', { numPartitions: -1, replicationFactor: 1 }, [[0]], 'INVALID_REQUEST'],
    ['an unknown broker', {}, [[7]], 'INVALID_REPLICA_ASSIGNMENT'],
    ['a broker twice', {}, [[0, 0]], 'INVALID_REPLICA_ASSIGNMENT'],
    ['an empty list', {}, [[]], 'INVALID_REPLICA_ASSIGNMENT'],
    ['lists of different lengths', {}, [[0], [0, 1]], 'INVALID_REPLICA_ASSIGNMENT'],
    ['fenced brokers only', {}, [[1]], 'INVALID_REPLICA_ASSIGNMENT'],
    ['a fenced follower', {}, [[0, 1]], 'NONE'],
  ])('judges an assignment with %s', (_what, numbers, lists, error) => {
    const l = new StateLab()
    l.start(0)
    l.register(1)
    const assignments = lists.map((brokerIds, partitionIndex) => ({ partitionIndex, brokerIds }))
    expect(
      l.createTopic({ name: 'foo', numPartitions: -1, replicationFactor: -1, ...numbers, assignments, configs: [] }),
    ).toBe(error)
  })

  it('wants partitions without gaps, and numbers that are positive', () => {
    const l = new StateLab()
    l.start(0)
    const assignments = [{ partitionIndex: 1, brokerIds: [0] }]
    expect(l.createTopic({ name: 'foo', numPartitions: -1, replicationFactor: -1, assignments, configs: [] })).toBe(
      'INVALID_REPLICA_ASSIGNMENT',
    )
    expect(l.createTopic({ name: 'foo', numPartitions: 0, replicationFactor: 1, ...AUTO })).toBe('INVALID_PARTITIONS')
    expect(l.createTopic({ name: 'foo', numPartitions: 1, replicationFactor: 0, ...AUTO })).toBe(
      'INVALID_REPLICATION_FACTOR',
    )
    expect(l.create('foo', [[0]], { 'no.such.setting': '1' })).toBe('INVALID_CONFIG')
    expect(l.create('foo', [[0]], { 'retention.ms': 'soon' })).toBe('INVALID_CONFIG')
    expect(l.createTopic({ name: 'foo', numPartitions: 10_001, replicationFactor: 1, ...AUTO })).toBe(
      'POLICY_VIOLATION',
    )
  })
})

describe('CreatePartitions', () => {
  function add(l: StateLab, name: string, count: number, assignments: number[][] | null = null): string {
    const topic = { name, count, assignments: assignments?.map((brokerIds) => ({ brokerIds })) ?? null }
    const results = l.decide(createPartitions(l.state, [topic], false))
    return typeof results === 'string' ? results : errorName(results[0]?.errorCode ?? -1)
  }

  it('adds partitions of the same replication factor', () => {
    const l = new StateLab()
    l.start(0, 1, 2)
    l.create('foo', [[0, 1]])
    expect(add(l, 'foo', 3)).toBe('NONE')
    expect(l.partition('foo-2').replicas).toHaveLength(2)
    expect(add(l, 'foo', 4, [[2, 1]])).toBe('NONE')
    expect(l.partition('foo-3').replicas).toEqual([2, 1])
    expect(add(l, 'foo', 5, [[2]])).toBe('INVALID_REPLICA_ASSIGNMENT')
    expect(add(l, 'foo', 6, [[2, 1]])).toBe('INVALID_REPLICA_ASSIGNMENT')
    expect(add(l, 'foo', 4)).toBe('INVALID_PARTITIONS')
    expect(add(l, 'foo', 1)).toBe('INVALID_PARTITIONS')
    expect(add(l, 'bar', 1)).toBe('UNKNOWN_TOPIC_OR_PARTITION')
    l.fence(1, 2)
    expect(add(l, 'foo', 5, [[2, 1]])).toBe('INVALID_REPLICA_ASSIGNMENT')
  })
})

describe('the placement of replicas', () => {
  const broker = (id: number, rack: string | null = null, fenced = false) => ({ id, rack, fenced })
  const place = (
    brokers: ReturnType<typeof broker>[],
    partitions: number,
    factor: number,
    seed = 'x',
  ): readonly (readonly number[])[] => {
    const placement = placeReplicas(brokers, partitions, factor, new Random(seed))
    if ('impossible' in placement) throw new Error(placement.impossible)
    return placement.assignments
  }

  it('is striped: every broker leads once and follows everywhere', () => {
    for (const seed of ['a', 'b', 'c']) {
      const lists = place(
        [0, 1, 2, 3].map((id) => broker(id)),
        4,
        4,
        seed,
      )
      expect(lists.map((list) => list[0] ?? -1).toSorted((a, b) => a - b)).toEqual([0, 1, 2, 3])
      for (const list of lists) expect(list.toSorted((a, b) => a - b)).toEqual([0, 1, 2, 3])
      const [first, second] = lists
      expect(second?.[0]).toBe(first?.[1])
    }
  })

  it('spreads over racks before it takes a rack twice', () => {
    const brokers = [broker(0, 'a'), broker(1, 'a'), broker(2, 'b'), broker(3, 'b'), broker(4, 'c'), broker(5, 'c')]
    for (const list of place(brokers, 12, 3)) {
      expect(new Set(list.map((id) => Math.floor(id / 2))).size).toBe(3)
    }
  })

  it('leads only from unfenced brokers and follows from fenced ones last', () => {
    const brokers = [broker(0), broker(1, null, true), broker(2)]
    for (const list of place(brokers, 6, 2)) expect(list).not.toContain(1)
    for (const list of place(brokers, 6, 3)) {
      expect(list[0]).not.toBe(1)
      expect(list[2]).toBe(1)
    }
    expect(place([broker(0), broker(1, null, true)], 3, 2)).toEqual([
      [0, 1],
      [0, 1],
      [0, 1],
    ])
  })

  it('is even over many partitions', () => {
    const leaders = new Map<number, number>()
    for (const list of place(
      [0, 1, 2, 3, 4].map((id) => broker(id)),
      5 * 40,
      3,
    )) {
      leaders.set(list[0] as number, (leaders.get(list[0] as number) ?? 0) + 1)
    }
    expect([...leaders.values()]).toEqual([40, 40, 40, 40, 40])
  })

  it.each([
    ['no replicas', [broker(0)], 0],
    ['more replicas than brokers', [broker(0)], 2],
    ['nobody unfenced', [broker(0, null, true)], 1],
    ['no brokers', [], 1],
  ])('is impossible with %s', (_what, brokers, factor) => {
    expect(placeReplicas(brokers, 1, factor, new Random('x'))).toHaveProperty('impossible')
  })
})

describe('settings', () => {
  it('of a resource change as a whole or not at all', () => {
    const l = new StateLab()
    l.start(0)
    l.create('foo', [[0]])
    const resource = { type: RESOURCE_TOPIC, name: 'foo' }
    const operations = [
      { name: 'retention.ms', operation: 0, value: '5' },
      { name: 'max.message.bytes', operation: 0, value: '-7' },
    ]
    const results = l.decide(l.state.configs.incrementalAlterConfigs([{ resource, operations }]))
    expect(results).toMatchObject([{ error: { error: 40 } }])
    expect(l.state.configs.of(resource).size).toBe(0)
  })

  it('of lists can be appended to and subtracted from', () => {
    const l = new StateLab()
    l.start(0)
    l.create('foo', [[0]])
    const resource = { type: RESOURCE_TOPIC, name: 'foo' }
    const change = (name: string, operation: number, value: string): unknown => {
      const results = l.decide(
        l.state.configs.incrementalAlterConfigs([{ resource, operations: [{ name, operation, value }] }]),
      )
      return typeof results === 'string' ? results : errorName(results[0]?.error.error ?? -1)
    }
    expect(change('cleanup.policy', 2, 'compact')).toBe('NONE')
    expect(l.state.configs.of(resource).get('cleanup.policy')).toBe('delete,compact')
    expect(change('cleanup.policy', 2, 'compact')).toBe('NONE')
    expect(l.records).toEqual([])
    expect(change('cleanup.policy', 3, 'delete')).toBe('NONE')
    expect(l.state.configs.of(resource).get('cleanup.policy')).toBe('compact')
    expect(change('retention.ms', 2, '1')).toBe('INVALID_CONFIG')
  })

  it('go to resources that exist', () => {
    const l = new StateLab()
    l.start(0)
    expect(l.setConfig(RESOURCE_TOPIC, 'foo', 'retention.ms', '5')).toBe('UNKNOWN_TOPIC_OR_PARTITION')
    expect(l.setConfig(RESOURCE_BROKER, '9', 'log.retention.ms', '5')).toBe('BROKER_ID_NOT_REGISTERED')
    expect(l.setConfig(RESOURCE_BROKER, 'nine', 'log.retention.ms', '5')).toBe('INVALID_REQUEST')
    expect(l.setConfig(RESOURCE_BROKER, '0', 'log.retention.ms', '5')).toBe('NONE')
    expect(l.setConfig(RESOURCE_BROKER, '', 'log.retention.ms', '5')).toBe('NONE')
    expect(l.setConfig(RESOURCE_BROKER, '3001', 'log.retention.ms', '5')).toBe('NONE')
    expect(l.setConfig(99, 'x', 'log.retention.ms', '5')).toBe('INVALID_REQUEST')
  })

  it('of brokers are written again even when they are the same, so that brokers reload', () => {
    const l = new StateLab()
    l.setConfig(RESOURCE_BROKER, '', 'log.retention.ms', '5')
    l.setConfig(RESOURCE_BROKER, '', 'log.retention.ms', '5')
    expect(l.records).toHaveLength(1)
  })

  it('keep min.insync.replicas at the cluster while ELR is on', () => {
    const l = new StateLab()
    l.start(0)
    expect(l.setConfig(RESOURCE_BROKER, '0', 'min.insync.replicas', '2')).toBe('INVALID_CONFIG')
    expect(l.setConfig(RESOURCE_BROKER, '', 'min.insync.replicas', null)).toBe('INVALID_CONFIG')
    expect(l.setConfig(RESOURCE_BROKER, '', 'min.insync.replicas', '2')).toBe('NONE')
    expect(l.records.map((record) => record.type)).toEqual(['ConfigRecord', 'ClearElrRecord'])
    const off = new StateLab({ elr: false })
    off.start(0)
    expect(off.setConfig(RESOURCE_BROKER, '0', 'min.insync.replicas', '2')).toBe('NONE')
    expect(off.setConfig(RESOURCE_BROKER, '', 'min.insync.replicas', null)).toBe('NONE')
  })

  it('of old replace all that a resource has', () => {
    const l = new StateLab()
    l.start(0)
    l.create('foo', [[0]], { 'retention.ms': '5', 'segment.ms': '6' })
    const resource = { type: RESOURCE_TOPIC, name: 'foo' }
    l.decide(l.state.configs.legacyAlterConfigs([{ resource, configs: new Map([['segment.ms', '7']]) }]))
    expect([...l.state.configs.of(resource)]).toEqual([['segment.ms', '7']])
  })
})

describe('UpdateFeatures', () => {
  function update(l: StateLab, feature: string, level: number, upgradeType = 1): string {
    const result = l.decide(l.state.configs.updateFeatures([{ feature, level, upgradeType }], false, l.state.support))
    return typeof result === 'string' ? result : errorName(result.error)
  }

  it('goes up, and down only where no metadata would be lost', () => {
    const l = new StateLab({ version: '3.9' })
    l.start(0)
    expect(update(l, 'metadata.version', 27)).toBe('NONE')
    expect(l.state.features.metadataVersion.name).toBe('4.1-IV1')
    expect(update(l, 'metadata.version', 26)).toBe('INVALID_UPDATE_VERSION')
    expect(update(l, 'metadata.version', 25, 2)).toBe('NONE')
    expect(update(l, 'metadata.version', 21, 2)).toBe('INVALID_UPDATE_VERSION')
    expect(update(l, 'metadata.version', 99)).toBe('INVALID_UPDATE_VERSION')
    expect(update(l, 'metadata.version', 0, 2)).toBe('INVALID_UPDATE_VERSION')
  })

  it('switches ELR on together with what makes it safe', () => {
    const l = new StateLab({ version: '3.9', config: { 'min.insync.replicas': 2 } })
    l.start(0)
    l.setConfig(RESOURCE_BROKER, '', 'min.insync.replicas', null)
    l.setConfig(RESOURCE_BROKER, '0', 'min.insync.replicas', '3')
    expect(update(l, 'eligible.leader.replicas.version', 1)).toBe('INVALID_UPDATE_VERSION')
    expect(update(l, 'metadata.version', 27)).toBe('NONE')
    expect(update(l, 'eligible.leader.replicas.version', 1)).toBe('NONE')
    expect(l.records.map((record) => record.type)).toEqual(['ConfigRecord', 'ConfigRecord', 'FeatureLevelRecord'])
    expect(l.state.configs.of({ type: RESOURCE_BROKER, name: '' }).get('min.insync.replicas')).toBe('2')
    expect(l.state.configs.of({ type: RESOURCE_BROKER, name: '0' }).size).toBe(0)
    expect(l.state.features.elrEnabled).toBe(true)
  })
})

describe('producer ids', () => {
  it('come in blocks of a thousand, to brokers of the current epoch', () => {
    const l = new StateLab()
    l.start(0)
    const ask = (brokerEpoch: number): unknown => l.decide(l.state.allocateProducerIds({ brokerId: 0, brokerEpoch }))
    expect(ask(l.epoch(0))).toBe(0)
    expect(ask(l.epoch(0))).toBe(1_000)
    expect(ask(l.epoch(0) - 1)).toBe('STALE_BROKER_EPOCH')
    expect(l.image.nextProducerId).toBe(2_000)
  })
})
