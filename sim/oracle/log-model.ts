/**
 * What every replica's log holds, reconstructed from the trace.
 *
 * One model serves all oracles. It follows log.open, log.append, log.truncate, log.start-offset and log.deleted, and keeps for each
 * replica its batches as (base offset, last offset, epoch, crc). It knows a crash only by what the replica reports when it
 * opens its log again, as the real cluster would.
 */

import type { BatchView, EventType, TraceEvent } from '../kernel/events.js'
import type { NodeName } from '../kernel/names.js'
import type { Epoch, Offset } from '../kernel/units.js'

export interface Entry {
  readonly baseOffset: Offset
  readonly lastOffset: Offset
  readonly epoch: Epoch
  readonly crc: number
  readonly batch: BatchView
  /** Sequence of the log.append event. */
  readonly seq: number
}

export class ReplicaLog {
  readonly node: NodeName
  readonly partition: string
  logStart: Offset = 0
  logEnd: Offset = 0
  /** In offset order; entries wholly below logStart may be gone. */
  readonly entries: Entry[] = []
  /** Changes with every truncation below what was held: whoever verified a prefix must look at `truncatedTo`. */
  truncations = 0
  /** Lowest offset truncated to since a reader last took note; readers keep their own copy of `truncations`. */
  truncatedTo: Offset = Infinity

  constructor(node: NodeName, partition: string) {
    this.node = node
    this.partition = partition
  }

  /** The entry that holds `offset`, or undefined. */
  find(offset: Offset): Entry | undefined {
    const at = this.indexOf(offset)
    const entry = this.entries[at]
    return entry !== undefined && entry.baseOffset <= offset ? entry : undefined
  }

  /** Index of the first entry whose last offset is at or after `offset`. */
  indexOf(offset: Offset): number {
    let low = 0
    let high = this.entries.length
    while (low < high) {
      const middle = (low + high) >> 1
      if ((this.entries[middle] as Entry).lastOffset < offset) low = middle + 1
      else high = middle
    }
    return low
  }
}

export const LOG_MODEL_EVENTS: readonly EventType[] = [
  'log.open',
  'log.append',
  'log.truncate',
  'log.start-offset',
  'log.deleted',
  'node.wiped',
]

export class LogModel {
  readonly #logs = new Map<string, ReplicaLog>()
  readonly #byPartition = new Map<string, ReplicaLog[]>()

  /** The replica's log; an empty one when nothing was heard of it. */
  log(node: NodeName, partition: string): ReplicaLog {
    const key = `${node} ${partition}`
    let log = this.#logs.get(key)
    if (log === undefined) {
      log = new ReplicaLog(node, partition)
      this.#logs.set(key, log)
      const all = this.#byPartition.get(partition)
      if (all === undefined) this.#byPartition.set(partition, [log])
      else all.push(log)
    }
    return log
  }

  /** Every replica of a partition that was ever heard of. */
  logsOf(partition: string): readonly ReplicaLog[] {
    return this.#byPartition.get(partition) ?? []
  }

  observe(event: TraceEvent): void {
    switch (event.type) {
      case 'log.append':
        this.#append(event.node, event.data, event.seq)
        break
      case 'log.open':
        this.#open(this.log(event.node, event.data.partition), event.data.logStart, event.data.logEnd)
        break
      case 'log.truncate':
        truncate(this.log(event.node, event.data.partition), event.data.to)
        break
      case 'log.start-offset':
        this.#advanceStart(this.log(event.node, event.data.partition), event.data.to)
        break
      case 'log.deleted':
        this.#clear(this.log(event.node, event.data.partition))
        break
      case 'node.wiped':
        for (const log of this.#logs.values()) if (log.node === event.node) this.#clear(log)
        break
      default:
        break
    }
  }

  #append(
    node: NodeName,
    data: {
      partition: string
      baseOffset: Offset
      lastOffset: Offset
      leaderEpoch: Epoch
      crc: number
      batch: BatchView
    },
    seq: number,
  ): void {
    const log = this.log(node, data.partition)
    const { baseOffset, lastOffset, leaderEpoch: epoch, crc, batch } = data
    log.entries.push({ baseOffset, lastOffset, epoch, crc, batch, seq })
    log.logEnd = lastOffset + 1
  }

  #open(log: ReplicaLog, logStart: Offset, logEnd: Offset): void {
    if (logEnd < log.logEnd) truncate(log, logEnd)
    log.logStart = logStart
    log.logEnd = logEnd
  }

  #advanceStart(log: ReplicaLog, to: Offset): void {
    log.logStart = to
    // A follower that starts over at its leader's log start.
    if (to > log.logEnd) {
      log.entries.length = 0
      log.logEnd = to
    }
  }

  #clear(log: ReplicaLog): void {
    truncate(log, 0)
    log.logStart = 0
    log.logEnd = 0
  }
}

function truncate(log: ReplicaLog, to: Offset): void {
  while (log.entries.length > 0 && (log.entries[log.entries.length - 1] as Entry).lastOffset >= to) log.entries.pop()
  log.logEnd = to
  log.truncations++
  log.truncatedTo = Math.min(log.truncatedTo, to)
}
