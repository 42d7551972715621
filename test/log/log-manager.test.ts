import { describe, expect, it } from 'vitest'
import { parseConfig } from '../../sim/kernel/config-def.js'
import { isRefused } from '../../sim/log/append-result.js'
import { LOG_BROKER_SETTINGS } from '../../sim/log/log-config.js'
import { LogManager, readCleanShutdownEpoch, type LogManagerOptions } from '../../sim/log/log-manager.js'
import type { PartitionLog } from '../../sim/log/partition-log.js'
import { errorName } from '../../sim/wire/errors.js'
import { RecordBatch } from '../../sim/wire/record-batch.js'
import { append, batch, contents, LogHost, record, sized } from './harness.js'

const ID = 'AAAAAAAAAAAAAAAAAAAAAQ'
const OTHER = 'AAAAAAAAAAAAAAAAAAAAAg'

function started(
  host: LogHost,
  broker: Record<string, unknown> = {},
  options: Partial<LogManagerOptions> = {},
): LogManager {
  const manager = new LogManager(host.env, { config: parseConfig(LOG_BROKER_SETTINGS, broker, []), ...options })
  manager.startup()
  return manager
}

function logOf(manager: LogManager, topic = 'orders', index = 0, topicId: string | undefined = ID): PartitionLog {
  const log = manager.getOrCreate(topic, index, topicId)
  if (isRefused(log)) throw new Error(log.message)
  return log
}

function stop(host: LogHost, manager: LogManager): void {
  let done = false
  manager.shutdown(17, () => (done = true))
  host.run()
  expect(done).toBe(true)
  host.reboot()
}

describe('opening logs', () => {
  it('creates a log once, and gives it again', () => {
    const host = new LogHost()
    const manager = started(host)
    const log = logOf(manager)
    expect(logOf(manager)).toBe(log)
    expect(manager.get('orders-0')).toBe(log)
    expect(manager.get('orders-1')).toBeUndefined()
    expect(host.eventsOf('log.open')).toEqual([
      { partition: 'orders-0', logStart: 0, logEnd: 0, recoveryPoint: 0, clean: true, epochs: [] },
    ])
  })

  it('refuses the log of an earlier topic of the same name', () => {
    const manager = started(new LogHost())
    logOf(manager)
    const other = manager.getOrCreate('orders', 0, OTHER)
    expect('error' in other && errorName(other.error)).toBe('INCONSISTENT_TOPIC_ID')
  })

  it('finds all logs again after a kill, with recovery from the checkpointed point', () => {
    const host = new LogHost()
    const manager = started(host)
    append(logOf(manager), batch(['a', 'b']))
    append(logOf(manager, 'my-topic', 12, OTHER), batch(['c']))
    logOf(manager).flush()
    host.run(31_000)
    expect(host.text('recovery-point-offset-checkpoint')).toBe('0\n2\norders 0 2\nmy-topic 12 0\n')
    host.reboot()
    const again = started(host)
    expect([...again.logs].map((log) => [log.partition, log.topicId, log.recoveryPoint, contents(log)])).toEqual([
      ['my-topic-12', OTHER, 0, ['0=c']],
      ['orders-0', ID, 2, ['0=a', '1=b']],
    ])
    expect(
      host
        .eventsOf('log.open')
        .slice(2)
        .map((event) => event.clean),
    ).toEqual([false, false])
  })

  it('leaves the metadata log and other folders alone', () => {
    const host = new LogHost()
    host.write('__cluster_metadata-0/00000000000000000000.log', 'x')
    host.write('notes/readme.txt', 'x')
    expect([...started(host).logs]).toEqual([])
  })

  it('uses the settings of the topic over those of the broker, also once they change', () => {
    const topic: Record<string, unknown> = { 'retention.ms': 5 }
    const manager = started(new LogHost(), { 'log.retention.bytes': 9 }, { topicConfig: () => topic })
    const log = logOf(manager)
    expect([log.config['retention.ms'], log.config['retention.bytes']]).toEqual([5, 9])
    topic['retention.ms'] = 6
    manager.topicConfigChanged('orders')
    expect(log.config['retention.ms']).toBe(6)
  })

  it('sets logs aside that the metadata does not place here', () => {
    const host = new LogHost()
    append(logOf(started(host)), batch(1))
    host.reboot()
    const manager = new LogManager(host.env, { config: parseConfig(LOG_BROKER_SETTINGS, {}, []) })
    manager.startup((log) => log.topicId === ID)
    expect([...manager.logs]).toEqual([])
    expect(host.disk.list('orders-0.').every((path) => /^orders-0\.[0-9a-f]{32}-stray\//.test(path))).toBe(true)
    expect(host.disk.list('orders-0/')).toEqual([])
    host.reboot()
    expect([...started(host).logs]).toEqual([])
  })
})

describe('a clean shutdown', () => {
  it('leaves the marker with the broker epoch, and nothing to recover', () => {
    const host = new LogHost()
    const manager = started(host)
    append(logOf(manager), batch(['a', 'b']), 3)
    logOf(manager, 'empty', 1, OTHER)
    stop(host, manager)
    expect(host.text('.kafka_cleanshutdown')).toBe('{"version":0,"brokerEpoch":17}')
    expect(readCleanShutdownEpoch(host.env.disk)).toBe(17)
    const again = started(host)
    expect(host.eventsOf('log.open').slice(2)).toMatchObject([
      { partition: 'empty-1', clean: true, logEnd: 0 },
      { partition: 'orders-0', clean: true, logEnd: 2, recoveryPoint: 2, epochs: [3, 0] },
    ])
    expect(readCleanShutdownEpoch(host.env.disk)).toBeUndefined()
    expect(contents(logOf(again))).toEqual(['0=a', '1=b'])
  })

  it('survives a power loss right after it', () => {
    const host = new LogHost()
    const manager = started(host)
    for (let i = 0; i < 50; i++) append(logOf(manager), sized(1_000))
    let done = false
    manager.shutdown(1, () => (done = true))
    host.run()
    expect(done).toBe(true)
    host.reboot('power-loss')
    expect(logOf(started(host))).toMatchObject({ logEndOffset: 50, recoveryPoint: 50 })
    expect(host.eventsOf('log.open')[1]).toMatchObject({ clean: true })
  })

  it('without logs leaves the marker too', () => {
    const host = new LogHost()
    stop(host, started(host))
    expect(readCleanShutdownEpoch(host.env.disk)).toBe(17)
  })

  it('that fails leaves no marker', () => {
    const host = new LogHost()
    const failed: string[] = []
    const manager = started(host, {}, { onDirFailure: (error) => failed.push(error.kind) })
    append(logOf(manager), batch(1))
    host.simDisk.fail()
    let done = false
    manager.shutdown(1, () => (done = true))
    host.run()
    expect([done, failed]).toEqual([true, ['io']])
    expect(host.disk.exists('.kafka_cleanshutdown')).toBe(false)
  })
})

describe('deleting logs', () => {
  it('renames at once and removes after file.delete.delay.ms', () => {
    const host = new LogHost()
    const manager = started(host)
    append(logOf(manager), batch(1))
    logOf(manager, 'other', 0, OTHER)
    manager.asyncDelete(['orders-0', 'unknown-3'])
    expect(manager.get('orders-0')).toBeUndefined()
    expect(host.eventsOf('log.deleted')).toEqual([{ partition: 'orders-0' }])
    expect(host.disk.list('orders-0/')).toEqual([])
    const renamed = host.disk.list('orders-0.')
    expect(renamed.length).toBeGreaterThan(3)
    expect(renamed.every((path) => /^orders-0\.[0-9a-f]{32}-delete\//.test(path))).toBe(true)
    expect(host.text('recovery-point-offset-checkpoint')).toBe('0\n1\nother 0 0\n')
    host.run(59_999)
    expect(host.disk.list('orders-0.').length).toBe(renamed.length)
    host.run(1)
    expect(host.disk.list('orders-0.')).toEqual([])
  })

  it('makes room for a new topic of the same name', () => {
    const host = new LogHost()
    const manager = started(host)
    append(logOf(manager), batch(3))
    manager.asyncDelete(['orders-0'])
    const log = logOf(manager, 'orders', 0, OTHER)
    expect([log.logEndOffset, log.topicId]).toEqual([0, OTHER])
    host.run(61_000)
    append(log, batch(['new']))
    expect(contents(log)).toEqual(['0=new'])
  })

  it('goes on after a restart', () => {
    const host = new LogHost()
    const manager = started(host)
    append(logOf(manager), batch(1))
    manager.asyncDelete(['orders-0'])
    host.run()
    host.reboot()
    expect([...started(host).logs]).toEqual([])
    expect(host.disk.list('orders-0.').length).toBeGreaterThan(0)
    host.run(60_000)
    expect(host.disk.list('orders-0.')).toEqual([])
  })
})

describe('checkpoints', () => {
  it('of log starts name only logs that begin within a segment', () => {
    const host = new LogHost()
    const manager = started(host)
    append(logOf(manager), batch(5))
    logOf(manager).setHighWatermark(5)
    logOf(manager).advanceLogStartOffset(3, 'delete-records')
    append(logOf(manager, 'other', 0, OTHER), batch(5))
    host.run(30_000)
    expect(host.text('log-start-offset-checkpoint')).toBe('0\n1\norders 0 3\n')
    host.reboot()
    expect(logOf(started(host))).toMatchObject({ logStartOffset: 3, highWatermark: 3 })
  })

  it('come first after log.initial.task.delay.ms, then every minute', () => {
    const host = new LogHost()
    const manager = started(host)
    append(logOf(manager), batch(1))
    host.run(29_999)
    expect(host.disk.exists('recovery-point-offset-checkpoint')).toBe(false)
    host.run(1)
    expect(host.disk.exists('recovery-point-offset-checkpoint')).toBe(true)
    logOf(manager).flush()
    host.run(59_999)
    expect(host.text('recovery-point-offset-checkpoint')).toBe('0\n1\norders 0 0\n')
    host.run(1)
    expect(host.text('recovery-point-offset-checkpoint')).toBe('0\n1\norders 0 1\n')
  })

  it('that would say nothing new are not written', () => {
    const host = new LogHost()
    const manager = started(host)
    logOf(manager)
    host.run(31_000)
    const before = host.eventsOf('disk.synced').length
    host.run(600_000)
    expect(host.eventsOf('disk.synced').length).toBe(before)
  })

  it('of high watermarks are written and read for the replica manager', () => {
    const host = new LogHost()
    const manager = started(host)
    expect(manager.readHighWatermarks()).toEqual(new Map())
    manager.checkpointHighWatermarks(new Map([['orders-0', 7]]))
    expect(manager.readHighWatermarks()).toEqual(new Map([['orders-0', 7]]))
    expect(host.text('replication-offset-checkpoint')).toBe('0\n1\norders 0 7\n')
  })

  it('of recovery points that can not be read count for nothing', () => {
    const host = new LogHost()
    append(logOf(started(host)), batch(2))
    host.run(31_000)
    host.write('recovery-point-offset-checkpoint', '0\n5\n')
    host.reboot()
    expect(logOf(started(host))).toMatchObject({ logEndOffset: 2, recoveryPoint: 0 })
  })

  it('follow a truncation at once', () => {
    const host = new LogHost()
    const manager = started(host)
    for (let i = 0; i < 5; i++) append(logOf(manager), batch(1))
    logOf(manager).flush()
    host.run()
    manager.truncateTo('orders-0', 2, 'diverging')
    expect(host.text('recovery-point-offset-checkpoint')).toBe('0\n1\norders 0 2\n')
    manager.truncateFullyAndStartAt('orders-0', 9, 'out-of-range')
    expect(logOf(manager)).toMatchObject({ logStartOffset: 9, logEndOffset: 9 })
  })
})

describe('periodic tasks', () => {
  it('delete old segments every five minutes; of compacted logs their cleaner does, every 15 seconds', () => {
    const host = new LogHost()
    const broker = { 'log.retention.ms': 60_000, 'log.segment.delete.delay.ms': 0 }
    const manager = started(host, broker, {
      topicConfig: (topic) => (topic === 'kept' ? { 'cleanup.policy': 'compact,delete' } : {}),
    })
    const logs = [logOf(manager), logOf(manager, 'kept', 0, OTHER)]
    for (const log of logs) {
      append(log, RecordBatch.build({}, [record('value', host.wallMs, 'key')]))
      log.setHighWatermark(1)
    }
    const starts = (): number[] => logs.map((log) => log.logStartOffset)
    host.run(60_000)
    expect(starts()).toEqual([0, 0])
    host.run(15_000)
    expect(starts()).toEqual([0, 1])
    host.run(254_999)
    expect(starts()).toEqual([0, 1])
    host.run(1)
    expect(starts()).toEqual([1, 1])
  })

  it('leave compacted logs alone without log.cleaner.enable', () => {
    const host = new LogHost()
    const broker = { 'log.retention.ms': 1, 'log.cleaner.enable': false }
    const manager = started(host, broker, { topicConfig: () => ({ 'cleanup.policy': 'compact,delete' }) })
    append(logOf(manager), RecordBatch.build({}, [record('value', host.wallMs, 'key')]))
    logOf(manager).setHighWatermark(1)
    host.run(700_000)
    expect(manager.cleaner).toBeUndefined()
    expect(logOf(manager).logStartOffset).toBe(0)
  })

  it('flush logs by flush.ms', () => {
    const host = new LogHost()
    const manager = started(host, { 'log.flush.scheduler.interval.ms': 1_000, 'log.flush.interval.ms': 5_000 })
    append(logOf(manager), batch(2))
    host.run(29_999)
    expect(logOf(manager).recoveryPoint).toBe(0)
    host.run(100)
    expect(logOf(manager).recoveryPoint).toBe(2)
    append(logOf(manager), batch(1))
    host.run(4_000)
    expect(logOf(manager).recoveryPoint).toBe(2)
    host.run(2_000)
    expect(logOf(manager).recoveryPoint).toBe(3)
  })

  it('cost nearly nothing where there is nothing to do', () => {
    const host = new LogHost()
    started(host)
    const before = host.engine.fired
    host.run(3_600_000)
    expect(host.engine.fired - before).toBeLessThan(150)
  })
})

describe('a failed log directory', () => {
  it('is told once, and creates no more logs', () => {
    const host = new LogHost()
    const failed: string[] = []
    const manager = started(host, {}, { onDirFailure: (error) => failed.push(error.kind) })
    const log = logOf(manager)
    const full = host.simDisk.full()
    expect(() => append(log, batch(1))).toThrow('no space left')
    full.remove()
    expect(failed).toEqual(['full'])
    const other = manager.getOrCreate('other', 0, OTHER)
    expect('error' in other && errorName(other.error)).toBe('KAFKA_STORAGE_ERROR')
  })
})
