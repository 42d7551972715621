/**
 * `recovers`: after the last fault has ended, every partition has a leader, its full ISR, and takes writes within the bound.
 *
 * Judged at the end, from the controller's last decision on every partition. A run that ends before the bound, or in which a fault never ends, is
 * undecided unless everything had recovered by then.
 */

import type { EventType, TraceEvent } from '../kernel/events.js'
import { nodeName, parsePartition, type NodeName } from '../kernel/names.js'
import { formatSeconds, type Micros } from '../kernel/units.js'
import { Findings } from './findings.js'
import type { Oracle, OracleReport, RunEnd } from './oracle.js'

interface PartitionState {
  leader: number
  isr: number
  /** Those whom the controller may elect cleanly: ISR and ELR. */
  eligible: readonly NodeName[]
  replicas: number
  seq: number
  /** The broker that took up the leadership last. */
  acting: NodeName | undefined
}

interface Problem {
  readonly subject: string
  readonly message: string
  readonly seq: number
  readonly excuse?: string
}

/** Kafka elects nobody then, and asks the operator (KIP-966); data may be all there. */
const NOBODY_LEFT =
  'nobody with data is left in ISR and ELR after unclean shutdowns, and no unclean election is configured'

interface PendingWrite {
  readonly since: Micros
  readonly seq: number
  readonly client: NodeName
}

export class Recovers implements Oracle {
  readonly name = 'recovers'
  readonly watches: readonly EventType[] = [
    'controller.partition',
    'controller.topic',
    'replica.leader',
    'node.start',
    'node.down',
    'node.wiped',
    'produce.invoked',
    'produce.acked',
    'produce.failed',
  ]
  readonly #findings = new Findings(this.name)
  readonly #settle: Micros
  readonly #partitions = new Map<string, PartitionState>()
  readonly #up = new Set<NodeName>()
  /** Their disks were replaced: what they held is gone. */
  readonly #wiped = new Set<NodeName>()
  readonly #pending = new Map<string, PendingWrite>()
  readonly #failures: { readonly since: Micros; readonly seq: number; readonly message: string }[] = []

  constructor(settle: Micros) {
    this.#settle = settle
  }

  observe(event: TraceEvent): void {
    switch (event.type) {
      case 'node.start':
        this.#up.add(event.node)
        break
      case 'node.down':
        this.#up.delete(event.node)
        for (const [id, write] of this.#pending) if (write.client === event.node) this.#pending.delete(id)
        break
      case 'node.wiped':
        this.#wiped.add(event.node)
        break
      case 'controller.partition': {
        const { partition, leader, isr, elr, replicas } = event.data
        const acting = this.#partitions.get(partition)?.acting
        this.#partitions.set(partition, {
          leader,
          isr: isr.length,
          eligible: [...isr, ...elr].map(nodeName),
          replicas: replicas.length,
          seq: event.seq,
          acting,
        })
        break
      }
      case 'controller.topic':
        if (event.data.change === 'deleted') this.#forget(event.data.topic)
        break
      case 'replica.leader': {
        const state = this.#partitions.get(event.data.partition)
        if (state !== undefined) state.acting = event.node
        break
      }
      case 'produce.invoked':
        this.#pending.set(event.data.id, { since: event.time, seq: event.seq, client: event.node })
        break
      case 'produce.acked':
        this.#pending.delete(event.data.id)
        break
      case 'produce.failed': {
        const { id, error } = event.data
        const since = this.#pending.get(id)?.since ?? event.time
        this.#failures.push({ since, seq: event.seq, message: `${id} failed with ${error}` })
        this.#pending.delete(id)
        break
      }
      default:
        break
    }
  }

  finish(end: RunEnd): OracleReport {
    const deadline = end.lastFaultEnd + this.#settle
    const problems = this.#unsettled()
    // Writes to a partition that must not have a leader are not promised to be taken.
    if (problems.every(({ excuse }) => excuse === undefined)) problems.push(...this.#unwritten(deadline, end.time))
    this.#findings.checks = this.#partitions.size
    if (problems.length > 0 && end.time < deadline) this.#findings.undecided()
    else
      for (const { subject, message, seq, excuse } of problems)
        this.#findings.add(subject, message, end.time, [seq], excuse)
    return this.#findings.report()
  }

  #unsettled(): Problem[] {
    return [...this.#partitions].flatMap(([partition, state]): Problem[] => {
      const { leader, isr, eligible, replicas, seq, acting } = state
      if (leader < 0 && eligible.every((node) => this.#wiped.has(node)))
        return [{ subject: partition, message: `${partition} has no leader`, seq, excuse: NOBODY_LEFT }]
      if (leader < 0) return [{ subject: partition, message: `${partition} has no leader`, seq }]
      const name = nodeName(leader)
      if (!this.#up.has(name))
        return [{ subject: partition, message: `${partition} is led by ${name}, which is down`, seq }]
      if (acting !== name)
        return [{ subject: partition, message: `${name} has not taken up the leadership of ${partition}`, seq }]
      if (isr < replicas)
        return [{ subject: partition, message: `${partition} has ${isr} of ${replicas} replicas in sync`, seq }]
      return []
    })
  }

  /** Writes begun after the bound must be taken; those pending for longer than the bound must have been answered. */
  #unwritten(deadline: Micros, now: Micros): Problem[] {
    const problems: Problem[] = this.#failures
      .filter((failure) => failure.since > deadline)
      .map(({ message, seq }) => ({ subject: 'writes', message, seq }))
    for (const [id, write] of this.#pending) {
      if (now <= Math.max(deadline, write.since + this.#settle)) continue
      const message = `${id}, sent at ${formatSeconds(write.since)} s, was never answered`
      problems.push({ subject: 'writes', message, seq: write.seq })
    }
    return problems
  }

  #forget(topic: string): void {
    for (const name of [...this.#partitions.keys()])
      if (parsePartition(name)?.topic === topic) this.#partitions.delete(name)
  }
}
