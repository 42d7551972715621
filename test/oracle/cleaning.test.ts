/**
 * What `compaction-keeps-last` and `retention-not-early` guard: first in traces made by hand, rule by rule, then in the real cluster
 * with one of its rules broken.
 */
import { describe, expect, it } from 'vitest'
import type { BatchView, Events, EventType } from '../../sim/kernel/events.js'
import { Trace } from '../../sim/kernel/trace.js'
import { LogSegment } from '../../sim/log/log-segment.js'
import { OffsetMap } from '../../sim/log/offset-map.js'
import { PartitionLog } from '../../sim/log/partition-log.js'
import type { LogPromises, OracleReport } from '../../sim/oracle/oracle.js'
import { ORACLE_NAMES } from '../../sim/oracle/oracle-names.js'
import { Oracles } from '../../sim/oracle/oracles.js'
import { run, sabotaged, sabotagedGetter } from './saboteur.js'

const P = 'orders-0'
const encoder = new TextEncoder()
const LOG: LogPromises = { policy: ['compact'], retentionMs: 1_000, retentionBytes: 500, deleteRetentionMs: 1_000 }

type Shape = Partial<BatchView> & { readonly last?: number }

/** Records `offset=key`, or `offset=key!` for a tombstone, as one batch from the first offset on. */
function batch(records: string, { last, ...shape }: Shape = {}): BatchView {
  const parsed = records
    .split(' ')
    .filter((text) => text !== '')
    .map((text) => /^(\d+)=([^!]*)(!?)$/.exec(text) ?? [])
  const base = shape.baseOffset ?? Number(parsed[0]?.[1])
  const list = parsed.map(([, offset, key, tombstone]) => ({
    offsetDelta: Number(offset) - base,
    timestamp: 0,
    key: encoder.encode(key),
    value: tombstone === '!' ? null : encoder.encode(`p1/${offset}`),
  }))
  return {
    baseOffset: base,
    lastOffset: last ?? base + (list.at(-1)?.offsetDelta ?? 0),
    partitionLeaderEpoch: 0,
    crc: encoder.encode(`${records}/${shape.deleteHorizonMs}`).reduce((sum, byte) => (sum * 31 + byte) % 65_536, 7),
    producerId: -1,
    producerEpoch: -1,
    baseSequence: -1,
    isTransactional: false,
    isControl: false,
    count: list.length,
    sizeInBytes: 100,
    maxTimestamp: 0,
    records: () => list,
    ...shape,
  }
}

function marker(offset: number, producerId: number, commit: boolean): BatchView {
  const record = { offsetDelta: 0, timestamp: 0, key: Uint8Array.of(0, 0, 0, commit ? 1 : 0), value: new Uint8Array(6) }
  const shape = { baseOffset: offset, last: offset, producerId, isTransactional: true, isControl: true, count: 1 }
  return { ...batch('', shape), crc: 60_000 + offset, records: () => [record] }
}

class Story {
  now = 0
  readonly trace = new Trace(() => this.now)
  readonly oracles: Oracles

  constructor(log: Partial<LogPromises> = {}) {
    const topic = { partitions: 1, replicationFactor: 1, minInsyncReplicas: 1, uncleanLeaderElection: false }
    this.oracles = new Oracles({
      topics: new Map([['orders', { ...topic, log: { ...LOG, ...log } }]]),
      brokers: ['b1'],
      controllers: ['c1'],
      settle: 1_000_000,
    })
    this.oracles.attach(this.trace)
    this.emit('b1', 'node.start', { incarnation: 1 })
    this.emit('b1', 'broker.state', { from: 'RECOVERY', to: 'RUNNING', brokerEpoch: 1, reason: 'unfenced' })
    this.emit('b1', 'log.open', { partition: P, logStart: 0, logEnd: 0, recoveryPoint: 0, clean: true, epochs: [] })
    const isr = { isr: [1], replicas: [1] }
    this.emit('b1', 'replica.leader', {
      partition: P,
      leaderEpoch: 0,
      partitionEpoch: 0,
      startOffset: 0,
      ...isr,
      minIsr: 1,
    })
  }

  emit<K extends EventType>(node: string, type: K, data: Events[K]): this {
    this.now += 1_000
    this.trace.emit(node, type, data)
    return this
  }

  /** Appended, and committed with it. */
  written(...batches: BatchView[]): this {
    let from = 0
    for (const given of batches) {
      const { baseOffset, lastOffset, crc } = given
      const data = { partition: P, baseOffset, lastOffset, leaderEpoch: 0, crc, role: 'leader' as const, batch: given }
      this.emit('b1', 'log.append', data)
      this.emit('b1', 'hw.advance', { partition: P, from, to: lastOffset + 1, role: 'leader', leaderEpoch: 0 })
      from = lastOffset + 1
    }
    return this
  }

  cleaned(from: number, to: number, batches: readonly BatchView[], wallMs = 0, bound = to): this {
    const bytes = { bytesBefore: 100, bytesAfter: 100 }
    return this.emit('b1', 'log.cleaned', { partition: P, from, to, bound, ...bytes, wallMs, batches })
  }

  deleted(reason: Events['log.segment-deleted']['reason'], nextOffset: number, wallMs = 0): this {
    const data = { partition: P, baseOffset: 0, nextOffset, largestTimestamp: 0, bytes: 100, wallMs, reason }
    return this.emit('b1', 'log.segment-deleted', data)
  }

  report(name = 'compaction-keeps-last'): OracleReport {
    const reports = this.oracles.finish({ time: this.now, lastSequence: this.trace.sequence, lastFaultEnd: 0 })
    return reports.find((report) => report.name === name) as OracleReport
  }

  get messages(): readonly string[] {
    return this.report().violations.map(({ message }) => message)
  }
}

const ABA = (): Story => new Story().written(batch('0=a 1=b'), batch('2=a 3=c'))

describe('compaction', () => {
  it('may take a record away that has a later one of its key', () => {
    const story = ABA().cleaned(0, 4, [batch('1=b', { baseOffset: 0 }), batch('2=a 3=c')])
    expect(story.messages).toEqual([])
    for (const name of ['log-matching', 'offsets-dense', 'acked-records-survive']) {
      expect(story.report(name).verdict).toBe('pass')
    }
  })

  it('must keep the last record of every key', () => {
    const story = ABA().cleaned(0, 4, [batch('2=a 3=c')])
    expect(story.messages[0]).toBe('orders-0@1 on b1 was the last record of its key, and was compacted away')
  })

  it('may not go by records at or beyond the bound of its round', () => {
    expect(ABA().cleaned(0, 2, [batch('1=b', { baseOffset: 0 })], 0, 2).messages[0]).toContain(
      'orders-0@0 on b1 was the last',
    )
    expect(ABA().cleaned(0, 2, [batch('1=b', { baseOffset: 0 })], 0, 4).messages).toEqual([])
  })

  it('may not reach beyond the high watermark', () => {
    const story = ABA().cleaned(0, 4, [batch('0=a 1=b'), batch('2=a 3=c')], 0, 5)
    expect(story.messages[0]).toContain('the high watermark is 4')
  })

  it('keeps offsets, keys and values', () => {
    const moved = batch('0=b', { last: 1 })
    expect(ABA().cleaned(0, 4, [moved, batch('2=a 3=c')]).messages[0]).toContain('is not what it was before')
    const shrunk = batch('1=b')
    expect(
      ABA()
        .cleaned(0, 4, [shrunk, batch('2=a 3=c')])
        .messages.join(),
    ).toContain('is not what it was before')
    const strange = batch('4=d')
    expect(
      ABA()
        .cleaned(0, 4, [batch('0=a 1=b'), batch('2=a 3=c'), strange])
        .messages.join(),
    ).toContain('was not there before')
  })

  it('may take anything away below the log start, which may pass it while it works', () => {
    const passed = (to: number): Story =>
      ABA()
        .emit('b1', 'log.start-offset', { partition: P, from: 0, to, reason: 'leader' })
        .cleaned(0, 4, [batch('3=c', { baseOffset: 2 })])
    expect(passed(3).messages).toEqual([])
    expect(passed(1).messages[0]).toContain('orders-0@1 on b1 was the last')
    expect(
      ABA().emit('b1', 'log.start-offset', { partition: P, from: 0, to: 3, reason: 'leader' }).cleaned(0, 4, [])
        .messages[0],
    ).toContain('orders-0@3 on b1 was the last')
  })

  it('writes anew what rotted on the disk: told as a loss', () => {
    const cleaned = (story: Story): Story => story.cleaned(0, 4, [batch('1=x', { baseOffset: 0 }), batch('2=a 3=c')])
    expect(cleaned(ABA()).report().verdict).toBe('fail')
    const rotten = ABA().emit('b1', 'disk.corrupted', { path: `${P}/00000000000000000000.log`, position: 61, bytes: 4 })
    const report = cleaned(rotten).report()
    expect([report.verdict, report.violations]).toEqual(['pass', []])
    expect(report.losses.map(({ reason }) => reason)).toEqual(['accepted data lost on b1'])
  })

  it('does not miss what a disk that lied has lost in the middle of a log', () => {
    const lie = { step: 1, kind: 'disk-lie', targets: ['b1'], text: 'disk-lie b1' }
    const back = (story: Story): Story =>
      story
        .emit('b1', 'node.down', { how: 'power-loss', reason: 'power-loss' })
        .emit('b1', 'disk.power-loss', { files: 1, lostBytes: 100, tornPages: 0 })
        .emit('b1', 'log.open', { partition: P, logStart: 0, logEnd: 4, recoveryPoint: 0, clean: false, epochs: [] })
        .emit('b1', 'hw.set', { partition: P, from: 0, to: 4, reason: 'open' })
        .cleaned(0, 4, [batch('2=a 3=c')])
    expect(back(ABA()).report().verdict).toBe('fail')
    const report = back(ABA().emit('b1', 'fault.start', lie)).report()
    expect(report.losses.map(({ reason }) => reason)).toContain('holes in the log of b1, whose disk lied')
  })

  it('keeps a tombstone until the horizon that it was given, and gives it in time', () => {
    const written = (): Story => new Story().written(batch('0=a'), batch('1=a!'))
    expect(written().cleaned(0, 2, []).messages[0]).toBe(
      'orders-0@1 on b1 is a tombstone, and was compacted away before its time',
    )
    const horizon = (deleteHorizonMs: number): BatchView => batch('1=a!', { deleteHorizonMs })
    expect(written().cleaned(0, 2, [horizon(1_999)], 1_000).messages[0]).toContain('1 ms early')
    const given = (): Story => written().cleaned(0, 2, [horizon(2_000)], 1_000)
    expect(given().messages).toEqual([])
    expect(given().cleaned(0, 2, [], 1_999).messages[0]).toContain('before its time')
    expect(given().cleaned(0, 2, [], 2_000).messages).toEqual([])
  })

  it('does not count records of aborted transactions, and those of committed ones only then', () => {
    const x = { producerId: 9, isTransactional: true }
    const story = (commit: boolean): Story => new Story().written(batch('0=a'), batch('1=a', x), marker(2, 9, commit))
    expect(story(true).cleaned(0, 3, [batch('1=a', x), marker(2, 9, true)]).messages).toEqual([])
    expect(story(false).cleaned(0, 3, [batch('0=a'), marker(2, 9, false)]).messages).toEqual([])
    expect(story(false).cleaned(0, 3, [batch('1=a', x), marker(2, 9, false)]).messages[0]).toContain('orders-0@0')
  })

  it('counts transactions that ended beyond a high watermark that a restart has set back', () => {
    const x = { producerId: 9, isTransactional: true }
    const reopened = (...batches: BatchView[]): Story =>
      new Story().written(...batches).emit('b1', 'hw.set', { partition: P, from: 3, to: 2, reason: 'open' })
    const ended = reopened(batch('0=a'), batch('1=a', x), marker(2, 9, true))
    expect(ended.cleaned(0, 2, [batch('1=a', x)]).report().violations).toEqual([])
    const open = reopened(batch('0=a'), batch('1=a', x), batch('2=b'))
    expect(open.cleaned(0, 2, [batch('1=a', x)]).messages[0]).toContain('orders-0@0 on b1 was the last')
  })

  it('keeps a marker until its horizon', () => {
    const x = { producerId: 9, isTransactional: true }
    const story = new Story().written(batch('0=a', x), marker(1, 9, true), batch('2=a'))
    expect(story.cleaned(0, 3, [batch('2=a')]).messages).toEqual([
      'orders-0@1 on b1 is a marker, and was compacted away before its time',
    ])
  })

  it('is only for topics whose policy says so', () => {
    const story = new Story({ policy: ['delete'] }).written(batch('0=a')).cleaned(0, 1, [batch('0=a')])
    expect(story.messages[0]).toContain('which its policy forbids')
  })

  it('excuses what readers miss, but not the last record of a key', () => {
    const poll = (story: Story, offsets: readonly number[]): Story => {
      story.emit('r1', 'consume.position', { partition: P, from: -1, to: 0, reason: 'assigned' })
      const ids = offsets.map((offset) => `p1/${offset}`)
      return story.emit('r1', 'consume.polled', { partition: P, offsets, ids, leaderEpochs: offsets.map(() => 0) })
    }
    const cleaned = (): Story => ABA().cleaned(0, 4, [batch('1=b', { baseOffset: 0 }), batch('2=a 3=c')])
    expect(poll(cleaned(), [1, 2, 3]).report('positions-consistent').verdict).toBe('pass')
    const missing = poll(cleaned(), [2, 3])
    expect(missing.report('positions-consistent').verdict).toBe('fail')
    expect(missing.messages).toEqual(['r1 was not given orders-0@1, the last record of its key'])
    expect(poll(ABA(), [1, 2, 3]).report('positions-consistent').verdict).toBe('fail')
  })

  it('excuses no acknowledged record that is gone otherwise', () => {
    const ack = (story: Story, offset: number, crc: number): Story =>
      story.emit('p1', 'produce.acked', { id: `p1/${offset}`, partition: P, offset, crc, acks: -1 })
    const story = new Story().written(batch('0=a'), batch('1=a'), batch('2=b'))
    for (const [offset, text] of ['0=a', '1=a', '2=b'].entries()) ack(story, offset, batch(text).crc)
    story.cleaned(0, 2, [batch('1=a')], 0, 3)
    story.emit('b1', 'log.truncate', { partition: P, from: 3, to: 2, reason: 'test' })
    const report = story.report('acked-records-survive')
    expect(report.violations.map(({ subject }) => subject)).toEqual(['orders-0@2'])
  })
})

describe('retention', () => {
  const written = (log: Partial<LogPromises> = {}): Story =>
    new Story({ policy: ['delete'], ...log }).written(
      batch('0=a', { maxTimestamp: 100 }),
      batch('1=b'),
      batch('2=c', { sizeInBytes: 499 }),
    )
  const verdict = (story: Story): string => story.report('retention-not-early').verdict

  it('by time waits until the newest record is older than retention.ms', () => {
    expect(verdict(written().deleted('retention-time', 2, 1_100))).toBe('fail')
    expect(verdict(written().deleted('retention-time', 2, 1_101))).toBe('pass')
    expect(verdict(written({ retentionMs: -1 }).deleted('retention-time', 2, 9_999))).toBe('fail')
  })

  it('by size leaves retention.bytes', () => {
    expect(verdict(written().deleted('retention-size', 2))).toBe('fail')
    expect(verdict(written().deleted('retention-size', 1))).toBe('pass')
  })

  it('by the log start takes what lies below it', () => {
    expect(verdict(written().deleted('log-start', 1))).toBe('fail')
    const moved = written().emit('b1', 'log.start-offset', { partition: P, from: 0, to: 1, reason: 'delete-records' })
    expect(verdict(moved.deleted('log-start', 1))).toBe('pass')
  })

  it('never reaches the high watermark', () => {
    expect(verdict(written().deleted('retention-time', 4, 99_999))).toBe('fail')
  })

  it('goes by the weakest setting that ever held', () => {
    const set = (value: string): Events['controller.config'] => ({
      resource: 'topic:orders',
      name: 'retention.ms',
      value,
    })
    const story = written().emit('c1', 'controller.config', set('50')).emit('c1', 'controller.config', set('5000'))
    expect(verdict(story.deleted('retention-time', 2, 151))).toBe('pass')
  })
})

// ── the real cluster, sabotaged ─────────────────────────────────────────────────────────────────────────────────────

const cluster = (config: string, steps = ''): string => `
version: 1
name: cleaning
cluster:
  controllers: 1
  config: { log.cleaner.backoff.ms: 500, log.retention.check.interval.ms: 500, log.initial.task.delay.ms: 0 }
  topics: { orders: { replicas: [[b1, b2, b3]], config: { segment.ms: 1000, ${config} } } }
clients:
  p1: { produce: orders, acks: all, every: 20ms, keys: 7, tombstone-every: 5 }
  r1: { consume: orders, auto.offset.reset: earliest, start: 8s }
steps: [${steps}]
run: { until: 12s, settle: 30s }
`
const COMPACTED = cluster('cleanup.policy: compact, min.cleanable.dirty.ratio: 0.01, delete.retention.ms: 2000')
const CRASHED = COMPACTED.replace('steps: []', 'steps: [{ kill: b1, at: 5s, for: 3s }]').replace('12s', '60s')
const RETAINED = cluster('retention.ms: 2000')

describe('the sound cluster', () => {
  it.each([
    ['compacting', COMPACTED],
    ['compacting through a crash', CRASHED],
    ['deleting', RETAINED],
  ])('breaks no promise while %s', (_, yaml) => {
    const reports = run(yaml)
    expect(ORACLE_NAMES.filter((name) => reports[name]?.verdict !== 'pass' && name !== 'recovers')).toEqual([])
    const judged = yaml === RETAINED ? 'retention-not-early' : 'compaction-keeps-last'
    expect(reports[judged]?.checks).toBeGreaterThan(10)
  })
})

describe('compaction-keeps-last fires', () => {
  const fails = (reports: ReturnType<typeof run>): void =>
    expect(reports['compaction-keeps-last']?.verdict).toBe('fail')

  it('when the offset map takes the last record of a key for an old one', () => {
    const get = (original: OffsetMap['get']): OffsetMap['get'] =>
      function (this: OffsetMap, key) {
        return original.call(this, key) + 1
      }
    fails(sabotaged(OffsetMap, 'get', get, () => run(COMPACTED)))
  })

  it('when the cleaner goes beyond the high watermark', () => {
    const isolated = COMPACTED.replace('steps: []', 'steps: [{ isolate: [b2, b3], at: 3s, for: 9s }]').replace(
      'acks: all',
      'acks: 1',
    )
    expect(run(isolated)['compaction-keeps-last']?.verdict).toBe('pass')
    fails(
      sabotagedGetter(
        PartitionLog,
        'lastStableOffset',
        (log) => log.logEndOffset,
        () => run(isolated),
      ),
    )
  })

  it('when tombstones go at once', () => {
    const config = (log: PartitionLog, honest: PartitionLog['config']): PartitionLog['config'] => {
      return log.partition.startsWith('orders') ? { ...honest, 'delete.retention.ms': 0 } : honest
    }
    fails(sabotagedGetter(PartitionLog, 'config', config, () => run(COMPACTED)))
  })
})

describe('retention-not-early fires', () => {
  it('when segments look older than they are', () => {
    const reports = sabotagedGetter(
      LogSegment,
      'largestTimestamp',
      (_, honest) => honest - 1_500,
      () => run(RETAINED),
    )
    expect(reports['retention-not-early']?.verdict).toBe('fail')
  })
})
