/** Cases of Kafka's KafkaAdminClientTest. */

import { describe, expect, it } from 'vitest'
import { Admin } from '../../sim/client/admin.js'
import { parseAdminConfig } from '../../sim/client/admin-config.js'
import type { AdminResult } from '../../sim/client/admin-operation.js'
import type { Apis } from '../../sim/wire/apis.js'
import { Errors } from '../../sim/wire/errors.js'
import { ZERO_UUID } from '../../sim/wire/uuid.js'
import { Lab, must } from './lab.js'

function operating(brokers = 3, config: Record<string, unknown> = {}): { lab: Lab; admin: Admin } {
  const lab = new Lab(brokers)
  return { lab, admin: lab.client('admin', (env) => new Admin(env, parseAdminConfig(config), lab.brokers)) }
}

/** The result of an operation, once it is there: `ok a`, `TOPIC_ALREADY_EXISTS`, … */
class Outcome<T> {
  result: AdminResult<T> | undefined
  readonly take = (result: AdminResult<T>): void => {
    if (this.result !== undefined) throw new Error('answered twice')
    this.result = result
  }
}

type CreateResponse = Apis['CreateTopics']['response']

const created = (errors: Readonly<Record<string, number>>): CreateResponse => ({
  throttleTimeMs: 0,
  topics: Object.entries(errors).map(([name, errorCode]) => ({
    name,
    topicId: ZERO_UUID,
    errorCode,
    errorMessage: null,
    topicConfigErrorCode: 0,
    numPartitions: 3,
    replicationFactor: 2,
    configs: null,
  })),
})

describe('an operation', () => {
  it('goes to the controller that metadata names, and is told to the trace', () => {
    const { lab, admin } = operating()
    lab.controller = 2
    lab.next('CreateTopics', (request) => request.respond(created({ orders: 0 })))
    const outcome = new Outcome()
    admin.createTopics(
      [{ name: 'orders', partitions: 3, replicationFactor: 2, configs: { 'min.insync.replicas': '2' } }],
      outcome.take,
    )
    lab.until(100)
    expect(outcome.result?.outcome).toBe('ok')
    expect(outcome.result?.values.get('orders')).toMatchObject({ partitions: 3, replicationFactor: 2 })
    const [sent] = lab.sent('CreateTopics')
    expect(must(sent).to).toBe('b2')
    expect(must(sent).body).toEqual({
      topics: [
        {
          name: 'orders',
          numPartitions: 3,
          replicationFactor: 2,
          assignments: [],
          configs: [{ name: 'min.insync.replicas', value: '2' }],
        },
      ],
      // request.timeout.ms, less what connecting took.
      timeoutMs: 29_998,
      validateOnly: false,
    })
    expect(must(lab.of('admin.invoked')[0]).data).toEqual({ id: 1, operation: 'create-topic orders' })
    expect(must(lab.of('admin.completed')[0]).data).toEqual({ id: 1, operation: 'create-topic orders', outcome: 'ok' })
  })

  it('finds the new controller after NOT_CONTROLLER', () => {
    const { lab, admin } = operating()
    lab.next('CreateTopics', (request) => {
      lab.controller = 3
      request.respond(created({ orders: Errors.NOT_CONTROLLER }))
    })
    lab.next('CreateTopics', (request) => request.respond(created({ orders: 0 })))
    const outcome = new Outcome()
    admin.createTopics([{ name: 'orders' }], outcome.take)
    lab.until(1_000)
    expect(outcome.result?.outcome).toBe('ok')
    expect(lab.sent('CreateTopics').map(({ to }) => to)).toEqual(['b1', 'b3'])
  })

  it('with several parts tells of each, and its outcome is the first error', () => {
    const { lab, admin } = operating()
    lab.next('CreateTopics', (request) =>
      request.respond(created({ a: 0, b: Errors.TOPIC_ALREADY_EXISTS, c: Errors.INVALID_PARTITIONS })),
    )
    const outcome = new Outcome()
    admin.createTopics([{ name: 'a' }, { name: 'b' }, { name: 'c' }], outcome.take)
    lab.until(100)
    expect(outcome.result?.outcome).toBe('TOPIC_ALREADY_EXISTS')
    expect([...must(outcome.result).values.keys()]).toEqual(['a'])
    expect([...must(outcome.result).errors]).toEqual([
      ['b', 'TOPIC_ALREADY_EXISTS'],
      ['c', 'INVALID_PARTITIONS'],
    ])
  })

  it('about which the broker says nothing failed for an unknown reason', () => {
    const { lab, admin } = operating()
    lab.next('CreateTopics', (request) => request.respond(created({})))
    const outcome = new Outcome()
    admin.createTopics([{ name: 'a' }], outcome.take)
    lab.until(100)
    expect(outcome.result?.outcome).toBe('UNKNOWN_SERVER_ERROR')
  })

  it('is sent again after a lost connection, and may then find its own work done', () => {
    const { lab, admin } = operating()
    lab.next('CreateTopics', (request) => request.closeConnection())
    lab.next('CreateTopics', (request) => request.respond(created({ orders: Errors.TOPIC_ALREADY_EXISTS })))
    const outcome = new Outcome()
    admin.createTopics([{ name: 'orders' }], outcome.take)
    lab.until(2_000)
    expect(outcome.result?.outcome).toBe('TOPIC_ALREADY_EXISTS')
  })

  it('times out after default.api.timeout.ms, when no broker can be reached', () => {
    const { lab, admin } = operating(2, { 'default.api.timeout.ms': 5_000, 'request.timeout.ms': 1_000 })
    lab.world.kill('b1')
    lab.world.kill('b2')
    const outcome = new Outcome()
    admin.createTopics([{ name: 'orders' }], outcome.take)
    lab.until(4_990)
    expect(outcome.result).toBeUndefined()
    lab.until(5_010)
    expect(outcome.result?.outcome).toBe('REQUEST_TIMED_OUT')
  })

  it('times out when the controller does not answer, however often it is asked', () => {
    const { lab, admin } = operating(1, { 'default.api.timeout.ms': 5_000, 'request.timeout.ms': 1_000 })
    lab.next('CreateTopics', () => {}, 100)
    const outcome = new Outcome()
    admin.createTopics([{ name: 'orders' }], outcome.take)
    lab.until(5_200)
    expect(outcome.result?.outcome).toBe('REQUEST_TIMED_OUT')
    expect(lab.sent('CreateTopics').length).toBeGreaterThan(2)
  })

  it('gives up after its retries', () => {
    const { lab, admin } = operating(1, { retries: 2 })
    lab.next('CreateTopics', (request) => request.respond(created({ orders: Errors.NOT_CONTROLLER })), 100)
    const outcome = new Outcome()
    admin.createTopics([{ name: 'orders' }], outcome.take)
    lab.until(5_000)
    expect(outcome.result?.outcome).toBe('REQUEST_TIMED_OUT')
    expect(lab.sent('CreateTopics')).toHaveLength(3)
  })

  it('is not started once the client closes', () => {
    const { lab, admin } = operating()
    let closed = false
    admin.close(() => (closed = true))
    lab.until(10)
    expect(closed).toBe(true)
    expect(() => admin.deleteTopics(['orders'], () => {})).toThrow('closed')
  })

  it('under way at close is finished, or given up after the timeout', () => {
    const { lab, admin } = operating()
    lab.next('DeleteTopics', () => {})
    const outcome = new Outcome<void>()
    let closed = false
    admin.deleteTopics(['orders'], outcome.take)
    lab.until(20)
    admin.close(() => (closed = true), 500)
    lab.until(519)
    expect(closed).toBe(false)
    lab.until(530)
    expect([closed, outcome.result?.outcome]).toEqual([true, 'REQUEST_TIMED_OUT'])
  })
})

describe('an admin client without work', () => {
  it('does nothing', () => {
    const { lab } = operating()
    lab.until(600_000)
    expect(lab.events.filter((event) => event.node === 'admin' && event.type !== 'node.start')).toEqual([])
  })

  it('does nothing once its work is done', () => {
    const { lab, admin } = operating()
    lab.next('DeleteTopics', (request) =>
      request.respond({
        throttleTimeMs: 0,
        responses: [{ name: 'orders', topicId: ZERO_UUID, errorCode: 0, errorMessage: null }],
      }),
    )
    admin.deleteTopics(['orders'], () => {})
    lab.until(1_000)
    const fired = lab.engine.fired
    lab.until(1_000_000)
    expect(lab.engine.fired - fired).toBeLessThan(5)
  })
})

describe('requests', () => {
  it('to create partitions and topics carry assignments in place of counts', () => {
    const { lab, admin } = operating()
    lab.next('CreateTopics', (request) => request.respond(created({ a: 0 })))
    lab.next('CreatePartitions', (request) =>
      request.respond({ throttleTimeMs: 0, results: [{ name: 'a', errorCode: 0, errorMessage: null }] }),
    )
    const first = new Outcome()
    const second = new Outcome<void>()
    admin.createTopics(
      [
        {
          name: 'a',
          assignments: [
            [1, 2],
            [2, 3],
          ],
        },
      ],
      first.take,
    )
    admin.createPartitions(
      {
        a: {
          count: 4,
          assignments: [
            [3, 1],
            [1, 2],
          ],
        },
      },
      second.take,
    )
    lab.until(100)
    expect([first.result?.outcome, second.result?.outcome]).toEqual(['ok', 'ok'])
    expect(must(lab.sent('CreateTopics')[0]).body.topics[0]).toMatchObject({
      numPartitions: -1,
      replicationFactor: -1,
      assignments: [
        { partitionIndex: 0, brokerIds: [1, 2] },
        { partitionIndex: 1, brokerIds: [2, 3] },
      ],
    })
    expect(must(lab.sent('CreatePartitions')[0]).body.topics).toEqual([
      { name: 'a', count: 4, assignments: [{ brokerIds: [3, 1] }, { brokerIds: [1, 2] }] },
    ])
  })

  it('to elect leaders, for some partitions or all', () => {
    const { lab, admin } = operating()
    const results = [
      {
        topic: 'a',
        partitionResult: [
          { partitionId: 0, errorCode: 0, errorMessage: null },
          { partitionId: 1, errorCode: Errors.ELECTION_NOT_NEEDED, errorMessage: null },
        ],
      },
    ]
    lab.next(
      'ElectLeaders',
      (request) => request.respond({ throttleTimeMs: 0, errorCode: 0, replicaElectionResults: results }),
      2,
    )
    const some = new Outcome<void>()
    const every = new Outcome<void>()
    admin.electLeaders('preferred', ['a-0', 'a-1'], some.take)
    admin.electLeaders('unclean', undefined, every.take)
    lab.until(100)
    expect(lab.sent('ElectLeaders').map(({ body }) => [body.electionType, body.topicPartitions])).toEqual([
      [0, [{ topic: 'a', partitions: [0, 1] }]],
      [1, null],
    ])
    for (const { result } of [some, every]) {
      expect([[...must(result).values.keys()], [...must(result).errors]]).toEqual([
        ['a-0'],
        [['a-1', 'ELECTION_NOT_NEEDED']],
      ])
    }
  })

  it('to reassign, to cancel and to list reassignments', () => {
    const { lab, admin } = operating()
    lab.next('AlterPartitionReassignments', (request) =>
      request.respond({
        throttleTimeMs: 0,
        allowReplicationFactorChange: true,
        errorCode: 0,
        errorMessage: null,
        responses: [
          {
            name: 'a',
            partitions: [0, 1].map((partitionIndex) => ({ partitionIndex, errorCode: 0, errorMessage: null })),
          },
        ],
      }),
    )
    lab.next('ListPartitionReassignments', (request) =>
      request.respond({
        throttleTimeMs: 0,
        errorCode: 0,
        errorMessage: null,
        topics: [
          {
            name: 'a',
            partitions: [{ partitionIndex: 0, replicas: [1, 2, 3], addingReplicas: [3], removingReplicas: [1] }],
          },
        ],
      }),
    )
    const altered = new Outcome<void>()
    const listed = new Outcome()
    admin.alterPartitionReassignments({ 'a-0': [2, 3], 'a-1': null }, altered.take)
    admin.listPartitionReassignments(undefined, listed.take)
    lab.until(100)
    expect(altered.result?.outcome).toBe('ok')
    expect(must(must(lab.sent('AlterPartitionReassignments')[0]).body.topics[0]).partitions).toEqual([
      { partitionIndex: 0, replicas: [2, 3] },
      { partitionIndex: 1, replicas: null },
    ])
    expect([...must(listed.result).values]).toEqual([['a-0', { replicas: [1, 2, 3], adding: [3], removing: [1] }]])
  })

  it('to change settings go to the broker that they are of; others to anybody', () => {
    const { lab, admin } = operating()
    lab.next(
      'IncrementalAlterConfigs',
      (request) =>
        request.respond({
          throttleTimeMs: 0,
          responses: request.body.resources.map(({ resourceType, resourceName }) => ({
            errorCode: 0,
            errorMessage: null,
            resourceType,
            resourceName,
          })),
        }),
      2,
    )
    const outcome = new Outcome<void>()
    admin.incrementalAlterConfigs(
      [
        { type: 'topic', name: 'a', changes: [{ name: 'retention.ms', op: 'set', value: '5' }] },
        { type: 'broker', name: 'b3', changes: [{ name: 'x', op: 'delete' }] },
        { type: 'broker', name: '', changes: [{ name: 'y', op: 'append', value: 'z' }] },
      ],
      outcome.take,
    )
    lab.until(200)
    expect(outcome.result?.outcome).toBe('ok')
    expect([...must(outcome.result).values.keys()].sort()).toEqual(['broker:', 'broker:3', 'topic:a'])
    const toThree = must(lab.sent('IncrementalAlterConfigs').find(({ body }) => body.resources.length === 1))
    expect([toThree.to, toThree.body.resources[0]]).toEqual([
      'b3',
      { resourceType: 4, resourceName: '3', configs: [{ name: 'x', configOperation: 1, value: null }] },
    ])
  })

  it('to describe settings and the cluster', () => {
    const { lab, admin } = operating()
    const config = {
      name: 'retention.ms',
      value: '5',
      readOnly: false,
      configSource: 1,
      isSensitive: false,
      synonyms: [],
      configType: 0,
      documentation: null,
    }
    lab.next('DescribeConfigs', (request) =>
      request.respond({
        throttleTimeMs: 0,
        results: [{ errorCode: 0, errorMessage: null, resourceType: 2, resourceName: 'a', configs: [config] }],
      }),
    )
    lab.next('DescribeCluster', (request) =>
      request.respond({
        throttleTimeMs: 0,
        errorCode: 0,
        errorMessage: null,
        endpointType: 1,
        clusterId: 'lab',
        controllerId: 2,
        brokers: [{ brokerId: 1, host: 'b1', port: 9092, rack: null, isFenced: false }],
        clusterAuthorizedOperations: 0,
      }),
    )
    const configs = new Outcome<ReadonlyMap<string, string | null>>()
    const cluster = new Outcome()
    admin.describeConfigs([{ type: 'topic', name: 'a' }], configs.take)
    admin.describeCluster(cluster.take)
    lab.until(100)
    expect(configs.result?.values.get('topic:a')?.get('retention.ms')).toBe('5')
    expect(cluster.result?.values.get('cluster')).toEqual({
      clusterId: 'lab',
      controller: 2,
      brokers: [{ id: 1, host: 'b1', isFenced: false }],
    })
  })

  it('to describe topics do not create them', () => {
    const { lab, admin } = operating()
    lab.topic('orders', 2)
    const outcome = new Outcome()
    admin.describeTopics(['orders', 'nobody'], outcome.take)
    lab.until(100)
    expect(must(lab.sent('Metadata').at(-1)).body.allowAutoTopicCreation).toBe(false)
    expect(outcome.result?.values.get('orders')).toMatchObject({
      partitions: [
        { index: 0, leader: 1 },
        { index: 1, leader: 2 },
      ],
    })
    expect([...must(outcome.result).errors]).toEqual([['nobody', 'UNKNOWN_TOPIC_OR_PARTITION']])
  })
})

describe('a request to the leaders of partitions', () => {
  it('goes to each of them', () => {
    const { lab, admin } = operating()
    lab.topic('orders', 3)
    const outcome = new Outcome()
    admin.listOffsets({ 'orders-0': 'latest', 'orders-1': 'earliest', 'orders-2': 123 }, outcome.take)
    lab.until(100)
    expect(outcome.result?.outcome).toBe('ok')
    expect(
      lab
        .sent('ListOffsets')
        .map(
          ({ to, body }) =>
            `${to} ${must(body.topics[0])
              .partitions.map((p) => p.timestamp)
              .join()}`,
        )
        .sort(),
    ).toEqual(['b1 -1', 'b2 -2', 'b3 123'])
  })

  it('follows a leader that moved', () => {
    const { lab, admin } = operating()
    lab.topic('orders', 1)
    lab.next('DeleteRecords', (request) => {
      lab.moveLeader('orders-0', 2)
      request.respond({
        throttleTimeMs: 0,
        topics: [
          {
            name: 'orders',
            partitions: [{ partitionIndex: 0, lowWatermark: -1, errorCode: Errors.NOT_LEADER_OR_FOLLOWER }],
          },
        ],
      })
    })
    lab.next('DeleteRecords', (request) =>
      request.respond({
        throttleTimeMs: 0,
        topics: [{ name: 'orders', partitions: [{ partitionIndex: 0, lowWatermark: 5, errorCode: 0 }] }],
      }),
    )
    const outcome = new Outcome<number>()
    admin.deleteRecords({ 'orders-0': 5 }, outcome.take)
    lab.until(2_000)
    expect(outcome.result?.values.get('orders-0')).toBe(5)
    expect(lab.sent('DeleteRecords').map(({ to }) => to)).toEqual(['b1', 'b2'])
  })

  it('looks the leader up again after a lost connection', () => {
    const { lab, admin } = operating()
    lab.topic('orders', 1)
    lab.next('ListOffsets', (request) => {
      lab.moveLeader('orders-0', 2)
      request.closeConnection()
    })
    const outcome = new Outcome()
    admin.listOffsets({ 'orders-0': 'latest' }, outcome.take)
    lab.until(2_000)
    expect(outcome.result?.outcome).toBe('ok')
    expect(lab.sent('ListOffsets').map(({ to }) => to)).toEqual(['b1', 'b2'])
  })

  it('waits for a partition that has no leader, until its time is over', () => {
    const { lab, admin } = operating(3, { 'default.api.timeout.ms': 5_000, 'request.timeout.ms': 1_000 })
    lab.topic('orders', 1)
    lab.partition('orders-0').leader = -1
    const outcome = new Outcome()
    admin.listOffsets({ 'orders-0': 'latest' }, outcome.take)
    lab.until(4_900)
    expect(outcome.result).toBeUndefined()
    lab.until(5_100)
    expect(outcome.result?.outcome).toBe('REQUEST_TIMED_OUT')
  })

  it('is tried again after other errors that pass, and failed by those that do not', () => {
    const { lab, admin } = operating()
    lab.topic('orders', 1)
    lab.next('DeleteRecords', (request) =>
      request.respond({
        throttleTimeMs: 0,
        topics: [
          {
            name: 'orders',
            partitions: [{ partitionIndex: 0, lowWatermark: -1, errorCode: Errors.REQUEST_TIMED_OUT }],
          },
        ],
      }),
    )
    lab.next('DeleteRecords', (request) =>
      request.respond({
        throttleTimeMs: 0,
        topics: [
          {
            name: 'orders',
            partitions: [{ partitionIndex: 0, lowWatermark: -1, errorCode: Errors.OFFSET_OUT_OF_RANGE }],
          },
        ],
      }),
    )
    const outcome = new Outcome<number>()
    admin.deleteRecords({ 'orders-0': 99 }, outcome.take)
    lab.until(2_000)
    expect(lab.sent('DeleteRecords')).toHaveLength(2)
    expect(outcome.result?.errors.get('orders-0')).toBe('OFFSET_OUT_OF_RANGE')
  })
})
