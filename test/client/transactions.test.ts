/** The life of transactions: cases of Kafka's TransactionManagerTest and SenderTest against a coordinator that says yes. */

import { describe, expect, it } from 'vitest'
import { Errors } from '../../sim/wire/errors.js'
import { endedTxn, begun, identities, transactional, transactions, foundCoordinators, GROUP } from './transactional.js'
import { must } from './lab.js'

const sentApis = (lab: ReturnType<typeof transactional>['lab']): string[] =>
  lab
    .of('request.send')
    .map(({ data }) => data.api)
    .filter((api) => api !== 'ApiVersions' && api !== 'Metadata')

describe('initTransactions', () => {
  it('finds the coordinator and asks it for an identity, with the timeout of transactions', () => {
    const { lab, app } = transactional({ brokers: 2, config: { 'transaction.timeout.ms': 7_000 } })
    app.init()
    lab.until(500)
    expect(app.told).toEqual(['init ok'])
    expect(must(lab.sent('FindCoordinator')[0]).body).toMatchObject({ keyType: 1, coordinatorKeys: ['tx'] })
    const init = must(lab.sent('InitProducerId')[0])
    expect(init.to).toBe('b1')
    expect(init.body).toEqual({
      transactionalId: 'tx',
      transactionTimeoutMs: 7_000,
      producerId: -1,
      producerEpoch: -1,
    })
    expect(identities(lab)).toEqual(['1000/0 init'])
  })

  it('twice is a mistake', () => {
    const { lab, app } = transactional()
    app.init()
    lab.until(500)
    app.init()
    lab.until(600)
    expect(app.told).toEqual(['init ok', 'init ILLEGAL_STATE fatal'])
  })

  it('that takes too long may be called again, and waits for the same answer', () => {
    const { lab, app } = transactional({ config: { 'max.block.ms': 1_000 } })
    lab.next('InitProducerId', (request) => lab.later(1_500, () => lab.answer(request)))
    app.init()
    lab.until(1_200)
    app.begin()
    app.init()
    lab.until(2_000)
    app.begin()
    expect(app.told).toEqual(['init REQUEST_TIMED_OUT retriable', 'begin ILLEGAL_STATE', 'init ok', 'begin ok'])
    expect(lab.sent('InitProducerId')).toHaveLength(1)
  })

  it('waits for what the last owner of the id left to be completed', () => {
    const { lab, app } = transactional()
    lab.next(
      'InitProducerId',
      (request) =>
        request.respond({
          throttleTimeMs: 0,
          errorCode: Errors.CONCURRENT_TRANSACTIONS,
          producerId: -1,
          producerEpoch: -1,
        }),
      3,
    )
    app.init()
    lab.until(1_000)
    expect(app.told).toEqual(['init ok'])
    const times = lab.sent('InitProducerId').map(({ time }) => time)
    expect(times.slice(1).map((time, i) => Math.round((time - must(times[i])) / 1_000))).toEqual([101, 101, 101])
  })
})

describe('without a transactional id', () => {
  it('transactional calls are mistakes', () => {
    const { lab, app } = transactional({ config: { 'transactional.id': '' } })
    app.init()
    app.begin()
    app.offsets()
    app.commit()
    app.abort()
    lab.until(100)
    expect(app.told).toEqual([
      'begin ILLEGAL_STATE',
      'init ILLEGAL_STATE fatal',
      'offsets ILLEGAL_STATE fatal',
      'commit ILLEGAL_STATE fatal',
      'abort ILLEGAL_STATE fatal',
    ])
  })
})

describe('a record', () => {
  it('before initTransactions, or outside of a transaction, is refused', () => {
    const { lab, app } = transactional()
    app.send()
    app.begin()
    app.init()
    lab.until(500)
    app.send()
    lab.until(600)
    expect(app.outcomes).toEqual(['ILLEGAL_STATE', 'ILLEGAL_STATE'])
    expect(app.told).toEqual(['begin ILLEGAL_STATE', 'init ok'])
    expect(lab.sent('Produce')).toHaveLength(0)
  })

  it('while the transaction ends is refused', () => {
    const { lab, app } = begun()
    app.send()
    lab.until(600)
    lab.next('EndTxn', (request) => lab.later(500, () => lab.answer(request)))
    app.commit()
    lab.until(700)
    app.send()
    lab.until(2_000)
    expect(app.outcomes).toEqual(['orders-0@0', 'ILLEGAL_STATE'])
    expect(app.told).toEqual(['commit ok'])
  })
})

describe('under transaction version 2', () => {
  it('a transaction is records and EndTxn, which gives the epoch of the next one', () => {
    const { lab, app } = begun()
    app.send()
    app.commit()
    lab.until(1_000)
    app.begin()
    app.send()
    app.commit()
    lab.until(2_000)
    expect(app.told).toEqual(['commit ok', 'begin ok', 'commit ok'])
    expect(app.outcomes).toEqual(['orders-0@0', 'orders-0@1'])
    expect(sentApis(lab)).toEqual(['FindCoordinator', 'InitProducerId', 'Produce', 'EndTxn', 'Produce', 'EndTxn'])
    expect(identities(lab)).toEqual(['1000/0 init', '1000/1 transaction ended', '1000/2 transaction ended'])
    const batches = lab.partition('orders-0').log
    expect(batches.map((batch) => `${batch.producerEpoch}:${batch.baseSequence} ${batch.isTransactional}`)).toEqual([
      '0:0 true',
      '1:0 true',
    ])
  })

  it('goes on with another producer id when the epochs are used up', () => {
    const { lab, app } = begun()
    lab.next('EndTxn', (request) =>
      request.respond({ throttleTimeMs: 0, errorCode: 0, producerId: 2_000, producerEpoch: 0 }),
    )
    app.send()
    app.commit()
    lab.until(1_000)
    app.begin()
    app.send()
    lab.until(1_100)
    expect(identities(lab)).toEqual(['1000/0 init', '2000/0 transaction ended'])
    expect(lab.partition('orders-0').log.map(({ producerId, baseSequence }) => [producerId, baseSequence])).toEqual([
      [1_000, 0],
      [2_000, 0],
    ])
  })

  it('offsets go to the coordinator of the group without being announced', () => {
    const { lab, app } = begun({ brokers: 2 })
    app.offsets({ 'in-0': 7, 'in-1': 9 }, { groupInstanceId: 'i1' })
    lab.until(1_000)
    app.commit()
    lab.until(1_100)
    expect(app.told).toEqual(['offsets ok', 'commit ok'])
    expect(sentApis(lab)).toEqual(['FindCoordinator', 'InitProducerId', 'FindCoordinator', 'TxnOffsetCommit', 'EndTxn'])
    expect(must(lab.sent('FindCoordinator')[1]).body).toMatchObject({ keyType: 0, coordinatorKeys: ['g'] })
    expect(must(lab.sent('TxnOffsetCommit')[0]).body).toEqual({
      transactionalId: 'tx',
      groupId: 'g',
      producerId: 1_000,
      producerEpoch: 0,
      generationId: 3,
      memberId: 'm1',
      groupInstanceId: 'i1',
      topics: [
        {
          name: 'in',
          partitions: [
            { partitionIndex: 0, committedOffset: 7, committedLeaderEpoch: -1, committedMetadata: '' },
            { partitionIndex: 1, committedOffset: 9, committedLeaderEpoch: -1, committedMetadata: '' },
          ],
        },
      ],
    })
  })

  it('requests go in the versions that say so', () => {
    const { lab, app } = begun()
    app.send()
    app.offsets()
    lab.until(1_000)
    app.commit()
    lab.until(1_100)
    const versions = lab
      .of('request.receive')
      .filter(({ data }) => ['Produce', 'TxnOffsetCommit', 'EndTxn'].includes(data.api))
      .map(({ data }) => `${data.api} ${data.version}`)
    expect(versions).toEqual(['TxnOffsetCommit 5', 'Produce 13', 'EndTxn 5'])
  })
})

describe('under transaction version 0', () => {
  it('partitions are added by request before anything is written to them', () => {
    const { lab, app } = begun({ version: 0, partitions: 2 })
    app.send()
    app.send({ partition: 1 })
    app.send()
    lab.until(600)
    app.send()
    lab.until(700)
    app.commit()
    lab.until(1_000)
    expect(app.told).toEqual(['commit ok'])
    expect(app.outcomes).not.toContain('open')
    expect(sentApis(lab).slice(2)).toEqual(['AddPartitionsToTxn', 'Produce', 'Produce', 'EndTxn'])
    expect(must(lab.sent('AddPartitionsToTxn')[0]).body).toMatchObject({
      v3AndBelowTransactionalId: 'tx',
      v3AndBelowProducerId: 1_000,
      v3AndBelowProducerEpoch: 0,
      v3AndBelowTopics: [{ name: 'orders', partitions: [0, 1] }],
    })
  })

  it('the identity stays, and sequences go on', () => {
    const { lab, app } = begun({ version: 0 })
    app.send()
    app.commit()
    lab.until(1_000)
    app.begin()
    app.send()
    app.commit()
    lab.until(2_000)
    expect(identities(lab)).toEqual(['1000/0 init'])
    expect(lab.sent('AddPartitionsToTxn')).toHaveLength(2)
    expect(lab.partition('orders-0').log.map((batch) => batch.baseSequence)).toEqual([0, 1])
  })

  it('the group is announced before its offsets are committed', () => {
    const { lab, app } = begun({ version: 0 })
    app.offsets()
    lab.until(1_000)
    expect(app.told).toEqual(['offsets ok'])
    expect(sentApis(lab).slice(2)).toEqual(['AddOffsetsToTxn', 'FindCoordinator', 'TxnOffsetCommit'])
    expect(must(lab.sent('AddOffsetsToTxn')[0]).body).toMatchObject({ transactionalId: 'tx', groupId: 'g' })
  })

  it('requests go in the versions that say so', () => {
    const { lab, app } = begun({ version: 0 })
    app.send()
    app.offsets()
    lab.until(1_000)
    app.commit()
    lab.until(1_100)
    const versions = lab
      .of('request.receive')
      .filter(({ data }) => /Produce|Txn/.test(data.api) && data.api !== 'InitProducerId')
      .map(({ data }) => `${data.api} ${data.version}`)
    expect(versions.sort()).toEqual([
      'AddOffsetsToTxn 4',
      'AddPartitionsToTxn 3',
      'EndTxn 4',
      'Produce 11',
      'TxnOffsetCommit 4',
    ])
  })

  it('partitions that were not added yet are added before the commit', () => {
    const { lab, app } = begun({ version: 0, partitions: 2 })
    app.send()
    lab.until(600)
    lab.next('AddPartitionsToTxn', (request) => lab.later(300, () => lab.answer(request)))
    app.send({ partition: 1 })
    app.commit()
    lab.until(2_000)
    expect(app.told).toEqual(['commit ok'])
    expect(app.outcomes).toEqual(['orders-0@0', 'orders-1@0'])
    expect(sentApis(lab).slice(-3)).toEqual(['AddPartitionsToTxn', 'Produce', 'EndTxn'])
  })

  it('an abort before partitions are added asks nobody', () => {
    const { lab, app } = begun({ version: 0 })
    app.send()
    lab.after(0.1)
    app.abort()
    lab.until(1_000)
    expect(app.told).toEqual(['abort ok'])
    expect(app.outcomes).toEqual(['TRANSACTION_ABORTED'])
    expect(sentApis(lab).slice(2)).toEqual([])
  })
})

describe('a transaction that wrote nothing', () => {
  it.each([0, 2] as const)('ends without asking the coordinator, under version %s', (version) => {
    const { lab, app } = begun({ version })
    app.commit()
    lab.until(1_000)
    app.begin()
    app.abort()
    lab.until(2_000)
    expect(app.told).toEqual(['commit ok', 'begin ok', 'abort ok'])
    expect(lab.sent('EndTxn')).toHaveLength(0)
    expect(transactions(lab)).toEqual([
      'begin 1',
      'ending 1 commit',
      'ended 1 committed',
      'begin 2',
      'ending 2 abort',
      'ended 2 aborted',
    ])
  })
})

describe('an upgrade to transaction version 2', () => {
  it('is learned when a transaction ends, which still ends as it began; the epoch is raised for the next', () => {
    const { lab, app, identity } = begun({ version: 0 })
    app.send()
    lab.until(600)
    // The new level is learned with the next connection.
    lab.features = { epoch: 9, levels: { 'transaction.version': 2 } }
    lab.world.kill('b1')
    lab.after(10)
    lab.world.start('b1')
    app.send()
    lab.after(2_000)
    app.commit()
    lab.after(1_000)
    expect(app.told).toEqual(['commit ok'])
    expect(identities(lab)).toEqual(['1000/0 init', '1000/1 epoch bump'])
    expect(must(lab.sent('InitProducerId')[1]).body).toMatchObject({ producerId: 1_000, producerEpoch: 0 })
    const ends = lab.of('request.receive').filter(({ data }) => data.api === 'EndTxn')
    expect(ends.map(({ data }) => data.version)).toEqual([4])
    lab.conversation()
    app.begin()
    app.send()
    app.commit()
    lab.after(1_000)
    expect(sentApis(lab).slice(-2)).toEqual(['Produce', 'EndTxn'])
    expect(identity.producerEpoch).toBe(2)
  })
})

describe('a commit', () => {
  it('sends what lingers at once, and waits for every record', () => {
    const { lab, app } = begun({ config: { 'linger.ms': 10_000 } })
    lab.next('Produce', (request) => lab.later(300, () => lab.answer(request)))
    app.send()
    app.send()
    app.commit()
    lab.until(600)
    expect(lab.sent('Produce')).toHaveLength(1)
    expect(lab.sent('EndTxn')).toHaveLength(0)
    lab.until(1_000)
    expect(app.outcomes).toEqual(['orders-0@0', 'orders-0@1'])
    expect(app.told).toEqual(['commit ok'])
    const endTime = must(lab.sent('EndTxn')[0]).time
    expect(lab.of('produce.acked').every(({ time }) => time <= endTime)).toBe(true)
  })

  it('comes behind sends that wait for metadata', () => {
    const { lab, app } = transactional()
    app.init()
    lab.until(500)
    app.begin()
    lab.next('Metadata', (request) => lab.later(200, () => lab.answer(request)))
    app.send()
    app.commit()
    lab.until(600)
    expect(transactions(lab)).toEqual(['begin 1'])
    lab.until(1_000)
    expect(app.outcomes).toEqual(['orders-0@0'])
    expect(app.told).toEqual(['init ok', 'begin ok', 'commit ok'])
  })

  it('that takes too long may only be called again', () => {
    const { lab, app } = begun({ config: { 'max.block.ms': 1_000 } })
    app.send()
    lab.until(600)
    lab.next('EndTxn', (request) => lab.later(2_500, () => lab.answer(request)))
    app.commit()
    lab.until(2_000)
    app.abort()
    app.begin()
    app.offsets()
    app.commit()
    lab.until(3_500)
    app.begin()
    expect(app.told).toEqual([
      'commit REQUEST_TIMED_OUT retriable',
      'begin ILLEGAL_STATE',
      'abort ILLEGAL_STATE fatal',
      'offsets ILLEGAL_STATE fatal',
      'commit REQUEST_TIMED_OUT retriable',
      'begin ILLEGAL_STATE',
    ])
    app.commit()
    lab.until(3_600)
    app.begin()
    expect(app.told.slice(-2)).toEqual(['commit ok', 'begin ok'])
    expect(lab.sent('EndTxn')).toHaveLength(1)
    expect(transactions(lab)).toEqual(['begin 1', 'ending 1 commit', 'ended 1 committed', 'begin 2'])
  })

  it('without a transaction is a mistake that changes nothing', () => {
    const { lab, app } = transactional()
    app.init()
    lab.until(500)
    app.commit()
    app.abort()
    lab.until(600)
    app.begin()
    expect(app.told).toEqual(['init ok', 'commit ILLEGAL_STATE fatal', 'abort ILLEGAL_STATE fatal', 'begin ok'])
  })
})

describe('an abort', () => {
  it('fails what was not sent, and waits for what was', () => {
    const { lab, app } = begun()
    app.send()
    lab.until(600)
    lab.next('Produce', (request) => lab.later(300, () => lab.answer(request)))
    app.send()
    lab.until(610)
    app.send({ headers: [] })
    app.abort()
    lab.until(700)
    expect(app.outcomes).toEqual(['orders-0@0', 'open', 'TRANSACTION_ABORTED'])
    expect(lab.sent('EndTxn')).toHaveLength(0)
    lab.until(1_000)
    expect(app.outcomes[1]).toBe('orders-0@1')
    expect(app.told).toEqual(['abort ok'])
    expect(must(lab.sent('EndTxn')[0]).body.committed).toBe(false)
  })

  it('that takes too long may only be called again', () => {
    const { lab, app } = begun({ config: { 'max.block.ms': 1_000 } })
    app.send()
    lab.until(600)
    lab.next('EndTxn', (request) => lab.later(1_200, () => lab.answer(request)))
    app.abort()
    lab.until(1_700)
    app.commit()
    app.abort()
    lab.until(3_000)
    expect(app.told).toEqual(['abort REQUEST_TIMED_OUT retriable', 'commit ILLEGAL_STATE fatal', 'abort ok'])
  })
})

describe('offsets', () => {
  it('none are sent to nobody', () => {
    const { lab, app } = begun()
    app.offsets({})
    lab.until(600)
    expect(app.told).toEqual(['offsets ok'])
    expect(lab.sent('TxnOffsetCommit')).toHaveLength(0)
  })

  it('outside of a transaction are a mistake', () => {
    const { lab, app } = transactional()
    app.init()
    lab.until(500)
    app.offsets()
    lab.until(600)
    expect(app.told).toEqual(['init ok', 'offsets ILLEGAL_STATE fatal'])
  })

  it('of a generation without a member are a mistake', () => {
    const { lab, app } = begun()
    app.offsets({ 'in-0': 1 }, { ...GROUP, memberId: '' })
    lab.until(600)
    expect(app.told).toEqual(['offsets ILLEGAL_ARGUMENT fatal'])
  })

  it('are told to the trace with their transaction', () => {
    const { lab, app } = begun()
    app.offsets({ 'in-0': 7, 'in-1': 9 })
    lab.until(1_000)
    expect(transactions(lab)).toEqual(['begin 1', 'offsets 1 in-0@7 in-1@9'])
  })
})

describe('a coordinator that moves', () => {
  it('is looked up again after NOT_COORDINATOR, and the commit is sent there', () => {
    const { lab, app, coordinators } = begun({ brokers: 2 })
    app.send()
    lab.until(600)
    lab.next('EndTxn', (request) => {
      coordinators.transaction = 2
      request.respond(endedTxn(Errors.NOT_COORDINATOR))
    })
    app.commit()
    lab.until(1_500)
    expect(app.told).toEqual(['commit ok'])
    expect(lab.sent('EndTxn').map(({ to }) => to)).toEqual(['b1', 'b2'])
  })

  it('is looked up again after its connection was lost', () => {
    const { lab, app, coordinators } = begun({ brokers: 2 })
    app.send()
    lab.until(600)
    lab.next('EndTxn', (request) => {
      coordinators.transaction = 2
      request.closeConnection()
    })
    app.commit()
    lab.until(1_500)
    expect(app.told).toEqual(['commit ok'])
    expect(lab.sent('EndTxn').map(({ to }) => to)).toEqual(['b1', 'b2'])
  })

  it('is looked up again when it cannot be reached', () => {
    const { lab, app, coordinators } = begun({ brokers: 2 })
    lab.moveLeader('orders-0', 2)
    app.send()
    lab.until(1_000)
    lab.world.kill('b1')
    lab.after(10)
    lab.next('FindCoordinator', (request) => {
      coordinators.transaction = 2
      request.respond(foundCoordinators(request.body.coordinatorKeys, Errors.COORDINATOR_NOT_AVAILABLE))
    })
    app.commit()
    lab.after(2_000)
    expect(app.told).toEqual(['commit ok'])
    expect(lab.sent('EndTxn').map(({ to }) => to)).toEqual(['b2'])
  })
})

describe('closing', () => {
  it('completes a commit that is under way', () => {
    const { lab, app } = begun()
    app.send()
    lab.until(600)
    lab.next('EndTxn', (request) => lab.later(500, () => lab.answer(request)))
    app.commit()
    lab.until(700)
    let closed = false
    app.producer.close(() => (closed = true))
    lab.until(900)
    expect(closed).toBe(false)
    lab.until(2_000)
    expect([closed, ...app.told]).toEqual([true, 'commit ok'])
  })

  it('aborts an open transaction, once its records are answered', () => {
    const { lab, app } = begun()
    lab.next('Produce', (request) => lab.later(300, () => lab.answer(request)))
    app.send()
    let closed = false
    lab.until(510)
    app.producer.close(() => (closed = true))
    lab.until(2_000)
    expect(closed).toBe(true)
    expect(app.outcomes).toEqual(['orders-0@0'])
    expect(lab.sent('EndTxn').map(({ body }) => body.committed)).toEqual([false])
    expect(transactions(lab)).toEqual(['begin 1', 'ending 1 abort', 'ended 1 aborted'])
  })

  it('by force leaves the transaction to its timeout', () => {
    const { lab, app } = begun()
    lab.next('Produce', () => {})
    app.send()
    lab.until(600)
    let closed = false
    app.producer.close(() => (closed = true), 0)
    lab.until(700)
    expect(closed).toBe(true)
    expect(app.outcomes).toEqual(['PRODUCER_CLOSED?'])
    expect(lab.sent('EndTxn')).toHaveLength(0)
    expect(transactions(lab)).toEqual(['begin 1', 'ended 1 PRODUCER_CLOSED'])
  })

  it('by force with a commit in flight leaves its outcome open', () => {
    const { lab, app } = begun()
    app.send()
    lab.until(600)
    lab.next('EndTxn', () => {})
    app.commit()
    lab.until(700)
    app.producer.close(() => {}, 0)
    lab.until(800)
    expect(app.told).toEqual(['commit PRODUCER_CLOSED fatal'])
    expect(transactions(lab)).toEqual(['begin 1', 'ending 1 commit', 'ended 1 PRODUCER_CLOSED?'])
  })

  it('refuses all that comes after it', () => {
    const { lab, app } = begun()
    app.producer.close(() => {})
    lab.until(600)
    app.begin()
    app.commit()
    app.send()
    lab.until(700)
    expect(app.told).toEqual(['begin PRODUCER_CLOSED', 'commit PRODUCER_CLOSED fatal'])
    expect(app.outcomes).toEqual(['PRODUCER_CLOSED'])
  })
})
