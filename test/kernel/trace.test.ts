import { describe, expect, it } from 'vitest'
import { HASHED_FIELDS, type EventType, type TraceEvent } from '../../sim/kernel/events.js'
import { Trace } from '../../sim/kernel/trace.js'

function emitSome(trace: Trace): string {
  trace.emit('b1', 'node.start', { incarnation: 1 })
  trace.cause = trace.emit('b2', 'net.close', { connection: 3, peer: 'b1', reason: 'reset' })
  trace.emit('b1', 'isr.committed', { partition: 'orders-0', leaderEpoch: 4, partitionEpoch: 9, isr: [1, 2] })
  trace.emit('b1', 'controller.config', { resource: 'topic:orders', name: 'retention.ms', value: null })
  return trace.hash
}

describe('the trace', () => {
  it('hashes the same whether anybody watches or not', () => {
    const unwatched = emitSome(new Trace(() => 5))
    const seen: TraceEvent[] = []
    const everything = new Trace(() => 5)
    everything.watch('all', (event) => seen.push(event))
    expect(emitSome(everything)).toBe(unwatched)
    const some = new Trace(() => 5)
    some.watch(['node.start', 'isr.committed'], (event) => seen.push(event))
    expect(emitSome(some)).toBe(unwatched)
    expect(seen.map((event) => event.seq)).toEqual([1, 2, 3, 4, 1, 3])
    expect(unwatched).toMatch(/^[0-9a-f]{16}$/)
  })

  it('tells apart order, time, node, cause, type and every hashed value', () => {
    const start = (trace: Trace, node = 'b1', incarnation = 1): number =>
      trace.emit(node, 'node.start', { incarnation })
    const hash = (emit: (trace: Trace) => void, now = 0): string => {
      const trace = new Trace(() => now)
      emit(trace)
      return trace.hash
    }
    const append = (crc: number): string =>
      hash((trace) => trace.emit('b1', 'log.truncate', { partition: 'p-0', from: crc, to: 0, reason: '' }))
    const hashes = [
      hash((trace) => start(trace)),
      hash((trace) => start(trace), 1),
      hash((trace) => start(trace, 'b2')),
      hash((trace) => start(trace, 'b1', 2)),
      hash((trace) => {
        trace.cause = 1
        start(trace)
      }),
      hash((trace) => trace.emit('b1', 'node.wiped', { files: 1 })),
      hash((trace) => [start(trace), start(trace, 'b2')]),
      hash((trace) => [start(trace, 'b2'), start(trace)]),
      append(1),
      append(-1),
      append(1 + 2 ** 32),
      append(1 + 2 ** 52),
      hash((trace) =>
        trace.emit('b1', 'isr.committed', { partition: 'p-0', leaderEpoch: 1, partitionEpoch: 1, isr: [1, 2] }),
      ),
      hash((trace) =>
        trace.emit('b1', 'isr.committed', { partition: 'p-0', leaderEpoch: 1, partitionEpoch: 1, isr: [2, 1] }),
      ),
    ]
    expect(new Set(hashes).size).toBe(hashes.length)
  })

  it('leaves out of the hash what is not listed', () => {
    const hash = (body: unknown): string => {
      const trace = new Trace(() => 0)
      trace.emit('b1', 'request.send', { id: 1, api: 'Fetch', version: 17, to: 'b2', correlation: 1, body })
      return trace.hash
    }
    expect(hash({ a: 1 })).toBe(hash(new Uint8Array(3)))
  })

  it('gives a watcher only its types, until it ends its watch', () => {
    const trace = new Trace(() => 0)
    const seen: EventType[] = []
    const end = trace.watch(['node.start', 'node.wiped'], (event) => seen.push(event.type))
    expect([trace.watched('node.start'), trace.watched('net.open')]).toEqual([true, false])
    trace.emit('b1', 'node.start', { incarnation: 1 })
    trace.emit('b1', 'net.open', { connection: 1, to: 'b2' })
    trace.emit('b1', 'node.wiped', { files: 0 })
    end()
    trace.emit('b1', 'node.start', { incarnation: 2 })
    expect(seen).toEqual(['node.start', 'node.wiped'])
    expect(trace.watched('node.start')).toBe(false)
  })

  it('numbers events from 1 without gaps', () => {
    const trace = new Trace(() => 0)
    expect([1, 2, 3].map(() => trace.emit('b1', 'node.pause', {}))).toEqual([1, 2, 3])
    expect(trace.sequence).toBe(3)
  })

  it('lists the hashed fields of every type once', () => {
    for (const fields of Object.values(HASHED_FIELDS)) expect(new Set<string>(fields).size).toBe(fields.length)
  })
})
