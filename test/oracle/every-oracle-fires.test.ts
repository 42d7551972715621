/**
 * Each oracle fails when the thing that it guards is broken, and passes when it is not.
 *
 * Traces are made by hand: a sound story of three brokers, then the same with one event more or different.
 */
import { describe, expect, it } from 'vitest'
import type { BatchView, Events, EventType } from '../../sim/kernel/events.js'
import { Trace } from '../../sim/kernel/trace.js'
import type { OracleReport, Promises } from '../../sim/oracle/oracle.js'
import { ORACLE_NAMES, Oracles } from '../../sim/oracle/oracles.js'

const P = 'orders-0'
const PROMISES: Promises = {
  topics: new Map([
    ['orders', { partitions: 1, replicationFactor: 3, minInsyncReplicas: 2, uncleanLeaderElection: false }],
  ]),
  groups: new Map([['shop', { topics: ['orders'] }]]),
  readCommitted: new Set(['r2']),
  transactionTimeout: 1_000,
  brokers: ['b1', 'b2', 'b3'],
  controllers: ['c1', 'c2', 'c3'],
  settle: 1_000_000,
}

/** A little language for traces: one method for each thing that happens. */
class Story {
  now = 0
  readonly trace = new Trace(() => this.now)
  readonly oracles = new Oracles(PROMISES)

  constructor() {
    this.oracles.attach(this.trace)
    for (const broker of PROMISES.brokers) {
      this.emit(broker, 'node.start', { incarnation: 1 })
      this.emit(broker, 'broker.state', { from: 'RECOVERY', to: 'RUNNING', brokerEpoch: 1, reason: 'unfenced' })
      this.emit(broker, 'log.open', { partition: P, logStart: 0, logEnd: 0, recoveryPoint: 0, clean: true, epochs: [] })
    }
    this.decide(1, 0, 0)
    this.emit('scenario', 'run.ready', {})
    this.lead('b1', 0)
  }

  emit<K extends EventType>(node: string, type: K, data: Events[K]): this {
    this.now += 1_000
    this.trace.emit(node, type, data)
    return this
  }

  /** A controller of ZooKeeper mode is elected by transaction `zxid`. */
  controller(node: string, epoch: number, zxid: number): this {
    return this.emit(node, 'zk-controller.elected', { epoch, zkVersion: epoch, zxid })
  }

  decide(
    leader: number,
    leaderEpoch: number,
    partitionEpoch: number,
    isr: readonly number[] = [1, 2, 3],
    unclean = false,
  ): this {
    const data = {
      partition: P,
      leader,
      leaderEpoch,
      partitionEpoch,
      isr,
      elr: [],
      replicas: [1, 2, 3],
      adding: [],
      removing: [],
      unclean,
      reason: 'test',
    }
    return this.emit('c1', 'controller.partition', data)
  }

  lead(node: string, leaderEpoch: number, partitionEpoch = leaderEpoch, isr: readonly number[] = [1, 2, 3]): this {
    return this.emit(node, 'replica.leader', {
      partition: P,
      leaderEpoch,
      partitionEpoch,
      startOffset: 0,
      isr,
      replicas: [1, 2, 3],
      minIsr: 2,
    })
  }

  /** `node` appends record p1/`number` at `offset`. */
  append(
    node: string,
    offset: number,
    number = offset,
    leaderEpoch = 0,
    role: 'leader' | 'follower' = node === 'b1' ? 'leader' : 'follower',
  ): this {
    const batch = batchOf(offset, number, leaderEpoch)
    return this.emit(node, 'log.append', {
      partition: P,
      baseOffset: offset,
      lastOffset: offset,
      leaderEpoch,
      crc: batch.crc,
      role,
      batch,
    })
  }

  /** The leader appends one record of an open transaction. */
  transactional(offset: number): this {
    const batch = { ...batchOf(offset, offset, 0), isTransactional: true }
    const data = { partition: P, baseOffset: offset, lastOffset: offset, leaderEpoch: 0, crc: batch.crc, batch }
    return this.emit('b1', 'log.append', { ...data, role: 'leader' as const })
  }

  later(micros: number): this {
    this.now += micros
    return this
  }

  everywhere(offset: number, number = offset): this {
    return this.append('b1', offset, number).append('b2', offset, number).append('b3', offset, number)
  }

  advance(from: number, to: number, node = 'b1', leaderEpoch = 0): this {
    return this.emit(node, 'hw.advance', { partition: P, from, to, role: 'leader', leaderEpoch })
  }

  ack(number: number, offset = number, acks = -1): this {
    this.emit('p1', 'produce.invoked', { id: `p1/${number}`, topic: 'orders', acks, idempotent: true })
    return this.emit('p1', 'produce.acked', { id: `p1/${number}`, partition: P, offset, crc: crcOf(number), acks })
  }

  /** Three records, replicated, committed, acknowledged. */
  written(): this {
    for (const offset of [0, 1, 2]) this.everywhere(offset)
    this.advance(0, 3)
    for (const number of [0, 1, 2]) this.ack(number)
    return this
  }

  poll(offsets: readonly number[], ids = offsets.map((offset) => `p1/${offset}`)): this {
    return this.emit('r1', 'consume.polled', { partition: P, offsets, ids, leaderEpochs: offsets.map(() => 0) })
  }

  /** A member is given all there is, in a generation. */
  member(node: string, generation: number, owned: readonly string[] = [P]): this {
    const group = 'shop'
    const place = { group, member: node, from: 'completing', to: 'stable', generation, reason: 'assigned' }
    this.emit(node, 'consumer.member', place)
    return this.emit(node, 'consumer.assigned', { group, member: node, generation, partitions: owned, owned })
  }

  groupState(to: string, node = 'b1', from = 'none'): this {
    const data = { group: 'shop', protocol: 'classic' as const, from, to, generation: 1, members: 1, reason: 'test' }
    return this.emit(node, 'group.state', data)
  }

  /** The member was given, worked on and committed offsets up to `end`, but for those in `except`. */
  works(node: string, end: number, except: readonly number[] = []): this {
    this.emit(node, 'consume.position', { partition: P, from: -1, to: 0, reason: 'reset' })
    const offsets = Array.from({ length: end }, (_, offset) => offset).filter((offset) => !except.includes(offset))
    this.emit(node, 'consume.processed', { partition: P, offsets, ids: offsets.map((offset) => `p1/${offset}`) })
    return this.commits(end)
  }

  commits(offset: number): this {
    const data = { group: 'shop', partition: P, offset, leaderEpoch: 0, member: 'm', generation: 1, producerId: -1 }
    return this.emit('b1', 'group.offset', data)
  }

  replay(node: string, baseOffset: number, digest: number): this {
    return this.emit(node, 'metadata.replay', { baseOffset, lastOffset: baseOffset, epoch: 1, digest, records: [] })
  }

  report(name: string, lastFaultEnd = 0): OracleReport {
    const time = Math.max(this.now, 5_000_000)
    const reports = this.oracles.finish({ time, lastSequence: this.trace.sequence, lastFaultEnd })
    const found = reports.find((report) => report.name === name)
    if (found === undefined) throw new Error(`no report of ${name}`)
    return found
  }
}

const crcOf = (number: number): number => 1_000 + number

function batchOf(offset: number, number: number, epoch: number): BatchView {
  return {
    baseOffset: offset,
    lastOffset: offset,
    partitionLeaderEpoch: epoch,
    crc: crcOf(number),
    producerId: 7,
    producerEpoch: 0,
    baseSequence: number,
    isTransactional: false,
    isControl: false,
    count: 1,
    sizeInBytes: 100,
    maxTimestamp: 0,
    records: () => [{ offsetDelta: 0, timestamp: 0, key: null, value: new TextEncoder().encode(`p1/${number}`) }],
  }
}

const truncated = (story: Story, node: string, from: number, to: number): Story =>
  story.emit(node, 'log.truncate', { partition: P, from, to, reason: 'test' })

/** Oracle → how to break what it guards, after a sound beginning. */
const BROKEN: Readonly<Record<string, (story: Story) => Story>> = {
  'acked-records-survive': (story) => truncated(story, 'b2', 3, 1).decide(2, 1, 1).lead('b2', 1),
  'log-matching': (story) =>
    truncated(story, 'b2', 3, 2)
      .append('b2', 2, 99)
      .emit('b2', 'hw.advance', { partition: P, from: 0, to: 3, role: 'follower', leaderEpoch: 0 }),
  'one-leader-per-epoch': (story) => story.lead('b2', 0),
  'one-quorum-leader-per-epoch': (story) =>
    story
      .emit('c1', 'quorum.state', { from: 'candidate', to: 'leader', epoch: 4, leader: 3001, reason: 'test' })
      .emit('c2', 'quorum.state', { from: 'candidate', to: 'leader', epoch: 4, leader: 3002, reason: 'test' }),
  'metadata-consistent': (story) => story.replay('c1', 10, 1).replay('b1', 10, 2),
  'reads-below-high-watermark': (story) =>
    story.everywhere(3).emit('b1', 'fetch.served', {
      partition: P,
      to: 'r1',
      from: 0,
      upTo: 4,
      bound: 4,
      isolation: 'uncommitted',
      leaderEpoch: 0,
    }),
  'offsets-consistent': (story) => story.poll([0, 1]).poll([2], ['p1/77']),
  'no-duplicates': (story) => story.everywhere(3, 1).advance(3, 4),
  'no-reordering': (story) => story.everywhere(3, 9).everywhere(4, 5).advance(3, 5),
  'offsets-dense': (story) => story.everywhere(5).advance(3, 6),
  'one-controller-per-epoch': (story) => story.controller('b1', 3, 10).controller('b2', 3, 11),
  'deposed-controller-silent': (story) =>
    story
      .controller('b1', 3, 10)
      .controller('b2', 4, 20)
      .emit('b1', 'zk-controller.write', { path: '/brokers/topics/orders', op: 'setData', epoch: 3, zxid: 21 }),
  'isr-has-committed': (story) => story.append('b1', 3).append('b2', 3).advance(3, 4),
  'high-watermark-monotonic': (story) => story.everywhere(3).advance(3, 4).advance(2, 3),
  'epochs-monotonic': (story) => story.decide(1, 0, 5).decide(1, 0, 4),
  'elections-as-configured': (story) => story.decide(1, 1, 1, [1]).decide(-1, 2, 2, [1]).decide(3, 3, 3, [3], true),
  'positions-consistent': (story) =>
    story.emit('r1', 'consume.position', { partition: P, from: -1, to: 0, reason: 'assigned' }).poll([0]).poll([2]),
  'one-owner-per-generation': (story) => story.member('g1', 1).member('g2', 1),
  'committed-offsets-hold': (story) => story.member('g1', 1).works('g1', 3).commits(2),
  'at-least-once': (story) => story.member('g1', 1).works('g1', 3, [1]),
  'groups-settle': (story) => story.member('g1', 1).groupState('PreparingRebalance'),
  'read-committed': (story) =>
    story
      .emit('p1', 'txn.begin', { transactionalId: 'x', txn: 1 })
      .ack(9)
      .emit('r2', 'consume.polled', { partition: P, offsets: [3], ids: ['p1/9'], leaderEpochs: [0] })
      .emit('p1', 'txn.ended', { transactionalId: 'x', txn: 1, outcome: 'aborted', certain: true }),
  'transactions-end': (story) => story.transactional(3).later(60_000_000),
  recovers: (story) => story.decide(1, 0, 1, [1, 2]),
}

describe('every oracle', () => {
  it('has a way to break what it guards', () => expect(Object.keys(BROKEN).sort()).toEqual([...ORACLE_NAMES].sort()))

  it.each(ORACLE_NAMES)('%s passes over a sound story', (name) => {
    const sound = new Story().written().poll([0, 1, 2]).groupState('Stable').member('g1', 1).works('g1', 3)
    expect(sound.report(name)).toMatchObject({
      verdict: 'pass',
      violationCount: 0,
      losses: [],
    })
  })

  it.each(ORACLE_NAMES)('%s fires, with evidence', (name) => {
    const break_ = BROKEN[name] as (story: Story) => Story
    const report = break_(new Story().written()).report(name)
    expect(report.verdict).toBe('fail')
    expect(report.violations[0]?.evidence.length).toBeGreaterThan(0)
    expect(report.violations[0]?.message).not.toBe('')
  })
})

describe('a controller of ZooKeeper mode', () => {
  const write = { path: '/brokers/topics/orders', op: 'setData', epoch: 3, zxid: 15 }

  it('may hear late that a write of its term got through', () => {
    const story = new Story().written().controller('b1', 3, 10).controller('b2', 4, 20)
    expect(story.emit('b1', 'zk-controller.write', write).report('deposed-controller-silent').verdict).toBe('pass')
  })

  it('is caught by an election that is heard of after the write', () => {
    const story = new Story().written().controller('b1', 3, 10)
    story.emit('b1', 'zk-controller.write', write).controller('b2', 4, 12)
    expect(story.report('deposed-controller-silent').verdict).toBe('fail')
  })

  it('takes epochs in the order of transactions', () => {
    const story = new Story().written().controller('b1', 3, 10).controller('b2', 4, 9)
    expect(story.report('one-controller-per-epoch').verdict).toBe('fail')
  })

  it('that is deposed may tell late what its successor has gone on from', () => {
    const story = new Story().written().controller('b1', 3, 10)
    const told = { partition: P, elr: [], replicas: [1, 2, 3], adding: [], removing: [], unclean: false, reason: 'x' }
    const decision = { ...told, leader: 1, leaderEpoch: 0, isr: [1, 2, 3] }
    story.controller('b2', 4, 20).emit('b2', 'controller.partition', { ...decision, partitionEpoch: 5 })
    story.emit('b1', 'controller.partition', { ...decision, partitionEpoch: 4 })
    expect(story.report('epochs-monotonic').verdict).toBe('pass')
  })
})

describe('a group', () => {
  it('may give a partition to another member in the next generation', () => {
    const story = new Story().written().groupState('Stable').member('g1', 1).member('g2', 2)
    expect(story.report('one-owner-per-generation').verdict).toBe('pass')
  })

  it('is judged by its newest coordinator', () => {
    const story = new Story().written().groupState('Stable', 'b1').groupState('Stable', 'b2').member('g1', 1)
    story.groupState('PreparingRebalance', 'b1', 'Stable')
    expect(story.report('groups-settle').verdict).toBe('pass')
  })

  it('with partitions that nobody owns has not settled', () => {
    const story = new Story().written().groupState('Stable').member('g1', 1, [])
    expect(story.report('groups-settle').violations[0]?.message).toBe('shop is Stable, and nobody owns orders-0')
  })

  it('loses to its reset policy what the policy passes over', () => {
    const story = new Story().written().groupState('Stable').member('g1', 1)
    story.emit('g1', 'consume.position', { partition: P, from: -1, to: 0, reason: 'reset' })
    story.emit('g1', 'consume.position', { partition: P, from: 0, to: 2, reason: 'reset' })
    story.emit('g1', 'consume.processed', { partition: P, offsets: [2], ids: ['p1/2'] }).commits(3)
    const { verdict, losses } = story.report('at-least-once')
    expect(verdict).toBe('pass')
    expect(losses).toMatchObject([{ reason: 'auto.offset.reset passed over it', count: 2 }])
  })

  it('may go back where a member was told to', () => {
    const story = new Story().written().member('g1', 1).works('g1', 3)
    story.emit('g1', 'consume.position', { partition: P, from: 3, to: 1, reason: 'seek' }).commits(2)
    expect(story.report('committed-offsets-hold').verdict).toBe('pass')
  })
})

describe('what the configuration does not promise', () => {
  it('is a loss with its reason: acks=1', () => {
    const story = new Story().append('b1', 0).ack(0, 0, 1)
    story.decide(2, 1, 1).lead('b2', 1)
    const { verdict, losses } = story.report('acked-records-survive')
    expect(verdict).toBe('pass')
    expect(losses).toMatchObject([{ reason: 'acks=1', count: 1 }])
  })

  it('is a violation with acks=all', () => {
    const story = new Story().append('b1', 0).ack(0, 0, -1)
    story.decide(2, 1, 1).lead('b2', 1)
    expect(story.report('acked-records-survive').verdict).toBe('fail')
  })

  it('is undecided before the bound', () => {
    const story = new Story().written().decide(1, 0, 1, [1, 2])
    expect(story.report('recovers', 4_900_000).verdict).toBe('unknown')
  })
})
