/** What compaction leaves of a log: cases of Kafka's LogCleanerTest. */
import { describe, expect, it } from 'vitest'
import { groupSegments } from '../../sim/log/group-segments.js'
import { OffsetMap } from '../../sim/log/offset-map.js'
import { Errors } from '../../sim/wire/errors.js'
import { CleaningLab, LATE, NOW, RETENTION, keyed } from './cleaning-lab.js'
import { append, batch, config, marker, refusal, replicate, TP } from './harness.js'

const SMALL = { 'internal.segment.bytes': 256 }

describe('compaction', () => {
  it('keeps the last record of each key, at its offset, and the batches of which all is kept', () => {
    const lab = new CleaningLab()
    lab.write('a b a c')
    lab.write('d')
    const untouched = lab.batches[1]
    lab.write('b e')
    lab.log.roll()
    expect(lab.clean()).toBe(7)
    expect(lab.records).toBe('2=a 3=c 4=d 5=b 6=e')
    expect(lab.lastOffsets).toEqual([3, 4, 6])
    expect(lab.batches[1]).toBe(untouched)
    expect(lab.batches.every((each) => each.isValid())).toBe(true)
  })

  it('leaves the active segment alone', () => {
    const lab = new CleaningLab()
    lab.each('a b')
    lab.log.roll()
    lab.each('a a')
    lab.clean()
    expect(lab.records).toBe('0=a 1=b 2=a 3=a')
  })

  it('leaves everything at and above the first uncleanable offset alone, and does not go by it', () => {
    const lab = new CleaningLab()
    for (const keys of ['a b', 'a c', 'b c', 'x']) {
      lab.write(keys)
      lab.log.roll()
    }
    expect(lab.clean(NOW, 4)).toBe(4)
    expect(lab.records).toBe('1=b 2=a 3=c 4=b 5=c 6=x')
  })

  it('drops records without a key, which were written before the topic was compacted', () => {
    const lab = new CleaningLab({ config: { 'cleanup.policy': 'delete' } })
    append(lab.log, batch(['lost']))
    lab.write('a')
    lab.log.updateConfig(config(lab.overrides))
    lab.log.roll()
    lab.clean()
    expect(lab.records).toBe('1=a')
  })

  it('refuses records without a key on a compacted topic', () => {
    const lab = new CleaningLab()
    const refused = refusal(lab.log.appendAsLeader([batch(['a', 'b'])], 0))
    expect(refused.error).toBe(Errors.INVALID_RECORD)
    expect(refused.recordErrors?.map(({ batchIndex }) => batchIndex)).toEqual([0, 1])
  })

  it('keeps the last batch of a round, if need be without records', () => {
    const lab = new CleaningLab()
    lab.each('a b c')
    lab.log.roll()
    lab.each('a b c')
    lab.log.roll()
    lab.clean(NOW, 3)
    lab.dirty = 3
    lab.clean()
    expect(lab.records).toBe('3=a 4=b 5=c')
    expect(lab.lastOffsets).toEqual([3, 4, 5])
    const unclean = new CleaningLab()
    unclean.each('a b c')
    unclean.log.roll()
    unclean.each('a b c')
    unclean.log.roll()
    unclean.dirty = 3
    // The second segment says what of the first may go; the round ends with it.
    unclean.clean()
    expect(unclean.records).toBe('3=a 4=b 5=c')
  })

  it('keeps an empty batch where a whole round has nothing else left', () => {
    const lab = new CleaningLab()
    lab.each('a! b! c!')
    lab.log.roll()
    lab.cleanTwice()
    expect(lab.records).toBe('')
    expect(lab.batches.map(({ count, lastOffset, maxTimestamp }) => [count, lastOffset, maxTimestamp])).toEqual([
      [0, 2, NOW],
    ])
    expect(lab.log.logEndOffset).toBe(3)
  })

  it('goes on where offsets are missing', () => {
    const lab = new CleaningLab()
    lab.write('a')
    replicate(lab.log, 10, keyed('a b'))
    lab.log.roll()
    replicate(lab.log, 30, keyed('c'))
    lab.log.roll()
    expect(lab.clean()).toBe(lab.log.cleanable.activeSegment.baseOffset)
    expect(lab.records).toBe('10=a 11=b 30=c')
  })

  it('makes the new segment as old as the last one it was made from', () => {
    const lab = new CleaningLab()
    lab.each('a b')
    lab.log.roll()
    const before = lab.log.segments[0]?.lastModifiedMs
    lab.host.run(60_000)
    lab.clean()
    expect(lab.log.segments[0]?.lastModifiedMs).toBe(before)
  })

  it('reads batches larger than its buffer', () => {
    const lab = new CleaningLab({ bufferBytes: 10 })
    lab.write('a b c')
    lab.write('a')
    lab.log.roll()
    lab.clean()
    expect(lab.records).toBe('1=b 2=c 3=a')
  })
})

describe('the offset map', () => {
  it('has a slot for every 24 bytes', () => {
    expect(new OffsetMap(100).slots).toBe(4)
    const map = new OffsetMap(48)
    map.put(Uint8Array.of(1), 3)
    map.put(Uint8Array.of(1), 7)
    expect([map.size, map.latestOffset, map.get(Uint8Array.of(1)), map.get(Uint8Array.of(1, 0))]).toEqual([1, 7, 7, -1])
    map.clear()
    expect([map.size, map.latestOffset]).toEqual([0, -1])
  })

  it('that is full ends the round there; the next one goes on', () => {
    const lab = new CleaningLab({ slots: 2 })
    lab.each('a b')
    lab.each('a c d a')
    lab.log.roll()
    // A key that is known does not count as one more, but is not taken any more either.
    expect(lab.clean()).toBe(2)
    expect(lab.records).toBe('0=a 1=b 2=a 3=c 4=d 5=a')
    expect(lab.clean()).toBe(4)
    expect(lab.records).toBe('1=b 2=a 3=c 4=d 5=a')
    expect(lab.clean()).toBe(6)
    expect(lab.records).toBe('1=b 3=c 4=d 5=a')
  })

  it('may fill up in the middle of a batch', () => {
    const lab = new CleaningLab({ slots: 2 })
    lab.write('a b c a')
    lab.log.roll()
    expect(lab.clean()).toBe(2)
    expect(lab.clean()).toBe(4)
    expect(lab.records).toBe('1=b 2=c 3=a')
  })
})

describe('tombstones', () => {
  it('take earlier records away, and go themselves delete.retention.ms after a cleaning first met them', () => {
    const lab = new CleaningLab()
    lab.each('a a! b')
    lab.log.roll()
    lab.clean(NOW)
    expect(lab.records).toBe('1=a! 2=b')
    expect(lab.batches.map((each) => each.deleteHorizonMs)).toEqual([NOW + RETENTION, undefined])
    lab.again(NOW + RETENTION - 1)
    expect(lab.records).toBe('1=a! 2=b')
    lab.again(NOW + RETENTION)
    expect(lab.records).toBe('2=b')
  })

  it('wait for their horizon whatever their own timestamps say', () => {
    const lab = new CleaningLab()
    lab.write('a', {}, LATE)
    lab.log.roll()
    lab.clean()
    lab.write('a!', {}, 1)
    lab.log.roll()
    lab.clean()
    lab.write('b')
    lab.log.roll()
    lab.clean()
    expect(lab.records).toBe('1=a! 2=b')
  })

  it('keep the timestamps of the records beside them when the horizon takes the place of the base timestamp', () => {
    const lab = new CleaningLab()
    lab.write('a! b', {}, NOW - 7)
    lab.log.roll()
    lab.clean()
    const [first] = lab.batches
    expect(first?.baseTimestamp).toBe(NOW + RETENTION)
    expect([first?.maxTimestamp, ...(first?.records() ?? []).map(({ timestamp }) => timestamp)]).toEqual([
      NOW - 7,
      NOW - 7,
      NOW - 7,
    ])
  })

  it('keep a horizon that was given through further cleanings', () => {
    const lab = new CleaningLab()
    lab.write('a! b')
    lab.log.roll()
    lab.clean(NOW)
    lab.write('b')
    lab.log.roll()
    lab.clean(NOW + 500)
    expect(lab.records).toBe('0=a! 2=b')
    expect(lab.batches[0]?.deleteHorizonMs).toBe(NOW + RETENTION)
  })
})

describe('producers', () => {
  it('keep their last batch, so that a retry is still known after the log was opened again', () => {
    const lab = new CleaningLab()
    lab.produce(1, '1 2 3', false)
    lab.produce(2, '3 1 4', false)
    lab.produce(3, '1 4', false)
    lab.log.roll()
    lab.clean()
    expect([lab.records, lab.lastOffsets]).toEqual(['1=2 3=3 6=1 7=4', [2, 5, 7]])
    lab.reload()
    const retry = (id: number, keys: string): unknown =>
      lab.log.appendAsLeader([keyed(keys, { producerId: id, producerEpoch: 0, baseSequence: 0 })], 0)
    expect(retry(1, '1 2 3')).toMatchObject({ duplicate: true, firstOffset: 0, lastOffset: 2 })
    expect(retry(3, '1 4')).toMatchObject({ duplicate: true, firstOffset: 6, lastOffset: 7 })
    expect(retry(2, '3 1 4')).toMatchObject({ duplicate: true, firstOffset: 3, lastOffset: 5 })
    lab.produce(4, '2', false)
    lab.log.roll()
    lab.again()
    expect([lab.records, lab.lastOffsets]).toEqual(['3=3 6=1 7=4 8=2', [2, 5, 7, 8]])
    lab.reload()
    expect(retry(1, '1 2 3')).toMatchObject({ duplicate: true, firstOffset: 0, lastOffset: 2 })
  })

  it('keep their last batch as an empty one when its records go', () => {
    const lab = new CleaningLab()
    lab.produce(1, 'a', false)
    lab.write('a')
    lab.log.roll()
    lab.clean()
    const [first] = lab.batches
    expect([first?.count, first?.producerId, first?.baseSequence, first?.lastOffset]).toEqual([0, 1, 0, 0])
    expect(lab.records).toBe('1=a')
  })

  it('keep their last sequence also when the transaction was aborted', () => {
    const lab = new CleaningLab()
    lab.produce(1, 'a')
    lab.produce(1, 'b')
    lab.abort(1)
    lab.log.roll()
    lab.clean()
    expect([lab.records, lab.lastOffsets]).toEqual(['', [1, 2]])
    lab.reload()
    expect(lab.log.producers.entry(1)?.lastSequence).toBe(1)
  })
})

describe('transactions', () => {
  it('lose what was aborted; what was committed is compacted', () => {
    const lab = new CleaningLab()
    lab.produce(1, '1 2')
    lab.produce(2, '2 3')
    lab.produce(1, '3 4')
    lab.abort(1)
    lab.commit(2)
    lab.produce(1, '2')
    lab.commit(1)
    lab.log.roll()
    const aborted = lab.log.collectAbortedTransactions(0, lab.log.logEndOffset)
    expect(aborted).toHaveLength(1)
    lab.clean()
    expect([lab.records, lab.offsets]).toEqual(['3=3 8=2', [3, 6, 7, 8, 9]])
    expect(lab.log.collectAbortedTransactions(0, lab.log.logEndOffset)).toEqual(aborted)
    lab.cleanTwice()
    expect(lab.offsets).toEqual([3, 7, 8, 9])
    expect(lab.log.collectAbortedTransactions(0, lab.log.logEndOffset)).toEqual([])
  })

  it('keep a commit marker while a batch of it is left, and then until its horizon', () => {
    const lab = new CleaningLab({ config: SMALL })
    lab.produce(1, '1')
    lab.produce(1, '2 3')
    lab.commit(1)
    lab.produce(1, '2')
    lab.commit(1)
    lab.log.roll()
    lab.clean()
    expect([lab.records, lab.offsets]).toEqual(['0=1 2=3 4=2', [0, 2, 3, 4, 5]])
    lab.produce(1, '1 3')
    lab.commit(1)
    lab.log.roll()
    lab.clean()
    expect([lab.records, lab.offsets]).toEqual(['4=2 6=1 7=3', [3, 4, 5, 6, 7, 8]])
    lab.again()
    expect(lab.offsets).toEqual([3, 4, 5, 6, 7, 8])
    lab.again(LATE)
    expect(lab.offsets).toEqual([4, 5, 6, 7, 8])
  })

  it('keep a marker as long as an empty batch of theirs holds a sequence', () => {
    const lab = new CleaningLab({ config: SMALL })
    lab.produce(1, '2 3')
    lab.log.roll()
    lab.produce(2, '2 3')
    lab.commit(2)
    lab.log.roll()
    lab.each('2 3')
    lab.commit(1)
    lab.log.roll()
    for (let round = 0; round < 2; round++) {
      lab.again()
      expect([lab.records, lab.offsets, lab.lastOffsets]).toEqual(['5=2 6=3', [4, 5, 6, 7], [1, 3, 4, 5, 6, 7]])
    }
    lab.produce(2, '1')
    lab.commit(2)
    lab.log.roll()
    lab.clean()
    expect([lab.offsets, lab.lastOffsets]).toEqual([
      [4, 5, 6, 7, 8, 9],
      [1, 4, 5, 6, 7, 8, 9],
    ])
    lab.cleanTwice()
    expect([lab.offsets, lab.lastOffsets]).toEqual([
      [5, 6, 7, 8, 9],
      [1, 5, 6, 7, 8, 9],
    ])
  })

  it('leave an empty control batch for the epoch, which later cleanings take as it is', () => {
    const lab = new CleaningLab({ config: SMALL })
    lab.commit(1)
    lab.each('2 3')
    lab.log.roll()
    lab.cleanTwice()
    expect([lab.records, lab.offsets, lab.lastOffsets]).toEqual(['1=2 2=3', [1, 2], [0, 1, 2]])
    lab.again(LATE)
    expect(lab.lastOffsets).toEqual([0, 1, 2])
    lab.reload()
    expect(lab.log.lastStableOffset).toBe(0)
    lab.log.setHighWatermark(3)
    expect(lab.log.lastStableOffset).toBe(3)
  })

  it('lose aborted batches of which nothing more is to be read', () => {
    const lab = new CleaningLab({ config: { 'internal.segment.bytes': 1_000 } })
    lab.produce(1, '1')
    lab.abort(1)
    lab.produce(1, '2')
    lab.produce(1, '2')
    lab.commit(1)
    lab.log.roll()
    lab.clean()
    expect([lab.records, lab.offsets]).toEqual(['3=2', [1, 3, 4]])
    lab.cleanTwice()
    expect([lab.records, lab.offsets]).toEqual(['3=2', [3, 4]])
  })

  it('keep their aborted ranges in the index over rounds that end in the middle', () => {
    const lab = new CleaningLab({ config: { 'delete.retention.ms': 50_000 }, slots: 4, loadFactor: 0.75 })
    const replicated = (id: number, commit: boolean): void => {
      replicate(lab.log, lab.log.logEndOffset, marker(id, 0, commit, 0, NOW))
    }
    lab.produce(1, '1 2')
    lab.produce(2, '2 3')
    lab.produce(1, '3 4')
    replicated(1, true)
    replicated(2, true)
    lab.produce(1, '2 3')
    replicated(1, false)
    lab.produce(2, '4 5')
    lab.produce(1, '5 6')
    replicated(1, true)
    replicated(2, false)
    lab.produce(2, '6 7')
    replicated(2, true)
    lab.log.roll()
    const aborted = (): number[][] =>
      lab.log
        .collectAbortedTransactions(0, lab.log.logEndOffset)
        .map((txn) => [txn.producerId, txn.firstOffset, txn.lastOffset, txn.lastStableOffset])
    const before = [
      [1, 8, 10, 11],
      [2, 11, 16, 17],
    ]
    expect(aborted()).toEqual(before)
    expect(lab.clean()).toBe(4)
    expect(lab.baseOffsets).toEqual([0, 2, 4, 6, 7, 10, 13, 15, 16, 17, 19])
    expect(lab.offsets).toEqual([0, 2, 3, 4, 5, 6, 7, 10, 13, 14, 15, 16, 17, 18, 19])
    expect(aborted()).toEqual(before)
    expect(lab.clean()).toBe(14)
    expect(lab.offsets).toEqual([0, 2, 4, 5, 6, 7, 10, 13, 14, 15, 16, 17, 18, 19])
    expect(aborted()).toEqual([])
    expect(lab.clean(NOW + 50_000)).toBe(20)
    expect(lab.baseOffsets).toEqual([0, 2, 4, 6, 7, 13, 15, 17, 19])
    expect(lab.offsets).toEqual([0, 2, 4, 5, 6, 7, 13, 15, 17, 18, 19])
  })

  it('may span segments', () => {
    for (const isCommitted of [true, false]) {
      const lab = new CleaningLab({ config: { 'internal.segment.bytes': 128 } })
      for (const key of ['1', '2', '3', '4']) lab.produce(1, key)
      lab.end(1, isCommitted)
      lab.each('9 9')
      lab.log.roll()
      lab.clean()
      expect(lab.records).toBe(isCommitted ? '0=1 1=2 2=3 3=4 6=9' : '6=9')
    }
  })

  it('are not mixed up with keys that look like those of markers', () => {
    const lab = new CleaningLab()
    const key = marker(1, 0, true).records()[0]?.key
    lab.produce(1, 'x')
    lab.commit(1)
    const written = lab.log.logEndOffset
    lab.map.put(key as Uint8Array, 5)
    lab.log.roll()
    lab.clean()
    expect(lab.offsets).toEqual([0, written - 1])
  })
})

describe('segments', () => {
  const grouped = (lab: CleaningLab, bytes: number, indexBytes = 1_000_000): number[][] =>
    groupSegments(lab.log.segments.slice(0, -1), bytes, indexBytes, lab.log.cleanable.activeSegment.baseOffset).map(
      (group) => group.map((segment) => segment.baseOffset),
    )

  function four(): CleaningLab {
    const lab = new CleaningLab({ config: { 'index.interval.bytes': 1 } })
    for (const keys of ['a b', 'c d', 'e f', 'g h']) {
      lab.each(keys)
      lab.log.roll()
    }
    return lab
  }

  it('become one while they fit into one, by size and by index', () => {
    const lab = four()
    const size = lab.log.segments[0]?.size as number
    expect(grouped(lab, 4 * size)).toEqual([[0, 2, 4, 6]])
    expect(grouped(lab, 3 * size)).toEqual([[0, 2, 4], [6]])
    expect(grouped(lab, 2 * size)).toEqual([
      [0, 2],
      [4, 6],
    ])
    expect(grouped(lab, 1)).toEqual([[0], [2], [4], [6]])
    expect(lab.log.segments[0]?.offsetIndex.entries).toBe(1)
    expect(grouped(lab, 1_000_000, 16)).toEqual([[0], [2], [4], [6]])
    expect(grouped(lab, 1_000_000, 24)).toEqual([
      [0, 2],
      [4, 6],
    ])
  })

  it('do not become one where offsets would be too far apart for the index', () => {
    const lab = new CleaningLab()
    lab.write('a')
    lab.log.roll()
    replicate(lab.log, 2_147_483_646, keyed('b'))
    lab.log.roll()
    replicate(lab.log, 2_147_483_648, keyed('c'))
    lab.log.roll()
    expect(grouped(lab, 1_000_000)).toEqual([[0, 1], [2_147_483_647]])
  })

  it('are swapped: one in the place of several, with its indexes', () => {
    const lab = four()
    lab.write('a')
    lab.log.roll()
    lab.clean()
    expect(lab.log.segments.map((segment) => segment.baseOffset)).toEqual([0, 9])
    expect(lab.host.files().filter((path) => path.endsWith('.cleaned') || path.endsWith('.swap'))).toEqual([])
    expect(lab.host.files().filter((path) => path.endsWith('.log'))).toEqual([
      '00000000000000000000.log',
      '00000000000000000009.log',
    ])
    expect(lab.log.read(0, 1, 9, true)).toMatchObject({ error: 0, batches: [{ baseOffset: 1 }] })
    expect(lab.log.read(5, 1, 9, true)).toMatchObject({ error: 0, batches: [{ baseOffset: 5 }] })
    lab.host.run(60_001)
    expect(lab.host.files().filter((path) => path.endsWith('.deleted'))).toEqual([])
    expect(lab.host.eventsOf('log.cleaned')).toMatchObject([{ partition: TP, from: 0, to: 9, bound: 9 }])
  })

  it('that hold no record batch where one should be can not be cleaned', () => {
    const lab = new CleaningLab()
    lab.each('a b c')
    lab.log.roll()
    lab.host.simDisk.corrupt((path) => path.endsWith('00000000000000000000.log'), 8, 4)
    const reopened = new CleaningLab({ host: lab.host })
    expect(() => reopened.clean()).toThrow('no record batch at position 0 of segment 0')
  })
})
