import { describe, expect, it } from 'vitest'
import type { PartitionLog } from '../../sim/log/partition-log.js'
import { errorName } from '../../sim/wire/errors.js'
import { RecordBatch } from '../../sim/wire/record-batch.js'
import {
  append,
  appended,
  batch,
  batches,
  config,
  contents,
  epochsOf,
  found,
  LogHost,
  record,
  refusal,
  replicate,
  sequenced,
  sized,
  TP,
} from './harness.js'

const WALL = 1_767_225_600_000

function opened(overrides: Record<string, unknown> = {}, host = new LogHost()): [PartitionLog, LogHost] {
  return [host.open({ config: config(overrides) }), host]
}

function wrong(
  log: PartitionLog,
  given: RecordBatch | readonly RecordBatch[],
  origin: 'client' | 'raft-leader' = 'client',
): string {
  const list = Array.isArray(given) ? (given as RecordBatch[]) : [given as RecordBatch]
  return errorName(refusal(log.appendAsLeader(list, 0, { origin })).error)
}

describe('appending as leader', () => {
  it('gives offsets and epoch, and reads back the very same objects', () => {
    const [log] = opened()
    expect(append(log, batch(3), 4)).toEqual([0, 2])
    expect(append(log, batch(2), 5)).toEqual([3, 4])
    expect(log.logEndOffset).toBe(5)
    expect(epochsOf(log)).toBe('4:0 5:3')
    expect(batches(log).map((each) => [each.baseOffset, each.partitionLeaderEpoch])).toEqual([
      [0, 4],
      [3, 5],
    ])
    expect(found(log, 0).batches[0]).toBe(found(log, 2).batches[0])
  })

  it('copies no body: the batch appended shares the CRC and the records of the one given', () => {
    const [log] = opened()
    const given = batch(['a', 'b'])
    append(log, given)
    const stored = found(log, 0).batches[0] as RecordBatch
    expect(stored.crc).toBe(given.crc)
    expect(stored.records()).toBe(given.records())
  })

  it('emits one log.append for each batch, with the batch itself', () => {
    const [log, host] = opened()
    append(log, batch(3), 7)
    const [event, ...more] = host.eventsOf('log.append')
    const stored = found(log, 0).batches[0] as RecordBatch
    expect(more).toEqual([])
    expect(event).toEqual({
      partition: TP,
      baseOffset: 0,
      lastOffset: 2,
      leaderEpoch: 7,
      crc: stored.crc,
      role: 'leader',
      batch: stored,
    })
    expect(event?.batch).toBe(stored)
  })

  it('stamps the time of the broker where the topic wants it', () => {
    const [log] = opened({ 'message.timestamp.type': 'LogAppendTime' })
    const result = appended(log.appendAsLeader([batch(2, {}, 5)], 0))
    expect([result.logAppendTime, result.maxTimestamp]).toEqual([WALL, WALL])
    const stored = found(log, 0).batches[0] as RecordBatch
    expect(stored.timestampType).toBe('LogAppendTime')
    expect(stored.records().map((each) => each.timestamp)).toEqual([WALL, WALL])
    expect(stored.isValid()).toBe(true)
  })

  it('refuses what Kafka refuses, in its order, and leaves no trace', () => {
    const [log, host] = opened({ 'max.message.bytes': 200 })
    const large = sized(201)
    const rotten = corrupted(batch(1))
    expect(wrong(log, large)).toBe('MESSAGE_TOO_LARGE')
    expect(wrong(log, rotten)).toBe('CORRUPT_MESSAGE')
    expect(wrong(log, batch(1, { baseOffset: 3 }))).toBe('INVALID_RECORD')
    expect(wrong(log, [batch(1), batch(1)])).toBe('INVALID_RECORD')
    expect(wrong(log, RecordBatch.build({ isControl: true }, [record('x', 1, 'k')]))).toBe('INVALID_RECORD')
    expect(wrong(log, batch(1, { producerId: 3, producerEpoch: 0, baseSequence: -1 }))).toBe('INVALID_RECORD')
    expect(wrong(log, RecordBatch.build({ lastOffsetDelta: 3 }, [record('x')]))).toBe('INVALID_RECORD')
    append(log, sized(200))
    expect(log.logEndOffset).toBe(1)
    expect(host.eventsOf('log.corrupt')).toEqual([{ partition: TP, offset: 0, position: 0, found: 'append' }])
  })

  it('refuses timestamps out of bounds, record by record', () => {
    const [log] = opened({ 'message.timestamp.before.max.ms': 1_000, 'message.timestamp.after.max.ms': 500 })
    const given = (...timestamps: number[]) =>
      RecordBatch.build(
        {},
        timestamps.map((each) => record('x', each)),
      )
    append(log, given(WALL - 1_000, WALL + 500, -1))
    const result = refusal(log.appendAsLeader([given(WALL, WALL - 1_001, WALL + 501)], 0))
    expect(errorName(result.error)).toBe('INVALID_TIMESTAMP')
    expect(result.recordErrors?.map((each) => each.batchIndex)).toEqual([1, 2])
  })

  it('accepts timestamps up to an hour ahead by default, and any that are behind', () => {
    const [log] = opened()
    append(log, batch(1, {}, WALL + 3_600_000))
    append(log, batch(1, {}, 0))
    expect(wrong(log, batch(1, {}, WALL + 3_600_001))).toBe('INVALID_TIMESTAMP')
  })

  it('refuses records without key where the log is compacted', () => {
    const [log] = opened({ 'cleanup.policy': 'compact' })
    const mixed = RecordBatch.build({}, [record('a', WALL, 'key'), record('b', WALL)])
    const result = refusal(log.appendAsLeader([mixed], 0))
    expect(errorName(result.error)).toBe('INVALID_RECORD')
    expect(result.recordErrors?.map((each) => each.batchIndex)).toEqual([1])
    append(log, RecordBatch.build({}, [record('a', WALL, 'key')]))
  })

  it('refuses more at once than a segment holds, after the epoch was noted', () => {
    const [log] = opened({ 'internal.segment.bytes': 100 })
    const result = refusal(log.appendAsLeader([sized(101)], 3))
    expect(errorName(result.error)).toBe('RECORD_LIST_TOO_LARGE')
    expect([log.logEndOffset, epochsOf(log)]).toEqual([0, '3:0'])
  })

  it('of a raft leader keeps offsets and epochs as they come', () => {
    const host = new LogHost()
    const log = host.open({ role: 'quorum' })
    const given = batch(2, { baseOffset: 0, partitionLeaderEpoch: 3 })
    expect(appended(log.appendAsLeader([given], 3, { origin: 'raft-leader' }))).toMatchObject({
      firstOffset: 0,
      lastOffset: 1,
    })
    expect(found(log, 0).batches[0]).toBe(given)
    expect(host.eventsOf('log.append')[0]?.role).toBe('quorum')
    expect(wrong(log, batch(1, { baseOffset: 2, partitionLeaderEpoch: 2 }), 'raft-leader')).toBe('INVALID_RECORD')
  })
})

describe('idempotent appends', () => {
  it('answer a duplicate of the last five batches with its offsets, and older ones as out of order', () => {
    const [log, host] = opened()
    for (let sequence = 0; sequence < 6; sequence++) append(log, sequenced(1, 0, sequence))
    expect(append(log, sequenced(1, 0, 6, 3))).toEqual([6, 8])
    const again = appended(log.appendAsLeader([sequenced(1, 0, 6, 3)], 0))
    expect(again).toMatchObject({ firstOffset: 6, lastOffset: 8, duplicate: true })
    expect(wrong(log, sequenced(1, 0, 7, 2))).toBe('OUT_OF_ORDER_SEQUENCE_NUMBER')
    expect(append(log, sequenced(1, 0, 2))).toEqual([2, 2])
    expect(wrong(log, sequenced(1, 0, 1))).toBe('OUT_OF_ORDER_SEQUENCE_NUMBER')
    expect(log.logEndOffset).toBe(9)
    expect(host.eventsOf('log.append').length).toBe(7)
  })

  it('refuse gaps and old epochs', () => {
    const [log] = opened()
    append(log, sequenced(1, 1, 0))
    expect(wrong(log, sequenced(1, 1, 2))).toBe('OUT_OF_ORDER_SEQUENCE_NUMBER')
    expect(wrong(log, sequenced(1, 0, 0))).toBe('INVALID_PRODUCER_EPOCH')
    expect(wrong(log, sequenced(1, 2, 1))).toBe('OUT_OF_ORDER_SEQUENCE_NUMBER')
    append(log, sequenced(1, 2, 0))
  })

  it('know duplicates again after a truncation and a restart, by the one batch that snapshots keep', () => {
    const [log, host] = opened()
    // Without a timestamp a producer counts as idle since 1970.
    const sent = (sequence: number) => sequenced(1, 0, sequence, 2, {}, WALL)
    for (let sequence = 0; sequence < 6; sequence += 2) append(log, sent(sequence))
    log.truncateTo(4, 'test')
    expect(appended(log.appendAsLeader([sent(2)], 0))).toMatchObject({ duplicate: true, firstOffset: 2 })
    expect(append(log, sent(4))).toEqual([4, 5])
    log.close()
    host.run()
    host.reboot()
    const again = host.open()
    expect(appended(again.appendAsLeader([sent(4)], 0))).toMatchObject({ duplicate: true, firstOffset: 4 })
    expect(wrong(again, sent(2))).toBe('OUT_OF_ORDER_SEQUENCE_NUMBER')
    expect(append(again, sequenced(1, 0, 6))).toEqual([6, 6])
  })

  it('are not checked on followers', () => {
    const [log] = opened()
    appended(replicate(log, 0, sequenced(1, 0, 0, 2)))
    appended(replicate(log, 2, sequenced(1, 0, 0, 2)))
    appended(replicate(log, 4, sequenced(1, 0, 9, 1)))
    expect(log.logEndOffset).toBe(5)
  })

  it('forget idle producers every producer.id.expiration.check.interval.ms', () => {
    const host = new LogHost()
    const log = host.open({
      producers: {
        expirationMs: 200,
        expirationCheckIntervalMs: 100,
        maxTransactionTimeoutMs: 1,
        transactionVerification: false,
      },
    })
    append(log, sequenced(23, 0, 0, 1, {}, WALL))
    host.run(100)
    expect([...log.producers.producers.keys()]).toEqual([23])
    host.run(100)
    expect([...log.producers.producers.keys()]).toEqual([])
  })
})

describe('appending as follower', () => {
  it('takes batches as they are, several at once, and their epochs', () => {
    const [log, host] = opened()
    const list = [
      batch(2, { baseOffset: 0, partitionLeaderEpoch: 1 }),
      batch(1, { baseOffset: 2, partitionLeaderEpoch: 3 }),
    ]
    expect(appended(log.appendAsFollower(list, 3))).toMatchObject({ firstOffset: 0, lastOffset: 2 })
    expect(batches(log)).toEqual(list)
    expect(epochsOf(log)).toBe('1:0 3:2')
    expect(host.eventsOf('log.append').map((event) => event.role)).toEqual(['follower', 'follower'])
  })

  it('leaves out batches of an epoch above its own, and all that follow', () => {
    const [log] = opened()
    const list = [1, 2, 1].map((epoch, offset) => batch(1, { baseOffset: offset, partitionLeaderEpoch: epoch }))
    expect(appended(log.appendAsFollower(list, 1))).toMatchObject({ firstOffset: 0, lastOffset: 0 })
    expect(appended(log.appendAsFollower(list.slice(1), 1))).toMatchObject({ firstOffset: -1, sizeInBytes: 0 })
    expect([log.logEndOffset, epochsOf(log)]).toEqual([1, '1:0'])
  })

  it('refuses offsets below its end, with the offsets for whoever decides', () => {
    const [log] = opened()
    appended(replicate(log, 0, batch(5)))
    expect(refusal(replicate(log, 4, batch(3)))).toMatchObject({
      kind: 'unexpected-offset',
      firstOffset: 4,
      lastOffset: 6,
    })
  })

  it('refuses offsets that do not increase', () => {
    const [log] = opened()
    const list = [batch(2), batch(2)].map((each) => each.withOffsets(0, 0))
    expect(refusal(log.appendAsFollower(list, 0))).toMatchObject({ kind: 'out-of-order' })
    expect(log.logEndOffset).toBe(0)
  })

  it('takes a gap, as compaction leaves them, and refuses a batch whose CRC does not match', () => {
    const [log] = opened()
    appended(replicate(log, 0, batch(1)))
    appended(replicate(log, 5, batch(1)))
    expect(log.logEndOffset).toBe(6)
    expect(
      errorName(
        refusal(log.appendAsFollower([corrupted(batch(1, { baseOffset: 6, partitionLeaderEpoch: 0 }))], 0)).error,
      ),
    ).toBe('CORRUPT_MESSAGE')
  })

  it('is bound by no max.message.bytes', () => {
    const [log] = opened({ 'max.message.bytes': 70 })
    appended(replicate(log, 0, sized(400)))
    expect(log.logEndOffset).toBe(1)
  })
})

describe('reading', () => {
  it('begins at the batch that holds the offset, and stops at maxBytes', () => {
    const [log] = opened()
    for (let i = 0; i < 10; i++) append(log, batch(2))
    const size = (found(log, 0).batches[0] as RecordBatch).sizeInBytes
    expect(offsets(log, 3, size * 2)).toEqual([2, 4])
    expect(offsets(log, 3, size * 2 + 5)).toEqual([2, 4])
    expect(offsets(log, 18, size * 9)).toEqual([18])
    expect(found(log, 4, size * 3).sizeInBytes).toBe(size * 3)
  })

  it('gives one batch that is too large when asked to, else nothing', () => {
    const [log] = opened()
    append(log, batch(3))
    expect(found(log, 0, 1, 3, true).batches.length).toBe(1)
    expect(found(log, 0, 1, 3, false)).toMatchObject({ batches: [], firstEntryIncomplete: true })
  })

  it('gives only batches that lie wholly below the bound', () => {
    const [log] = opened()
    append(log, batch(2))
    append(log, batch(2))
    expect(offsets(log, 0, 10_000, 4)).toEqual([0, 2])
    expect(offsets(log, 0, 10_000, 3)).toEqual([0])
    expect(offsets(log, 0, 10_000, 2)).toEqual([0])
    expect(offsets(log, 0, 10_000, 1)).toEqual([])
    expect(offsets(log, 2, 10_000, 2)).toEqual([])
  })

  it('answers OFFSET_OUT_OF_RANGE below the start and above the end, and nothing at the end', () => {
    const [log] = opened()
    append(log, batch(5))
    log.setHighWatermark(5)
    expect(log.advanceLogStartOffset(2, 'test')).toBe(0)
    const code = (from: number) => errorName(log.read(from, 100, 5, true).error)
    expect([1, 2, 5, 6].map(code)).toEqual(['OFFSET_OUT_OF_RANGE', 'NONE', 'NONE', 'OFFSET_OUT_OF_RANGE'])
    expect(offsets(log, 5)).toEqual([])
  })

  it('never goes beyond a segment, and steps over gaps into the next one', () => {
    const [log] = opened({ 'internal.segment.bytes': 72 })
    const ids = [...Array.from({ length: 50 }, (_, i) => i), ...Array.from({ length: 22 }, (_, i) => 50 + i * 7)]
    for (const id of ids) appended(replicate(log, id, batch([String(id)])))
    for (let from = 50; from < 197; from++) {
      const next = ids.find((id) => id >= from)
      for (const maxBytes of [1, 100, 100_000]) expect(offsets(log, from, maxBytes)).toEqual([next])
    }
  })

  it('finds every offset by a dense and by a sparse index', () => {
    for (const interval of [0, 300, 1_000_000]) {
      const [log] = opened({ 'index.interval.bytes': interval, 'internal.segment.bytes': 2_000 })
      for (let i = 0; i < 100; i++) append(log, batch(1 + (i % 4)))
      for (let from = 0; from < log.logEndOffset; from++) {
        const first = found(log, from, 1).batches[0] as RecordBatch
        expect(first.baseOffset <= from && from <= first.lastOffset).toBe(true)
      }
    }
  })
})

describe('rolling', () => {
  it('happens before the batch that would make the segment too large', () => {
    const [log, host] = opened({ 'internal.segment.bytes': 1_000 })
    for (let i = 0; i < 11; i++) append(log, sized(100))
    expect(log.segments.map((segment) => [segment.baseOffset, segment.size])).toEqual([
      [0, 1_000],
      [10, 100],
    ])
    expect(host.eventsOf('log.roll')).toEqual([{ partition: TP, baseOffset: 10 }])
  })

  it('happens when records are segment.ms later than the first of the segment', () => {
    const [log] = opened({ 'segment.ms': 3_600_000 })
    append(log, batch(1, {}, WALL - 7_200_000))
    append(log, batch(1, {}, WALL - 7_200_000 + 3_600_000))
    expect(log.segments.length).toBe(1)
    append(log, batch(1, {}, WALL - 7_200_000 + 3_600_001))
    expect(log.segments.length).toBe(2)
  })

  it('goes by the clock of the broker where records have no timestamp, but never for an empty segment', () => {
    const [log, host] = opened({ 'segment.ms': 1_000 })
    host.run(5_000)
    append(log, batch(1))
    expect(log.segments.length).toBe(1)
    append(log, batch(1))
    expect(log.segments.length).toBe(2)
    host.run(1_000)
    append(log, batch(1))
    expect(log.segments.length).toBe(2)
    host.run(1)
    append(log, batch(1))
    expect(log.segments.length).toBe(3)
  })

  it('comes up to segment.jitter.ms earlier, by the seed', () => {
    const [log] = opened({ 'segment.ms': 1_000_000, 'segment.jitter.ms': 500_000 })
    append(log, batch(1, {}, 0))
    append(log, batch(1, {}, 500_000))
    expect(log.segments.length).toBe(1)
    append(log, batch(1, {}, 1_000_000))
    expect(log.segments.length).toBe(2)
  })

  it('happens when an index is full, and when an offset is too far from the base', () => {
    const [indexed] = opened({ 'segment.index.bytes': 24, 'index.interval.bytes': 1 })
    for (let i = 0; i < 3; i++) append(indexed, batch(1, {}, WALL + i))
    expect(indexed.segments.map((segment) => segment.baseOffset)).toEqual([0, 2])

    const [log] = opened()
    appended(replicate(log, 0, batch(1)))
    appended(replicate(log, 2_147_483_647, batch(1)))
    appended(replicate(log, 2_147_483_648, batch(1)))
    expect(log.segments.map((segment) => segment.baseOffset)).toEqual([0, 2_147_483_648])
  })

  it('begins at the offset of the batch that comes, also beyond a gap', () => {
    const [log] = opened({ 'internal.segment.bytes': 150 })
    appended(replicate(log, 0, sized(100)))
    appended(replicate(log, 40, sized(100)))
    expect(log.segments.map((segment) => segment.baseOffset)).toEqual([0, 40])
    expect(log.producers.snapshots).toEqual([40])
  })

  it('completes the time index of the segment that is closed', () => {
    const [log, host] = opened()
    append(log, batch(2, {}, 1_000))
    log.roll()
    expect(host.hex(`${TP}/00000000000000000000.timeindex`)).toBe('00000000000003e8' + '00000001')
  })

  it('writes a producer snapshot, and flushes what came before in the background', () => {
    const [log, host] = opened()
    append(log, sequenced(1, 0, 0))
    log.roll()
    append(log, sequenced(1, 0, 1))
    expect(log.producers.snapshots).toEqual([1])
    expect(log.recoveryPoint).toBe(0)
    host.run()
    expect(log.recoveryPoint).toBe(1)
    expect(host.eventsOf('log.flush')).toEqual([{ partition: TP, upTo: 1 }])
  })
})

describe('truncating', () => {
  it('removes records, later segments, epochs and producer state', () => {
    const [log, host] = opened({ 'internal.segment.bytes': 250 })
    for (let i = 0; i < 9; i++) append(log, sequenced(1, 0, i), Math.floor(i / 3))
    expect(log.segments.map((segment) => segment.baseOffset)).toEqual([0, 3, 6])
    expect(log.truncateTo(4, 'diverging')).toBe(true)
    expect(log.segments.map((segment) => segment.baseOffset)).toEqual([0, 3])
    expect([log.logEndOffset, epochsOf(log), log.producers.entry(1)?.lastSequence]).toEqual([4, '0:0 1:3', 3])
    expect(host.eventsOf('log.truncate')).toEqual([{ partition: TP, from: 9, to: 4, reason: 'diverging' }])
    expect(append(log, sequenced(1, 0, 4), 5)).toEqual([4, 4])
    expect(epochsOf(log)).toBe('0:0 1:3 5:4')
    host.run(60_000)
    expect(host.files().filter((file) => file.includes('deleted'))).toEqual([])
  })

  it('at or beyond the end does nothing but drop epochs that wrote nothing', () => {
    const [log, host] = opened()
    append(log, batch(3))
    log.assignEpochStartOffset(9, 3)
    expect(log.truncateTo(3, 'test')).toBe(false)
    expect(epochsOf(log)).toBe('0:0')
    expect(host.eventsOf('log.truncate')).toEqual([])
  })

  it('within a batch takes the whole batch, and the end is where it was asked for', () => {
    const [log, host] = opened()
    append(log, batch(3))
    append(log, batch(3))
    log.truncateTo(4, 'test')
    expect([log.logEndOffset, batches(log).length]).toEqual([4, 1])
    expect(host.eventsOf('log.truncate')).toEqual([{ partition: TP, from: 6, to: 3, reason: 'test' }])
    expect(append(log, batch(1))).toEqual([4, 4])
    expect(offsets(log, 3)).toEqual([4])
  })

  it('takes the high watermark and the recovery point back', () => {
    const [log, host] = opened()
    append(log, batch(1))
    append(log, batch(1))
    log.setHighWatermark(2)
    log.flush()
    host.run()
    log.truncateTo(1, 'test')
    expect([log.highWatermark, log.recoveryPoint]).toEqual([1, 1])
  })

  it('below the first segment empties the log, which begins there', () => {
    const [log, host] = opened()
    log.truncateFullyAndStartAt(10, 'test')
    append(log, batch(3), 2)
    expect(log.truncateTo(5, 'test')).toBe(true)
    expect([log.logStartOffset, log.logEndOffset, epochsOf(log)]).toEqual([5, 5, ''])
    expect(append(log, batch(1), 3)).toEqual([5, 5])
    expect(host.eventsOf('log.start-offset').map((event) => [event.from, event.to])).toEqual([
      [0, 10],
      [10, 5],
    ])
    expect(host.eventsOf('log.truncate').map((event) => [event.from, event.to])).toEqual([[13, 10]])
  })

  it('fully begins anew anywhere', () => {
    const [log, host] = opened({ 'internal.segment.bytes': 200 })
    for (let i = 0; i < 6; i++) append(log, sequenced(1, 0, i))
    log.setHighWatermark(6)
    log.truncateFullyAndStartAt(29, 'reset')
    expect(log.segments.map((segment) => segment.baseOffset)).toEqual([29])
    expect([log.logStartOffset, log.logEndOffset, log.highWatermark]).toEqual([29, 29, 29])
    expect([log.producers.snapshots, log.producers.mapEndOffset, log.producers.isEmpty]).toEqual([[], 29, true])
    expect(append(log, batch(1), 1)).toEqual([29, 29])
    expect(contents(log)).toEqual(['29=value-0'])
    host.run(61_000)
    expect(host.files().filter((file) => file.endsWith('.log'))).toEqual(['00000000000000000029.log'])
  })

  it('at the base of a segment leaves that segment empty', () => {
    const [log] = opened({ 'internal.segment.bytes': 300 })
    for (let i = 0; i < 9; i++) append(log, sized(100))
    log.truncateTo(3, 'test')
    expect(log.segments.map((segment) => [segment.baseOffset, segment.size])).toEqual([
      [0, 300],
      [3, 0],
    ])
  })

  it('below the log start within the first segment takes the log start back', () => {
    const [log, host] = opened()
    for (let i = 0; i < 5; i++) append(log, batch(1))
    log.setHighWatermark(5)
    log.advanceLogStartOffset(4, 'delete-records')
    log.truncateTo(2, 'unclean')
    expect([log.logStartOffset, log.logEndOffset, log.highWatermark]).toEqual([2, 2, 2])
    expect(host.eventsOf('log.start-offset').map((event) => [event.from, event.to, event.reason])).toEqual([
      [0, 4, 'delete-records'],
      [4, 2, 'unclean'],
    ])
  })

  it('counts the bytes up to the next index entry anew', () => {
    const [log] = opened({ 'index.interval.bytes': 250 })
    for (let i = 0; i < 3; i++) append(log, sized(100))
    log.truncateTo(2, 'test')
    for (let i = 0; i < 3; i++) append(log, sized(100))
    expect(log.segments[0]?.offsetIndex.entries).toBe(0)
    append(log, sized(100))
    expect(log.segments[0]?.offsetIndex.lastOffset).toBe(5)
  })

  it('finds the greatest timestamp of what is left', () => {
    const [log] = opened()
    for (const timestamp of [10, 30, 20]) append(log, batch(1, {}, timestamp))
    log.truncateTo(1, 'test')
    expect(log.segments[0]?.maxTimestamp).toEqual({ timestamp: 10, offset: 0 })
  })
})

describe('the high watermark', () => {
  it('stays between log start and log end', () => {
    const [log] = opened()
    append(log, batch(5))
    expect([log.setHighWatermark(3), log.setHighWatermark(99), log.setHighWatermark(-5)]).toEqual([3, 5, 0])
    expect([log.maybeIncrementHighWatermark(4), log.maybeIncrementHighWatermark(4), log.highWatermark]).toEqual([
      true,
      false,
      4,
    ])
    expect(() => log.maybeIncrementHighWatermark(6)).toThrow('beyond the log end')
  })

  it('bounds the log start offset', () => {
    const [log, host] = opened()
    append(log, batch(5))
    log.setHighWatermark(3)
    expect(errorName(log.advanceLogStartOffset(4, 'delete-records'))).toBe('OFFSET_OUT_OF_RANGE')
    expect(errorName(log.advanceLogStartOffset(2, 'delete-records'))).toBe('NONE')
    expect(errorName(log.advanceLogStartOffset(1, 'delete-records'))).toBe('NONE')
    expect([log.logStartOffset, epochsOf(log)]).toEqual([2, '0:2'])
    expect(host.eventsOf('log.start-offset')).toEqual([{ partition: TP, from: 0, to: 2, reason: 'delete-records' }])
  })
})

describe('the topic id', () => {
  const ID = 'AAAAAAAAAAAAAAAAAAAAAQ'

  it('is in partition.metadata by the first append, and read back', () => {
    const host = new LogHost()
    const log = host.open({ topicId: ID })
    append(log, batch(1))
    expect(host.text(`${TP}/partition.metadata`)).toBe(`version: 0\ntopic_id: ${ID}`)
    expect(host.open().topicId).toBe(ID)
  })

  it('can be assigned later, once', () => {
    const [log, host] = opened()
    expect(errorName(log.assignTopicId(ID))).toBe('NONE')
    expect(errorName(log.assignTopicId('AAAAAAAAAAAAAAAAAAAAAg'))).toBe('INCONSISTENT_TOPIC_ID')
    host.run()
    expect(host.disk.exists(`${TP}/partition.metadata`)).toBe(true)
  })
})

function offsets(log: PartitionLog, from: number, maxBytes = 1_048_576, upTo = log.logEndOffset): number[] {
  return found(log, from, maxBytes, upTo).batches.map((each) => each.baseOffset)
}

/** The batch with one bit of its last byte turned. */
function corrupted(given: RecordBatch): RecordBatch {
  const bytes = given.toBytes().slice()
  bytes[bytes.length - 1] = (bytes[bytes.length - 1] as number) ^ 1
  return RecordBatch.parse(bytes) as RecordBatch
}
