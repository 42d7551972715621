/** What each error means for a transaction: cases of Kafka's TransactionManagerTest and SenderTest, one table an API. */

import { describe, expect, it } from 'vitest'
import { Errors, type ErrorName } from '../../sim/wire/errors.js'
import { answerProduce, must } from './lab.js'
import {
  addedPartitions,
  begun,
  committedOffsets,
  endedTxn,
  foundCoordinators,
  identities,
  transactional,
  transactions,
  type TransactionalLab,
} from './transactional.js'

const noIdentity = (errorCode: number) => ({ throttleTimeMs: 0, errorCode, producerId: -1, producerEpoch: -1 })

/** After an abortable error only an abort helps, and then all is well. */
function expectAbortable({ lab, app }: TransactionalLab, error: string): void {
  app.told.length = 0
  app.begin()
  app.send()
  app.offsets()
  lab.after(200)
  expect(app.outcomes.at(-1)).toBe(error)
  app.commit()
  lab.after(200)
  expect(app.told).toEqual([`begin ${error}`, `offsets ${error} abortable`, `commit ${error} abortable`])
  app.abort()
  lab.after(1_000)
  app.begin()
  app.send()
  app.commit()
  lab.after(1_000)
  expect(app.told.slice(3)).toEqual(['abort ok', 'begin ok', 'commit ok'])
  expect(app.outcomes.at(-1)).toMatch(/^orders-0@/)
}

/** After a fatal error nothing helps. */
function expectFatal({ lab, app }: TransactionalLab, error: string): void {
  app.told.length = 0
  app.begin()
  app.send()
  app.offsets()
  lab.after(10)
  app.commit()
  lab.after(10)
  app.abort()
  lab.after(200)
  expect(app.outcomes.at(-1)).toBe(error)
  expect(app.told).toEqual([
    `begin ${error}`,
    `offsets ${error} fatal`,
    `commit ${error} fatal`,
    `abort ${error} fatal`,
  ])
  let closed = false
  app.producer.close(() => (closed = true))
  lab.after(100)
  expect(closed).toBe(true)
}

describe('FindCoordinator', () => {
  it.each(['COORDINATOR_NOT_AVAILABLE', 'COORDINATOR_LOAD_IN_PROGRESS', 'NOT_ENOUGH_REPLICAS'] as const)(
    'is sent again after %s, every retry.backoff.ms',
    (error) => {
      const { lab, app } = transactional()
      lab.next('FindCoordinator', (r) => r.respond(foundCoordinators(r.body.coordinatorKeys, Errors[error])), 3)
      app.init()
      lab.until(1_000)
      expect(app.told).toEqual(['init ok'])
      const times = lab.sent('FindCoordinator').map(({ time }) => time)
      expect(times.slice(1).map((time, i) => Math.round((time - must(times[i])) / 1_000))).toEqual([101, 101, 101])
    },
  )

  it('for a transactional id that is not authorised is fatal', () => {
    const it = transactional()
    it.lab.next('FindCoordinator', (r) =>
      r.respond(foundCoordinators(r.body.coordinatorKeys, Errors.TRANSACTIONAL_ID_AUTHORIZATION_FAILED)),
    )
    it.app.init()
    it.lab.until(500)
    expect(it.app.told).toEqual(['init TRANSACTIONAL_ID_AUTHORIZATION_FAILED fatal'])
    expectFatal(it, 'TRANSACTIONAL_ID_AUTHORIZATION_FAILED')
  })

  it.each(['GROUP_AUTHORIZATION_FAILED', 'TRANSACTION_ABORTABLE'] as const)(
    'for a group with %s makes the transaction abortable',
    (error) => {
      const it = begun()
      it.lab.next('FindCoordinator', (r) => r.respond(foundCoordinators(r.body.coordinatorKeys, Errors[error])))
      it.app.offsets()
      it.lab.until(1_000)
      expect(it.app.told).toEqual([`offsets ${error} abortable`])
      expectAbortable(it, error)
    },
  )

  it('is still sent in an abortable state, so that the abort can be', () => {
    const { lab, app, coordinators } = begun({ brokers: 2 })
    lab.moveLeader('orders-0', 2)
    app.send()
    lab.until(1_000)
    coordinators.transaction = 2
    lab.world.kill('b1')
    lab.next('Produce', (request) => answerProduce(request, Errors.INVALID_RECORD))
    app.send()
    lab.after(100)
    app.abort()
    lab.after(1_000)
    expect(app.told).toEqual(['abort ok'])
    expect(lab.sent('EndTxn').map(({ to }) => to)).toEqual(['b2'])
  })
})

describe('InitProducerId', () => {
  it.each(['NOT_COORDINATOR', 'COORDINATOR_NOT_AVAILABLE'] as const)(
    'after %s goes to where the coordinator is now',
    (error) => {
      const { lab, app, coordinators } = transactional({ brokers: 2 })
      lab.next('InitProducerId', (request) => {
        coordinators.transaction = 2
        request.respond(noIdentity(Errors[error]))
      })
      app.init()
      lab.until(1_000)
      expect(app.told).toEqual(['init ok'])
      expect(lab.sent('InitProducerId').map(({ to }) => to)).toEqual(['b1', 'b2'])
    },
  )

  it.each(['COORDINATOR_LOAD_IN_PROGRESS', 'CONCURRENT_TRANSACTIONS', 'REQUEST_TIMED_OUT'] as const)(
    'is sent again to the same coordinator after %s',
    (error) => {
      const { lab, app } = transactional()
      lab.next('InitProducerId', (request) => request.respond(noIdentity(Errors[error])), 2)
      app.init()
      lab.until(1_000)
      expect(app.told).toEqual(['init ok'])
      expect(lab.sent('FindCoordinator')).toHaveLength(1)
    },
  )

  it.each([
    ['PRODUCER_FENCED', 'PRODUCER_FENCED'],
    ['INVALID_PRODUCER_EPOCH', 'PRODUCER_FENCED'],
    ['INVALID_TRANSACTION_TIMEOUT', 'INVALID_TRANSACTION_TIMEOUT'],
    ['UNSUPPORTED_VERSION', 'UNSUPPORTED_VERSION'],
  ] as const)('answered with %s is fatal', (error, told) => {
    const it = transactional()
    it.lab.next('InitProducerId', (request) => request.respond(noIdentity(Errors[error])))
    it.app.init()
    it.lab.until(1_000)
    expect(it.app.told).toEqual([`init ${told} fatal`])
    expectFatal(it, told)
  })

  it.each(['TRANSACTIONAL_ID_AUTHORIZATION_FAILED', 'CLUSTER_AUTHORIZATION_FAILED'] as const)(
    'answered with %s may be tried again',
    (error) => {
      const { lab, app } = transactional()
      lab.next('InitProducerId', (request) => request.respond(noIdentity(Errors[error])))
      app.init()
      lab.until(500)
      app.init()
      lab.until(1_000)
      app.begin()
      expect(app.told).toEqual([`init ${error} retriable`, 'init ok', 'begin ok'])
    },
  )

  it('answered with TRANSACTION_ABORTABLE is abortable', () => {
    const { lab, app } = transactional()
    lab.next('InitProducerId', (request) => request.respond(noIdentity(Errors.TRANSACTION_ABORTABLE)))
    app.init()
    lab.until(1_000)
    expect(app.told).toEqual(['init TRANSACTION_ABORTABLE abortable'])
  })
})

describe('AddPartitionsToTxn', () => {
  const answering = (errors: Record<string, ErrorName>, times = 1, partitions = 1): TransactionalLab => {
    const it = begun({ version: 0, partitions, brokers: 2 })
    it.lab.next('AddPartitionsToTxn', (request) => request.respond(addedPartitions(request.body, errors)), times)
    for (let partition = 0; partition < partitions; partition++) it.app.send({ partition })
    it.lab.until(1_000)
    return it
  }
  const gapsMs = ({ lab }: TransactionalLab): number[] => {
    const times = lab.sent('AddPartitionsToTxn').map(({ time }) => time)
    return times.slice(1).map((time, i) => Math.round((time - must(times[i])) / 1_000))
  }

  it('is sent again after 20 ms while the last transaction is being completed', () => {
    const it = answering({ 'orders-0': 'CONCURRENT_TRANSACTIONS' }, 3)
    expect(gapsMs(it)).toEqual([21, 21, 21])
    expect(it.app.outcomes).toEqual(['orders-0@0'])
  })

  it('is sent again after retry.backoff.ms when the transaction has partitions already', () => {
    const it = begun({ version: 0, partitions: 2 })
    it.app.send()
    it.lab.until(600)
    it.lab.next('AddPartitionsToTxn', (r) =>
      r.respond(addedPartitions(r.body, { 'orders-1': 'CONCURRENT_TRANSACTIONS' })),
    )
    it.app.send({ partition: 1 })
    it.lab.until(1_000)
    expect(gapsMs(it).slice(1)).toEqual([101])
  })

  it.each(['COORDINATOR_LOAD_IN_PROGRESS', 'UNKNOWN_TOPIC_OR_PARTITION'] as const)(
    'is sent again after %s, every retry.backoff.ms',
    (error) => {
      const it = answering({ 'orders-0': error }, 2)
      expect(gapsMs(it)).toEqual([101, 101])
      expect(it.app.outcomes).toEqual(['orders-0@0'])
    },
  )

  it('after NOT_COORDINATOR goes to where the coordinator is now', () => {
    const { lab, app, coordinators } = begun({ version: 0, brokers: 2 })
    lab.next('AddPartitionsToTxn', (request) => {
      coordinators.transaction = 2
      request.respond(addedPartitions(request.body, { 'orders-0': 'NOT_COORDINATOR' }))
    })
    app.send()
    lab.until(1_000)
    expect(lab.sent('AddPartitionsToTxn').map(({ to }) => to)).toEqual(['b1', 'b2'])
    expect(app.outcomes).toEqual(['orders-0@0'])
  })

  it.each([
    ['PRODUCER_FENCED', 'PRODUCER_FENCED'],
    ['INVALID_PRODUCER_EPOCH', 'PRODUCER_FENCED'],
    ['INVALID_TXN_STATE', 'INVALID_TXN_STATE'],
    ['INVALID_PRODUCER_ID_MAPPING', 'INVALID_PRODUCER_ID_MAPPING'],
    ['TRANSACTIONAL_ID_AUTHORIZATION_FAILED', 'TRANSACTIONAL_ID_AUTHORIZATION_FAILED'],
  ] as const)('answered with %s is fatal', (error, told) => {
    const it = answering({ 'orders-0': error })
    expect(it.app.outcomes).toEqual([told])
    expect(transactions(it.lab)).toEqual(['begin 1', `ended 1 ${told}`])
    expectFatal(it, told)
  })

  it.each(['TOPIC_AUTHORIZATION_FAILED', 'TRANSACTION_ABORTABLE', 'UNKNOWN_SERVER_ERROR'] as const)(
    'answered with %s makes the transaction abortable; nobody needs to be told of the abort',
    (error) => {
      const it = answering({ 'orders-0': error })
      expect(it.app.outcomes).toEqual([error])
      expectAbortable(it, error)
      expect(it.lab.sent('EndTxn').map(({ body }) => body.committed)).toEqual([true])
    },
  )

  it('answered with UNKNOWN_PRODUCER_ID is abortable, and the epoch is raised with the abort', () => {
    const it = answering({ 'orders-0': 'UNKNOWN_PRODUCER_ID' })
    expectAbortable(it, 'UNKNOWN_PRODUCER_ID')
    expect(identities(it.lab)).toEqual(['1000/0 init', '1000/1 epoch bump'])
  })

  it('fails as a whole for one partition, by its error rather than OPERATION_NOT_ATTEMPTED', () => {
    const it = answering({ 'orders-0': 'OPERATION_NOT_ATTEMPTED', 'orders-1': 'TOPIC_AUTHORIZATION_FAILED' }, 1, 2)
    expect(it.app.outcomes).toEqual(['TOPIC_AUTHORIZATION_FAILED', 'TOPIC_AUTHORIZATION_FAILED'])
    expect(it.lab.sent('Produce')).toHaveLength(0)
  })

  it('in flight when the commit is asked for fails the commit', () => {
    const it = begun({ version: 0 })
    it.lab.next('AddPartitionsToTxn', (r) =>
      it.lab.later(100, () => r.respond(addedPartitions(r.body, { 'orders-0': 'TOPIC_AUTHORIZATION_FAILED' }))),
    )
    it.app.send()
    it.lab.until(550)
    it.app.commit()
    it.lab.until(1_000)
    expect(it.app.told).toEqual(['commit TOPIC_AUTHORIZATION_FAILED abortable'])
    expect(transactions(it.lab)).toEqual(['begin 1', 'ending 1 commit'])
    expectAbortable(it, 'TOPIC_AUTHORIZATION_FAILED')
  })

  it('that was refused once the abort has begun is of no interest', () => {
    const { lab, app } = begun({ version: 0 })
    lab.next('AddPartitionsToTxn', (r) =>
      lab.later(100, () => r.respond(addedPartitions(r.body, { 'orders-0': 'TOPIC_AUTHORIZATION_FAILED' }))),
    )
    app.send()
    lab.until(550)
    app.abort()
    lab.until(1_000)
    expect(app.told).toEqual(['abort ok'])
    expect(app.outcomes).toEqual(['TRANSACTION_ABORTED'])
  })
})

describe('AddOffsetsToTxn', () => {
  const answering = (error: ErrorName, times = 1): TransactionalLab => {
    const it = begun({ version: 0 })
    it.lab.next('AddOffsetsToTxn', (r) => r.respond({ throttleTimeMs: 0, errorCode: Errors[error] }), times)
    it.app.offsets()
    it.lab.until(1_500)
    return it
  }

  it.each(['COORDINATOR_LOAD_IN_PROGRESS', 'CONCURRENT_TRANSACTIONS', 'NOT_COORDINATOR'] as const)(
    'is sent again after %s',
    (error) => {
      const { lab, app } = answering(error, 2)
      expect(app.told).toEqual(['offsets ok'])
      expect(lab.sent('AddOffsetsToTxn')).toHaveLength(3)
    },
  )

  it.each([
    ['PRODUCER_FENCED', 'PRODUCER_FENCED'],
    ['INVALID_PRODUCER_EPOCH', 'PRODUCER_FENCED'],
    ['INVALID_TXN_STATE', 'INVALID_TXN_STATE'],
    ['TRANSACTIONAL_ID_AUTHORIZATION_FAILED', 'TRANSACTIONAL_ID_AUTHORIZATION_FAILED'],
    ['UNKNOWN_SERVER_ERROR', 'UNKNOWN_SERVER_ERROR'],
  ] as const)('answered with %s is fatal', (error, told) => {
    const it = answering(error)
    expect(it.app.told).toEqual([`offsets ${told} fatal`])
    expectFatal(it, told)
  })

  it.each(['GROUP_AUTHORIZATION_FAILED', 'TRANSACTION_ABORTABLE'] as const)(
    'answered with %s is abortable',
    (error) => {
      const it = answering(error)
      expect(it.app.told).toEqual([`offsets ${error} abortable`])
      expectAbortable(it, error)
      expect(identities(it.lab)).toEqual(['1000/0 init'])
    },
  )

  it('answered with UNKNOWN_PRODUCER_ID is abortable, and the epoch is raised with the abort', () => {
    const it = answering('UNKNOWN_PRODUCER_ID')
    expect(it.app.told).toEqual(['offsets UNKNOWN_PRODUCER_ID abortable'])
    expectAbortable(it, 'UNKNOWN_PRODUCER_ID')
    expect(identities(it.lab)).toEqual(['1000/0 init', '1000/1 epoch bump'])
  })
})

describe('TxnOffsetCommit', () => {
  const answering = (errors: Record<string, ErrorName>, times = 1): TransactionalLab => {
    const it = begun()
    it.lab.next('TxnOffsetCommit', (r) => r.respond(committedOffsets(r.body, errors)), times)
    it.app.offsets({ 'in-0': 7, 'in-1': 8 })
    it.lab.until(1_500)
    return it
  }

  it.each(['UNKNOWN_TOPIC_OR_PARTITION', 'COORDINATOR_LOAD_IN_PROGRESS', 'CONCURRENT_TRANSACTIONS'] as const)(
    'is sent again to the same coordinator after %s',
    (error) => {
      const { lab, app } = answering({ 'in-1': error }, 2)
      expect(app.told).toEqual(['offsets ok'])
      expect(lab.sent('TxnOffsetCommit')).toHaveLength(3)
      expect(lab.sent('FindCoordinator')).toHaveLength(2)
    },
  )

  it.each(['NOT_COORDINATOR', 'COORDINATOR_NOT_AVAILABLE', 'REQUEST_TIMED_OUT'] as const)(
    'after %s goes to where the coordinator is now',
    (error) => {
      const { lab, app } = answering({ 'in-0': error, 'in-1': error })
      expect(app.told).toEqual(['offsets ok'])
      expect(lab.sent('FindCoordinator').map(({ body }) => body.keyType)).toEqual([1, 0, 0])
    },
  )

  it.each([
    'GROUP_AUTHORIZATION_FAILED',
    'FENCED_INSTANCE_ID',
    'UNKNOWN_MEMBER_ID',
    'ILLEGAL_GENERATION',
    'TRANSACTION_ABORTABLE',
  ] as const)('answered with %s is abortable: the member is no longer what it was', (error) => {
    const it = answering({ 'in-1': error })
    expect(it.app.told).toEqual([`offsets ${error} abortable`])
    expectAbortable(it, error)
  })

  it.each([
    ['PRODUCER_FENCED', 'PRODUCER_FENCED'],
    ['INVALID_PRODUCER_EPOCH', 'PRODUCER_FENCED'],
    ['TRANSACTIONAL_ID_AUTHORIZATION_FAILED', 'TRANSACTIONAL_ID_AUTHORIZATION_FAILED'],
    ['UNSUPPORTED_FOR_MESSAGE_FORMAT', 'UNSUPPORTED_FOR_MESSAGE_FORMAT'],
    ['UNKNOWN_SERVER_ERROR', 'UNKNOWN_SERVER_ERROR'],
  ] as const)('answered with %s is fatal', (error, told) => {
    const it = answering({ 'in-0': error })
    expect(it.app.told).toEqual([`offsets ${told} fatal`])
    expectFatal(it, told)
  })

  it('refused leaves nothing of its offsets to the next transaction', () => {
    const it = answering({ 'in-1': 'ILLEGAL_GENERATION' })
    it.app.abort()
    it.lab.after(500)
    it.app.begin()
    it.app.offsets({ 'in-2': 1 })
    it.lab.after(500)
    const topics = must(it.lab.sent('TxnOffsetCommit').at(-1)).body.topics
    expect(topics.flatMap(({ partitions }) => partitions.map((p) => p.partitionIndex))).toEqual([2])
  })
})

describe('EndTxn', () => {
  const answering = (
    error: ErrorName,
    call: 'commit' | 'abort' = 'commit',
    times = 1,
    version: 0 | 2 = 2,
  ): TransactionalLab => {
    const it = begun({ version })
    it.app.send()
    it.lab.until(600)
    it.lab.next('EndTxn', (request) => request.respond(endedTxn(Errors[error])), times)
    it.app[call]()
    it.lab.until(1_500)
    return it
  }

  it.each(['commit', 'abort'] as const)('is sent again after errors that pass, for a %s', (call) => {
    for (const error of [
      'COORDINATOR_NOT_AVAILABLE',
      'COORDINATOR_LOAD_IN_PROGRESS',
      'CONCURRENT_TRANSACTIONS',
    ] as const) {
      const { lab, app } = answering(error, call, 2)
      expect(app.told).toEqual([`${call} ok`])
      expect(lab.sent('EndTxn')).toHaveLength(3)
    }
  })

  it.each([
    ['PRODUCER_FENCED', 'PRODUCER_FENCED'],
    ['INVALID_PRODUCER_EPOCH', 'PRODUCER_FENCED'],
    ['INVALID_TXN_STATE', 'INVALID_TXN_STATE'],
    ['INVALID_PRODUCER_ID_MAPPING', 'INVALID_PRODUCER_ID_MAPPING'],
    ['TRANSACTIONAL_ID_AUTHORIZATION_FAILED', 'TRANSACTIONAL_ID_AUTHORIZATION_FAILED'],
  ] as const)('answered with %s is fatal, and certainly no commit', (error, told) => {
    const it = answering(error)
    expect(it.app.told).toEqual([`commit ${told} fatal`])
    expect(transactions(it.lab)).toEqual(['begin 1', 'ending 1 commit', `ended 1 ${told}`])
    expectFatal(it, told)
  })

  it('answered with an error that says nothing about the commit leaves its outcome open', () => {
    const it = answering('UNKNOWN_SERVER_ERROR')
    expect(it.app.told).toEqual(['commit UNKNOWN_SERVER_ERROR fatal'])
    expect(transactions(it.lab)).toEqual(['begin 1', 'ending 1 commit', 'ended 1 UNKNOWN_SERVER_ERROR?'])
  })

  it('fenced after an answer was lost leaves its outcome open', () => {
    const it = begun()
    it.app.send()
    it.lab.until(600)
    it.lab.next('EndTxn', (request) => request.closeConnection())
    it.lab.next('EndTxn', (request) => request.respond(endedTxn(Errors.PRODUCER_FENCED)))
    it.app.commit()
    it.lab.until(1_500)
    expect(it.app.told).toEqual(['commit PRODUCER_FENCED fatal'])
    expect(transactions(it.lab)).toEqual(['begin 1', 'ending 1 commit', 'ended 1 PRODUCER_FENCED?'])
  })

  it('answered with TRANSACTION_ABORTABLE makes a commit abortable', () => {
    const it = answering('TRANSACTION_ABORTABLE')
    expect(it.app.told).toEqual(['commit TRANSACTION_ABORTABLE abortable'])
    it.app.abort()
    it.lab.after(500)
    expect(it.app.told.slice(1)).toEqual(['abort ok'])
    expect(transactions(it.lab)).toEqual(['begin 1', 'ending 1 commit', 'ending 1 abort', 'ended 1 aborted'])
  })

  it('answered with TRANSACTION_ABORTABLE makes an abort fatal, or it would go on for ever', () => {
    const it = answering('TRANSACTION_ABORTABLE', 'abort')
    expect(it.app.told).toEqual(['abort TRANSACTION_ABORTABLE fatal'])
    expectFatal(it, 'TRANSACTION_ABORTABLE')
  })

  it('answered with UNKNOWN_PRODUCER_ID is abortable, and below version 2 the epoch is raised', () => {
    const it = answering('UNKNOWN_PRODUCER_ID', 'commit', 1, 0)
    expect(it.app.told).toEqual(['commit UNKNOWN_PRODUCER_ID abortable'])
    it.app.abort()
    it.lab.after(1_000)
    expect(it.app.told.slice(1)).toEqual(['abort ok'])
    expect(identities(it.lab)).toEqual(['1000/0 init', '1000/1 epoch bump'])
  })
})

describe('Produce', () => {
  const answering = (error: ErrorName, version: 0 | 2 = 2): TransactionalLab => {
    const it = begun({ version })
    it.lab.next('Produce', (request) => answerProduce(request, Errors[error]))
    it.app.send()
    it.lab.until(1_000)
    return it
  }

  it.each([
    'INVALID_PRODUCER_ID_MAPPING',
    'PRODUCER_FENCED',
    'CLUSTER_AUTHORIZATION_FAILED',
    'UNSUPPORTED_VERSION',
  ] as const)('answered with %s is fatal', (error) => {
    const it = answering(error)
    expect(it.app.outcomes).toEqual([error])
    expect(transactions(it.lab)).toEqual(['begin 1', `ended 1 ${error}`])
    expectFatal(it, error)
  })

  it.each([
    'INVALID_RECORD',
    'TOPIC_AUTHORIZATION_FAILED',
    'TRANSACTION_ABORTABLE',
    'OUT_OF_ORDER_SEQUENCE_NUMBER',
    'INVALID_PRODUCER_EPOCH',
  ] as const)('answered with %s makes the transaction abortable', (error) => {
    const it = answering(error)
    expect(it.app.outcomes).toEqual([error])
    expectAbortable(it, error)
  })

  it('answered with INVALID_TXN_STATE is told as TRANSACTION_ABORTABLE', () => {
    const it = answering('INVALID_TXN_STATE')
    expect(it.app.outcomes).toEqual(['INVALID_TXN_STATE'])
    expectAbortable(it, 'TRANSACTION_ABORTABLE')
  })

  it.each([0, 2] as const)('refused below version 2 raises the epoch with the abort; version %s', (version) => {
    const it = answering('INVALID_RECORD', version)
    it.app.abort()
    it.lab.after(1_000)
    expect(identities(it.lab).slice(1)).toEqual([version === 0 ? '1000/1 epoch bump' : '1000/1 transaction ended'])
  })

  it('refused while the commit waits fails the commit', () => {
    const { lab, app } = begun()
    lab.next('Produce', (request) => lab.later(100, () => answerProduce(request, Errors.INVALID_RECORD)))
    app.send()
    app.commit()
    lab.until(1_000)
    expect(app.told).toEqual(['commit INVALID_RECORD abortable'])
    expect(lab.sent('EndTxn')).toHaveLength(0)
    expect(transactions(lab)).toEqual(['begin 1', 'ending 1 commit'])
    app.abort()
    lab.until(1_500)
    expect(transactions(lab).slice(2)).toEqual(['ending 1 abort', 'ended 1 aborted'])
  })

  it('refused while the abort waits does not disturb it', () => {
    const { lab, app } = begun()
    lab.next('Produce', (request) => lab.later(100, () => answerProduce(request, Errors.INVALID_RECORD)))
    app.send()
    lab.until(520)
    app.abort()
    lab.until(1_000)
    expect(app.outcomes).toEqual(['INVALID_RECORD'])
    expect(app.told).toEqual(['abort ok'])
  })

  it('with retries used up is told as TRANSACTION_ABORTABLE', () => {
    const it = begun({ config: { retries: 2 } })
    it.lab.next('Produce', (request) => answerProduce(request, Errors.NOT_ENOUGH_REPLICAS), 3)
    it.app.send()
    it.lab.until(2_000)
    expect(it.app.outcomes).toEqual(['NOT_ENOUGH_REPLICAS'])
    expectAbortable(it, 'TRANSACTION_ABORTABLE')
  })
})

describe('a record that is refused before it is sent', () => {
  it('for its size makes the transaction abortable', () => {
    const it = begun({ config: { 'max.request.size': 1_000 } })
    it.app.send({ value: new Uint8Array(2_000) })
    it.lab.until(600)
    expect(it.app.outcomes).toEqual(['MESSAGE_TOO_LARGE'])
    expectAbortable(it, 'MESSAGE_TOO_LARGE')
  })

  it('for want of metadata makes the transaction abortable', () => {
    const it = begun({ config: { 'max.block.ms': 1_000 } })
    it.app.send({ topic: 'nowhere' })
    it.lab.until(2_000)
    expect(it.app.outcomes).toEqual(['REQUEST_TIMED_OUT'])
    expectAbortable(it, 'TRANSACTION_ABORTABLE')
  })
})
