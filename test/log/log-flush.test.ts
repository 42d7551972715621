import { describe, expect, it } from 'vitest'
import type { PartitionLog } from '../../sim/log/partition-log.js'
import { errorName } from '../../sim/wire/errors.js'
import { append, appended, batch, config, LogHost, refusal, sized } from './harness.js'

function opened(overrides: Record<string, unknown> = {}, host = new LogHost()): [PartitionLog, LogHost] {
  return [host.open({ config: config(overrides) }), host]
}

describe('flushing', () => {
  it('moves the recovery point when the disk says so, not before', () => {
    const [log, host] = opened()
    append(log, batch(3))
    const done: unknown[] = []
    log.flush(3, (error) => done.push(error))
    expect([log.recoveryPoint, done]).toEqual([0, []])
    host.run()
    expect([log.recoveryPoint, done]).toEqual([3, [undefined]])
    expect(host.simDisk.view().filter((file) => file.unsyncedBytes > 0)).toEqual([])
  })

  it('of nothing new is done at once', () => {
    const [log] = opened()
    let done = false
    log.flush(0, () => (done = true))
    expect(done).toBe(true)
  })

  it('comes with the append that makes flush.messages unflushed, which says so', () => {
    const [log, host] = opened({ 'flush.messages': 3 })
    expect(appended(log.appendAsLeader([batch(2)], 0)).flushing).toBe(false)
    expect(appended(log.appendAsLeader([batch(1)], 0)).flushing).toBe(true)
    let waited = false
    log.afterFlush(() => (waited = true))
    expect(appended(log.appendAsLeader([batch(1)], 0)).flushing).toBe(false)
    expect(waited).toBe(false)
    host.run()
    expect([waited, log.recoveryPoint]).toEqual([true, 3])
  })

  it('begun before a truncation does not vouch for what is written after it', () => {
    const [log, host] = opened()
    append(log, batch(5))
    append(log, batch(5))
    log.flush()
    log.truncateTo(5, 'test')
    append(log, batch(5))
    host.run()
    expect(log.recoveryPoint).toBe(5)
  })

  it('that fails takes the log offline', () => {
    const host = new LogHost()
    const offline: string[] = []
    const log = host.open({ onOffline: (error) => offline.push(error.kind) })
    append(log, batch(1))
    const errors: (string | undefined)[] = []
    host.simDisk.fail()
    log.flush(1, (error) => errors.push(error?.kind))
    host.run()
    expect([errors, offline, log.isOffline]).toEqual([['io'], ['io'], true])
    expect(errorName(log.read(0, 100, 1, true).error)).toBe('KAFKA_STORAGE_ERROR')
    expect(errorName(refusal(log.appendAsLeader([batch(1)], 0)).error)).toBe('KAFKA_STORAGE_ERROR')
  })
})

describe('a disk without space', () => {
  it('takes the log offline, and the torn end is gone after recovery', () => {
    const [log, host] = opened()
    append(log, sized(500))
    host.run()
    const full = host.simDisk.full(100)
    expect(() => append(log, sized(500))).toThrow('no space left')
    expect([log.isOffline, log.logEndOffset]).toEqual([true, 1])
    expect(log.segments[0]?.size).toBe(600)
    full.remove()
    host.reboot()
    const again = host.open({ clean: false })
    expect([again.logEndOffset, again.segments[0]?.size]).toEqual([1, 500])
  })
})
