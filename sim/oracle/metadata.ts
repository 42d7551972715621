/**
 * `metadata-consistent`: committed metadata is never lost and is the same on every node.
 *
 * Every node that replays the metadata log reports what it replayed with a digest of the records. The same offsets give the same digest
 * everywhere; a node replays without gaps, going back only to start over with a snapshot or a new process.
 */

import type { EventType, TraceEvent } from '../kernel/events.js'
import type { NodeName } from '../kernel/names.js'
import type { Offset } from '../kernel/units.js'
import { Findings } from './findings.js'
import type { Oracle, OracleReport } from './oracle.js'

export class MetadataConsistent implements Oracle {
  readonly name = 'metadata-consistent'
  readonly watches: readonly EventType[] = ['metadata.replay', 'node.start', 'quorum.snapshot']
  readonly #findings = new Findings(this.name)
  /** Base offset of each batch replayed anywhere → what it was. */
  readonly #batches = new Map<Offset, { lastOffset: Offset; epoch: number; digest: number; seq: number }>()
  readonly #next = new Map<NodeName, { offset: Offset; seq: number }>()

  observe(event: TraceEvent): void {
    if (event.type === 'node.start') this.#next.delete(event.node)
    else if (event.type === 'quorum.snapshot' && event.data.how === 'loaded') {
      this.#next.set(event.node, { offset: event.data.endOffset, seq: event.seq })
    } else if (event.type === 'metadata.replay') this.#replayed(event)
  }

  finish(): OracleReport {
    return this.#findings.report()
  }

  #replayed(event: Extract<TraceEvent, { type: 'metadata.replay' }>): void {
    const { baseOffset, lastOffset, epoch, digest } = event.data
    this.#findings.checks++
    const next = this.#next.get(event.node)
    if (next !== undefined && baseOffset !== next.offset) {
      const message = `${event.node} replayed metadata from ${baseOffset}, expected from ${next.offset}`
      this.#findings.add(`metadata@${baseOffset}`, message, event.time, [next.seq, event.seq])
    }
    this.#next.set(event.node, { offset: lastOffset + 1, seq: event.seq })
    const known = this.#batches.get(baseOffset)
    if (known === undefined) this.#batches.set(baseOffset, { lastOffset, epoch, digest, seq: event.seq })
    else if (known.digest !== digest || known.lastOffset !== lastOffset || known.epoch !== epoch) {
      const message = `metadata ${baseOffset}–${lastOffset} on ${event.node} is not what was replayed elsewhere (epochs ${epoch} and ${known.epoch})`
      this.#findings.add(`metadata@${baseOffset}`, message, event.time, [known.seq, event.seq])
    }
  }
}
