import { describe, expect, it } from 'vitest'
import { OffsetIndex } from '../../sim/log/offset-index.js'
import { TimeIndex } from '../../sim/log/time-index.js'
import { TransactionIndex, type AbortedTxn } from '../../sim/log/transaction-index.js'
import { LogHost } from './harness.js'

const MIB = 1_048_576

function offsetIndex(host = new LogHost(), baseOffset = 0, bytes = MIB): OffsetIndex {
  return new OffsetIndex(host.env.disk, 'p-0/0.index', baseOffset, bytes)
}

describe('an offset index', () => {
  it('finds the greatest entry at or below an offset', () => {
    const index = offsetIndex(undefined, 45)
    expect(index.lookup(45)).toBe(0)
    for (let i = 1; i <= 100; i++) index.append(45 + i * 3, i * 1_000)
    for (let i = 1; i <= 100; i++) {
      expect(index.lookup(45 + i * 3)).toBe(i * 1_000)
      expect(index.lookup(45 + i * 3 + 2)).toBe(i * 1_000)
      expect(index.lookup(45 + i * 3 - 1)).toBe((i - 1) * 1_000)
    }
    expect(index.lookup(44)).toBe(0)
    expect(index.lookup(1_000_000)).toBe(100_000)
  })

  it('finds entries in its cold part as well as in its warm one', () => {
    const index = offsetIndex()
    for (let i = 0; i < 5_000; i++) index.append(i * 2, i * 10)
    for (const i of [0, 1, 3_973, 3_974, 3_975, 3_976, 4_999]) expect(index.lookup(i * 2 + 1)).toBe(i * 10)
  })

  it('gives the first entry at or beyond a position', () => {
    const index = offsetIndex()
    expect(index.upperBound(5)).toBeUndefined()
    for (const [offset, position] of [
      [0, 0],
      [1, 10],
      [2, 23],
      [3, 37],
    ] as const) {
      index.append(offset, position)
    }
    expect(index.upperBound(5)).toBe(1)
    expect(index.upperBound(10)).toBe(1)
    expect(index.upperBound(11)).toBe(2)
    expect(index.upperBound(37)).toBe(3)
    expect(index.upperBound(38)).toBeUndefined()
  })

  it('truncates: of 1 to 9, at 12 leaves 9, after appending 10 at 10 leaves 9, at 9 leaves 8, at 5 leaves 4', () => {
    const index = offsetIndex()
    for (let i = 1; i < 10; i++) index.append(i, i)
    index.truncateTo(12)
    expect(index.lastOffset).toBe(9)
    index.append(10, 10)
    index.truncateTo(10)
    expect(index.lastOffset).toBe(9)
    index.truncateTo(9)
    expect(index.lastOffset).toBe(8)
    index.truncateTo(5)
    expect(index.lastOffset).toBe(4)
    index.reset()
    expect(index.entries).toBe(0)
    expect(index.lastOffset).toBe(0)
  })

  it('refuses offsets that do not increase, and entries beyond its size', () => {
    const index = offsetIndex(undefined, 50, 3 * 8 + 7)
    expect(index.append(51, 0)).toBe(true)
    expect(index.append(51, 10)).toBe(false)
    expect(index.append(50, 10)).toBe(false)
    index.append(52, 1)
    expect(index.isFull).toBe(false)
    index.append(53, 2)
    expect(index.isFull).toBe(true)
    expect(() => index.append(54, 3)).toThrow('full index')
  })

  it('holds offsets up to Integer.MAX_VALUE beyond its base', () => {
    const index = offsetIndex(undefined, 10)
    expect(index.canAppend(10 + 2_147_483_647)).toBe(true)
    expect(index.canAppend(10 + 2_147_483_648)).toBe(false)
    expect(index.canAppend(9)).toBe(false)
  })

  it('is read back from its file, whose torn last entry is dropped', () => {
    const host = new LogHost()
    const index = offsetIndex(host, 40)
    index.append(51, 1)
    index.append(52, 2)
    expect(host.hex('p-0/0.index')).toBe('0000000b000000010000000c00000002')
    host.disk.open('p-0/0.index').append(new Uint8Array(5))
    const again = offsetIndex(host, 40)
    expect(again.entries).toBe(2)
    expect(again.lookup(52)).toBe(2)
    again.append(53, 3)
    expect(host.hex('p-0/0.index')).toBe('0000000b000000010000000c000000020000000d00000003')
  })
})

describe('a time index', () => {
  function timeIndex(host = new LogHost(), bytes = 15 * 12): TimeIndex {
    return new TimeIndex(host.env.disk, 'p-0/0.timeindex', 45, bytes)
  }

  it('finds the greatest entry whose timestamp is not above the one asked for', () => {
    const index = timeIndex()
    expect(index.lookup(100)).toEqual({ timestamp: -1, offset: 45 })
    for (let i = 1; i < 10; i++) index.maybeAppend(i * 10, i * 10 + 45)
    expect(index.lookup(9)).toEqual({ timestamp: -1, offset: 45 })
    expect(index.lookup(25)).toEqual({ timestamp: 20, offset: 65 })
    expect(index.lookup(30)).toEqual({ timestamp: 30, offset: 75 })
  })

  it('takes only timestamps that grow', () => {
    const index = timeIndex()
    index.maybeAppend(10, 50)
    index.maybeAppend(10, 60)
    index.maybeAppend(9, 61)
    expect(index.entries).toBe(1)
    expect(index.lastEntry).toEqual({ timestamp: 10, offset: 50 })
  })

  it('truncates by offset', () => {
    const index = timeIndex()
    for (let i = 1; i < 10; i++) index.maybeAppend(i * 10, i * 10 + 45)
    index.truncateTo(10 + 45)
    expect(index.entries).toBe(0)
    for (let i = 1; i < 10; i++) index.maybeAppend(i * 10, i * 10 + 45)
    index.truncateTo(85)
    expect(index.entries).toBe(3)
    expect(index.lastEntry).toEqual({ timestamp: 30, offset: 75 })
  })

  it('keeps its last slot for the entry that closes the segment', () => {
    const index = timeIndex(undefined, 3 * 12)
    index.maybeAppend(1, 46)
    expect(index.isFull).toBe(false)
    index.maybeAppend(2, 47)
    expect(index.isFull).toBe(true)
    expect(() => index.maybeAppend(3, 48)).toThrow('full index')
    index.maybeAppend(3, 48, true)
    expect(index.entries).toBe(3)
  })

  it('is read back from its file', () => {
    const host = new LogHost()
    timeIndex(host).maybeAppend(1_767_225_600_000, 46)
    expect(host.hex('p-0/0.timeindex')).toBe(BigInt(1_767_225_600_000).toString(16).padStart(16, '0') + '00000001')
    expect(timeIndex(host).lastEntry).toEqual({ timestamp: 1_767_225_600_000, offset: 46 })
  })
})

describe('a transaction index', () => {
  const txns: AbortedTxn[] = [
    { producerId: 0, firstOffset: 0, lastOffset: 10, lastStableOffset: 11 },
    { producerId: 1, firstOffset: 5, lastOffset: 15, lastStableOffset: 13 },
    { producerId: 2, firstOffset: 18, lastOffset: 35, lastStableOffset: 25 },
    { producerId: 3, firstOffset: 32, lastOffset: 50, lastStableOffset: 40 },
  ]

  function filled(host = new LogHost()): TransactionIndex {
    const index = new TransactionIndex(host.env.disk, 'p-0/0.txnindex')
    for (const txn of txns) index.append(txn)
    return index
  }

  it('has no file until its first entry', () => {
    const host = new LogHost()
    const index = new TransactionIndex(host.env.disk, 'p-0/0.txnindex')
    expect(host.disk.exists('p-0/0.txnindex')).toBe(false)
    index.append(txns[0] as AbortedTxn)
    expect(host.hex('p-0/0.txnindex')).toBe(
      '0000' + '0000000000000000' + '0000000000000000' + '000000000000000a' + '000000000000000b',
    )
  })

  it.each<[number, number, number[], boolean]>([
    [0, 100, [0, 1, 2, 3], false],
    [0, 32, [0, 1, 2], true],
    [0, 35, [0, 1, 2, 3], true],
    [10, 35, [0, 1, 2, 3], true],
    [11, 35, [1, 2, 3], true],
    [20, 41, [2, 3], false],
  ])('collects for [%i, %i) the transactions %j', (from, upTo, producers, complete) => {
    const found: AbortedTxn[] = []
    expect(filled().collect(from, upTo, found)).toBe(complete)
    expect(found.map((txn) => txn.producerId)).toEqual(producers)
  })

  it('truncates by the offsets of the markers', () => {
    const index = filled()
    index.truncateTo(51)
    expect(index.aborted.length).toBe(4)
    index.truncateTo(50)
    expect(index.aborted.length).toBe(3)
    index.reset()
    expect(index.aborted.length).toBe(0)
  })

  it('takes only markers in order', () => {
    expect(() => filled().append({ producerId: 9, firstOffset: 0, lastOffset: 50, lastStableOffset: 60 })).toThrow(
      'order',
    )
  })

  it('is read back from its file', () => {
    const host = new LogHost()
    filled(host)
    expect(new TransactionIndex(host.env.disk, 'p-0/0.txnindex').aborted).toEqual(txns)
  })
})
