/**
 * Golden conversations with a transaction coordinator: commands, each followed by the answers, the records that are written to
 * `__transaction_state` (as their bytes say), the states, and the markers that are sent. The real handlers, coordinator and markers of
 * broker b1 run over a log that is a list, and over brokers whose answers the text gives.
 *
 *   coordinator version=0|2 [partitions=2] [batch=100] [setting=value …]    a broker that leads nothing yet
 *   log Ongoing 10/5 orders-0 … [id=x previous=9 next=11 started=-30s updated=-1h timeout=60s version=0]
 *   log tombstone|unknown [id=x]                                what is in the log before it loads
 *   elect [epoch] [partition=1] [slowly] · finish · resign [partition=1]
 *   init [10/5] [id=x] [timeout=60s] · add 10/5 orders-0 … · offsets 10/5 g1 · verify 10/5 orders-0 … · commit|abort 10/5
 *   describe · list [state=Ongoing] [producer=10] [longer=5s] [pattern=p.*]
 *   answer b1 NONE|disconnected [orders-0=ERROR …]              the oldest markers that b1 was sent
 *   append fails ERROR [times] · isr shrinks|recovers · replication stops|resumes
 *   leader orders-0 b2|none · down b2 · delete orders · pass 10s
 *   controller is slow · controller grants 2000+10 | refuses ERROR | times out
 */

import type { ApiContext } from '../../../sim/broker/api-context.js'
import { transactionHandlers } from '../../../sim/broker/api-transactions.js'
import type { ChannelResult, ControllerSender } from '../../../sim/broker/controller-channel.js'
import { coordinatorPartition } from '../../../sim/broker/coordinator/internal-topics.js'
import { ProducerIdManager } from '../../../sim/broker/producer-id-manager.js'
import { TransactionCoordinator } from '../../../sim/broker/txn/transaction-coordinator.js'
import { TXN_SETTINGS } from '../../../sim/broker/txn/txn-settings.js'
import { parseConfig } from '../../../sim/kernel/config-def.js'
import type { TraceEvent } from '../../../sim/kernel/events.js'
import { parsePartition } from '../../../sim/kernel/names.js'
import { parseDuration } from '../../../sim/kernel/quantity.js'
import { RequestAuthorizer } from '../../../sim/kraft/metadata/request-authorizer.js'
import type { ApiName, Apis } from '../../../sim/wire/apis.js'
import { errorName, Errors } from '../../../sim/wire/errors.js'
import type { RequestClient, RpcResult } from '../../../sim/wire/request-client.js'
import type { FaultHandle } from '../../../sim/world/fault-rule.js'
import { LogHost } from '../../log/harness.js'
import { type Leaders, StateLog, stateImage } from './state-log.js'

const BROKERS = new Map([
  [1, 'b1'],
  [2, 'b2'],
  [3, 'b3'],
])

interface Sent {
  readonly to: string
  readonly body: Apis['WriteTxnMarkers']['request']
  readonly done: (result: RpcResult<'WriteTxnMarkers'>) => void
}

type Words = ReadonlyMap<string, string>

export class Conversation {
  #lines: string[] = []
  #lab: Lab | undefined

  run(command: string): string[] {
    this.#lines = []
    const [name = '', ...words] = command.split(/\s+/)
    const named = new Map(words.filter((word) => word.includes('=')).map((word) => word.split('=') as [string, string]))
    const plain = words.filter((word) => !word.includes('='))
    if (name === 'coordinator') this.#lab = new Lab(named, (line) => void this.#lines.push(`  ${line}`))
    else if (this.#lab === undefined) throw new Error('a conversation begins with `coordinator`')
    else this.#lab.run(name, plain, named)
    return this.#lines
  }
}

class Lab {
  readonly #host = new LogHost()
  readonly #say: (line: string) => void
  readonly #version: number
  readonly #logs: StateLog[]
  readonly #leaders: Leaders = new Map([
    ['orders-0', 1],
    ['orders-1', 2],
    ['orders-2', 3],
    ['__consumer_offsets-0', 3],
  ])
  readonly #alive = new Map(BROKERS)
  readonly #epochs = new Map<number, number>()
  readonly #markers: Sent[] = []
  readonly #ids: ProducerIdManager
  readonly #controller: ((result: ChannelResult<'AllocateProducerIds'>) => void)[] = []
  #controllerIsSlow = false
  #hang: FaultHandle | undefined
  readonly #coordinator: TransactionCoordinator
  readonly #handlers: ReturnType<typeof transactionHandlers>
  readonly #beganMs: number

  constructor(given: Words, say: (line: string) => void) {
    const { version = '2', partitions = '1', batch = '1048588', ...settings } = Object.fromEntries(given)
    this.#version = Number(version)
    const { env, engine } = this.#host
    this.#beganMs = env.clock.wallMs()
    this.#say = (line) => {
      const nowMs = env.clock.wallMs() - this.#beganMs
      say(nowMs === 0 ? line : `${nowMs / 1_000}s ${line}`)
    }
    const log = (index: number): StateLog => new StateLog(index, this.#beganMs, (line) => this.#say(line))
    this.#logs = Array.from({ length: Number(partitions) }, (_, index) => log(index))
    for (const each of this.#logs) each.maxBatchBytes = Number(batch)
    engine.trace.watch(['txn.state', 'txn.loaded', 'txn.unloaded'], (event) => this.#tell(event))
    const config = {
      ...parseConfig(TXN_SETTINGS, settings, []),
      'transaction.max.timeout.ms': 900_000,
      'request.timeout.ms': 30_000,
    }
    this.#ids = new ProducerIdManager(1, () => 1, env.clock, this.#channel())
    this.#ids.generate()
    const metadata = () => stateImage(this.#version, this.#leaders, this.#alive, this.#logs.length)
    this.#coordinator = new TransactionCoordinator(env, {
      brokerId: 1,
      replicas: StateLog.replicas(this.#logs),
      metadata,
      config: () => config,
      producerIds: this.#ids,
      requests: { send: (...sent: unknown[]) => this.#send(sent) } as unknown as RequestClient,
    })
    const context = {
      env,
      auth: new RequestAuthorizer(env, undefined),
      metadata: {
        get image() {
          return metadata()
        },
      },
      config: { current: { 'offsets.topic.num.partitions': 1 } },
      groups: { partitionOf: (id: string) => coordinatorPartition(id, 1) },
      producerIds: this.#ids,
      transactions: this.#coordinator,
    }
    this.#handlers = transactionHandlers(context as unknown as ApiContext)
  }

  run(name: string, words: readonly string[], named: Words): void {
    const [first = '', second = ''] = words
    switch (name) {
      case 'log':
        this.#write(first, words.slice(1), named)
        break
      case 'elect':
      case 'finish':
      case 'resign':
        this.#lead(name, words, Number(named.get('partition') ?? 0))
        break
      case 'append':
        for (const log of this.#logs) log.fail(second, Number(words[2] ?? 1))
        break
      case 'isr':
        for (const log of this.#logs) log.isUnderMinIsr = first === 'shrinks'
        break
      case 'replication':
        for (const log of this.#logs) log.replicates(first === 'resumes')
        break
      case 'leader':
        this.#leaders.set(first, second === 'none' ? -1 : Number(second.slice(1)))
        break
      case 'down':
        this.#alive.delete(Number(first.slice(1)))
        break
      case 'delete':
        for (const partition of [...this.#leaders.keys()]) {
          if (parsePartition(partition)?.topic === first) this.#leaders.delete(partition)
        }
        break
      case 'answer':
        this.#answer(first, second, named)
        break
      case 'controller':
        this.#answerIds(words)
        break
      case 'pass':
        this.#host.run(quantityMs(first))
        break
      default:
        this.#ask(name, words, named)
    }
    this.#host.run(0)
  }

  #tell({ type, data }: TraceEvent): void {
    if (type === 'txn.loaded') this.#say(`${data.partition} is loaded: ${data.transactions} ids`)
    if (type === 'txn.unloaded') this.#say(`${data.partition} is unloaded`)
    if (type !== 'txn.state') return
    const { transactionalId, producerId, producerEpoch, from, to, reason } = data
    this.#say(`${transactionalId} is ${to} ${producerId}/${producerEpoch}, was ${from} (${reason})`)
  }

  // ── the log, and who leads it ─────────────────────────────────────────────────────────────────────────────────────

  #write(state: string, words: readonly string[], named: Words): void {
    const id = named.get('id') ?? 'payments'
    const log = this.#logs[coordinatorPartition(id, this.#logs.length)] as StateLog
    if (state === 'tombstone' || state === 'unknown') return log.seed(id, state)
    const [identity = '', ...partitions] = words
    const { producerId, producerEpoch } = identityOf(identity)
    const atMs = (text: string | undefined): number =>
      text === undefined ? this.#beganMs : text === '-1' ? -1 : this.#beganMs - quantityMs(text.slice(1))
    log.seed(id, {
      producerId,
      previousProducerId: Number(named.get('previous') ?? producerId),
      nextProducerId: Number(named.get('next') ?? -1),
      producerEpoch,
      lastProducerEpoch: -1,
      timeoutMs: quantityMs(named.get('timeout') ?? '60s'),
      state: state as 'Ongoing',
      partitions: new Set(partitions),
      startMs: atMs(named.get('started') ?? (state === 'Empty' ? '-1' : undefined)),
      updateMs: atMs(named.get('updated')),
      clientVersion: Number(named.get('version') ?? this.#version),
    })
  }

  #lead(name: string, words: readonly string[], index: number): void {
    const log = this.#logs[index] as StateLog
    if (name === 'finish') return this.#hang?.remove()
    if (name === 'resign') return this.#coordinator.onResignation('__transaction_state', index)
    const [given] = words.filter((word) => word !== 'slowly')
    const epoch = given === undefined ? (this.#epochs.get(index) ?? 0) + 1 : Number(given)
    this.#epochs.set(index, epoch)
    log.epoch = epoch
    if (words.includes('slowly')) this.#hang = this.#host.simDisk.hang()
    this.#coordinator.onElection('__transaction_state', index, epoch)
  }

  // ── requests ──────────────────────────────────────────────────────────────────────────────────────────────────────

  #ask(name: string, words: readonly string[], named: Words): void {
    const given = named.get('id') ?? 'payments'
    const id = given === 'null' ? null : given
    const [first = '', ...rest] = words
    const transactionalId = id as string
    const { producerId, producerEpoch } = identityOf(first === '' ? '-1/-1' : first)
    const identity = { transactionalId, producerId, producerEpoch }
    const topics = (): { name: string; partitions: number[] }[] => {
      const byTopic = new Map<string, number[]>()
      for (const partition of rest) {
        const { topic, index } = parsePartition(partition) ?? { topic: partition, index: 0 }
        byTopic.set(topic, [...(byTopic.get(topic) ?? []), index])
      }
      return [...byTopic].map(([topic, partitions]) => ({ name: topic, partitions }))
    }
    switch (name) {
      case 'init': {
        const transactionTimeoutMs = quantityMs(named.get('timeout') ?? '60s')
        const ask = { ...identity, transactionalId: id, transactionTimeoutMs }
        return this.#request('InitProducerId', ask, 5, (answer) => resultOf(answer.errorCode, answer))
      }
      case 'add':
      case 'verify':
        return this.#add(name, { ...identity, topics: topics() })
      case 'offsets':
        return this.#request('AddOffsetsToTxn', { ...identity, groupId: rest[0] ?? '' }, 4, (answer) =>
          errorName(answer.errorCode),
        )
      case 'commit':
      case 'abort': {
        const version = this.#version >= 2 ? 5 : 4
        return this.#request('EndTxn', { ...identity, committed: name === 'commit' }, version, (answer) =>
          resultOf(answer.errorCode, answer),
        )
      }
      case 'describe':
        return this.#describe(transactionalId)
      case 'list':
        return this.#list(named)
      default:
        throw new Error(`unknown command ${name}`)
    }
  }

  /** Clients ask under transaction version 0, brokers for them under version 2 and to verify. */
  #add(name: string, asked: Apis['AddPartitionsToTxn']['request']['transactions'][number] | object): void {
    const one = asked as Apis['AddPartitionsToTxn']['request']['transactions'][number]
    const isClient = name === 'add' && this.#version < 2
    const body: Apis['AddPartitionsToTxn']['request'] = {
      transactions: isClient ? [] : [{ ...one, verifyOnly: name === 'verify' }],
      v3AndBelowTransactionalId: one.transactionalId,
      v3AndBelowProducerId: one.producerId,
      v3AndBelowProducerEpoch: one.producerEpoch,
      v3AndBelowTopics: one.topics,
    }
    this.#request('AddPartitionsToTxn', body, isClient ? 3 : 5, (answer) =>
      [...answer.resultsByTopicV3AndBelow, ...answer.resultsByTransaction.flatMap(({ topicResults }) => topicResults)]
        .flatMap(({ name: topic, resultsByPartition }) =>
          resultsByPartition.map(
            ({ partitionIndex, partitionErrorCode }) => `${topic}-${partitionIndex} ${errorName(partitionErrorCode)}`,
          ),
        )
        .join(', '),
    )
  }

  #describe(id: string): void {
    this.#request('DescribeTransactions', { transactionalIds: [id] }, 0, ({ transactionStates: [one] }) => {
      if (one === undefined || one.errorCode !== Errors.NONE) return errorName(one?.errorCode ?? -1)
      const partitions = one.topics.flatMap(({ topic, partitions: indexes }) => indexes.map((i) => `${topic}-${i}`))
      const { transactionState, producerId, producerEpoch, transactionTimeoutMs, transactionStartTimeMs } = one
      const start = transactionStartTimeMs < 0 ? 'never' : `${(transactionStartTimeMs - this.#beganMs) / 1_000}s`
      const times = `started ${start}, timeout ${transactionTimeoutMs / 1_000}s`
      return `${transactionState} ${producerId}/${producerEpoch} [${partitions.join(' ')}], ${times}`
    })
  }

  #list(named: Words): void {
    const some = (key: string): string[] => named.get(key)?.split(',') ?? []
    const body = {
      stateFilters: some('state'),
      producerIdFilters: some('producer').map(Number),
      durationFilter: named.has('longer') ? quantityMs(named.get('longer') as string) : -1,
      transactionalIdPattern: named.get('pattern') ?? null,
    }
    this.#request('ListTransactions', body, 2, ({ errorCode, transactionStates, unknownStateFilters }) => {
      if (errorCode !== Errors.NONE) return errorName(errorCode)
      const unknown = unknownStateFilters.length === 0 ? '' : `; unknown states: ${unknownStateFilters.join(' ')}`
      const list = transactionStates.map((one) => `${one.transactionalId} ${one.producerId} ${one.transactionState}`)
      return `${list.join(', ') || 'none'}${unknown}`
    })
  }

  #request<A extends ApiName>(
    api: A,
    body: Apis[A]['request'],
    version: number,
    words: (response: Apis[A]['response']) => string,
  ): void {
    const request = {
      api,
      version,
      body,
      from: 'p1',
      principal: 'User:p1',
      respond: (response: Apis[A]['response']) => this.#say(`${api} → ${words(response)}`),
    }
    ;(this.#handlers[api] as unknown as (asked: typeof request) => void)(request)
  }

  // ── markers ───────────────────────────────────────────────────────────────────────────────────────────────────────

  #send([to, _api, body, done]: unknown[]): void {
    const sent = { to, body, done } as Sent
    this.#markers.push(sent)
    for (const { producerId, producerEpoch, transactionResult, coordinatorEpoch, topics } of sent.body.markers) {
      const partitions = topics.flatMap(({ name, partitionIndexes }) => partitionIndexes.map((i) => `${name}-${i}`))
      const what = `${transactionResult ? 'COMMIT' : 'ABORT'} of ${producerId}/${producerEpoch} for ${partitions.join(' ')}`
      this.#say(`markers to ${sent.to}: ${what}, coordinator epoch ${coordinatorEpoch}`)
    }
  }

  #answer(from: string, how: string, named: Words): void {
    const at = this.#markers.findIndex(({ to }) => to === from)
    const [sent] = at < 0 ? [] : this.#markers.splice(at, 1)
    if (sent === undefined) return this.#say(`${from} was asked nothing`)
    if (how === 'disconnected') return sent.done({ ok: false, reason: 'disconnected' })
    const codeOf = (partition: string): number =>
      Errors[(named.get(partition) ?? (how || 'NONE')) as keyof typeof Errors]
    const markers = sent.body.markers.map(({ producerId, topics }) => ({
      producerId,
      topics: topics.map(({ name, partitionIndexes }) => ({
        name,
        partitions: partitionIndexes.map((partitionIndex) => ({
          partitionIndex,
          errorCode: codeOf(`${name}-${partitionIndex}`),
        })),
      })),
    }))
    sent.done({ ok: true, response: { markers } })
  }

  // ── producer ids ──────────────────────────────────────────────────────────────────────────────────────────────────

  /** The controller gives 1000 to 1999 at once, until it is slow. */
  #channel(): ControllerSender {
    return {
      send: (_api, _body, done) => {
        const answer = done as (result: ChannelResult<'AllocateProducerIds'>) => void
        if (this.#controllerIsSlow) {
          this.#say('AllocateProducerIds to the controller')
          this.#controller.push(answer)
        } else answer(granted(1_000, 1_000, Errors.NONE))
      },
      shutdown: () => undefined,
    }
  }

  #answerIds([how, what = '']: readonly string[]): void {
    if (how === 'is') {
      this.#controllerIsSlow = true
      // What is left of the first block goes.
      for (let i = 0; i < 1_000; i++) if (!('producerId' in this.#ids.generate())) return
      return
    }
    const answer = this.#controller.shift()
    if (answer === undefined) return this.#say('the controller was asked nothing')
    const [start = 0, length = 0] = what.split('+').map(Number)
    if (how === 'grants') answer(granted(start, length, Errors.NONE))
    else if (how === 'refuses') answer(granted(0, 0, Errors[what as keyof typeof Errors]))
    else answer({ ok: false, reason: 'timeout' } as ChannelResult<'AllocateProducerIds'>)
  }
}

function granted(
  producerIdStart: number,
  producerIdLen: number,
  errorCode: number,
): ChannelResult<'AllocateProducerIds'> {
  const response = { throttleTimeMs: 0, errorCode, producerIdStart, producerIdLen }
  return { ok: true, response } as ChannelResult<'AllocateProducerIds'>
}

function identityOf(text: string): { producerId: number; producerEpoch: number } {
  const [producerId = 0, producerEpoch = 0] = text.split('/').map(Number)
  return { producerId, producerEpoch }
}

function resultOf(error: number, identity: { readonly producerId: number; readonly producerEpoch: number }): string {
  if (error !== Errors.NONE) return errorName(error)
  return identity.producerId < 0 ? 'NONE' : `${identity.producerId}/${identity.producerEpoch}`
}

function quantityMs(text: string): number {
  const micros = parseDuration(text)
  if (micros === undefined) throw new Error(`not a duration: ${text}`)
  return micros / 1_000
}
