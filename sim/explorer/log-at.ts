/** The batches of one replica's log as they were at an event, worked out from the trace. */

import type { BatchView, TraceEvent } from '../kernel/events.js'
import type { NodeName } from '../kernel/names.js'
import type { Epoch, Offset } from '../kernel/units.js'

export interface LogPicture {
  readonly start: Offset
  readonly end: Offset
  readonly batches: readonly LoggedBatch[]
}

export interface LoggedBatch {
  readonly baseOffset: Offset
  readonly lastOffset: Offset
  readonly epoch: Epoch
  readonly view: BatchView
}

/** Undefined when the node has no log of that partition by then. */
export function logAt(
  events: readonly TraceEvent[],
  seq: number,
  partition: string,
  node: NodeName,
): LogPicture | undefined {
  let batches: LoggedBatch[] = []
  let start = 0
  let end = -1
  const cut = (to: Offset): void => {
    while ((batches.at(-1)?.lastOffset ?? -1) >= to) batches.pop()
    end = to
  }
  for (let at = 0; at < seq && at < events.length; at++) {
    const event = events[at] as TraceEvent
    if (event.node !== node || !event.type.startsWith('log.')) continue
    if (!('partition' in event.data) || event.data.partition !== partition) continue
    switch (event.type) {
      case 'log.open':
        cut(Math.min(end < 0 ? event.data.logEnd : end, event.data.logEnd))
        start = event.data.logStart
        end = event.data.logEnd
        break
      case 'log.append': {
        const { baseOffset, lastOffset, leaderEpoch: epoch, batch } = event.data
        batches.push({ baseOffset, lastOffset, epoch, view: batch })
        end = lastOffset + 1
        break
      }
      case 'log.truncate':
        cut(event.data.to)
        break
      case 'log.start-offset':
        start = event.data.to
        batches = batches.filter(({ lastOffset }) => lastOffset >= start)
        end = Math.max(end, start)
        break
      case 'log.cleaned': {
        const { from, to } = event.data
        const kept = event.data.batches.map((view): LoggedBatch => ({
          baseOffset: view.baseOffset,
          lastOffset: view.lastOffset,
          epoch: view.partitionLeaderEpoch,
          view,
        }))
        batches = [...batches.filter((b) => b.lastOffset < from), ...kept, ...batches.filter((b) => b.baseOffset >= to)]
        break
      }
      case 'log.deleted':
        batches = []
        start = 0
        end = -1
        break
      default:
        break
    }
  }
  return end < 0 ? undefined : { start, end, batches }
}
