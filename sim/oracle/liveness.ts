/**
 * `recovers`: after the last fault has ended, the quorum has a leader, every partition has one and its full ISR, and writes are taken
 * within the bound.
 *
 * Judged at the end, from the controller's last decision on every partition. A run that ends before the bound, or in which a fault never
 * ends, is undecided unless everything had recovered by then. Writes that Kafka refuses for what they are (too large,
 * invalid, to a topic that does not exist) or for who sent them say nothing about the cluster; a writer who was refused its topic may not
 * learn who leads it, and wait.
 */

import type { EventOf, EventType, TraceEvent } from '../kernel/events.js'
import { nodeName, parsePartition, type NodeName } from '../kernel/names.js'
import type { Epoch, Micros } from '../kernel/units.js'
import { Findings } from './findings.js'
import { type LogModel, wroteEarly } from './log-model.js'
import type { Oracle, OracleReport, RunEnd } from './oracle.js'
import type { PromiseKeeper } from './promises.js'
import type { RunClock } from './run-clock.js'

interface PartitionState {
  readonly leader: number
  readonly leaderEpoch: Epoch
  readonly isr: readonly number[]
  readonly elr: readonly number[]
  readonly replicas: readonly number[]
  readonly seq: number
}

interface PendingWrite {
  readonly time: Micros
  readonly seq: number
  readonly client: NodeName
  readonly topic: string
}

interface FailedWrite extends PendingWrite {
  readonly message: string
}

interface Problem {
  readonly subject: string
  readonly message: string
  readonly seq: number
  readonly excuse?: string
}

/** Kafka elects nobody then, and asks the operator (KIP-966); data may be all there. */
const NOBODY_LEFT = 'ISR and ELR are empty after unclean shutdowns, and no unclean election is configured'

/** The record's fault, or its sender's. */
const REFUSALS: ReadonlySet<string> = new Set([
  // The application aborted the transaction before the record was sent.
  'TRANSACTION_ABORTED',
  'MESSAGE_TOO_LARGE',
  'TOPIC_AUTHORIZATION_FAILED',
  'CLUSTER_AUTHORIZATION_FAILED',
  'TRANSACTIONAL_ID_AUTHORIZATION_FAILED',
  'RECORD_LIST_TOO_LARGE',
  'RECORD_TOO_LARGE',
  'INVALID_RECORD',
  'INVALID_TIMESTAMP',
  'INVALID_REQUIRED_ACKS',
  'INVALID_TOPIC_EXCEPTION',
  'INVALID_PRODUCER_EPOCH',
  'PRODUCER_FENCED',
  'UNSUPPORTED_FOR_MESSAGE_FORMAT',
  'POLICY_VIOLATION',
])

export class Recovers implements Oracle {
  readonly name = 'recovers'
  readonly watches: readonly EventType[] = [
    'controller.partition',
    'controller.topic',
    'replica.leader',
    'quorum.state',
    'node.start',
    'node.down',
    'produce.invoked',
    'produce.acked',
    'produce.failed',
    'acl.denied',
    'disk.corrupted',
    'log.corrupt',
    'fetch.stopped',
    'replica.follower',
  ]
  readonly #findings = new Findings(this.name)
  readonly #settle: Micros
  readonly #clock: RunClock
  readonly #promises: PromiseKeeper
  readonly #logs: LogModel
  readonly #partitions = new Map<string, PartitionState>()
  /** Partition → who took up the leadership last, and in which epoch. */
  readonly #acting = new Map<string, { readonly node: NodeName; readonly epoch: Epoch }>()
  readonly #up = new Set<NodeName>()
  /** Brokers that have ended by themselves. */
  readonly #halted = new Set<NodeName>()
  readonly #gone = new Set<string>()
  readonly #pending = new Map<string, PendingWrite>()
  readonly #failed: FailedWrite[] = []
  /** `p1 topic orders`: what clients were refused. */
  readonly #denied = new Set<string>()
  /** Partition → whose bytes of it rotted, and who refused what it was sent. */
  readonly #rotten = new Map<string, Set<NodeName>>()
  readonly #refused = new Map<string, Set<NodeName>>()
  /** `orders-0 b3`: it has given up following until another epoch. */
  readonly #stopped = new Set<string>()
  #quorumLeader: NodeName | undefined
  #quorumEpoch: Epoch = -1
  #quorumSeq = 0

  constructor(settle: Micros, clock: RunClock, promises: PromiseKeeper, logs: LogModel) {
    this.#settle = settle
    this.#clock = clock
    this.#promises = promises
    this.#logs = logs
  }

  observe(event: TraceEvent): void {
    switch (event.type) {
      case 'node.start':
        this.#up.add(event.node)
        this.#halted.delete(event.node)
        break
      case 'node.down':
        this.#goesDown(event)
        break
      case 'controller.partition': {
        const { leader, leaderEpoch, isr, elr, replicas } = event.data
        this.#partitions.set(event.data.partition, { leader, leaderEpoch, isr, elr, replicas, seq: event.seq })
        break
      }
      case 'controller.topic':
        if (event.data.change === 'created') this.#gone.delete(event.data.topic)
        break
      case 'replica.leader': {
        const { partition, leaderEpoch: epoch } = event.data
        // One that is deposed may hear late, in ZooKeeper mode, that it was elected once.
        if (epoch >= (this.#acting.get(partition)?.epoch ?? -1))
          this.#acting.set(partition, { node: event.node, epoch })
        break
      }
      case 'disk.corrupted':
        addTo(this.#rotten, event.data.path.split('/')[0] ?? '', event.node)
        break
      case 'log.corrupt':
        addTo(this.#refused, event.data.partition, event.node)
        break
      case 'fetch.stopped':
        this.#stopped.add(`${event.data.partition} ${event.node}`)
        break
      case 'replica.follower':
        this.#stopped.delete(`${event.data.partition} ${event.node}`)
        break
      case 'quorum.state':
        this.#quorumState(event)
        break
      case 'produce.invoked': {
        const { id, topic } = event.data
        this.#pending.set(id, { time: event.time, seq: event.seq, client: event.node, topic })
        break
      }
      case 'produce.acked':
        this.#pending.delete(event.data.id)
        break
      case 'produce.failed':
        this.#fails(event)
        break
      case 'acl.denied':
        this.#denied.add(`${event.data.from} ${event.data.resource}`)
        break
      default:
        break
    }
  }

  forgetTopic(topic: string): void {
    this.#gone.add(topic)
    for (const map of [this.#partitions, this.#acting]) {
      for (const name of [...map.keys()]) if (parsePartition(name)?.topic === topic) map.delete(name)
    }
  }

  finish(end: RunEnd): OracleReport {
    const deadline = end.lastFaultEnd + this.#settle
    const problems = [...this.#leaderlessQuorum(), ...this.#unsettled()]
    // Writes to a partition that must not have a leader are not promised to be taken.
    if (problems.every(({ excuse }) => excuse === undefined)) problems.push(...this.#unwritten(deadline, end.time))
    this.#findings.checks = this.#partitions.size
    if (problems.length > 0 && end.time < deadline) {
      this.#findings.undecided()
      return this.#findings.report()
    }
    for (const { subject, message, seq, excuse } of problems) {
      this.#findings.add(subject, message, end.time, [seq], excuse)
    }
    return this.#findings.report()
  }

  #goesDown(event: EventOf<'node.down'>): void {
    this.#up.delete(event.node)
    if (event.data.how === 'halt') this.#halted.add(event.node)
    for (const [id, write] of this.#pending) if (write.client === event.node) this.#pending.delete(id)
    // Should it come back, it must take up its roles again.
    for (const [partition, { node }] of this.#acting) if (node === event.node) this.#acting.delete(partition)
    if (this.#quorumLeader === event.node) this.#quorumLeader = undefined
  }

  #quorumState(event: EventOf<'quorum.state'>): void {
    const { epoch, to } = event.data
    if (to === 'leader' && epoch >= this.#quorumEpoch) this.#quorumLeader = event.node
    else if (to !== 'leader' && this.#quorumLeader === event.node) this.#quorumLeader = undefined
    if (epoch > this.#quorumEpoch) this.#quorumEpoch = epoch
    this.#quorumSeq = event.seq
  }

  #fails(event: EventOf<'produce.failed'>): void {
    const { id, error } = event.data
    const write = this.#pending.get(id)
    this.#pending.delete(id)
    if (write === undefined || REFUSALS.has(error)) return
    this.#failed.push({ ...write, seq: event.seq, message: `${id} failed with ${error}` })
  }

  #leaderlessQuorum(): Problem[] {
    if (this.#quorumSeq === 0 || this.#quorumLeader !== undefined) return []
    return [
      { subject: 'quorum', message: `the quorum has no leader (epoch ${this.#quorumEpoch})`, seq: this.#quorumSeq },
    ]
  }

  #unsettled(): Problem[] {
    return [...this.#partitions].flatMap(([partition, state]): Problem[] => {
      const problem = this.#problemOf(partition, state)
      return problem === undefined ? [] : [{ subject: partition, seq: state.seq, ...problem }]
    })
  }

  #problemOf(partition: string, state: PartitionState): { message: string; excuse?: string } | undefined {
    const { leader, leaderEpoch, isr, elr, replicas } = state
    if (leader < 0) {
      const message = `${partition} has no leader`
      return isr.length + elr.length === 0 ? { message, excuse: NOBODY_LEFT } : { message }
    }
    const name = nodeName(leader)
    if (!this.#up.has(name)) return { message: `${partition} is led by ${name}, which is down` }
    const acting = this.#acting.get(partition)
    if (acting === undefined || acting.node !== name || acting.epoch < leaderEpoch) {
      return { message: `${name} has not taken up the leadership of ${partition} in epoch ${leaderEpoch}` }
    }
    const missing = replicas.filter((id) => !isr.includes(id)).map(nodeName)
    if (missing.length === 0) return undefined
    const which = missing.map((node) => (this.#up.has(node) ? node : `${node}, which is down`)).join(' ')
    const message = `${partition} has ${isr.length} of ${replicas.length} replicas in sync, without ${which}`
    const refused = this.#refused.get(partition)
    const isRotten =
      this.#rotten.get(partition)?.has(name) === true && missing.every((node) => refused?.has(node) === true)
    if (isRotten) return { message, excuse: `what the leader holds is rotten on its disk (${name})` }
    const excuses = missing.map((node) => this.#excuseAbsence(partition, node))
    return excuses.includes(undefined) ? { message } : { message, excuse: excuses.join(', ') }
  }

  #excuseAbsence(partition: string, node: NodeName): string | undefined {
    // It cannot start: a file that it had synced is not what it was.
    if (this.#halted.has(node)) return this.#promises.excuseDurable(node)
    if (!this.#stopped.has(`${partition} ${node}`)) return undefined
    // It ends where its leader's batches do not begin: by what it wrote before it was let in, or by what its leader had lost.
    return wroteEarly(this.#logs.log(node, partition)) ?? this.#promises.excuseAstray(partition)
  }

  /**
   * Writes begun after the bound must be taken; those pending for longer than it must have been answered. One that was begun before, and
   * failed, was answered: an idempotent producer may try in vain until delivery.timeout.ms what the cluster took long ago.
   */
  #unwritten(deadline: Micros, now: Micros): Problem[] {
    const problems: Problem[] = []
    for (const { topic, time, message, seq } of this.#failed) {
      if (time > deadline && !this.#gone.has(topic)) problems.push({ subject: 'writes', message, seq })
    }
    for (const [id, { client, topic, time, seq }] of this.#pending) {
      if (now <= Math.max(deadline, time + this.#settle) || this.#gone.has(topic)) continue
      if (this.#denied.has(`${client} topic ${topic}`)) continue
      problems.push({ subject: 'writes', message: `${id}, sent at ${this.#clock.text(time)}, was never answered`, seq })
    }
    return problems
  }
}

function addTo(sets: Map<string, Set<NodeName>>, key: string, node: NodeName): void {
  const set = sets.get(key)
  if (set === undefined) sets.set(key, new Set([node]))
  else set.add(node)
}
