/**
 * Power losses at random points of random work, over many seeds: what a log holds afterwards.
 */

import { describe, expect, it } from 'vitest'
import { Random } from '../../sim/kernel/random.js'
import type { PartitionLog } from '../../sim/log/partition-log.js'
import type { RecordBatch } from '../../sim/wire/record-batch.js'
import { append, batches, config, epochsOf, LogHost, sequenced, TP } from './harness.js'

interface Model {
  /** Base offset, epoch and CRC of every batch in the log, in order. */
  written: string[]
  ends: number[]
  /** Recovery points as the log reported them: what must survive. */
  flushed: number
  sequence: number
  epoch: number
}

function signature(each: RecordBatch): string {
  return `${each.baseOffset}/${each.partitionLeaderEpoch}/${each.crc}`
}

function work(host: LogHost, log: PartitionLog, model: Model, random: Random, rolls: boolean): void {
  const steps = random.between(5, 60)
  for (let i = 0; i < steps; i++) {
    const what = random.int(100)
    if (what < 70) {
      const count = random.between(1, 40)
      append(log, sequenced(1, 0, model.sequence, count, {}, host.wallMs), model.epoch)
      model.sequence += count
      model.written.push(signature(batches(log).at(-1) as RecordBatch))
      model.ends.push(log.logEndOffset)
    } else if (what < 80) log.flush()
    else if (what < 85) model.epoch++
    else if (what < 88 && rolls) log.roll()
    else host.run(random.between(0, 20))
    model.flushed = Math.max(model.flushed, log.recoveryPoint)
  }
}

describe('after a power loss a log in one segment', () => {
  it('is a prefix of what was appended, and holds all that was flushed', () => {
    let torn = 0
    for (let seed = 0; seed < 150; seed++) {
      const host = new LogHost(`power-loss/${seed}`)
      const random = new Random(`work/${seed}`)
      const model: Model = { written: [], ends: [0], flushed: 0, sequence: 0, epoch: 0 }
      let log = host.open()
      for (let crash = 0; crash < 3; crash++) {
        work(host, log, model, random, false)
        host.reboot('power-loss')
        log = host.open({ clean: false })
        const held = batches(log).map(signature)
        expect(held, `seed ${seed}`).toEqual(model.written.slice(0, held.length))
        expect(log.logEndOffset, `seed ${seed}`).toBe(model.ends[held.length])
        expect(log.logEndOffset, `seed ${seed}`).toBeGreaterThanOrEqual(model.flushed)
        expect(log.producers.entry(1)?.lastSequence ?? -1, `seed ${seed}`).toBe(log.logEndOffset - 1)
        const epochs = [...new Set(held.map((each) => Number(each.split('/')[1])))]
        expect(log.epochs.entries.map((entry) => entry.epoch)).toEqual(epochs)
        if (held.length < model.written.length) torn++
        model.written.length = held.length
        model.ends.length = held.length + 1
        model.sequence = log.logEndOffset
        model.epoch++
      }
    }
    expect(torn).toBeGreaterThan(50)
  })
})

describe('after a power loss a log in many segments', () => {
  it('holds all that was flushed; each segment is a prefix of what it was', () => {
    const overrides = config({ 'internal.segment.bytes': 3_000, 'index.interval.bytes': 500 })
    for (let seed = 0; seed < 100; seed++) {
      const host = new LogHost(`power-loss/many/${seed}`)
      const random = new Random(`work/many/${seed}`)
      const model: Model = { written: [], ends: [0], flushed: 0, sequence: 0, epoch: 0 }
      const log = host.open({ config: overrides })
      work(host, log, model, random, true)
      host.reboot('power-loss')
      const again = host.open({ config: overrides, clean: false, recoveryPoint: random.between(0, model.flushed) })
      const held = again.segments.flatMap((segment) => {
        const found: string[] = []
        segment.forEachBatch(segment.baseOffset, (each) => found.push(signature(each)) > 0)
        const from = model.written.findIndex((each) => each.startsWith(`${segment.baseOffset}/`))
        expect(found, `seed ${seed}`).toEqual(from < 0 ? [] : model.written.slice(from, from + found.length))
        return found
      })
      const durable = model.written.filter((_, i) => (model.ends[i + 1] as number) <= model.flushed)
      expect(held.slice(0, durable.length), `seed ${seed}`).toEqual(durable)
      expect(again.logEndOffset, `seed ${seed}`).toBeGreaterThanOrEqual(model.flushed)
    }
  })
})

describe('a killed process', () => {
  it('loses nothing that it wrote', () => {
    for (let seed = 0; seed < 30; seed++) {
      const host = new LogHost(`kill/${seed}`)
      const random = new Random(`work/kill/${seed}`)
      const model: Model = { written: [], ends: [0], flushed: 0, sequence: 0, epoch: 0 }
      const overrides = config({ 'internal.segment.bytes': 3_000 })
      const log = host.open({ config: overrides })
      work(host, log, model, random, true)
      const before = [log.logEndOffset, epochsOf(log)]
      host.reboot('kill')
      const again = host.open({ config: overrides, clean: false })
      expect(batches(again).map(signature)).toEqual(model.written)
      expect([again.logEndOffset, epochsOf(again)]).toEqual(before)
      expect(host.eventsOf('log.corrupt')).toEqual([])
      expect(host.eventsOf('log.open')[1]).toMatchObject({ partition: TP, clean: false, logEnd: before[0] })
    }
  })
})
