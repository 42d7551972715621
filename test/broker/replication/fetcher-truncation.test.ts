import { describe, expect, it } from 'vitest'
import { type EpochEnd, type EpochLog, truncationOffset } from '../../../sim/broker/fetcher-truncation.js'

/** A log of epochs `[epoch, start]` that ends at `logEndOffset`, by the rule of Kafka's LeaderEpochFileCache. */
function logOf(entries: readonly (readonly [number, number])[], logEndOffset: number): EpochLog {
  return {
    logEndOffset,
    endOffsetForEpoch(epoch): EpochEnd {
      const latest = entries[entries.length - 1]
      if (latest === undefined || epoch > latest[0]) return { epoch: -1, endOffset: -1 }
      if (epoch === latest[0]) return { epoch, endOffset: logEndOffset }
      const at = entries.findIndex(([known]) => known > epoch)
      return { epoch: entries[at - 1]?.[0] ?? epoch, endOffset: (entries[at] as readonly [number, number])[1] }
    },
  }
}

// AbstractFetcherThread.getOffsetTruncationState; ReplicaFetcherThreadTest
describe('where a follower cuts its log', () => {
  const log = logOf(
    [
      [2, 0],
      [4, 10],
      [5, 15],
    ],
    20,
  )

  it('is the leader’s end of an epoch that both have, when that is smaller', () => {
    expect(truncationOffset({ epoch: 4, endOffset: 12 }, log, 20)).toBe(12)
  })

  it('is its own end of an epoch that both have, when that is smaller', () => {
    expect(truncationOffset({ epoch: 4, endOffset: 18 }, log, 20)).toBe(15)
  })

  it('is never beyond its log end', () => {
    expect(truncationOffset({ epoch: 5, endOffset: 30 }, log, 20)).toBe(20)
  })

  it('is the end of its next smaller epoch when it does not have the leader’s', () => {
    expect(truncationOffset({ epoch: 3, endOffset: 18 }, log, 20)).toBe(10)
  })

  it('is the leader’s end when it has no epoch as small', () => {
    expect(truncationOffset({ epoch: 7, endOffset: 15 }, logOf([], 20), 20)).toBe(15)
    expect(truncationOffset({ epoch: 7, endOffset: 25 }, logOf([], 20), 20)).toBe(20)
  })

  it('is the leader’s end without an epoch', () => {
    expect(truncationOffset({ epoch: -1, endOffset: 15 }, log, 20)).toBe(15)
  })

  it('is where it began to fetch without an end', () => {
    expect(truncationOffset({ epoch: -1, endOffset: -1 }, log, 8)).toBe(8)
  })
})
