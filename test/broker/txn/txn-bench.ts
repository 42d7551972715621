/** One shard of transactional ids without a log: what it writes is committed when the test says so; time is moved by hand. */

import type { Outcome, WritingShardHost } from '../../../sim/broker/coordinator/coordinator-runtime.js'
import type { TxnFacts, TxnState } from '../../../sim/broker/txn/transaction.js'
import { TXN_RECORD_CODEC, type TxnRecord } from '../../../sim/broker/txn/txn-records.js'
import { TXN_SETTINGS } from '../../../sim/broker/txn/txn-settings.js'
import { type MarkersToWrite, type ProducerIdentity, TxnShard } from '../../../sim/broker/txn/txn-shard.js'
import { parseConfig } from '../../../sim/kernel/config-def.js'
import type { Env } from '../../../sim/kernel/env.js'
import { Random } from '../../../sim/kernel/random.js'
import { type ErrorCode, errorName, Errors } from '../../../sim/wire/errors.js'
import { RecordBatch } from '../../../sim/wire/record-batch.js'

interface Timer {
  readonly atMs: number
  readonly operate: () => Outcome<TxnRecord, unknown>
}

export const ID = 'payments'
export const LAST = 32_767
const TIMEOUT_MS = 60_000

export class TxnBench {
  nowMs = 1_000_000
  readonly log: TxnRecord[] = []
  readonly markers: MarkersToWrite[] = []
  readonly shard: TxnShard
  /** transaction.version of the cluster. */
  version: number
  #nextProducerId = 1_000
  /** What the next writes come to; NONE when it is empty. */
  readonly #fates: ErrorCode[] = []
  /** Writes wait until `settle`. */
  holds = false
  readonly #held: ((error: ErrorCode) => void)[] = []
  readonly #timers = new Map<string, Timer>()

  constructor(version = 2, log: readonly TxnRecord[] = []) {
    this.version = version
    const env = {
      node: 'b1',
      random: new Random('txn-bench'),
      clock: { wallMs: () => this.nowMs, monotonicMs: () => this.nowMs },
      emit: () => 0,
    } as unknown as Env
    const host: WritingShardHost<TxnRecord> = {
      env,
      index: 0,
      schedule: (key, delayMs, operate) => void this.#timers.set(key, { atMs: this.nowMs + delayMs, operate }),
      cancel: (key) => void this.#timers.delete(key),
      isScheduled: (key) => this.#timers.has(key),
      write: (outcome) => this.apply(outcome),
      maxBatchBytes: 1_048_588,
    }
    const config = {
      ...parseConfig(TXN_SETTINGS, {}, []),
      'transaction.max.timeout.ms': 900_000,
      'request.timeout.ms': 30_000,
    }
    this.shard = new TxnShard(host, {
      config: () => config,
      transactionVersion: () => this.version,
      newProducerId: () => ({ producerId: this.#nextProducerId++ }),
      writeMarkers: (_index, markers) => void this.markers.push(markers),
    })
    for (const record of log) {
      this.shard.replay(record, this.log.length)
      this.log.push(record)
    }
    this.shard.loaded()
  }

  /** A shard that finds this transaction in its log. */
  static with(version: number, facts: Partial<TxnFacts> & { state: TxnState }): TxnBench {
    const bench = new TxnBench(version)
    return new TxnBench(version, [
      { transactionalId: ID, facts: { ...bench.facts(), ...facts, clientVersion: version } },
    ])
  }

  /** Facts of a producer 10 with epoch 5. */
  facts(): TxnFacts {
    return {
      producerId: 10,
      previousProducerId: 10,
      nextProducerId: -1,
      producerEpoch: 5,
      lastProducerEpoch: -1,
      timeoutMs: TIMEOUT_MS,
      state: 'Empty',
      partitions: new Set(),
      startMs: 1_000_000,
      updateMs: 1_000_000,
      clientVersion: 0,
    }
  }

  get txn(): TxnFacts {
    const facts = this.shard.find(ID)?.facts
    if (facts === undefined) throw new Error(`no transaction of ${ID}`)
    return facts
  }

  /** Where it stands: `Ongoing 10/5 orders-0`. */
  get is(): string {
    const { state, producerId, producerEpoch, partitions } = this.txn
    return [state, `${producerId}/${producerEpoch}`, ...partitions].join(' ')
  }

  failNext(...errors: readonly ErrorCode[]): void {
    this.#fates.push(...errors)
  }

  /** What waits comes to this. */
  settle(error: ErrorCode = Errors.NONE): void {
    for (const settle of this.#held.splice(0)) settle(error)
  }

  apply(outcome: Outcome<TxnRecord, unknown>): void {
    if (outcome.records.length > 0 && this.holds) {
      this.#held.push((error) => this.#end(outcome, error))
      return
    }
    this.#end(outcome, outcome.records.length === 0 ? Errors.NONE : (this.#fates.shift() ?? Errors.NONE))
  }

  #end(outcome: Outcome<TxnRecord, unknown>, error: ErrorCode): void {
    if (error === Errors.NONE) this.log.push(...outcome.records)
    outcome.settled?.(error)
  }

  // ── requests; answers are names of errors, or `10/5` ──────────────────────────────────────────────────────────────

  init(expected?: string, timeoutMs = TIMEOUT_MS): string {
    return this.#asked((done) =>
      this.shard.initProducerId(ID, timeoutMs, expected === undefined ? undefined : identityOf(expected), done),
    )
  }

  add(identity: string, partitions: readonly string[] = ['orders-0']): string {
    return this.#asked((done) => this.shard.addPartitions(ID, identityOf(identity), partitions, this.version, done))
  }

  verify(identity: string, partitions: readonly string[]): string[] {
    return this.shard.verify(ID, identityOf(identity), partitions).map(nameOf)
  }

  end(identity: string, isCommit: boolean): string {
    return this.#asked((done) =>
      this.shard.end(ID, identityOf(identity), isCommit, this.version, { isFromClient: true }, done),
    )
  }

  /** The markers that were asked for last are written. */
  complete(): boolean | undefined {
    const markers = this.markers.at(-1)
    if (markers === undefined) throw new Error('no markers were asked for')
    for (const partition of markers.partitions) this.shard.markerWritten(ID, partition)
    let isOver: boolean | undefined
    this.apply(this.shard.complete(ID, (over) => (isOver = over)))
    return isOver
  }

  #asked(ask: (done: (result: ErrorCode | ProducerIdentity) => void) => Outcome<TxnRecord, unknown>): string {
    let answer = 'waits'
    this.apply(ask((result) => (answer = typeof result === 'number' ? nameOf(result) : textOf(result))))
    return answer
  }

  // ── time ──────────────────────────────────────────────────────────────────────────────────────────────────────────

  pass(ms: number): void {
    const end = this.nowMs + ms
    for (;;) {
      const due = [...this.#timers].filter(([, timer]) => timer.atMs <= end).sort((a, b) => a[1].atMs - b[1].atMs)[0]
      if (due === undefined) break
      this.#timers.delete(due[0])
      this.nowMs = Math.max(this.nowMs, due[1].atMs)
      this.apply(due[1].operate())
    }
    this.nowMs = end
  }

  /** Another coordinator, with nothing but the bytes of this one's log. */
  takeOver(): TxnBench {
    const batch = RecordBatch.build(
      {},
      this.log.map((record) => TXN_RECORD_CODEC.encode(record, 0)),
    )
    const records = batch.records().map((record) => TXN_RECORD_CODEC.decode(record) as TxnRecord)
    return new TxnBench(this.version, records)
  }
}

function identityOf(text: string): ProducerIdentity {
  const [producerId = 0, producerEpoch = 0] = text.split('/').map(Number)
  return { producerId, producerEpoch }
}

function textOf({ producerId, producerEpoch }: ProducerIdentity): string {
  return `${producerId}/${producerEpoch}`
}

function nameOf(code: ErrorCode): string {
  return code === Errors.NONE ? 'NONE' : errorName(code)
}
