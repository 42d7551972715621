/**
 * An exactly-once pipeline that lacks a permission, or loses it in the middle of its work and gets it back: what it hears, what it does about it,
 * and that nothing is ever half done.
 *
 *     it lacks                       it hears                                 it goes on
 *     WRITE on its transactional id  TRANSACTIONAL_ID_AUTHORIZATION_FAILED    with a new producer: fatal (only InitProducerId may be tried again)
 *     READ on its group              GROUP_AUTHORIZATION_FAILED               consumers give up, producers abort
 *     WRITE on its output            TOPIC_AUTHORIZATION_FAILED               with the same producer: the transaction is aborted
 *     READ on its input              TOPIC_AUTHORIZATION_FAILED               when it is back; offsets of what was read are refused for good
 */

import { describe, expect, it } from 'vitest'
import type { EventOf, EventType } from '../../sim/kernel/events.js'
import { MICROS_PER_MS } from '../../sim/kernel/units.js'
import { readYaml } from '../../sim/scenario/load.js'
import { Run } from '../../sim/scenario/run.js'
import { errorName } from '../../sim/wire/errors.js'

const PERMISSIONS = {
  id: 'billing write transactional-id billing',
  group: 'billing read group ledger',
  output: 'billing write topic invoices',
  input: 'billing read topic orders',
} as const
type Permission = keyof typeof PERMISSIONS

const COUNT = 100
const REVOKED_MS = 3_000
const GRANTED_MS = 4_500

/** `version` is transaction.version. */
function yaml(version: number, lacks: Permission, when: 'always' | 'for a while'): string {
  const granted = Object.entries(PERMISSIONS).filter(([name]) => when !== 'always' || name !== lacks)
  return `version: 1
name: a denied pipeline
cluster:
  features: { transaction.version: ${version} }
  config:
    offsets.topic.num.partitions: 1
    transaction.state.log.num.partitions: 1
    group.initial.rebalance.delay.ms: 0
    authorizer.class.name: org.apache.kafka.metadata.authorizer.StandardAuthorizer
  topics: { orders: { partitions: 1 }, invoices: { partitions: 1 } }
  acls:
    - allow shop write topic orders
    - allow audit read topic invoices
    - allow billing describe transactional-id billing
${granted.map(([, text]) => `    - allow ${text}`).join('\n')}
clients:
  p1: { produce: orders, acks: all, count: ${COUNT}, every: 40ms, principal: shop }
  billing: { consume: orders, group: ledger, produce: invoices, processing.guarantee: exactly_once_v2, auto.offset.reset: earliest, transaction.timeout.ms: 10000, session.timeout.ms: 6000, max.poll.records: 5, principal: billing }
  audit: { consume: invoices, isolation.level: read_committed, auto.offset.reset: earliest, principal: audit }
${
  when === 'always'
    ? 'steps: []'
    : `steps:
  - { revoke: allow ${PERMISSIONS[lacks]}, at: ${REVOKED_MS}ms }
  - { allow: ${PERMISSIONS[lacks]}, at: ${GRANTED_MS}ms }`
}
expect:
  always: [exactly-once, transactions-atomic, read-committed, transactions-end, at-least-once, no-duplicates, access-as-granted]
run: { until: ${when === 'always' ? '8s' : '30s'}, seeds: 1 }
`
}

class Denied {
  readonly run: Run
  readonly failures: readonly unknown[]
  readonly verdict: string

  constructor(version: number, lacks: Permission, when: 'always' | 'for a while') {
    this.run = new Run(readYaml(yaml(version, lacks, when), 'denied.yaml'), { seed: 1, trace: true })
    if (this.run.prepare()) this.run.advance(this.run.readyAt + this.run.scenario.run.until)
    const { failures, verdict } = this.run.finish(0)
    this.failures = failures
    this.verdict = verdict
  }

  of<K extends EventType>(type: K): EventOf<K>[] {
    return this.run.events.filter((event) => event.type === type) as EventOf<K>[]
  }

  /** Milliseconds of the run. */
  at(time: number): number {
    return (time - this.run.readyAt) / MICROS_PER_MS
  }

  measure(name: string): unknown {
    const [subject = '', measure = ''] = name.split('.')
    return this.run.measures.value({ subject, measure }, this.run.engine.now)
  }

  /** What the brokers refused to the pipeline. */
  get denied(): string[] {
    return [...new Set(this.of('acl.denied').map(({ data }) => `${data.operation} ${data.resource}`))].sort()
  }

  /** Errors of the pipeline's requests about permissions, by API. */
  get heard(): string[] {
    const found = new Set<string>()
    for (const { node, data } of this.of('response.receive')) {
      if (node !== 'billing') continue
      for (const code of errorCodes(data.body)) {
        const error = errorName(code)
        if (error.endsWith('AUTHORIZATION_FAILED')) found.add(`${data.api} ${error}`)
      }
    }
    return [...found].sort()
  }

  /** How many producers the pipeline made that got their identity. */
  get producers(): number {
    const asked = new Set(
      this.of('request.send')
        .filter(({ data }) => data.api === 'InitProducerId' && (data.body as { producerId: number }).producerId === -1)
        .map(({ data }) => data.id),
    )
    return this.of('response.receive').filter(
      ({ node, data }) => node === 'billing' && asked.has(data.id) && errorCodes(data.body).every((code) => code === 0),
    ).length
  }

  /** How its transactions ended, each way once. */
  get outcomes(): string[] {
    return [...new Set(this.of('txn.ended').map(({ data }) => data.outcome))].sort()
  }
}

/** Every `errorCode` and `partitionErrorCode` in a message; records are not looked at. */
function errorCodes(body: unknown): number[] {
  if (Array.isArray(body)) return body.flatMap(errorCodes)
  if (typeof body !== 'object' || body === null) return []
  return Object.entries(body).flatMap(([name, value]) => {
    if (name === 'records') return []
    return /^(partition)?errorCode$/i.test(name) && typeof value === 'number' ? [value] : errorCodes(value)
  })
}

const ID = 'TRANSACTIONAL_ID_AUTHORIZATION_FAILED'
const GROUP = 'GROUP_AUTHORIZATION_FAILED'
const TOPIC = 'TOPIC_AUTHORIZATION_FAILED'

describe('a pipeline without a permission', () => {
  // What it lacks, what the brokers refuse, what it hears, how many producers get an identity: one for each start of the application.
  it.each<[Permission, string, string, (producers: number) => boolean]>([
    ['id', 'write transactional-id billing', `InitProducerId ${ID}`, (producers) => producers === 0],
    ['group', 'describe group ledger', `FindCoordinator ${GROUP}`, (producers) => producers > 1],
    ['input', 'describe topic orders', `Metadata ${TOPIC}`, (producers) => producers > 1],
    ['output', 'describe topic invoices', `Metadata ${TOPIC}`, (producers) => producers === 1],
  ])('(%s) makes nothing, commits nothing, and leaves nothing behind', (lacks, refused, heard, hasProducers) => {
    for (const version of [0, 2]) {
      const it_ = new Denied(version, lacks, 'always')
      expect(it_.failures).toEqual([])
      expect(it_.verdict).toBe('pass')
      expect(it_.denied).toEqual([refused])
      expect(it_.heard).toEqual([heard])
      expect(hasProducers(it_.producers), `${it_.producers} producers`).toBe(true)
      expect([
        it_.measure('billing.transactions'),
        it_.measure('audit.read'),
        it_.measure('billing.committed'),
      ]).toEqual([0, 0, 0])
      expect(it_.outcomes).toEqual(lacks === 'output' ? ['aborted'] : [])
    }
  })
})

describe('a pipeline that loses a permission for a while', () => {
  const APIS: Readonly<Record<string, Readonly<Record<Permission, readonly string[]>>>> = {
    0: {
      id: [`AddOffsetsToTxn ${ID}`, `InitProducerId ${ID}`],
      group: [`AddOffsetsToTxn ${GROUP}`, `Heartbeat ${GROUP}`],
      input: [`Metadata ${TOPIC}`, `TxnOffsetCommit ${TOPIC}`],
      output: [`AddPartitionsToTxn ${TOPIC}`],
    },
    // Under version 2 brokers add what is written to the transaction, and coordinators of groups the offsets.
    2: {
      id: [`InitProducerId ${ID}`, `TxnOffsetCommit ${ID}`],
      group: [`Heartbeat ${GROUP}`, `TxnOffsetCommit ${GROUP}`],
      input: [`Metadata ${TOPIC}`, `TxnOffsetCommit ${TOPIC}`],
      output: [`Produce ${TOPIC}`],
    },
  }

  // Abortable: the same producer goes on. Fatal: the application begins anew, with another one.
  it.each<[Permission, 'fatal' | 'abortable', readonly string[]]>([
    ['id', 'fatal', [ID, 'committed']],
    ['group', 'abortable', ['aborted', 'committed']],
    ['input', 'fatal', [TOPIC, 'committed']],
    ['output', 'abortable', ['aborted', 'committed']],
  ])('(%s) hears of it by an error that is %s, and each record comes out once', (lacks, kind, outcomes) => {
    for (const version of [0, 2]) {
      const it_ = new Denied(version, lacks, 'for a while')
      expect(it_.failures).toEqual([])
      expect(it_.verdict).toBe('pass')
      expect(it_.heard).toEqual(APIS[version]?.[lacks])
      expect(it_.outcomes).toEqual(outcomes)
      expect(it_.producers > 1).toBe(kind === 'fatal')
      expect([it_.measure('billing.processed'), it_.measure('billing.committed'), it_.measure('audit.read')]).toEqual([
        COUNT,
        COUNT,
        COUNT,
      ])
      // Nothing of it is committed while it may not be.
      const ended = it_.of('txn.ended').filter(({ data }) => data.outcome === 'committed')
      const between = ended.map(({ time }) => it_.at(time)).filter((ms) => ms > REVOKED_MS + 500 && ms < GRANTED_MS)
      expect(between).toEqual([])
    }
  })
})
