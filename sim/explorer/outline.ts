/**
 * Which events get a row at each level of detail, and how to get from one to the next.
 *
 *     story        faults, processes, elections, roles, truncations, groups, transactions, and what shows a violation
 *     messages     … and requests, responses, acknowledgements, reads and high watermarks, but not the heartbeat of the quorum
 *     everything   every event
 */

import type { EventType, TraceEvent } from '../kernel/events.js'
import type { NodeName } from '../kernel/names.js'

export const LEVELS = ['story', 'messages', 'everything'] as const
export type Level = (typeof LEVELS)[number]

/** What `n`, `f` and `e` jump to. */
export type Landmark = 'fault' | 'epoch'

const STORY = new Set<EventType>([
  'run.ready',
  'run.end',
  'fault.start',
  'fault.end',
  'fault.skipped',
  'operation.start',
  'operation.end',
  'node.start',
  'node.down',
  'node.pause',
  'node.resume',
  'node.stopping',
  'node.wiped',
  'clock.change',
  'disk.error',
  'disk.power-loss',
  'disk.corrupted',
  'log.truncate',
  'log.corrupt',
  'log.segment-deleted',
  'log.cleaned',
  'log.uncleanable',
  'replica.leader',
  'replica.offline',
  'isr.proposed',
  'isr.rejected',
  'fetch.diverging',
  'fetch.stopped',
  'controller.active',
  'controller.resigned',
  'controller.topic',
  'controller.partition',
  'controller.broker',
  'produce.failed',
  'producer.identity',
  'consume.failed',
  'group.state',
  'group.loaded',
  'consumer.assigned',
  'consumer.revoked',
  'txn.state',
  'txn.marker',
  'txn.ended',
  'acl.denied',
  'admin.completed',
])

const MESSAGES = new Set<EventType>([
  'request.send',
  'response.send',
  'request.failed',
  'produce.acked',
  'consume.polled',
  'consume.position',
  'consumer.commit',
  'consumer.committed',
  'hw.advance',
  'quorum.vote',
  'group.offset',
  'lso.advance',
])

export class Outline {
  readonly #events: readonly TraceEvent[]
  readonly #levels: Readonly<Record<'story' | 'messages', number[]>> = { story: [], messages: [] }
  readonly #always = new Set<number>()
  #indexed = 0

  /** `events` may grow. */
  constructor(events: readonly TraceEvent[]) {
    this.#events = events
  }

  /** These events get a row at every level: what shows a violation. */
  mark(seqs: readonly number[]): void {
    const isNew = seqs.some((seq) => !this.#always.has(seq))
    for (const seq of seqs) this.#always.add(seq)
    if (!isNew) return
    this.#levels.story.length = 0
    this.#levels.messages.length = 0
    this.#indexed = 0
  }

  /** How many rows there are at this level. */
  count(level: Level): number {
    this.#extend()
    return level === 'everything' ? this.#events.length : this.#levels[level].length
  }

  /** The event of row `index`. */
  seqAt(level: Level, index: number): number | undefined {
    this.#extend()
    if (level !== 'everything') return this.#levels[level][index]
    return index >= 0 && index < this.#events.length ? index + 1 : undefined
  }

  /** The row of event `seq`, or the last one before it; -1 before the first. */
  indexOf(level: Level, seq: number): number {
    this.#extend()
    if (level === 'everything') return Math.min(seq, this.#events.length) - 1
    const seqs = this.#levels[level]
    let low = 0
    let high = seqs.length
    while (low < high) {
      const middle = (low + high) >> 1
      if ((seqs[middle] as number) <= seq) low = middle + 1
      else high = middle
    }
    return low - 1
  }

  /** The first event that matches, going forward (1) or back (-1) from `seq`, which is left out. */
  find(seq: number, step: 1 | -1, matches: (event: TraceEvent) => boolean): number | undefined {
    for (let at = seq - 1 + step; at >= 0 && at < this.#events.length; at += step) {
      if (matches(this.#events[at] as TraceEvent)) return at + 1
    }
    return undefined
  }

  #extend(): void {
    for (; this.#indexed < this.#events.length; this.#indexed++) {
      const event = this.#events[this.#indexed] as TraceEvent
      const isStory = STORY.has(event.type) || this.#always.has(event.seq)
      if (isStory) this.#levels.story.push(event.seq)
      if (isStory || (MESSAGES.has(event.type) && !isRoutine(event))) this.#levels.messages.push(event.seq)
    }
  }
}

export function isLandmark(event: TraceEvent, landmark: Landmark): boolean {
  if (landmark === 'fault') return event.type === 'fault.start' || event.type === 'operation.start'
  if (event.type === 'controller.active' || event.type === 'replica.leader') return true
  return event.type === 'quorum.state' && event.data.to === 'leader'
}

/** Brokers and controllers that fetch metadata and say that they are alive. */
function isRoutine(event: TraceEvent): boolean {
  if (event.type !== 'request.send' && event.type !== 'response.send') return false
  const { api, to } = event.data
  if (api === 'BrokerHeartbeat' || api === 'BeginQuorumEpoch') return true
  return api === 'Fetch' && (isController(to) || isController(event.node))
}

function isController(node: NodeName): boolean {
  return /^c[0-9]+$/.test(node)
}
