/** When logs are cleaned, by whom, and what stops it: cases of LogCleanerManagerTest and of the LogCleaner integration tests. */
import { describe, expect, it } from 'vitest'
import { parseConfig } from '../../sim/kernel/config-def.js'
import type { Millis, Offset } from '../../sim/kernel/units.js'
import { LOG_BROKER_SETTINGS, type LogBrokerConfig } from '../../sim/log/log-config.js'
import { LogManager } from '../../sim/log/log-manager.js'
import { cleanableOffsets, logToClean } from '../../sim/log/log-to-clean.js'
import type { PartitionLog } from '../../sim/log/partition-log.js'
import { Throttler } from '../../sim/log/throttler.js'
import { CleaningLab, keyed, NOW } from './cleaning-lab.js'
import { RecordBatch } from '../../sim/wire/record-batch.js'
import { batches, config, LogHost, record, TP } from './harness.js'

const CHECKPOINT = 'cleaner-offset-checkpoint'

const broker = (overrides: Record<string, unknown> = {}): LogBrokerConfig =>
  parseConfig(LOG_BROKER_SETTINGS, { 'log.cleaner.backoff.ms': 1_000, ...overrides }, [])

/** A broker's logs; topics are compacted unless `topics` says otherwise. */
class Broker {
  readonly host: LogHost
  readonly manager: LogManager
  readonly topics: Record<string, Record<string, unknown>>

  constructor(
    topics: Record<string, Record<string, unknown>> = {},
    settings: Record<string, unknown> = {},
    host = new LogHost(),
  ) {
    this.host = host
    this.topics = topics
    this.manager = new LogManager(host.env, {
      config: broker(settings),
      topicConfig: (topic) => ({ 'cleanup.policy': 'compact', ...this.topics[topic] }),
    })
    this.manager.startup()
  }

  log(topic = 'orders'): PartitionLog {
    const log = this.manager.getOrCreate(topic, 0, undefined)
    if ('error' in log) throw new Error(log.message)
    return log
  }

  /** Closed segments with one record of each key; replicated and flushed. */
  fill(segments: readonly string[], topic?: string, timestamp: Millis = this.host.wallMs): PartitionLog {
    const log = this.log(topic)
    for (const keys of segments) {
      for (const key of keys.split(' ')) log.appendAsLeader([keyed(key, {}, timestamp)], 0)
      log.roll()
    }
    log.setHighWatermark(log.logEndOffset)
    return log
  }

  get checkpoint(): string {
    return this.host.text(CHECKPOINT)
  }
}

const decoder = new TextDecoder()

function keysOf(log: PartitionLog): string {
  return batches(log)
    .flatMap((each) =>
      each
        .records()
        .map(({ offsetDelta, key }) => `${each.baseOffset + offsetDelta}=${decoder.decode(key ?? undefined)}`),
    )
    .join(' ')
}

describe('what may be cleaned', () => {
  const offsets = (lab: CleaningLab, checkpoint: Offset | undefined, now: Millis = NOW): [Offset, Offset, boolean] => {
    const { firstDirty, firstUncleanable, resetsCheckpoint } = cleanableOffsets(lab.log.cleanable, checkpoint, now)
    return [firstDirty, firstUncleanable, resetsCheckpoint]
  }

  function filled(segments: readonly string[], overrides: Record<string, unknown> = {}): CleaningLab {
    const lab = new CleaningLab({ config: overrides })
    for (const keys of segments) {
      lab.each(keys)
      lab.log.roll()
    }
    lab.log.setHighWatermark(lab.log.logEndOffset)
    return lab
  }

  it('reaches from the checkpoint, or the log start, to the active segment', () => {
    const lab = filled(['a b', 'c d'])
    lab.each('e f')
    lab.log.setHighWatermark(6)
    expect(offsets(lab, undefined)).toEqual([0, 4, false])
    expect(offsets(lab, 2)).toEqual([2, 4, false])
    // In the active segment: there is nothing to clean.
    expect(offsets(lab, 5)).toEqual([5, 5, false])
  })

  it('does not reach beyond the high watermark', () => {
    const lab = filled(['a b', 'c d'])
    lab.log.setHighWatermark(3)
    expect(offsets(lab, undefined)).toEqual([0, 3, false])
    expect(
      logToClean(lab.log.cleanable, { firstDirty: 0, firstUncleanable: 3, resetsCheckpoint: false }, NOW),
    ).toMatchObject({ firstUncleanable: 2, cleanBytes: 0, cleanableBytes: lab.log.segments[0]?.size, ratio: 1 })
  })

  it('does not reach into a transaction that is not decided', () => {
    const lab = new CleaningLab()
    lab.write('a')
    lab.produce(1, 'b')
    lab.log.roll()
    lab.write('c')
    lab.log.roll()
    lab.log.setHighWatermark(3)
    expect(offsets(lab, undefined)).toEqual([0, 1, false])
    lab.commit(1)
    lab.log.roll()
    lab.log.setHighWatermark(4)
    expect(offsets(lab, undefined)).toEqual([0, 4, false])
  })

  it('does not reach to records younger than min.compaction.lag.ms', () => {
    const lab = new CleaningLab({ config: { 'min.compaction.lag.ms': 1_000 } })
    for (const age of [2_000, 1_001, 1_000, 999, 5_000]) {
      lab.write('a', {}, NOW - age)
      lab.log.roll()
    }
    lab.log.setHighWatermark(5)
    expect(offsets(lab, undefined)).toEqual([0, 3, false])
    expect(offsets(lab, undefined, NOW + 10_000)).toEqual([0, 5, false])
  })

  it('begins anew at the log start when the checkpoint is out of the log', () => {
    const lab = filled(['a b', 'c d'])
    expect(offsets(lab, 5)).toEqual([0, 4, true])
    lab.log.advanceLogStartOffset(3, 'test')
    expect(offsets(lab, 2)).toEqual([3, 4, true])
    expect(offsets(lab, 4)).toEqual([4, 4, false])
  })

  it('counts the bytes of clean and dirty segments', () => {
    const lab = filled(['a b', 'c d', 'e f', 'g h'])
    const size = lab.log.segments[0]?.size as number
    const of = (firstDirty: Offset): object =>
      logToClean(lab.log.cleanable, { firstDirty, firstUncleanable: 8, resetsCheckpoint: false }, NOW)
    expect(of(2)).toMatchObject({ cleanBytes: size, cleanableBytes: 3 * size, ratio: 0.75, isOverdue: false })
    lab.log.updateConfig(config({ 'cleanup.policy': 'compact', 'max.compaction.lag.ms': 10 }))
    expect(of(2)).toMatchObject({ isOverdue: false })
    expect(
      logToClean(lab.log.cleanable, { firstDirty: 2, firstUncleanable: 8, resetsCheckpoint: false }, NOW + 11),
    ).toMatchObject({ isOverdue: true })
  })
})

describe('the cleaner', () => {
  it('cleans what is dirty enough, and writes where it ended', () => {
    const it_ = new Broker()
    const log = it_.fill(['a b', 'a c'])
    it_.host.run(1_500)
    expect(keysOf(log)).toBe('1=b 2=a 3=c')
    expect(it_.checkpoint).toBe('0\n1\norders 0 4\n')
    expect(it_.host.eventsOf('log.cleaned')).toHaveLength(1)
    // 4 clean to 2 dirty records are below the ratio of 0.5.
    it_.fill(['a b'])
    it_.host.run(10_000)
    expect(it_.host.eventsOf('log.cleaned')).toHaveLength(1)
    it_.fill(['b c'])
    it_.host.run(10_000)
    expect(keysOf(log)).toBe('4=a 6=b 7=c')
  })

  it('takes the dirtiest log first', () => {
    const it_ = new Broker({}, { 'log.cleaner.min.cleanable.ratio': 0.1 })
    it_.fill(['a b', 'a b'], 'early')
    it_.host.run(1_500)
    it_.fill(['a'], 'early')
    it_.fill(['a', 'a'], 'late')
    it_.host.run(2_000)
    expect(it_.host.eventsOf('log.cleaned').map(({ partition }) => partition)).toEqual(['early-0', 'late-0', 'early-0'])
  })

  it('cleans below the ratio what is older than max.compaction.lag.ms', () => {
    const topic = { 'min.cleanable.dirty.ratio': 1, 'max.compaction.lag.ms': 5_000 }
    const it_ = new Broker({ orders: topic })
    const log = it_.fill(['a b', 'a'])
    it_.host.run(4_900)
    expect(keysOf(log)).toBe('0=a 1=b 2=a')
    it_.host.run(2_000)
    expect(keysOf(log)).toBe('1=b 2=a')
  })

  it('takes time: it reads, writes and syncs', () => {
    const it_ = new Broker()
    const log = it_.log()
    const value = new Uint8Array(100_000)
    const big = (key: string): RecordBatch =>
      RecordBatch.build({}, [{ ...record(value, it_.host.wallMs, key), timestamp: it_.host.wallMs }])
    for (let i = 0; i < 50; i++) log.appendAsLeader([big(`k${i}`)], 0)
    log.roll()
    log.setHighWatermark(50)
    const started = it_.host.engine.now
    it_.host.run(100)
    const cleaned = it_.host.events.find(({ type }) => type === 'log.cleaned')
    // 5 MB for the map, 5 MB to copy and 5 MB to write, at 500 MB a second.
    expect((cleaned?.time ?? 0) - started).toBeGreaterThan(30_000)
  })

  it('waits for a hanging disk', () => {
    const it_ = new Broker()
    it_.fill(['a', 'a'])
    const hang = it_.host.simDisk.hang()
    it_.host.run(60_000)
    expect(it_.host.eventsOf('log.cleaned')).toEqual([])
    hang.remove()
    it_.host.run(1_000)
    expect(it_.host.eventsOf('log.cleaned')).toHaveLength(1)
  })

  it('sleeps for log.cleaner.backoff.ms when there is nothing to do, and not at all without compacted logs', () => {
    const it_ = new Broker({ orders: { 'cleanup.policy': 'delete' } }, { 'log.cleaner.backoff.ms': 10_000 })
    const log = it_.fill(['a', 'a'])
    it_.host.run(25_000)
    const before = it_.host.engine.now
    it_.topics['orders'] = {}
    it_.manager.topicConfigChanged('orders')
    it_.host.run(4_990)
    expect(it_.host.eventsOf('log.cleaned')).toEqual([])
    it_.host.run(100)
    expect(keysOf(log)).toBe('1=a')
    expect(it_.host.engine.now - before).toBe(5_090_000)
  })

  it('begins again after a kill, as if it had never begun', () => {
    const it_ = new Broker({}, { 'log.cleaner.io.max.bytes.per.second': 100 })
    const log = it_.fill(['a b c', 'a b c', 'a b c'])
    log.flush()
    for (let i = 0; i < 2_000 && !it_.host.files().some((path) => path.endsWith('.log.cleaned')); i++) it_.host.run(1)
    expect(it_.host.files().some((path) => path.endsWith('.log.cleaned'))).toBe(true)
    it_.host.reboot()
    const again = new Broker({}, {}, it_.host)
    expect(it_.host.files().some((path) => path.endsWith('.cleaned'))).toBe(false)
    again.log().setHighWatermark(9)
    it_.host.run(3_000)
    expect(keysOf(again.log())).toBe('6=a 7=b 8=c')
  })

  it('keeps to log.cleaner.io.max.bytes.per.second on average', () => {
    const throttler = new Throttler(1_000, 0)
    expect(throttler.sleepMs(600, 300)).toBe(0)
    expect(throttler.sleepMs(600, 400)).toBe(800)
    expect(throttler.sleepMs(100, 1_300)).toBe(0)
    expect(throttler.sleepMs(100, 1_600)).toBe(0)
  })

  it('deletes old segments of compacted logs, by the log start and by their own policy', () => {
    const it_ = new Broker({ both: { 'cleanup.policy': 'compact,delete', 'retention.ms': 60_000 } })
    const compacted = it_.fill(['a', 'b', 'c'])
    const both = it_.fill(['a', 'b'], 'both')
    compacted.advanceLogStartOffset(2, 'test')
    it_.host.run(2_000)
    expect([compacted.segments[0]?.baseOffset, both.logStartOffset]).toEqual([2, 0])
    it_.host.run(70_000)
    expect([compacted.logStartOffset, both.logStartOffset]).toEqual([2, 2])
    expect(it_.host.eventsOf('log.segment-deleted').map(({ partition, reason }) => `${partition} ${reason}`)).toEqual([
      'orders-0 log-start',
      'orders-0 log-start',
      // Compaction has made one of two before.
      'both-0 retention-time',
    ])
  })
})

describe('a cleaning is given up', () => {
  /** Slow enough to be caught in the middle. */
  function underWay(): Broker {
    const it_ = new Broker({}, { 'log.cleaner.io.max.bytes.per.second': 100 })
    it_.fill(['a b c', 'a b c', 'd'])
    for (let i = 0; i < 2_000 && !hasCleaned(it_); i++) it_.host.run(1)
    expect(it_.manager.cleaner?.manager.stateOf(TP)).toBe('in-progress')
    return it_
  }
  const hasCleaned = (it_: Broker): boolean => it_.host.disk.list(`${TP}/`).some((path) => path.endsWith('.cleaned'))

  it('when the log is cut below its active segment, whose start is then the most that is clean', () => {
    const it_ = underWay()
    it_.manager.truncateTo(TP, 4, 'diverging')
    expect([hasCleaned(it_), it_.manager.cleaner?.manager.stateOf(TP)]).toEqual([false, undefined])
    it_.host.run(200_000)
    expect(it_.log().logEndOffset).toBe(4)
    expect(it_.host.eventsOf('log.uncleanable')).toEqual([])
  })

  it('not when only the active segment is cut', () => {
    const it_ = underWay()
    it_.log().appendAsLeader([keyed('x')], 0)
    it_.manager.truncateTo(TP, 7, 'diverging')
    expect([hasCleaned(it_), it_.manager.cleaner?.manager.stateOf(TP)]).toEqual([true, 'in-progress'])
  })

  it('when the log begins anew', () => {
    const it_ = underWay()
    it_.manager.truncateFullyAndStartAt(TP, 100, 'out-of-range')
    expect(hasCleaned(it_)).toBe(false)
  })

  it('when the log is deleted; its checkpoint goes with it', () => {
    const it_ = underWay()
    it_.fill(['a b', 'a b'], 'other')
    it_.manager.asyncDelete([TP])
    it_.host.run(100_000)
    expect(it_.checkpoint).toBe('0\n1\nother 0 4\n')
    it_.manager.asyncDelete(['other-0'])
    expect(it_.checkpoint).toBe('0\n0\n')
  })

  it('when the topic is compacted no more', () => {
    const it_ = underWay()
    it_.topics['orders'] = { 'cleanup.policy': 'delete' }
    it_.manager.topicConfigChanged('orders')
    expect(hasCleaned(it_)).toBe(false)
    it_.host.run(200_000)
    expect(it_.host.eventsOf('log.cleaned')).toEqual([])
  })

  it('when threads begin anew with other settings', () => {
    const it_ = underWay()
    it_.manager.updateBrokerConfig(broker({ 'log.cleaner.threads': 2 }))
    it_.host.run(5_000)
    expect(keysOf(it_.log())).toBe('3=a 4=b 5=c 6=d')
  })

  it('at shutdown, which leaves its files for the next start', () => {
    const it_ = underWay()
    let isDone = false
    it_.manager.shutdown(1, () => (isDone = true))
    it_.host.run(1_000)
    expect([isDone, hasCleaned(it_)]).toEqual([true, true])
    expect(it_.host.eventsOf('log.cleaned')).toEqual([])
  })
})

describe('the checkpoint', () => {
  it('is set back by a truncation, and not forward', () => {
    const it_ = new Broker()
    const log = it_.fill(['a b', 'a b'])
    it_.host.run(1_500)
    expect(it_.checkpoint).toBe('0\n1\norders 0 4\n')
    it_.manager.truncateTo(TP, 2, 'diverging')
    expect(it_.manager.cleaner?.manager.checkpoints.get(TP)).toBe(log.segments.at(-1)?.baseOffset)
    it_.manager.truncateFullyAndStartAt(TP, 50, 'out-of-range')
    expect(it_.manager.cleaner?.manager.checkpoints.get(TP)).toBeLessThanOrEqual(50)
  })

  it('that lies out of the log is written anew at the next look', () => {
    const it_ = new Broker()
    it_.fill(['a'])
    it_.host.run(1_500)
    it_.host.write(CHECKPOINT, '0\n1\norders 0 77\n')
    it_.host.reboot()
    const again = new Broker({ orders: { 'min.cleanable.dirty.ratio': 1 } }, {}, it_.host)
    again.log().setHighWatermark(1)
    it_.host.run(10)
    expect(again.checkpoint).toBe('0\n1\norders 0 0\n')
  })

  it('counts for nothing when it can not be read', () => {
    const host = new LogHost()
    host.write(CHECKPOINT, 'what')
    const it_ = new Broker({}, {}, host)
    const log = it_.fill(['a', 'a'])
    host.run(1_500)
    expect(keysOf(log)).toBe('1=a')
  })
})

describe('a log that can not be read', () => {
  it('is uncleanable until the next start; others go on', () => {
    const it_ = new Broker({}, { 'log.cleaner.enable': false })
    it_.fill(['a b', 'a b']).flush()
    it_.host.run(900)
    it_.host.reboot()
    it_.host.simDisk.corrupt((path) => path.endsWith(`${TP}/00000000000000000000.log`), 8, 4)
    // A clean start that does not look at the bytes.
    it_.host.write('.kafka_cleanshutdown', '{"version":0,"brokerEpoch":1}')
    const again = new Broker({}, {}, it_.host)
    again.log().setHighWatermark(again.log().logEndOffset)
    const other = again.fill(['x', 'x'], 'other')
    it_.host.run(20_000)
    expect(again.host.eventsOf('log.uncleanable').map(({ partition }) => partition)).toEqual([TP])
    expect([...(again.manager.cleaner?.manager.uncleanable ?? [])]).toEqual([TP])
    expect(keysOf(other)).toBe('1=x')
  })

  it('by an error of the disk is offline', () => {
    const it_ = new Broker()
    const log = it_.fill(['a', 'a'])
    it_.host.simDisk.fail()
    it_.host.run(5_000)
    expect(log.isOffline).toBe(true)
  })
})
