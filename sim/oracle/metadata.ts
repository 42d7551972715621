/**
 * `metadata-consistent`: committed metadata is never lost and is the same on every node.
 *
 * Every node that replays the metadata log reports what it replayed with a digest of the records. The same offsets give the same digest
 * everywhere; a node replays without gaps, from the log's beginning or from the snapshot that it loaded.
 */

import type { EventOf, EventType, TraceEvent } from '../kernel/events.js'
import type { NodeName } from '../kernel/names.js'
import type { Epoch, Offset } from '../kernel/units.js'
import { Findings } from './findings.js'
import type { Oracle, OracleReport } from './oracle.js'
import type { PromiseKeeper } from './promises.js'

interface Replayed {
  readonly lastOffset: Offset
  readonly epoch: Epoch
  readonly digest: number
  readonly node: NodeName
  readonly seq: number
}

export class MetadataConsistent implements Oracle {
  readonly name = 'metadata-consistent'
  readonly watches: readonly EventType[] = ['metadata.replay', 'node.start', 'quorum.snapshot']
  readonly #findings = new Findings(this.name)
  /** Base offset of each batch replayed anywhere → what it was. */
  readonly #batches = new Map<Offset, Replayed>()
  /** Node → where its next replay begins. */
  readonly #next = new Map<NodeName, { offset: Offset; seq: number }>()
  readonly #promises: PromiseKeeper

  constructor(promises: PromiseKeeper) {
    this.#promises = promises
  }

  observe(event: TraceEvent): void {
    switch (event.type) {
      case 'node.start':
        this.#next.set(event.node, { offset: 0, seq: event.seq })
        break
      case 'quorum.snapshot':
        if (event.data.how === 'loaded') this.#next.set(event.node, { offset: event.data.endOffset, seq: event.seq })
        break
      case 'metadata.replay':
        this.#replayed(event)
        break
      default:
        break
    }
  }

  finish(): OracleReport {
    return this.#findings.report()
  }

  #replayed(event: EventOf<'metadata.replay'>): void {
    const { baseOffset, lastOffset, epoch, digest } = event.data
    this.#findings.checks++
    const next = this.#next.get(event.node)
    if (next !== undefined && baseOffset !== next.offset) {
      const message = `${event.node} replayed metadata from ${baseOffset}, expected from ${next.offset}`
      this.#add(baseOffset, message, event, next.seq)
    }
    this.#next.set(event.node, { offset: lastOffset + 1, seq: event.seq })
    const known = this.#batches.get(baseOffset)
    if (known === undefined) {
      this.#batches.set(baseOffset, { lastOffset, epoch, digest, node: event.node, seq: event.seq })
    } else if (known.digest !== digest || known.lastOffset !== lastOffset || known.epoch !== epoch) {
      const mine = `${baseOffset} to ${lastOffset} (epoch ${epoch})`
      const theirs = `${baseOffset} to ${known.lastOffset} (epoch ${known.epoch})`
      const message = `metadata ${mine} on ${event.node} is not what ${known.node} replayed, ${theirs}`
      this.#add(baseOffset, message, event, known.seq)
    }
  }

  #add(offset: Offset, message: string, event: TraceEvent, before: number): void {
    this.#findings.add(`metadata@${offset}`, message, event.time, [before, event.seq], this.#promises.excuseQuorum())
  }
}
