/**
 * A scenario as data: what YAML and TypeScript files are read into, and all that a run needs besides its seed.
 *
 * Plain and serialisable: it crosses to worker threads, is written back as YAML by the shrinker, and its fingerprint binds a
 * token to it. Durations are microseconds; names are as the user wrote them and were checked by the loader.
 * Times of steps, clients and expectations count from the moment the cluster is ready (its topics led, their ISR full).
 */

import type { ClusterSpec, RawConfig } from '../cluster/cluster-spec.js'
import type { Micros } from '../kernel/units.js'

export interface Scenario {
  readonly version: 1
  readonly name: string
  /** Why the story is told; the first comment of the file. */
  readonly description: string
  readonly cluster: ClusterSpec
  readonly clients: Readonly<Record<string, ClientSpec>>
  /** In the order of the file; a step's number in reports is its index + 1. */
  readonly steps: readonly Step[]
  readonly expect: Expectations
  readonly run: RunSpec
}

export type ClientSpec = ProducerSpec | ConsumerSpec | GroupSpec | PipelineSpec

interface ClientBase {
  /** When the client starts. */
  readonly start: Micros
  /** Who the client is to the cluster: `alice` for `User:alice`; ANONYMOUS when missing. */
  readonly principal?: string
  /** Client settings under Kafka's names (`linger.ms`, `enable.idempotence`, …). */
  readonly config: RawConfig
}

export interface ProducerSpec extends ClientBase {
  readonly kind: 'produce'
  readonly topic: string
  /** Send to this partition only; otherwise the partitioner decides. */
  readonly partition?: number
  /** Records in all; without it, until the run ends. */
  readonly count?: number
  readonly every: Micros
  /** Distinct keys, used in turn; 0 for records without a key. */
  readonly keys: number
  /** Every so manieth record has no value: on a compacted topic it deletes its key. */
  readonly tombstoneEvery?: number
  /** Size of each value. */
  readonly bytes: number
  /** Records go in transactions; `transactional.id` is the client's name unless it is set. */
  readonly transaction?: TransactionSpec
}

export interface TransactionSpec {
  /** Records of one transaction. */
  readonly records: number
  /** Every so manieth transaction is aborted on purpose. */
  readonly abortEvery?: number
  /** The application thinks before it ends a transaction. */
  readonly pause: Micros
}

export interface ConsumerSpec extends ClientBase {
  readonly kind: 'consume'
  readonly topic: string
  /** Partitions assigned by hand; all of the topic when missing. */
  readonly partitions?: readonly number[]
  /** Time the application takes for what a poll returned. */
  readonly pause: Micros
}

/** What clients that share topics as a group have in common. Each member is a node: `g1` when there is one, else `g1-1`, `g1-2`, …. */
interface MembersSpec extends ClientBase {
  /** group.id. */
  readonly group: string
  readonly topics: readonly string[]
  readonly members: number
  /** Members are static (KIP-345): each has its node's name for group.instance.id. */
  readonly isStatic: boolean
  /** Time the application takes for each record. */
  readonly work: Micros
}

/** Consumers of a group. */
export interface GroupSpec extends MembersSpec {
  readonly kind: 'group'
  /**
   * How offsets are committed: by the consumer as time goes (`auto`), after the work on each poll's records (`sync`, `async`), or never.
   * `auto` with `handsOff` commits what was handed to another thread that may not be done.
   */
  readonly commit: 'auto' | 'sync' | 'async' | 'none'
  /** The application hands records to a worker and polls on, as if they were done. */
  readonly handsOff: boolean
}

/** Members of a group that make one record out of each that they read. `config` is the consumers'. */
export interface PipelineSpec extends MembersSpec {
  readonly kind: 'pipeline'
  /** The topic that they write to. */
  readonly to: string
  /**
   * `exactly_once_v2`: what a poll gave is one transaction with its offsets (KIP-447). `at_least_once`: offsets are committed after what was
   * made of their records is acknowledged.
   */
  readonly guarantee: ProcessingGuarantee
  /** Size of each value that is written. */
  readonly bytes: number
  /** Settings of the members' producers. */
  readonly producerConfig: RawConfig
}

/** As Kafka Streams names them. */
export type ProcessingGuarantee = 'exactly_once_v2' | 'at_least_once'

/** One fault or operation. `argument` has the shape that its kind declares. */
export interface Step {
  readonly kind: string
  readonly argument: unknown
  readonly trigger: Trigger
  /** How long a fault lasts; without it, to the end of the run (or it needs no end). */
  readonly lasts?: Micros
  /** 1-based line of the step in its file, for reports. */
  readonly line?: number
}

export type Trigger =
  | { readonly type: 'at'; readonly time: Micros }
  /** At a time drawn from the seed. */
  | { readonly type: 'between'; readonly from: Micros; readonly to: Micros }
  /** Again and again from `from` on, `times` times at most. */
  | { readonly type: 'every'; readonly period: Micros; readonly from: Micros; readonly times?: number }
  /** `after` the first event that matches. */
  | { readonly type: 'when'; readonly pattern: EventPattern; readonly after: Micros }

/** Which trace event starts a step: a named pattern and its conditions, as the user wrote them. */
export interface EventPattern {
  readonly name: string
  readonly subject: string
  readonly conditions: Readonly<Record<string, string | number | boolean>>
}

export interface Expectations {
  /** Oracles that must hold, whatever the configuration promises. */
  readonly always: readonly string[]
  readonly eventually: readonly EventualExpectation[]
  /** Measures at the end of each run. */
  readonly end: readonly MeasureExpectation[]
  /** Measures that hold in at least one of the seeds. */
  readonly sometimes: readonly MeasureExpectation[]
  /** Oracles whose violation is what the story shows: at least one of these must fail, and does not fail the run. */
  readonly violated: readonly string[]
}

export interface EventualExpectation {
  /** `isr(orders-0)`, `leader(orders-0)`, `p1.acked`, … */
  readonly measure: string
  readonly comparison: Comparison
  /** From the end of the last fault (or from ready). */
  readonly within: Micros
}

export interface MeasureExpectation {
  readonly measure: string
  readonly comparison: Comparison
}

export interface Comparison {
  readonly operator: '=' | '!=' | '<' | '<=' | '>' | '>='
  readonly value: MeasureValue
}

export type MeasureValue = number | string | boolean | readonly string[]

export interface RunSpec {
  /** How long after ready. */
  readonly until: Micros
  /** Seeds of a plain `samsa run`. */
  readonly seeds: number
  /** Run this one seed instead: in saved failures. */
  readonly seed?: number
  readonly wire: 'reference' | 'bytes'
  /** Measures to tell of every run, besides those that are expected. */
  readonly show: readonly string[]
  /** Bound of the liveness oracle: recovery after the last fault ended. */
  readonly settle: Micros
}
