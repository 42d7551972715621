/**
 * A fake transaction coordinator and group coordinator for the lab, and an application with a transactional producer.
 *
 * The coordinators say yes to everything, on the brokers that `coordinators` names; `lab.next` makes them say something else.
 * EndTxn of version 5 raises the epoch, as under transaction version 2.
 */

import { Producer, type ProducerRecord } from '../../sim/client/producer.js'
import { parseProducerConfig } from '../../sim/client/producer-config.js'
import type { GroupMetadata, OffsetAndMetadata } from '../../sim/client/group/offset-commits.js'
import { encode } from '../../sim/client/workload-record.js'
import { nodeName, partitionName } from '../../sim/kernel/names.js'
import type { Apis } from '../../sim/wire/apis.js'
import { Errors, type ErrorCode, type ErrorName } from '../../sim/wire/errors.js'
import { NO_PRODUCER_ID } from '../../sim/wire/record-batch.js'
import { Lab } from './lab.js'

export interface TransactionalLab {
  readonly lab: Lab
  readonly app: TransactionalApp
  /** Broker ids; change them to move a coordinator. */
  readonly coordinators: { transaction: number; group: number }
  /** The identity that InitProducerId last gave, or EndTxn after it. */
  readonly identity: { producerId: number; producerEpoch: number }
}

export interface TransactionalApp {
  readonly producer: Producer
  /** What calls came to, in order: `init ok`, `commit PRODUCER_FENCED fatal`. */
  readonly told: string[]
  /** What records came to, as in `ProducingApp`. */
  readonly outcomes: string[]
  init(): void
  begin(): void
  send(record?: Partial<ProducerRecord>): void
  offsets(offsets?: Readonly<Record<string, number>>, group?: Partial<GroupMetadata>): void
  commit(): void
  abort(): void
}

export const GROUP: GroupMetadata = { groupId: 'g', memberId: 'm1', generation: 3, groupInstanceId: null }

/** A lab with topic `orders` and a producer with transactional id `tx`, under a transaction version. */
export function transactional(
  options: {
    version?: 0 | 2
    brokers?: number
    partitions?: number
    config?: Record<string, unknown>
  } = {},
): TransactionalLab {
  const lab = new Lab(options.brokers ?? 1, 'transactions')
  lab.topic('orders', options.partitions ?? 1, Array(options.partitions ?? 1).fill(1))
  lab.features = { epoch: 5, levels: { 'transaction.version': options.version ?? 2 } }
  const coordinators = { transaction: 1, group: 1 }
  const identity = { producerId: NO_PRODUCER_ID, producerEpoch: -1 }
  coordinate(lab, coordinators, identity)
  const app = transactionalApp(lab, options.config)
  return { lab, app, coordinators, identity }
}

/** As `transactional`, with transactions initialised and the first one begun. */
export function begun(options: Parameters<typeof transactional>[0] = {}): TransactionalLab {
  const it = transactional(options)
  it.app.init()
  it.lab.until(500)
  it.app.begin()
  it.app.told.length = 0
  it.lab.conversation()
  return it
}

export function transactionalApp(lab: Lab, config: Record<string, unknown> = {}, name = 'p1'): TransactionalApp {
  const told: string[] = []
  const outcomes: string[] = []
  const settings = parseProducerConfig({ 'transactional.id': 'tx', 'linger.ms': 0, ...config })
  const producer = lab.client(name, (env) => new Producer(env, settings, lab.brokers))
  const tell =
    (call: string) =>
    (error: string | undefined, kind?: string): void =>
      void told.push(error === undefined ? `${call} ok` : `${call} ${error} ${kind}`)
  return {
    producer,
    told,
    outcomes,
    init: () => producer.initTransactions(tell('init')),
    begin: () => void told.push(`begin ${producer.beginTransaction() ?? 'ok'}`),
    send(record = {}) {
      const number = outcomes.length
      outcomes.push('open')
      const id = `${name}/${number}`
      producer.send({ topic: 'orders', partition: 0, value: encode(id), id, ...record }, (result) => {
        if (outcomes[number] !== 'open') throw new Error(`${id} was answered twice`)
        outcomes[number] = result.ok
          ? `${result.partition}@${result.offset}`
          : `${result.error}${result.certain ? '' : '?'}`
      })
    },
    offsets(offsets = { 'in-0': 7 }, group = {}) {
      const given = new Map<string, OffsetAndMetadata>(
        Object.entries(offsets).map(([name, offset]) => [name, { offset }]),
      )
      producer.sendOffsetsToTransaction(given, { ...GROUP, ...group }, tell('offsets'))
    },
    commit: () => producer.commitTransaction(tell('commit')),
    abort: () => producer.abortTransaction(tell('abort')),
  }
}

function coordinate(
  lab: Lab,
  coordinators: TransactionalLab['coordinators'],
  identity: TransactionalLab['identity'],
): void {
  lab.always('FindCoordinator', (request) => {
    const { coordinatorKeys, keyType } = request.body
    const nodeId = keyType === 0 ? coordinators.group : coordinators.transaction
    request.respond(foundCoordinators(coordinatorKeys, Errors.NONE, nodeId))
  })
  lab.always('InitProducerId', (request) => {
    if (identity.producerId === NO_PRODUCER_ID) identity.producerId = lab.nextProducerId++
    identity.producerEpoch++
    request.respond({ throttleTimeMs: 0, errorCode: Errors.NONE, ...identity })
  })
  lab.always('AddPartitionsToTxn', (request) => request.respond(addedPartitions(request.body)))
  lab.always('AddOffsetsToTxn', (request) => request.respond({ throttleTimeMs: 0, errorCode: Errors.NONE }))
  lab.always('TxnOffsetCommit', (request) => request.respond(committedOffsets(request.body)))
  lab.always('EndTxn', (request) => {
    if (request.version < 5) return request.respond(endedTxn(Errors.NONE))
    identity.producerEpoch++
    request.respond({ throttleTimeMs: 0, errorCode: Errors.NONE, ...identity })
  })
}

export function foundCoordinators(
  keys: readonly string[],
  errorCode: ErrorCode,
  nodeId = -1,
): Apis['FindCoordinator']['response'] {
  const node = { nodeId, host: nodeId < 0 ? '' : nodeName(nodeId), port: nodeId < 0 ? -1 : 9092 }
  return {
    throttleTimeMs: 0,
    errorCode: 0,
    errorMessage: null,
    nodeId: 0,
    host: '',
    port: 0,
    coordinators: keys.map((key) => ({ key, ...node, errorCode, errorMessage: null })),
  }
}

/** Errors by partition; NONE for the others. */
export function addedPartitions(
  request: Apis['AddPartitionsToTxn']['request'],
  errors: Readonly<Record<string, ErrorName>> = {},
): Apis['AddPartitionsToTxn']['response'] {
  return {
    throttleTimeMs: 0,
    errorCode: 0,
    resultsByTransaction: [],
    resultsByTopicV3AndBelow: request.v3AndBelowTopics.map(({ name, partitions }) => ({
      name,
      resultsByPartition: partitions.map((partitionIndex) => ({
        partitionIndex,
        partitionErrorCode: Errors[errors[partitionName(name, partitionIndex)] ?? 'NONE'],
      })),
    })),
  }
}

/** Errors by partition; NONE for the others. */
export function committedOffsets(
  request: Apis['TxnOffsetCommit']['request'],
  errors: Readonly<Record<string, ErrorName>> = {},
): Apis['TxnOffsetCommit']['response'] {
  return {
    throttleTimeMs: 0,
    topics: request.topics.map(({ name, partitions }) => ({
      name,
      partitions: partitions.map(({ partitionIndex }) => ({
        partitionIndex,
        errorCode: Errors[errors[partitionName(name, partitionIndex)] ?? 'NONE'],
      })),
    })),
  }
}

export function endedTxn(errorCode: ErrorCode): Apis['EndTxn']['response'] {
  return { throttleTimeMs: 0, errorCode, producerId: -1, producerEpoch: -1 }
}

/** What the trace was told of transactions, as `begin 1`, `ending 1 commit`, `ended 1 committed`. */
export function transactions(lab: Lab): string[] {
  return lab.events.flatMap((event) => {
    switch (event.type) {
      case 'txn.begin':
        return [`begin ${event.data.txn}`]
      case 'txn.offsets':
        return [
          `offsets ${event.data.txn} ${event.data.partitions.map((p, i) => `${p}@${event.data.offsets[i]}`).join(' ')}`,
        ]
      case 'txn.ending':
        return [`ending ${event.data.txn} ${event.data.commit ? 'commit' : 'abort'}`]
      case 'txn.ended':
        return [`ended ${event.data.txn} ${event.data.outcome}${event.data.certain ? '' : '?'}`]
      default:
        return []
    }
  })
}

export const identities = (lab: Lab): string[] =>
  lab.of('producer.identity').map(({ data }) => `${data.producerId}/${data.producerEpoch} ${data.reason}`)
