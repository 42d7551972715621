/** Transactions and access control through the admin client: cases of Kafka's KafkaAdminClientTest and of its handlers' tests. */

import { describe, expect, it } from 'vitest'
import { describeBinding, type AclBinding } from '../../sim/client/admin-acls.js'
import type { Apis } from '../../sim/wire/apis.js'
import { Errors } from '../../sim/wire/errors.js'
import { must } from './lab.js'
import { errors, operating, outcomeOf, sentTo } from './operating.js'

describe('transactions', () => {
  it('are listed from all brokers', () => {
    const { lab, admin } = operating()
    const listed = (ids: readonly string[], errorCode = 0): Apis['ListTransactions']['response'] => ({
      throttleTimeMs: 0,
      errorCode,
      unknownStateFilters: [],
      transactionStates: ids.map((transactionalId) => ({
        transactionalId,
        producerId: 7,
        transactionState: 'Ongoing',
      })),
    })
    lab.next('ListTransactions', (r) => r.respond(listed([], Errors.COORDINATOR_LOAD_IN_PROGRESS)), 1, 'b1')
    lab.next('ListTransactions', (r) => r.respond(listed([], Errors.COORDINATOR_NOT_AVAILABLE)), 1, 'b3')
    lab.always('ListTransactions', (r) => r.respond(listed(['tx'])))
    const result = outcomeOf(lab, (done) => admin.transactions.list({ durationMs: 60_000 }, done))
    expect(result.values.get('tx')).toEqual({ producerId: 7, state: 'Ongoing' })
    expect(errors(result)).toEqual({ b3: 'COORDINATOR_NOT_AVAILABLE' })
    expect(must(lab.sent('ListTransactions')[0]).body.durationFilter).toBe(60_000)
  })

  it('are described by their coordinators', () => {
    const { lab, admin } = operating({ tx: 3 })
    const state = (errorCode: number) => ({
      errorCode,
      transactionalId: 'tx',
      transactionState: 'Ongoing',
      transactionTimeoutMs: 60_000,
      transactionStartTimeMs: 5,
      producerId: 7,
      producerEpoch: 2,
      topics: [{ topic: 'orders', partitions: [0, 1] }],
    })
    lab.next('DescribeTransactions', (r) =>
      r.respond({ throttleTimeMs: 0, transactionStates: [state(Errors.COORDINATOR_LOAD_IN_PROGRESS)] }),
    )
    lab.next('DescribeTransactions', (r) => r.respond({ throttleTimeMs: 0, transactionStates: [state(0)] }))
    const result = outcomeOf(lab, (done) => admin.transactions.describe(['tx'], done))
    expect(result.values.get('tx')).toEqual({
      coordinator: 3,
      state: 'Ongoing',
      producerId: 7,
      producerEpoch: 2,
      timeoutMs: 60_000,
      startMs: 5,
      partitions: ['orders-0', 'orders-1'],
    })
    expect(must(lab.sent('FindCoordinator')[0]).body.keyType).toBe(1)
  })

  it('lose their producers one request each, waiting for what is being completed', () => {
    const { lab, admin } = operating()
    lab.next('InitProducerId', (r) =>
      r.respond({ throttleTimeMs: 0, errorCode: Errors.CONCURRENT_TRANSACTIONS, producerId: -1, producerEpoch: -1 }),
    )
    lab.always('InitProducerId', (r) => r.respond({ throttleTimeMs: 0, errorCode: 0, producerId: 7, producerEpoch: 3 }))
    const result = outcomeOf(lab, (done) => admin.transactions.fence(['t1', 't2'], done))
    expect(result.values.get('t1')).toEqual({ producerId: 7, producerEpoch: 3 })
    expect(lab.sent('InitProducerId').map(({ body }) => body.transactionalId)).toEqual(['t1', 't2', 't1'])
    expect(must(lab.sent('InitProducerId')[0]).body).toMatchObject({
      transactionTimeoutMs: 30_000,
      producerId: -1,
      producerEpoch: -1,
    })
  })

  it('that hang are aborted by a marker at the leader', () => {
    const { lab, admin } = operating()
    const marked = (errorCode: number): Apis['WriteTxnMarkers']['response'] => ({
      markers: [{ producerId: 7, topics: [{ name: 'orders', partitions: [{ partitionIndex: 1, errorCode }] }] }],
    })
    lab.next('WriteTxnMarkers', (r) => {
      lab.moveLeader('orders-1', 3)
      r.respond(marked(Errors.NOT_LEADER_OR_FOLLOWER))
    })
    lab.next('WriteTxnMarkers', (r) => r.respond(marked(0)))
    const spec = { partition: 'orders-1', producerId: 7, producerEpoch: 2, coordinatorEpoch: 5 }
    expect(outcomeOf<void>(lab, (done) => admin.transactions.abort(spec, done)).outcome).toBe('ok')
    expect(sentTo(lab, 'WriteTxnMarkers')).toEqual(['b2', 'b3'])
    expect(must(lab.sent('WriteTxnMarkers')[0]).body.markers).toEqual([
      {
        producerId: 7,
        producerEpoch: 2,
        transactionResult: false,
        topics: [{ name: 'orders', partitionIndexes: [1] }],
        coordinatorEpoch: 5,
      },
    ])
  })

  it.each(['INVALID_PRODUCER_EPOCH', 'TRANSACTION_COORDINATOR_FENCED', 'REQUEST_TIMED_OUT'] as const)(
    'whose marker is refused with %s stay',
    (error) => {
      const { lab, admin } = operating()
      lab.next('WriteTxnMarkers', (r) =>
        r.respond({
          markers: [
            {
              producerId: 7,
              topics: [{ name: 'orders', partitions: [{ partitionIndex: 1, errorCode: Errors[error] }] }],
            },
          ],
        }),
      )
      const spec = { partition: 'orders-1', producerId: 7, producerEpoch: 2, coordinatorEpoch: 5 }
      expect(outcomeOf<void>(lab, (done) => admin.transactions.abort(spec, done)).outcome).toBe(error)
    },
  )

  const producers = (errorCode: number): Apis['DescribeProducers']['response'] => ({
    throttleTimeMs: 0,
    topics: [
      {
        name: 'orders',
        partitions: [
          {
            partitionIndex: 0,
            errorCode,
            errorMessage: null,
            activeProducers: [
              {
                producerId: 7,
                producerEpoch: 2,
                lastSequence: 9,
                lastTimestamp: 5,
                coordinatorEpoch: -1,
                currentTxnStartOffset: 3,
              },
            ],
          },
        ],
      },
    ],
  })

  it('are seen in the producers of a partition', () => {
    const { lab, admin } = operating()
    lab.next('DescribeProducers', (r) => r.respond(producers(Errors.UNKNOWN_TOPIC_OR_PARTITION)))
    lab.next('DescribeProducers', (r) => r.respond(producers(0)))
    const result = outcomeOf(lab, (done) => admin.transactions.describeProducers(['orders-0'], done))
    expect(result.values.get('orders-0')).toEqual([
      { producerId: 7, producerEpoch: 2, lastSequence: 9, lastTimestamp: 5, transactionStart: 3 },
    ])
  })

  it('are seen at a broker that is named, or not at all', () => {
    const { lab, admin } = operating()
    lab.next('DescribeProducers', (r) => r.respond(producers(Errors.NOT_LEADER_OR_FOLLOWER)))
    const result = outcomeOf(lab, (done) => admin.transactions.describeProducers(['orders-0'], done, 'b3'))
    expect(errors(result)).toEqual({ 'orders-0': 'NOT_LEADER_OR_FOLLOWER' })
    expect(sentTo(lab, 'DescribeProducers')).toEqual(['b3'])
  })
})

describe('access control', () => {
  const READ: AclBinding = {
    resourceType: 'topic',
    resourceName: 'orders',
    pattern: 'literal',
    principal: 'User:alice',
    host: '*',
    operation: 'read',
    permission: 'allow',
  }
  const WRITE: AclBinding = { ...READ, pattern: 'prefixed', operation: 'write', permission: 'deny' }

  it('is created binding by binding', () => {
    const { lab, admin } = operating()
    lab.next('CreateAcls', (r) =>
      r.respond({ throttleTimeMs: 0, results: [{ errorCode: Errors.NOT_CONTROLLER, errorMessage: null }] }),
    )
    lab.next('CreateAcls', (r) =>
      r.respond({
        throttleTimeMs: 0,
        results: [
          { errorCode: 0, errorMessage: null },
          { errorCode: Errors.SECURITY_DISABLED, errorMessage: null },
        ],
      }),
    )
    const result = outcomeOf<void>(lab, (done) => admin.acls.create([READ, WRITE], done))
    expect([...result.values.keys()]).toEqual(['allow User:alice read topic orders'])
    expect(errors(result)).toEqual({ 'deny User:alice write topic orders…': 'SECURITY_DISABLED' })
    expect(must(lab.sent('CreateAcls')[1]).body.creations).toEqual([
      {
        resourceType: 2,
        resourceName: 'orders',
        resourcePatternType: 3,
        principal: 'User:alice',
        host: '*',
        operation: 3,
        permissionType: 3,
      },
      {
        resourceType: 2,
        resourceName: 'orders',
        resourcePatternType: 4,
        principal: 'User:alice',
        host: '*',
        operation: 4,
        permissionType: 2,
      },
    ])
  })

  it('is described as it was created', () => {
    const { lab, admin } = operating()
    lab.next('DescribeAcls', (r) =>
      r.respond({
        throttleTimeMs: 0,
        errorCode: 0,
        errorMessage: null,
        resources: [
          {
            resourceType: 2,
            resourceName: 'orders',
            patternType: 3,
            acls: [{ principal: 'User:alice', host: '*', operation: 3, permissionType: 3 }],
          },
        ],
      }),
    )
    const result = outcomeOf(lab, (done) => admin.acls.describe({ resourceType: 'topic', pattern: 'match' }, done))
    expect(result.values.get('acls')).toEqual([READ])
    expect(must(lab.sent('DescribeAcls')[0]).body).toEqual({
      resourceTypeFilter: 2,
      resourceNameFilter: null,
      patternTypeFilter: 2,
      principalFilter: null,
      hostFilter: null,
      operation: 1,
      permissionType: 1,
    })
  })

  it('is deleted filter by filter', () => {
    const { lab, admin } = operating()
    const deleted = {
      errorCode: 0,
      errorMessage: null,
      resourceType: 2,
      resourceName: 'orders',
      patternType: 4,
      principal: 'User:alice',
      host: '*',
      operation: 4,
      permissionType: 2,
    }
    lab.next('DeleteAcls', (r) =>
      r.respond({
        throttleTimeMs: 0,
        filterResults: [
          { errorCode: 0, errorMessage: null, matchingAcls: [deleted] },
          { errorCode: 0, errorMessage: null, matchingAcls: [deleted, { ...deleted, errorCode: -1 }] },
          { errorCode: Errors.CLUSTER_AUTHORIZATION_FAILED, errorMessage: null, matchingAcls: [] },
        ],
      }),
    )
    const result = outcomeOf<readonly AclBinding[]>(lab, (done) =>
      admin.acls.delete([{ principal: 'User:alice' }, { principal: 'User:bob' }, {}], done),
    )
    expect(must(result.values.get('0')).map(describeBinding)).toEqual(['deny User:alice write topic orders…'])
    expect(errors(result)).toEqual({ '1': 'UNKNOWN_SERVER_ERROR', '2': 'CLUSTER_AUTHORIZATION_FAILED' })
  })
})
