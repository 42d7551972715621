import { describe, expect, it } from 'vitest'
import type { PartitionLog } from '../../sim/log/partition-log.js'
import { DEFAULT_PRODUCER_STATE } from '../../sim/log/partition-log-options.js'
import { errorName } from '../../sim/wire/errors.js'
import type { RecordBatch } from '../../sim/wire/record-batch.js'
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
  replicate,
  sequenced,
  sized,
  TP,
} from './harness.js'

const SEGMENT = `${TP}/00000000000000000000`

/** Overwrites bytes of a file, as rot or another process would. */
function overwrite(host: LogHost, path: string, position: number, change: (bytes: Uint8Array) => void): void {
  const bytes = (host.disk.readFile(path) as Uint8Array).slice()
  change(bytes.subarray(position))
  host.write(path, bytes)
}

function cut(host: LogHost, path: string, size: number): void {
  host.disk.open(path).truncate(size)
}

describe('recovery of a torn end', () => {
  it('keeps the whole batches, whatever part of the last one is left', () => {
    const sizes = [0, 1, 2].map((i) => batch([`value ${i}`]).sizeInBytes)
    const [first, second, third] = sizes as [number, number, number]
    for (let left = 0; left <= third; left++) {
      const host = new LogHost()
      const log = host.open()
      for (let i = 0; i < 3; i++) append(log, batch([`value ${i}`]), 1)
      host.run()
      host.world.kill('b1')
      cut(host, `${SEGMENT}.log`, first + second + left)
      host.world.start('b1')
      const again = host.open({ clean: false })
      const whole = left === third
      expect(contents(again)).toEqual(['0=value 0', '1=value 1', ...(whole ? ['2=value 2'] : [])])
      expect([again.logEndOffset, again.sizeInBytes]).toEqual(whole ? [3, first + second + third] : [2, first + second])
      expect(host.eventsOf('log.corrupt')).toEqual(
        whole || left === 0 ? [] : [{ partition: TP, offset: 2, position: first + second, found: 'recovery' }],
      )
      expect(append(again, batch(['new']))).toEqual([again.logEndOffset - 1, again.logEndOffset - 1])
      expect(contents(again).length).toBe(whole ? 4 : 3)
    }
  })

  it('cuts nonsense after the last batch, and makes the indexes anew', () => {
    const host = new LogHost()
    const overrides = { 'internal.segment.bytes': 1_000, 'index.interval.bytes': 1 }
    const log = host.open({ config: config(overrides) })
    for (let i = 0; i < 60; i++) append(log, batch(['test']))
    const before = batches(log)
    const entries = log.segments.map((segment) => segment.offsetIndex.entries)
    const active = log.segments[log.segments.length - 1]?.baseOffset as number
    host.run()
    host.world.kill('b1')
    const path = `${TP}/${String(active).padStart(20, '0')}`
    for (let length = 1; length < 400; length += 57) {
      host.disk.open(`${path}.log`).append(new Uint8Array(length).fill(length))
      host.disk.open(`${path}.index`).append(new Uint8Array(length).fill(length))
      host.world.start('b1')
      const again = host.open({ config: config(overrides), clean: false, recoveryPoint: 50 })
      expect(batches(again)).toEqual(before)
      expect(again.segments.map((segment) => segment.offsetIndex.entries)).toEqual(entries)
      host.world.kill('b1')
    }
  })
})

describe('recovery of a corrupt middle', () => {
  function filled(overrides: Record<string, unknown> = {}): [PartitionLog, LogHost] {
    const host = new LogHost()
    const log = host.open({ config: config(overrides) })
    for (let i = 0; i < 12; i++) append(log, sized(100), Math.floor(i / 4))
    host.run()
    return [log, host]
  }

  it.each([
    ['a byte of a record', 590, 5],
    ['its CRC', 518, 5],
    ['its length', 508, 5],
    ['its magic', 516, 5],
  ])('ends the log before the batch whose %s changed', (_what, position, end) => {
    const [, host] = filled()
    host.world.kill('b1')
    overwrite(host, `${SEGMENT}.log`, position, (bytes) => void (bytes[0] = (bytes[0] as number) ^ 0x55))
    host.world.start('b1')
    const again = host.open({ clean: false })
    expect([again.logEndOffset, again.sizeInBytes, epochsOf(again)]).toEqual([end, end * 100, '0:0 1:4'])
    expect(host.eventsOf('log.corrupt')).toEqual([{ partition: TP, offset: 5, position: 500, found: 'recovery' }])
    expect(host.eventsOf('log.open')[1]).toMatchObject({ logEnd: 5, clean: false, epochs: [0, 0, 1, 4] })
  })

  it('deletes the segments after it', () => {
    const [log, host] = filled({ 'internal.segment.bytes': 300 })
    expect(log.segments.map((segment) => segment.baseOffset)).toEqual([0, 3, 6, 9])
    host.world.kill('b1')
    overwrite(host, `${TP}/00000000000000000003.log`, 190, (bytes) => void (bytes[0] = 0x55))
    host.world.start('b1')
    const again = host.open({ clean: false, config: log.config })
    expect(again.segments.map((segment) => segment.baseOffset)).toEqual([0, 3])
    expect([again.logEndOffset, epochsOf(again)]).toEqual([4, '0:0'])
    expect(host.eventsOf('log.truncate')).toEqual([{ partition: TP, from: 12, to: 4, reason: 'recovery' }])
    host.run(60_000)
    expect(host.files().filter((file) => file.includes('.deleted'))).toEqual([])
    expect(host.files().filter((file) => file.endsWith('.log')).length).toBe(2)
  })

  it('does not look below the recovery point', () => {
    const [log, host] = filled({ 'internal.segment.bytes': 300 })
    host.world.kill('b1')
    overwrite(host, `${TP}/00000000000000000003.log`, 190, (bytes) => void (bytes[0] = 0x55))
    host.world.start('b1')
    const again = host.open({ clean: false, config: log.config, recoveryPoint: 6 })
    expect(again.logEndOffset).toBe(12)
    expect(host.eventsOf('log.corrupt')).toEqual([])
    // The leader serves the batch as it is; whoever takes it finds out.
    const stored = found(again, 4, 100, 12).batches[0] as RecordBatch
    expect(stored.isValid()).toBe(false)
    const other = new LogHost().open()
    other.truncateFullyAndStartAt(4, 'test')
    expect(errorName(other.appendAsFollower([stored], 9).error)).toBe('CORRUPT_MESSAGE')
  })

  it('does not happen with the clean-shutdown marker', () => {
    const [log, host] = filled()
    log.close()
    host.run()
    host.world.kill('b1')
    overwrite(host, `${SEGMENT}.log`, 590, (bytes) => void (bytes[0] = 0x55))
    host.world.start('b1')
    expect(host.open({ clean: true })).toMatchObject({ logEndOffset: 12, recoveryPoint: 12 })
  })
})

describe('bytes that rot under a running broker', () => {
  it('in a header answer CORRUPT_MESSAGE from there on, until the next entry of the index', () => {
    const host = new LogHost()
    const log = host.open({ config: config({ 'index.interval.bytes': 350 }) })
    for (let i = 0; i < 12; i++) append(log, sized(100))
    host.simDisk.corrupt((path) => path.endsWith('.log'), 508, 4)
    expect(found(log, 0).batches.map((each) => each.baseOffset)).toEqual([0, 1, 2, 3, 4])
    expect(errorName(log.read(5, 10_000, 12, true).error)).toBe('CORRUPT_MESSAGE')
    expect(host.eventsOf('log.corrupt')).toEqual([{ partition: TP, offset: 5, position: 500, found: 'fetch' }])
    expect(found(log, 8).batches.map((each) => each.baseOffset)).toEqual([8, 9, 10, 11])
    host.reboot()
    const again = host.open({ clean: true, config: log.config })
    expect(again.logEndOffset).toBe(12)
    expect(errorName(again.read(5, 10_000, 12, true).error)).toBe('CORRUPT_MESSAGE')
    expect(found(again, 8).batches.map((each) => each.baseOffset)).toEqual([8, 9, 10, 11])
  })

  it('in a record are served as they are', () => {
    const host = new LogHost()
    const log = host.open()
    for (let i = 0; i < 3; i++) append(log, sized(100))
    host.simDisk.corrupt((path) => path.endsWith('.log'), 190)
    expect(found(log, 0).batches.map((each) => each.isValid())).toEqual([true, false, true])
  })
})

describe('recovery of what belongs to the segments', () => {
  it('makes a missing offset index anew, also after a clean shutdown', () => {
    for (const clean of [true, false]) {
      const host = new LogHost()
      const overrides = config({ 'internal.segment.bytes': 200, 'index.interval.bytes': 1 })
      const log = host.open({ config: overrides })
      for (let i = 0; i < 40; i++) append(log, batch(['0123456789'], {}, 1_000 + i * 10))
      log.close()
      host.run()
      host.world.kill('b1')
      for (const file of host.files()) if (file.endsWith('index')) host.disk.remove(`${TP}/${file}`)
      host.world.start('b1')
      const again = host.open({ config: overrides, clean, recoveryPoint: 40 })
      expect([
        again.logEndOffset,
        again.segments[0]?.offsetIndex.entries,
        again.segments[0]?.timeIndex.entries,
      ]).toEqual([40, 1, 1])
      for (let i = 0; i < 40; i++) {
        expect(found(again, i, 1).batches[0]?.baseOffset).toBe(i)
        expect(again.offsetForTimestamp(1_000 + i * 10)?.offset).toBe(i)
      }
    }
  })

  it('leaves the same indexes as were written', () => {
    const host = new LogHost()
    const overrides = config({ 'internal.segment.bytes': 700, 'index.interval.bytes': 300 })
    const log = host.open({ config: overrides })
    for (let i = 0; i < 30; i++) append(log, sized(100, {}, 1_000 + i))
    log.close()
    host.run()
    const hex = () => host.files().map((file) => (file.endsWith('index') ? [file, host.hex(`${TP}/${file}`)] : []))
    const before = hex()
    host.reboot()
    host.open({ config: overrides, clean: false })
    expect(hex()).toEqual(before)
  })

  it('takes epochs from the batches where the checkpoint has fewer', () => {
    const host = new LogHost()
    const log = host.open()
    for (const [offset, epoch] of [1, 2, 2, 3].entries()) appended(replicate(log, offset, batch(1), epoch))
    log.epochs.truncateFromEnd(2)
    host.run()
    expect(epochsOf(log)).toBe('1:0 2:1')
    host.reboot()
    expect(epochsOf(host.open({ clean: false }))).toBe('1:0 2:1 3:3')
  })

  it('drops epochs beyond the end and before the start', () => {
    const host = new LogHost()
    const log = host.open()
    for (let epoch = 0; epoch < 5; epoch++) append(log, sized(100), epoch)
    log.assignEpochStartOffset(9, 5)
    host.run()
    host.world.kill('b1')
    cut(host, `${SEGMENT}.log`, 300)
    host.world.start('b1')
    const again = host.open({ clean: false, logStartOffset: 2 })
    expect([again.logStartOffset, again.logEndOffset, epochsOf(again)]).toEqual([2, 3, '2:2'])
    host.run()
    expect(host.text(`${TP}/leader-epoch-checkpoint`)).toBe('0\n1\n2 2\n')
  })

  it('rebuilds producers from the last snapshot and the log after it', () => {
    const host = new LogHost()
    const overrides = config({ 'internal.segment.bytes': 500 })
    const log = host.open({ config: overrides })
    for (let sequence = 0; sequence < 30; sequence++)
      append(log, sequenced(sequence % 3, 0, Math.floor(sequence / 3), 1, {}, host.wallMs))
    const snapshots = log.producers.snapshots.slice()
    host.run()
    host.reboot()
    const again = host.open({ config: overrides, clean: false })
    for (let id = 0; id < 3; id++) expect(again.producers.entry(id)?.lastSequence).toBe(9)
    expect(again.producers.snapshots).toEqual([...snapshots, 30])
    // All but the last two were not needed for it.
    host.world.kill('b1')
    for (const offset of snapshots.slice(0, -2)) host.disk.remove(`${TP}/${String(offset).padStart(20, '0')}.snapshot`)
    host.world.start('b1')
    const third = host.open({ config: overrides, clean: false, recoveryPoint: 30 })
    for (let id = 0; id < 3; id++) expect(third.producers.entry(id)?.lastSequence).toBe(9)
  })

  it('leaves snapshots for the segments that it recovered, for the two before the end, and for the end', () => {
    const host = new LogHost()
    const overrides = config({ 'internal.segment.bytes': 640 })
    const log = host.open({ config: overrides })
    for (let i = 0; i <= 100; i++) append(log, sized(78, {}, host.wallMs))
    const bases = log.segments.map((segment) => segment.baseOffset)
    expect(bases.length).toBeGreaterThan(5)
    log.close()
    host.run()
    host.world.kill('b1')
    const path = (offset: number) => `${TP}/${String(offset).padStart(20, '0')}.snapshot`
    for (const base of bases.slice(1, -2)) host.disk.remove(path(base))
    host.world.start('b1')
    const again = host.open({ config: overrides, clean: false, recoveryPoint: bases.at(-4) as number })
    expect(again.producers.snapshots).toEqual([...bases.slice(-4), 101])
    expect(host.files().filter((file) => file.endsWith('.snapshot')).length).toBe(5)
    // With none at all the rebuild itself leaves those of the last two segments.
    again.close()
    host.run()
    host.world.kill('b1')
    for (const offset of again.producers.snapshots) host.disk.remove(path(offset))
    host.world.start('b1')
    const third = host.open({ config: overrides, clean: false, recoveryPoint: 101 })
    expect(third.producers.snapshots).toEqual([...bases.slice(-2), 101])
  })

  it('keeps the snapshot of the end, and drops strays between segments', () => {
    const host = new LogHost()
    const log = host.open()
    for (let i = 0; i < 4; i++) {
      append(log, sequenced(1, 0, i, 1, {}, host.wallMs))
      if (i < 2) log.roll()
    }
    log.close()
    host.run()
    expect(log.producers.snapshots).toEqual([1, 2, 4])
    host.write(`${TP}/00000000000000000003.snapshot`, new Uint8Array(0))
    host.reboot()
    expect(host.open({ clean: false }).producers.snapshots).toEqual([1, 2, 4])
  })

  it('keeps producers whose records were deleted, when a snapshot knows them', () => {
    const host = new LogHost()
    const log = host.open()
    append(log, sequenced(1, 0, 0, 1, {}, host.wallMs))
    append(log, sequenced(2, 0, 0, 1, {}, host.wallMs))
    log.setHighWatermark(2)
    log.advanceLogStartOffset(1, 'delete-records')
    expect([...log.producers.producers.keys()]).toEqual([1, 2])
    log.close()
    host.run()
    host.reboot()
    expect([...host.open({ clean: false, logStartOffset: 1 }).producers.producers.keys()]).toEqual([1, 2])
  })

  it('opens a log without transactions or snapshots after a clean shutdown without reading it', () => {
    const host = new LogHost()
    const log = host.open()
    append(log, batch(1))
    log.roll()
    append(log, batch(2))
    log.close()
    host.run()
    for (const file of host.files()) if (file.endsWith('.snapshot')) host.disk.remove(`${TP}/${file}`)
    host.reboot()
    const again = host.open({ producers: DEFAULT_PRODUCER_STATE })
    expect(again.producers.snapshots).toEqual([1, 3])
  })
})

describe('a log start offset beyond the segments', () => {
  it('empties a log that ends below it', () => {
    const host = new LogHost()
    const log = host.open()
    for (let i = 0; i < 9; i++) {
      append(log, batch(1))
      log.roll()
    }
    log.setHighWatermark(9)
    log.advanceLogStartOffset(4, 'delete-records')
    log.close()
    host.run()
    host.world.kill('b1')
    host.write(`${TP}/00000000000000000001.log`, 'corruptRecord')
    host.world.start('b1')
    const again = host.open({ clean: false, logStartOffset: 4 })
    expect([again.logStartOffset, again.logEndOffset]).toEqual([4, 4])
    expect(again.segments.map((segment) => segment.baseOffset)).toEqual([4])
    expect(again.producers.snapshots).toEqual([])
    for (let i = 0; i < 5; i++) {
      append(again, batch(1))
      again.roll()
    }
    host.run(60_000)
    expect([again.logEndOffset, again.producers.snapshots]).toEqual([9, [5, 6, 7, 8, 9]])
    expect(host.files().filter((file) => file.endsWith('.snapshot')).length).toBe(5)
    expect(host.files().filter((file) => file.endsWith('.deleted'))).toEqual([])
  })

  it('begins an empty log there', () => {
    const log = new LogHost().open({ logStartOffset: 500 })
    expect([log.logStartOffset, log.logEndOffset, log.highWatermark]).toEqual([500, 500, 500])
  })

  it('is the base of the first segment when that is higher', () => {
    const host = new LogHost()
    host.open().truncateFullyAndStartAt(7, 'test')
    host.run()
    host.reboot()
    const again = host.open({ clean: false })
    expect([again.logStartOffset, again.logEndOffset, again.recoveryPoint]).toEqual([7, 7, 7])
    expect(replicate(again, 4, batch(3))).toMatchObject({ kind: 'unexpected-offset', firstOffset: 4, lastOffset: 6 })
  })
})

describe('leftovers of an unclean end', () => {
  function withSegments(): LogHost {
    const host = new LogHost()
    const log = host.open()
    for (let i = 0; i < 3; i++) {
      append(log, batch([`v${i}`]))
      log.roll()
    }
    log.close()
    host.run()
    host.world.kill('b1')
    return host
  }

  function copy(host: LogHost, from: string, to: string): void {
    for (const suffix of ['.log', '.index', '.timeindex']) {
      host.write(`${TP}/${to.replace('*', suffix)}`, host.disk.readFile(`${TP}/${from}${suffix}`) as Uint8Array)
    }
  }

  const names = (host: LogHost) => host.files().filter((file) => /\.log|\.index/.test(file))

  it('.deleted and .cleaned files, and indexes without a log, are removed', () => {
    const host = withSegments()
    copy(host, '00000000000000000000', '00000000000000000000*.cleaned')
    copy(host, '00000000000000000001', '00000000000000000001*.deleted')
    host.write(`${TP}/00000000000000000077.index`, new Uint8Array(8))
    host.write(`${TP}/00000000000000000009-0000000001.checkpoint.deleted`, 'of the metadata log')
    host.world.start('b1')
    expect(contents(host.open({ clean: false }))).toEqual(['0=v0', '1=v1', '2=v2'])
    expect(host.files().filter((file) => /cleaned|deleted|77/.test(file))).toEqual([
      '00000000000000000009-0000000001.checkpoint.deleted',
    ])
  })

  it('.swap files of a finished compaction replace the segments that they cover', () => {
    const host = withSegments()
    // Segments 0 and 1 were merged into one that begins at 0 and holds the batch at 1 only.
    copy(host, '00000000000000000001', '00000000000000000000*.swap')
    host.world.start('b1')
    expect(contents(host.open({ clean: false }))).toEqual(['1=v1', '2=v2'])
    expect(names(host).filter((file) => file.endsWith('.log'))).toEqual([
      '00000000000000000000.log',
      '00000000000000000002.log',
      '00000000000000000003.log',
    ])
  })

  it('.swap files beside .cleaned ones belong to an unfinished compaction, and go', () => {
    const host = withSegments()
    copy(host, '00000000000000000001', '00000000000000000000*.swap')
    copy(host, '00000000000000000000', '00000000000000000000*.cleaned')
    host.world.start('b1')
    expect(contents(host.open({ clean: false }))).toEqual(['0=v0', '1=v1', '2=v2'])
  })
})

describe('after an end without a crash', () => {
  it('a log is opened as it was, and goes on', () => {
    const host = new LogHost()
    const log = host.open({ config: config({ 'internal.segment.bytes': 250 }) })
    for (let i = 0; i < 10; i++) append(log, batch([`v${i}`], {}, 1_000 + i), i)
    const before = [contents(log), epochsOf(log), log.segments.map((segment) => segment.maxTimestamp)]
    log.close()
    host.run()
    host.reboot()
    const again = host.open({ config: log.config })
    expect([contents(again), epochsOf(again), again.segments.map((segment) => segment.maxTimestamp)]).toEqual(before)
    expect(host.eventsOf('log.open')[1]).toMatchObject({ logStart: 0, logEnd: 10, recoveryPoint: 10, clean: true })
    expect(append(again, batch(['v10']), 10)).toEqual([10, 10])
    expect(again.truncateTo(2, 'test')).toBe(true)
    expect([again.segments.length, again.logEndOffset]).toEqual([1, 2])
  })
})
