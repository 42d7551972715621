/** Gathering records for the log. Cases of Kafka's BatchAccumulatorTest. */

import { describe, expect, it } from 'vitest'
import { LONG_MAX } from '../../sim/kernel/units.js'
import { BatchAccumulator } from '../../sim/kraft/batch-accumulator.js'
import { TEXT_CODEC } from './raft-cluster.js'

class Lab {
  now = 1_000
  readonly accumulator = new BatchAccumulator<string>({
    epoch: 17,
    baseOffset: 157,
    lingerMs: 15,
    codec: TEXT_CODEC,
    wallMs: () => this.now,
  })
}

describe('the accumulator', () => {
  it('has nothing to drain at first', () => {
    const { accumulator } = new Lab()
    expect(accumulator.isEmpty).toBe(true)
    expect(accumulator.untilDrain(1_000)).toBe(LONG_MAX)
  })

  it('drains when the linger time of the first record is over', () => {
    const lab = new Lab()
    const { accumulator } = lab
    expect(accumulator.append(['a'])).toBe(157)
    lab.now = 1_010
    expect(accumulator.append(['b', 'c'])).toBe(159)
    expect(accumulator.untilDrain(1_010)).toBe(5)
    expect(accumulator.untilDrain(1_015)).toBe(0)
    const [batch, ...others] = accumulator.drain()
    expect(others).toEqual([])
    expect(batch?.records).toEqual(['a', 'b', 'c'])
    expect(batch?.batch).toMatchObject({
      baseOffset: 157,
      lastOffset: 159,
      partitionLeaderEpoch: 17,
      maxTimestamp: 1_000,
    })
    expect(accumulator.isEmpty).toBe(true)
    expect(accumulator.untilDrain(1_015)).toBe(LONG_MAX)
  })

  it('lingers again from the first record after a drain', () => {
    const lab = new Lab()
    lab.accumulator.append(['a'])
    lab.accumulator.drain()
    lab.now = 2_000
    lab.accumulator.append(['b'])
    expect(lab.accumulator.untilDrain(2_000)).toBe(15)
  })

  it('completes what waits when a control batch comes, and is to be drained at once', () => {
    const { accumulator } = new Lab()
    accumulator.append(['a'])
    accumulator.appendControl([{ timestamp: 1_000, key: null, value: null }])
    expect(accumulator.untilDrain(1_000)).toBe(0)
    expect(accumulator.append(['b'])).toBe(159)
    const batches = accumulator.drain()
    expect(batches.map(({ batch }) => [batch.baseOffset, batch.isControl])).toEqual([
      [157, false],
      [158, true],
      [159, false],
    ])
    expect(batches[1]?.records).toBeUndefined()
  })

  it('starts another batch when one is full, and never divides what was appended together', () => {
    const { accumulator } = new Lab()
    const large = 'x'.repeat(3 * 1024 * 1024)
    accumulator.append([large, large])
    accumulator.append([large])
    expect(accumulator.untilDrain(1_000)).toBe(0)
    expect(accumulator.drain().map(({ batch }) => [batch.baseOffset, batch.count])).toEqual([
      [157, 2],
      [159, 1],
    ])
  })

  it('refuses what no batch can hold', () => {
    const { accumulator } = new Lab()
    expect(() => accumulator.append(['x'.repeat(8 * 1024 * 1024)])).toThrow('too large')
  })
})
