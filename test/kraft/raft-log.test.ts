/** The metadata log and its snapshots. Cases of Kafka's KafkaMetadataLogTest and MockLogTest. */

import { describe, expect, it } from 'vitest'
import { defaultsOf } from '../../sim/kernel/config-def.js'
import type { QuorumConfig } from '../../sim/kraft/quorum-config.js'
import { QUORUM_SETTINGS } from '../../sim/kraft/quorum-config.js'
import type { OffsetAndEpoch } from '../../sim/kraft/quorum-state.js'
import { RaftLog } from '../../sim/kraft/raft-log.js'
import { encodeSnapshot, snapshotPath, writeSnapshot } from '../../sim/kraft/snapshot-file.js'
import { VoterSet } from '../../sim/kraft/voter-set.js'
import { RecordBatch } from '../../sim/wire/record-batch.js'
import { LabNode } from './lab-node.js'
import { TEXT_CODEC } from './raft-cluster.js'

const VOTERS = new VoterSet([{ id: 3001, node: 'c1', directoryId: 'J8aAPcfLQt2bqs1JT_rMgQ' }])
const DEFAULTS = defaultsOf(QUORUM_SETTINGS)

function open(node: LabNode, config: QuorumConfig = DEFAULTS): RaftLog {
  return RaftLog.open(node.env, config)
}

/** Appends `count` records of `epoch`, one batch each. */
function append(log: RaftLog, count: number, epoch: number): void {
  for (let i = 0; i < count; i++) {
    const value = TEXT_CODEC.encode(`value-${log.endOffset}`)
    const options = { baseOffset: log.endOffset, partitionLeaderEpoch: epoch }
    log.appendAsLeader(RecordBatch.build(options, [{ timestamp: 0, key: null, value }]), epoch)
  }
}

function snapshot(node: LabNode, log: RaftLog, offset: number, epoch: number, timestamp = 0): void {
  const id = { offset, epoch }
  const options = { id, lastContainedLogTimestamp: timestamp, voters: VOTERS, codec: TEXT_CODEC, nowMs: 0 }
  writeSnapshot(node.env.disk, id, encodeSnapshot(options, [`0@at ${offset}`]), () => log.addSnapshot(id))
  node.run(50)
}

function diverging(offset: number, epoch: number): { kind: 'diverging'; id: OffsetAndEpoch } {
  return { kind: 'diverging', id: { offset, epoch } }
}

const VALID = { kind: 'valid' }

describe('a fetch position', () => {
  it('is valid at (0, 0) of an empty log', () => {
    expect(open(new LabNode()).validate(0, 0)).toEqual(VALID)
  })

  it('of an unknown epoch diverges at the end of the log', () => {
    const log = open(new LabNode())
    append(log, 1, 1)
    expect(log.validate(1, 2)).toEqual(diverging(1, 1))
  })

  it('beyond the end diverges', () => {
    const log = open(new LabNode())
    append(log, 1, 1)
    expect(log.validate(2, 1)).toEqual(diverging(1, 1))
  })

  it('beyond the end of its epoch diverges there', () => {
    const log = open(new LabNode())
    append(log, 10, 1)
    append(log, 10, 2)
    expect(log.validate(11, 1)).toEqual(diverging(10, 1))
    expect(log.validate(10, 1)).toEqual(VALID)
    expect(log.validate(20, 2)).toEqual(VALID)
  })

  it('of an epoch between two known ones diverges at the end of the lower', () => {
    const log = open(new LabNode())
    append(log, 5, 1)
    append(log, 5, 3)
    expect(log.validate(7, 2)).toEqual(diverging(5, 1))
  })

  it('before the oldest snapshot gets the id of the latest', () => {
    const node = new LabNode()
    const log = open(node, { ...DEFAULTS, 'metadata.max.retention.bytes': 0 })
    append(log, 10, 1)
    append(log, 10, 2)
    log.updateHighWatermark(20)
    snapshot(node, log, 5, 1)
    snapshot(node, log, 12, 2)
    log.clean(0)
    expect(log.startOffset).toBe(12)
    expect(log.validate(3, 1)).toEqual({ kind: 'snapshot', id: { offset: 12, epoch: 2 } })
    expect(log.validate(12, 1)).toEqual({ kind: 'snapshot', id: { offset: 12, epoch: 2 } })
    expect(log.validate(14, 1)).toEqual({ kind: 'snapshot', id: { offset: 12, epoch: 2 } })
    expect(log.validate(12, 2)).toEqual(VALID)
    expect(log.validate(25, 2)).toEqual(diverging(20, 2))
  })
})

describe('truncation to what a leader may share', () => {
  it('cuts to the leader’s end of a shared epoch', () => {
    const log = open(new LabNode())
    append(log, 10, 1)
    append(log, 5, 2)
    log.truncateToEndOffset({ offset: 7, epoch: 1 })
    expect(log.lastOffsetAndEpoch()).toEqual({ offset: 7, epoch: 1 })
  })

  it('cuts to its own end of the epoch when that is lower', () => {
    const log = open(new LabNode())
    append(log, 5, 1)
    append(log, 5, 3)
    log.truncateToEndOffset({ offset: 8, epoch: 1 })
    expect(log.lastOffsetAndEpoch()).toEqual({ offset: 5, epoch: 1 })
  })

  it('cuts to the end of the largest epoch below one that it does not know', () => {
    const log = open(new LabNode())
    append(log, 5, 1)
    append(log, 5, 4)
    log.truncateToEndOffset({ offset: 8, epoch: 2 })
    expect(log.lastOffsetAndEpoch()).toEqual({ offset: 5, epoch: 1 })
  })

  it('cuts everything when the leader has nothing', () => {
    const log = open(new LabNode())
    append(log, 5, 1)
    log.truncateToEndOffset({ offset: 0, epoch: 0 })
    expect(log.lastOffsetAndEpoch()).toEqual({ offset: 0, epoch: 0 })
  })

  it('never cuts below the high watermark', () => {
    const log = open(new LabNode())
    append(log, 5, 1)
    log.updateHighWatermark(3)
    expect(() => log.truncateToEndOffset({ offset: 2, epoch: 1 })).toThrow('below the high watermark 3')
    expect(log.endOffset).toBe(5)
  })
})

describe('snapshots', () => {
  it('are made at a committed end of a batch within the log only', () => {
    const node = new LabNode()
    const log = open(node)
    append(log, 4, 1)
    log.updateHighWatermark(3)
    expect(log.checkNewSnapshot({ offset: 3, epoch: 1 })).toBe('')
    expect(log.checkNewSnapshot({ offset: 4, epoch: 1 })).toContain('beyond the high watermark 3')
    expect(log.checkNewSnapshot({ offset: 3, epoch: 2 })).toContain('does not fit')
    snapshot(node, log, 3, 1)
    expect(log.checkNewSnapshot({ offset: 3, epoch: 1 })).toBeUndefined()
  })

  it('end with a batch: followers go on from there', () => {
    const log = open(new LabNode())
    const value = TEXT_CODEC.encode('x')
    const record = { timestamp: 0, key: null, value }
    log.appendAsLeader(RecordBatch.build({ baseOffset: 0, partitionLeaderEpoch: 1 }, [record, record, record]), 1)
    append(log, 1, 1)
    log.updateHighWatermark(4)
    expect(log.checkNewSnapshot({ offset: 2, epoch: 1 })).toContain('within a batch')
    expect(log.checkNewSnapshot({ offset: 3, epoch: 1 })).toBe('')
  })

  it('beyond the log replace it, at once or at the next start', () => {
    const node = new LabNode()
    const log = open(node)
    append(log, 5, 1)
    snapshot(node, log, 20, 3)
    expect(log.truncateToLatestSnapshot()).toBe(true)
    expect([log.startOffset, log.endOffset, log.highWatermark]).toEqual([20, 20, 20])
    expect(log.lastOffsetAndEpoch()).toEqual({ offset: 20, epoch: 3 })
    expect(log.truncateToLatestSnapshot()).toBe(true)
    node.restart()
    const again = open(node)
    expect(again.lastOffsetAndEpoch()).toEqual({ offset: 20, epoch: 3 })
    append(again, 2, 4)
    expect(again.lastOffsetAndEpoch()).toEqual({ offset: 22, epoch: 4 })
  })

  it('downloaded just before a crash replace the log at the next start', () => {
    const node = new LabNode()
    const log = open(node)
    append(log, 5, 1)
    snapshot(node, log, 20, 3)
    node.restart('power-loss')
    expect(open(node).lastOffsetAndEpoch()).toEqual({ offset: 20, epoch: 3 })
  })

  it('within the log leave it alone', () => {
    const node = new LabNode()
    const log = open(node)
    append(log, 5, 1)
    log.updateHighWatermark(5)
    snapshot(node, log, 3, 1)
    expect(log.truncateToLatestSnapshot()).toBe(false)
    expect([log.startOffset, log.endOffset]).toEqual([0, 5])
  })

  it('go by age, all but the latest, and the log before them', () => {
    const node = new LabNode()
    const log = open(node, { ...DEFAULTS, 'metadata.max.retention.ms': 1_000 })
    append(log, 10, 1)
    log.updateHighWatermark(10)
    snapshot(node, log, 3, 1, 100)
    snapshot(node, log, 6, 1, 500)
    log.clean(1_100)
    expect(log.earliestSnapshotId).toEqual({ offset: 3, epoch: 1 })
    log.clean(1_101)
    expect(log.earliestSnapshotId).toEqual({ offset: 6, epoch: 1 })
    expect(log.startOffset).toBe(6)
    log.clean(1e9)
    expect(log.latestSnapshotId).toEqual({ offset: 6, epoch: 1 })
    expect(node.env.disk.exists(snapshotPath({ offset: 3, epoch: 1 }))).toBe(false)
    expect(
      node.env.disk.list('__cluster_metadata-0/').filter((path) => path.endsWith('.checkpoint.deleted')),
    ).toHaveLength(1)
    node.run(60_000)
    expect(node.env.disk.list('__cluster_metadata-0/').filter((path) => path.endsWith('.deleted'))).toEqual([])
  })

  it('go by size, oldest first, until log and snapshots fit', () => {
    const node = new LabNode()
    const log = open(node, { ...DEFAULTS, 'metadata.max.retention.bytes': 1_500 })
    append(log, 10, 1)
    log.updateHighWatermark(10)
    for (const offset of [2, 4, 6, 8]) snapshot(node, log, offset, 1)
    const bytes = (): number =>
      log.log.sizeInBytes +
      [2, 4, 6, 8]
        .map((offset) => snapshotPath({ offset, epoch: 1 }))
        .filter((path) => node.env.disk.exists(path))
        .reduce((sum, path) => sum + node.env.disk.open(path).size, 0)
    expect(bytes()).toBeGreaterThan(1_500)
    log.clean(0)
    expect(bytes()).toBeLessThanOrEqual(1_500)
    expect(log.startOffset).toBe(log.earliestSnapshotId?.offset)
    expect(log.latestSnapshotId).toEqual({ offset: 8, epoch: 1 })
  })
})
