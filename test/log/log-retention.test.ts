import { describe, expect, it } from 'vitest'
import type { PartitionLog } from '../../sim/log/partition-log.js'
import {
  EARLIEST_TIMESTAMP,
  LATEST_TIERED_TIMESTAMP,
  LATEST_TIMESTAMP,
  MAX_TIMESTAMP,
} from '../../sim/log/offset-for-timestamp.js'
import { append, batch, config, epochsOf, LogHost, sequenced, sized } from './harness.js'

const WALL = 1_767_225_600_000

function opened(overrides: Record<string, unknown> = {}, host = new LogHost()): [PartitionLog, LogHost] {
  return [host.open({ config: config(overrides) }), host]
}

describe('retention', () => {
  function filled(overrides: Record<string, unknown>, timestamp = -1, count = 15): [PartitionLog, LogHost] {
    const [log, host] = opened({ 'internal.segment.bytes': 500, 'file.delete.delay.ms': 0, ...overrides })
    for (let i = 0; i < count; i++) append(log, sized(100, {}, timestamp), i)
    log.setHighWatermark(log.logEndOffset)
    return [log, host]
  }

  it('by size deletes whole segments while the rest is still as large as retention.bytes', () => {
    expect(filled({ 'retention.bytes': 1_000 })[0].deleteOldSegments()).toBe(1)
    expect(filled({ 'retention.bytes': 1_001 })[0].deleteOldSegments()).toBe(0)
    expect(filled({ 'retention.bytes': 1_500 })[0].deleteOldSegments()).toBe(0)
  })

  it('by time deletes segments whose largest timestamp is older than retention.ms, the active one too', () => {
    const [log] = filled({ 'retention.ms': 10_000 }, 10)
    expect(log.deleteOldSegments(10 + 10_000)).toBe(0)
    expect(log.deleteOldSegments(10 + 10_001)).toBe(3)
    expect([log.logStartOffset, log.logEndOffset, log.segments.length]).toEqual([15, 15, 1])
    expect(epochsOf(log)).toBe('14:15')
    expect(append(log, batch(1), 20)).toEqual([15, 15])
  })

  it('goes by the time of the last append where records have no timestamp', () => {
    const [log, host] = filled({ 'retention.ms': 10_000 })
    host.run(10_000)
    expect(log.deleteOldSegments()).toBe(0)
    host.run(1)
    expect(log.deleteOldSegments()).toBe(3)
  })

  it('deletes nothing at or above the high watermark', () => {
    const [log] = filled({ 'retention.ms': 10_000 }, 10)
    for (const [highWatermark, count] of [
      [4, 0],
      [9, 1],
      [14, 1],
    ] as const) {
      log.setHighWatermark(highWatermark)
      expect(log.deleteOldSegments(1_000_000)).toBe(count)
    }
  })

  it('without policy delete goes only by the log start offset', () => {
    const [log] = filled({ 'cleanup.policy': [], 'retention.ms': 1 }, 10)
    expect(log.deleteOldSegments(1_000_000)).toBe(0)
    log.advanceLogStartOffset(7, 'test')
    expect(log.deleteOldSegments(1_000_000)).toBe(1)
    expect([log.logStartOffset, log.segments[0]?.baseOffset]).toEqual([7, 5])
  })

  it('applies where the policy is compact and delete', () => {
    const [log] = filled({ 'retention.bytes': 1_000 })
    log.updateConfig(config({ 'cleanup.policy': ['compact', 'delete'], 'retention.bytes': 1_000 }))
    expect(log.deleteOldSegments()).toBe(1)
    log.updateConfig(config({ 'cleanup.policy': 'compact', 'retention.bytes': 0 }))
    expect(log.deleteOldSegments()).toBe(0)
  })

  it('removes snapshots with their segments, and files after file.delete.delay.ms', () => {
    const [log, host] = opened({ 'retention.ms': 60_000, 'file.delete.delay.ms': 1_000 })
    for (let i = 0; i < 3; i++) {
      append(log, sequenced(1, 0, i, 1, {}, WALL))
      if (i < 2) log.roll()
    }
    log.setHighWatermark(3)
    host.run(60_001)
    expect(log.deleteOldSegments()).toBe(3)
    expect([log.logStartOffset, log.producers.snapshots]).toEqual([3, [3]])
    expect(host.files().filter((file) => file.endsWith('.deleted')).length).toBe(11)
    host.run(1_000)
    expect(host.files()).toEqual([
      '00000000000000000003.index',
      '00000000000000000003.log',
      '00000000000000000003.snapshot',
      '00000000000000000003.timeindex',
      'leader-epoch-checkpoint',
    ])
    expect(log.producers.entry(1)?.lastSequence).toBe(2)
  })
})

describe('offsets by timestamp', () => {
  it('finds the first record at or after a time, with its epoch', () => {
    const [log] = opened({ 'internal.segment.bytes': 200, 'index.interval.bytes': 1 })
    for (let i = 0; i < 20; i++) append(log, batch(1, {}, 1_000 + i * 10), i)
    expect(log.offsetForTimestamp(1_000)).toEqual({ timestamp: 1_000, offset: 0, leaderEpoch: 0 })
    expect(log.offsetForTimestamp(1_101)).toEqual({ timestamp: 1_110, offset: 11, leaderEpoch: 11 })
    expect(log.offsetForTimestamp(1_191)).toBeUndefined()
  })

  it('knows the earliest, the latest and the greatest', () => {
    const [log] = opened()
    expect(log.offsetForTimestamp(MAX_TIMESTAMP)).toBeUndefined()
    for (const [epoch, timestamp] of [10, 40, 30].entries()) append(log, batch(2, {}, timestamp), epoch)
    expect(log.offsetForTimestamp(EARLIEST_TIMESTAMP)).toEqual({ timestamp: -1, offset: 0, leaderEpoch: 0 })
    expect(log.offsetForTimestamp(LATEST_TIMESTAMP)).toEqual({ timestamp: -1, offset: 6, leaderEpoch: 2 })
    expect(log.offsetForTimestamp(MAX_TIMESTAMP)).toEqual({ timestamp: 40, offset: 2, leaderEpoch: 1 })
    expect(log.offsetForTimestamp(LATEST_TIERED_TIMESTAMP)).toEqual({ timestamp: -1, offset: -1, leaderEpoch: -1 })
  })
})
