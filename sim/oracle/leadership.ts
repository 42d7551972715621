/**
 * `one-leader-per-epoch`, `one-quorum-leader-per-epoch`, `epochs-monotonic`, `elections-as-configured`.
 *
 * No two replicas lead a partition in the same leader epoch, nor two voters the quorum; epochs of partitions, replicas and quorum never go
 * back; no leader comes from outside ISR and ELR unless unclean election is configured.
 */

import type { EventType, TraceEvent } from '../kernel/events.js'
import { nodeName, parsePartition, type NodeName } from '../kernel/names.js'
import type { Epoch, NodeId } from '../kernel/units.js'
import { Findings } from './findings.js'
import type { Oracle, OracleReport } from './oracle.js'
import type { PromiseKeeper } from './promises.js'

interface Term {
  readonly node: NodeName
  readonly seq: number
}

interface Decision {
  readonly leader: NodeId
  /** The leader before there was none. */
  readonly lastLeader: NodeId | undefined
  readonly leaderEpoch: Epoch
  readonly partitionEpoch: Epoch
  readonly seq: number
}

export class Leadership implements Oracle {
  readonly name = 'one-leader-per-epoch'
  readonly watches: readonly EventType[] = [
    'replica.leader',
    'log.append',
    'quorum.state',
    'controller.partition',
    'controller.topic',
    'log.deleted',
    'log.open',
    'log.truncate',
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
  readonly #appended = new Map<string, { epoch: Epoch; seq: number }>()
  readonly #promises: PromiseKeeper

  constructor(promises: PromiseKeeper) {
    this.#promises = promises
  }

  observe(event: TraceEvent): void {
    switch (event.type) {
      case 'replica.leader':
        this.#leads(event.data.partition, event.data.leaderEpoch, event)
        break
      case 'log.append':
        this.#appends(event.data.partition, event.data.leaderEpoch, event.data.role, event)
        break
      case 'quorum.state':
        this.#quorum(event.data.to === 'leader', event.data.epoch, event)
        break
      case 'controller.partition':
        this.#decides(event)
        break
      case 'controller.topic':
        if (event.data.change === 'deleted') this.#forget(event.data.topic)
        break
      case 'node.wiped':
        for (const key of [...this.#appended.keys()]) if (key.startsWith(`${event.node} `)) this.#appended.delete(key)
        break
      case 'log.open':
      case 'log.truncate':
      case 'log.deleted':
        this.#appended.delete(`${event.node} ${event.data.partition}`)
        break
      default:
        break
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

  #appends(partition: string, epoch: Epoch, role: string, event: TraceEvent): void {
    this.epochs.checks++
    const key = `${event.node} ${partition}`
    const last = this.#appended.get(key)
    if (last !== undefined && epoch < last.epoch) {
      const message = `${partition} on ${event.node}: a batch of epoch ${epoch} was appended after one of epoch ${last.epoch}`
      this.epochs.add(partition, message, event.time, [last.seq, event.seq])
    }
    if (last === undefined || epoch !== last.epoch) this.#appended.set(key, { epoch, seq: event.seq })
    if (role === 'leader') {
      const leader = this.#terms.get(partition)?.get(epoch)
      if (leader !== undefined && leader.node !== event.node) {
        const message = `${partition}: ${event.node} appended as leader in epoch ${epoch}, which ${leader.node} leads`
        this.#leaders.add(partition, message, event.time, [leader.seq, event.seq])
      }
    }
  }

  #quorum(leads: boolean, epoch: Epoch, event: TraceEvent): void {
    this.quorum.checks++
    const last = this.#quorumEpochs.get(event.node)
    if (last !== undefined && epoch < last.epoch) {
      const message = `quorum epoch of ${event.node} went from ${last.epoch} back to ${epoch}`
      this.epochs.add(
        'quorum',
        message,
        event.time,
        [last.seq, event.seq],
        this.#promises.lostData(event.node) ? `data lost on ${event.node}` : undefined,
      )
    }
    this.#quorumEpochs.set(event.node, { epoch, seq: event.seq })
    if (!leads) return
    const other = this.#quorumTerms.get(epoch)
    if (other === undefined) this.#quorumTerms.set(epoch, { node: event.node, seq: event.seq })
    else if (other.node !== event.node) {
      const message = `${event.node} and ${other.node} both lead the quorum in epoch ${epoch}`
      this.quorum.add('quorum', message, event.time, [other.seq, event.seq])
    }
  }

  #decides(event: Extract<TraceEvent, { type: 'controller.partition' }>): void {
    const { partition, leader, leaderEpoch, partitionEpoch, unclean } = event.data
    this.epochs.checks++
    const last = this.#decided.get(partition)
    // After a failover the new controller tells again what it found uncommitted: the same decision, word for word.
    const repeated = last?.partitionEpoch === partitionEpoch && last.leaderEpoch === leaderEpoch
    if (last !== undefined && !repeated && (leaderEpoch < last.leaderEpoch || partitionEpoch <= last.partitionEpoch)) {
      const message = `${partition}: leader epoch ${last.leaderEpoch} → ${leaderEpoch}, partition epoch ${last.partitionEpoch} → ${partitionEpoch}`
      this.epochs.add(partition, message, event.time, [last.seq, event.seq])
    }
    const lastLeader = last === undefined || last.leader < 0 ? last?.lastLeader : last.leader
    this.#decided.set(partition, { leader, lastLeader, leaderEpoch, partitionEpoch, seq: event.seq })
    this.elections.checks++
    if (!unclean || repeated) return
    const topic = parsePartition(partition)?.topic ?? partition
    const configured = this.#promises.topic(topic).uncleanLeaderElection || this.#promises.uncleanAllowed(topic)
    const message = `${partition}: ${nodeName(leader)} was elected from outside ISR and ELR`
    const lastKnown = leader === lastLeader ? 'last known leader, as ISR and ELR were empty (KIP-966)' : undefined
    const excuse = configured ? 'unclean.leader.election.enable=true' : lastKnown
    this.elections.add(partition, message, event.time, [event.cause, event.seq], excuse)
  }

  #forget(topic: string): void {
    for (const map of [this.#terms, this.#decided]) {
      for (const name of [...map.keys()]) if (parsePartition(name)?.topic === topic) map.delete(name)
    }
  }
}
