/**
 * `one-leader-per-epoch`, `one-quorum-leader-per-epoch`, `epochs-monotonic`, `elections-as-configured`.
 *
 * No two replicas lead a partition in the same leader epoch, nor two voters the quorum; epochs of partitions, replicas, logs and quorum
 * never go back, and no partition epoch is given to two decisions; every leader is in its ISR, and none comes from outside ISR and ELR
 * unless unclean election is configured or asked for, or nobody else was left but the last known leader (KIP-966).
 */

import type { EventOf, EventType, TraceEvent } from '../kernel/events.js'
import { nodeName, parsePartition, type NodeName } from '../kernel/names.js'
import type { Epoch } from '../kernel/units.js'
import type { Decision, Elections } from './elections.js'
import { Findings } from './findings.js'
import type { Entry, LogModel } from './log-model.js'
import type { Oracle, OracleReport } from './oracle.js'
import type { PromiseKeeper } from './promises.js'

interface Term {
  readonly node: NodeName
  readonly seq: number
}

export class Leadership implements Oracle {
  readonly name = 'one-leader-per-epoch'
  readonly watches: readonly EventType[] = [
    'replica.leader',
    'log.append',
    'quorum.state',
    'controller.partition',
    'node.wiped',
  ]
  readonly quorum = new Findings('one-quorum-leader-per-epoch')
  readonly epochs = new Findings('epochs-monotonic')
  readonly elections = new Findings('elections-as-configured')
  readonly #leaders = new Findings(this.name)
  readonly #terms = new Map<string, Map<Epoch, Term>>()
  readonly #quorumTerms = new Map<Epoch, Term>()
  readonly #quorumEpochs = new Map<NodeName, { epoch: Epoch; seq: number }>()
  readonly #decided = new Map<string, Decision>()
  readonly #logs: LogModel
  readonly #promises: PromiseKeeper
  readonly #elections: Elections

  constructor(logs: LogModel, promises: PromiseKeeper) {
    this.#logs = logs
    this.#promises = promises
    this.#elections = promises.elections
  }

  observe(event: TraceEvent): void {
    switch (event.type) {
      case 'replica.leader':
        this.#leads(event.data.partition, event.data.leaderEpoch, event)
        break
      case 'log.append':
        this.#appends(event)
        break
      case 'quorum.state':
        this.#quorumState(event)
        break
      case 'controller.partition':
        this.#decides(event)
        break
      case 'node.wiped':
        this.#quorumEpochs.delete(event.node)
        break
      default:
        break
    }
  }

  forgetTopic(topic: string): void {
    for (const map of [this.#terms, this.#decided]) {
      for (const name of [...map.keys()]) if (parsePartition(name)?.topic === topic) map.delete(name)
    }
  }

  finish(): OracleReport {
    return this.#leaders.report()
  }

  #leads(partition: string, epoch: Epoch, event: TraceEvent): void {
    this.#leaders.checks++
    let terms = this.#terms.get(partition)
    if (terms === undefined) this.#terms.set(partition, (terms = new Map()))
    const other = terms.get(epoch)
    if (other === undefined) terms.set(epoch, { node: event.node, seq: event.seq })
    else if (other.node !== event.node) {
      const message = `${partition}: ${event.node} and ${other.node} both lead in epoch ${epoch}`
      this.#leaders.add(partition, message, event.time, [other.seq, event.seq])
    }
  }

  #appends(event: EventOf<'log.append'>): void {
    const { partition, leaderEpoch: epoch, role } = event.data
    this.epochs.checks++
    // The model has the batch already; the one before it is what the log ended with.
    const { entries } = this.#logs.log(event.node, partition)
    const before = entries[entries.length - 2]
    if (before !== undefined && epoch < before.epoch) this.#appendsOlder(event, before)
    if (role !== 'leader') return
    const leader = this.#terms.get(partition)?.get(epoch)
    if (leader === undefined || leader.node === event.node) return
    const message = `${partition}: ${event.node} appended as leader in epoch ${epoch}, which ${leader.node} leads`
    this.#leaders.add(partition, message, event.time, [leader.seq, event.seq])
  }

  #appendsOlder(event: EventOf<'log.append'>, before: Entry): void {
    const { partition, leaderEpoch: epoch, baseOffset } = event.data
    const message = `${partition}@${baseOffset} on ${event.node}: a batch of epoch ${epoch} follows one of epoch ${before.epoch}`
    this.epochs.add(`${partition}@${baseOffset}`, message, event.time, [before.seq, event.seq])
  }

  #quorumState(event: EventOf<'quorum.state'>): void {
    const { epoch, to } = event.data
    this.quorum.checks++
    const last = this.#quorumEpochs.get(event.node)
    if (last !== undefined && epoch < last.epoch) {
      const message = `quorum epoch of ${event.node} went from ${last.epoch} back to ${epoch}`
      const excuse = this.#promises.excuseDurable(event.node)
      this.epochs.add('quorum', message, event.time, [last.seq, event.seq], excuse)
    }
    this.#quorumEpochs.set(event.node, { epoch, seq: event.seq })
    if (to !== 'leader') return
    const other = this.#quorumTerms.get(epoch)
    if (other === undefined) this.#quorumTerms.set(epoch, { node: event.node, seq: event.seq })
    else if (other.node !== event.node) {
      const message = `${event.node} and ${other.node} both lead the quorum in epoch ${epoch}`
      const excuse = this.#promises.excuseQuorum()
      this.quorum.add('quorum', message, event.time, [other.seq, event.seq], excuse)
    }
  }

  #decides(event: EventOf<'controller.partition'>): void {
    const { partition, leader, leaderEpoch, partitionEpoch, isr } = event.data
    this.epochs.checks++
    this.elections.checks++
    if (this.#elections.repeated) return
    const last = this.#decided.get(partition)
    const isOlder = last !== undefined && (leaderEpoch < last.leaderEpoch || partitionEpoch <= last.partitionEpoch)
    if (last !== undefined && (isOlder || this.#elections.contradicted)) {
      const epochs = `leader epoch ${last.leaderEpoch} → ${leaderEpoch}, partition epoch ${last.partitionEpoch} → ${partitionEpoch}`
      this.epochs.add(
        partition,
        `${partition}: ${epochs}`,
        event.time,
        [last.seq, event.seq],
        this.#promises.excuseQuorum(),
      )
    }
    if (leader >= 0 && !isr.includes(leader)) {
      const members = isr.map(nodeName).join(' ') || 'nobody'
      const message = `${partition}: ${nodeName(leader)} was made leader of an ISR that it is not in (${members})`
      this.elections.add(partition, message, event.time, [last?.seq ?? 0, event.seq])
    }
    const decision = this.#elections.decision(partition)
    if (decision === undefined) return
    this.#decided.set(partition, decision)
    if (decision.electedAt !== event.seq || decision.kind === 'clean') return
    const candidates = decision.candidates.map(nodeName).join(' ') || 'nobody'
    const message = `${partition}: ${nodeName(leader)} was elected from outside ISR and ELR (${candidates})`
    const excuse =
      decision.kind === 'last-known'
        ? 'last known leader, as ISR and ELR were empty (KIP-966)'
        : decision.uncleanAllowed
          ? 'unclean.leader.election.enable=true'
          : undefined
    this.elections.add(partition, message, event.time, [last?.seq ?? 0, event.seq], excuse)
  }
}
