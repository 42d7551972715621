import { describe, expect, it } from 'vitest'
import { LeaderEpochCache } from '../../sim/log/leader-epoch-cache.js'
import { LogHost } from './harness.js'

const DIR = 'orders-0'
const FILE = `${DIR}/leader-epoch-checkpoint`

function cache(...entries: [number, number][]): LeaderEpochCache {
  return filled(new LogHost(), ...entries)
}

function filled(host: LogHost, ...entries: [number, number][]): LeaderEpochCache {
  const made = new LeaderEpochCache(host.env, DIR, (error) => {
    throw error
  })
  for (const [epoch, start] of entries) made.assign(epoch, start)
  return made
}

function text(epochs: LeaderEpochCache): string {
  return epochs.entries.map((entry) => `${entry.epoch}:${entry.startOffset}`).join(' ')
}

function end(epochs: LeaderEpochCache, epoch: number, logEnd = 0): [number, number] {
  const { epoch: found, endOffset } = epochs.endOffsetFor(epoch, logEnd)
  return [found, endOffset]
}

describe('assigning leader epochs', () => {
  it('keeps the first start offset of an epoch', () => {
    expect(text(cache([2, 6], [2, 10]))).toBe('2:6')
  })

  it('takes an earlier start offset of the latest epoch, and drops what that contradicts', () => {
    const epochs = cache([5, 11], [6, 12], [7, 13], [7, 12])
    expect(text(epochs)).toBe('5:11 7:12')
    expect(end(epochs, 5)).toEqual([5, 12])
    expect(end(epochs, 6)).toEqual([5, 12])
  })

  it('replaces an epoch that wrote nothing', () => {
    expect(text(cache([2, 9], [3, 9]))).toBe('3:9')
  })

  it('drops higher epochs when a lower one comes', () => {
    const epochs = cache([1, 5], [2, 6], [1, 7])
    expect(text(epochs)).toBe('1:7')
    expect(end(epochs, 1, 8)).toEqual([1, 8])
    expect(end(epochs, 2, 8)).toEqual([-1, -1])
  })

  it('drops later starts when an earlier one comes with a higher epoch', () => {
    expect(text(cache([2, 6], [3, 5]))).toBe('3:5')
  })
})

describe('the end offset of an epoch', () => {
  it('is the log end for the latest epoch', () => {
    expect(end(cache([2, 11], [2, 12]), 2, 14)).toEqual([2, 14])
  })

  it('is undefined for epoch -1, in an empty cache, and beyond the latest epoch', () => {
    expect(end(cache([2, 11], [3, 12]), -1)).toEqual([-1, -1])
    expect(end(cache(), 0)).toEqual([-1, -1])
    expect(end(cache(), -1, 73)).toEqual([-1, -1])
    expect(end(cache([2, 100]), 3, 100)).toEqual([-1, -1])
  })

  it('is the start of the first epoch, with the epoch asked for, when all are higher', () => {
    expect(end(cache([5, 11], [6, 12], [7, 13]), 4)).toEqual([4, 11])
  })

  it('is the start of the next epoch, with the greatest known epoch at or below', () => {
    const epochs = cache([0, 10], [2, 13], [4, 17])
    expect(end(epochs, 1)).toEqual([0, 13])
    expect(end(epochs, 2)).toEqual([2, 17])
    expect(end(epochs, 3)).toEqual([2, 17])
  })

  it('follows leaders that change many times', () => {
    const epochs = cache([0, 0], [1, 0])
    expect(end(epochs, 1, 0)).toEqual([1, 0])
    expect(end(epochs, 0, 0)).toEqual([0, 0])
    epochs.assign(2, 5)
    expect(end(epochs, 2, 10)).toEqual([2, 10])
    expect(end(epochs, 1, 10)).toEqual([1, 5])
    expect(end(epochs, 0, 10)).toEqual([0, 0])
  })

  it('follows a replica that receives many batches', () => {
    const epochs = cache([0, 0], [0, 1], [0, 2], [1, 3], [1, 4], [1, 5], [2, 6], [2, 7], [2, 8])
    expect(end(epochs, 2, 9)).toEqual([2, 9])
    expect(end(epochs, 0, 9)).toEqual([0, 3])
    expect(end(epochs, 1, 9)).toEqual([1, 6])
  })
})

describe('truncating leader epochs', () => {
  const three: [number, number][] = [
    [2, 6],
    [3, 8],
    [4, 11],
  ]

  it.each([
    [8, '2:6'],
    [9, '2:6 3:8'],
    [11, '2:6 3:8'],
    [12, '2:6 3:8 4:11'],
    [-1, '2:6 3:8 4:11'],
  ])('from the end at %i leaves %s', (offset, left) => {
    const epochs = cache(...three)
    epochs.truncateFromEnd(offset)
    expect(text(epochs)).toBe(left)
  })

  it.each([
    [1, '2:6 3:8 4:11'],
    [6, '2:6 3:8 4:11'],
    [8, '3:8 4:11'],
    [9, '3:9 4:11'],
    [11, '4:11'],
    [15, '4:15'],
    [-1, '2:6 3:8 4:11'],
  ])('from the start at %i leaves %s', (offset, left) => {
    const epochs = cache(...three)
    epochs.truncateFromStart(offset)
    expect(text(epochs)).toBe(left)
  })

  it('from the start within the first epoch moves its start', () => {
    const epochs = cache([0, 0], [1, 7], [2, 10])
    epochs.truncateFromStart(5)
    expect(text(epochs)).toBe('0:5 1:7 2:10')
  })

  it('does nothing to an empty cache', () => {
    const epochs = cache()
    epochs.truncateFromStart(7)
    epochs.truncateFromEnd(7)
    expect(text(epochs)).toBe('')
  })

  it('knows the previous epoch', () => {
    const epochs = cache([2, 10], [4, 15], [10, 20])
    expect(epochs.previousEpoch).toBe(4)
    epochs.truncateFromEnd(18)
    expect(epochs.previousEpoch).toBe(2)
  })
})

describe('the epoch of an offset', () => {
  it.each([
    [25, 1],
    [20, 1],
    [30, 5],
    [50, 5],
    [5, undefined],
  ])('%i is of epoch %s', (offset, epoch) => {
    expect(cache([0, 10], [1, 20], [5, 30]).epochForOffset(offset)).toBe(epoch)
  })
})

describe('leader-epoch-checkpoint', () => {
  it('is written with every assignment and read back', () => {
    const host = new LogHost()
    filled(host, [2, 6], [3, 8])
    expect(host.text(FILE)).toBe('0\n2\n2 6\n3 8\n')
    expect(text(filled(host))).toBe('2:6 3:8')
  })

  it('is not written again for an epoch that is known', () => {
    const host = new LogHost()
    const epochs = filled(host, [2, 6])
    host.run()
    const before = host.eventsOf('disk.synced').length
    epochs.assign(2, 7)
    host.run()
    expect(host.eventsOf('disk.synced').length).toBe(before)
  })

  it('is written after a truncation by a later event', () => {
    const host = new LogHost()
    const epochs = filled(host, [2, 6], [3, 8], [4, 11])
    epochs.truncateFromEnd(11)
    epochs.truncateFromStart(8)
    expect(host.text(FILE)).toBe('0\n3\n2 6\n3 8\n4 11\n')
    host.run()
    expect(host.text(FILE)).toBe('0\n1\n3 8\n')
  })

  it('that is malformed fails like the disk under it', () => {
    const host = new LogHost()
    host.write(FILE, '0\n2\n2 6\n')
    expect(() => filled(host)).toThrow('input/output error')
  })
})
