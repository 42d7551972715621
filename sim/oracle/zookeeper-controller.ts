/**
 * `one-controller-per-epoch`, `deposed-controller-silent`: the controller of ZooKeeper mode.
 *
 * An election takes the next controller epoch in the transaction that creates /controller: no two brokers are ever active in the same epoch, and
 * epochs grow with the transactions that took them. Every write of a controller checks that epoch's version in its own transaction: none of a
 * controller takes effect after the election of a later one. What counts is the order of transactions, not the time at which somebody heard of them: a
 * controller may learn late that a write of its term got through.
 */

import type { EventOf, EventType, TraceEvent } from '../kernel/events.js'
import type { NodeName } from '../kernel/names.js'
import type { Epoch } from '../kernel/units.js'
import { Findings } from './findings.js'
import type { Oracle, OracleReport } from './oracle.js'

interface Term {
  readonly node: NodeName
  readonly epoch: Epoch
  readonly zxid: number
  readonly seq: number
}

interface LastWrite {
  readonly zxid: number
  readonly path: string
  readonly seq: number
}

export class ZooKeeperController implements Oracle {
  readonly name = 'one-controller-per-epoch'
  readonly watches: readonly EventType[] = ['zk-controller.elected', 'zk-controller.write']
  readonly deposed = new Findings('deposed-controller-silent')
  readonly #terms: Findings = new Findings(this.name)
  /** By epoch. */
  readonly #elected = new Map<Epoch, Term>()
  /** The latest transaction of each epoch: an election that is heard of later may have come before it. */
  readonly #lastWrites = new Map<Epoch, LastWrite>()

  observe(event: TraceEvent): void {
    if (event.type === 'zk-controller.elected') this.#takesOffice(event)
    else if (event.type === 'zk-controller.write') this.#writes(event)
  }

  finish(): OracleReport {
    return this.#terms.report()
  }

  #takesOffice(event: EventOf<'zk-controller.elected'>): void {
    const { epoch, zxid } = event.data
    this.#terms.checks++
    const term: Term = { node: event.node, epoch, zxid, seq: event.seq }
    const other = this.#elected.get(epoch)
    if (other !== undefined && (other.node !== term.node || other.zxid !== zxid)) {
      const message = `${event.node} and ${other.node} were both elected controller of epoch ${epoch}`
      this.#terms.add(`epoch ${epoch}`, message, event.time, [other.seq, event.seq])
    }
    for (const known of [this.#elected.get(epoch - 1), this.#elected.get(epoch + 1)]) {
      if (known === undefined || known.epoch < epoch === known.zxid < zxid) continue
      const message = `controller epochs ${epoch} and ${known.epoch} were taken in the wrong order`
      this.#terms.add(`epoch ${epoch}`, message, event.time, [known.seq, event.seq])
    }
    this.#elected.set(epoch, term)
    for (const [earlier, write] of this.#lastWrites) {
      if (earlier < epoch && write.zxid > zxid) this.#tookEffect(earlier, write, term, event)
    }
  }

  #writes(event: EventOf<'zk-controller.write'>): void {
    const { epoch, zxid, path } = event.data
    this.deposed.checks++
    const write: LastWrite = { zxid, path, seq: event.seq }
    if ((this.#lastWrites.get(epoch)?.zxid ?? -1) < zxid) this.#lastWrites.set(epoch, write)
    for (const term of this.#elected.values()) {
      if (term.epoch > epoch && term.zxid < zxid) this.#tookEffect(epoch, write, term, event)
    }
  }

  #tookEffect(epoch: Epoch, write: LastWrite, term: Term, event: TraceEvent): void {
    const message = `a write to ${write.path} by the controller of epoch ${epoch} took effect after ${term.node} was elected for epoch ${term.epoch}`
    this.deposed.add(write.path, message, event.time, [term.seq, write.seq])
  }
}
