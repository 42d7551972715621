/**
 * What an oracle is: a reader of the trace that judges one promise.
 *
 * It sees trace events only and shares no code with what it judges. Work per event is constant (amortised). A verdict carries
 * evidence: the sequences of the events that show it. A promise that the configuration does not make (acks=1, unclean
 * election, lying disks) is not a violation: it is reported as a loss with its reason, counted and never hidden.
 */

import type { EventType, TraceEvent } from '../kernel/events.js'
import type { Bytes, Micros, Millis } from '../kernel/units.js'

/** What the cluster was configured to promise; decides between violation and reported loss. */
export interface Promises {
  /** By topic: the effective settings that matter. */
  readonly topics: ReadonlyMap<string, TopicPromises>
  /** Of topics that say nothing themselves. */
  readonly logDefaults?: LogPromises
  /** By group.id: what its members are configured to promise. */
  readonly groups?: ReadonlyMap<string, GroupPromises>
  /** Clients that make records of records. */
  readonly pipelines?: readonly PipelinePromises[]
  /** Consumers that are given only what was committed. */
  readonly readCommitted?: ReadonlySet<string>
  /** The longest that a transaction of the scenario may stay open. */
  readonly transactionTimeout?: Micros
  /** Who may do what is decided by an authorizer, the same on every node. */
  readonly access?: AccessPromises
  /** Brokers and controllers by name, in order. */
  readonly brokers: readonly string[]
  readonly controllers: readonly string[]
  /** Nobody asks whether a broker that comes back has lost data: it stays in the ISR, and leads on. So in ZooKeeper mode. */
  readonly believesReplicas?: boolean
  /** How long after the last fault the cluster may take to settle. */
  readonly settle: Micros
}

export interface TopicPromises {
  readonly partitions: number
  readonly replicationFactor: number
  readonly minInsyncReplicas: number
  readonly uncleanLeaderElection: boolean
  readonly log?: LogPromises
}

/** How long a log is kept, by the weakest of the settings that brokers may have. -1: without limit. */
export interface LogPromises {
  readonly policy: readonly string[]
  readonly retentionMs: Millis
  readonly retentionBytes: Bytes
  readonly deleteRetentionMs: Millis
}

export interface AccessPromises {
  /** Client node → `User:alice`. */
  readonly principals: ReadonlyMap<string, string>
  readonly superUsers: ReadonlySet<string>
  /** `allow.everyone.if.no.acl.found`. */
  readonly everyoneWhereNone: boolean
}

export interface GroupPromises {
  readonly topics: readonly string[]
  /** Its members are given only what was committed. */
  readonly readCommitted?: boolean
  /** Why records below a committed offset may not have been worked on, where the application allows for it. */
  readonly excuse?: string
  /** Its members are old consumers: membership, owners and offsets are znodes. */
  readonly zookeeper?: {
    /** Why a record may be committed that was handed to the application, and not worked on; undefined: it may not. */
    readonly commitsInWork?: string
  }
}

export interface PipelinePromises {
  readonly name: string
  readonly nodes: readonly string[]
  readonly group: string
  readonly topics: readonly string[]
  /** The topic that it writes to. */
  readonly to: string
  readonly guarantee: 'exactly_once_v2' | 'at_least_once'
}

export interface Oracle {
  /** As in scenarios: `acked-records-survive`. */
  readonly name: string
  readonly watches: readonly EventType[]
  observe(event: TraceEvent): void
  /** The topic was deleted: what is told of it from here on is about another one. */
  forgetTopic?(topic: string): void
  /** Judges what can only be judged at the end. Called once. */
  finish(end: RunEnd): OracleReport
}

export interface RunEnd {
  readonly time: Micros
  readonly lastSequence: number
  /** Time at which the last fault ended; 0 when there was none. Infinity when a fault never ended. */
  readonly lastFaultEnd: Micros
}

export interface OracleReport {
  readonly name: string
  /** `unknown`: the run ended before it could be judged. */
  readonly verdict: 'pass' | 'fail' | 'unknown'
  /** The first few; `violationCount` counts all. */
  readonly violations: readonly Violation[]
  readonly violationCount: number
  /** Promises not made, by reason: what happened that a stronger configuration would have prevented. */
  readonly losses: readonly Loss[]
  /** How many checks were made; an oracle that checked nothing says so. */
  readonly checks: number
}

export interface Violation {
  readonly message: string
  readonly time: Micros
  /** Sequences of events, the decisive one last. */
  readonly evidence: readonly number[]
  /** `orders-0@41`, when it is about one record; else empty. */
  readonly subject: string
}

export interface Loss {
  /** `acks=1`, `unclean leader election`, `accepted data lost on every replica that could lead (b1 b2)`, … */
  readonly reason: string
  readonly count: number
  readonly first: Violation
}
