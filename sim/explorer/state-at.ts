/**
 * What an observer knows of the cluster at an event: a flat table of facts, folded from the trace.
 *
 *     node/b1          up | down | paused | fenced | stopping          part/orders-0/leader      b1
 *     quorum/c1        leader e3                                       part/orders-0/epoch       4
 *     quorum-hw/c1     61                                              part/orders-0/isr         1 2 3
 *     controller       c1 e3                                           rep/orders-0/b1/leo       42
 *     client/p1/acked  41                                              rep/orders-0/b1/hw        41
 *     group/g1/state   Stable                                          txn/x1/state              Ongoing
 *
 * Facts are texts and numbers, so what an event changed is a comparison of two tables. Every `CHECKPOINT_EVERY` events the table is kept;
 * the one at any event is made from the kept one before it.
 */

import type { TraceEvent } from '../kernel/events.js'
import { nodeName } from '../kernel/names.js'
import { foldZooKeeper } from './zookeeper-facts.js'

export type Fact = string | number
export type Facts = ReadonlyMap<string, Fact>

export interface Change {
  readonly fact: string
  readonly from: Fact | undefined
  readonly to: Fact | undefined
}

const CHECKPOINT_EVERY = 2_000

export class StateAt {
  readonly #events: readonly TraceEvent[]
  readonly #checkpoints: Map<string, Fact>[] = [new Map()]
  #last: { readonly seq: number; readonly facts: Map<string, Fact> } | undefined

  /** `events` may grow; what is in it does not change. */
  constructor(events: readonly TraceEvent[]) {
    this.#events = events
  }

  /** Everything known once event `seq` has happened; nothing at 0. */
  at(seq: number): Facts {
    const known = this.#last
    if (known?.seq === seq) return known.facts
    const goesOn = known !== undefined && known.seq < seq && seq - known.seq < CHECKPOINT_EVERY
    const facts = goesOn ? new Map(known.facts) : this.#fromCheckpoint(seq)
    if (goesOn) this.#fold(facts, known.seq, seq)
    this.#last = { seq, facts }
    return facts
  }

  /** What event `seq` changed, in the order of the facts' names. */
  changes(seq: number): Change[] {
    const event = this.#events[seq - 1]
    if (event === undefined) return []
    const before = this.at(seq - 1)
    const changes: Change[] = []
    const seen = new Map<string, Fact | undefined>()
    const watch: Table = {
      get: (fact) => (seen.has(fact) ? seen.get(fact) : before.get(fact)),
      set: (fact, value) => void seen.set(fact, value),
      delete: (fact) => void seen.set(fact, undefined),
      keys: () => before.keys(),
    }
    fold(watch, event)
    for (const [fact, to] of seen) {
      const from = before.get(fact)
      if (from !== to) changes.push({ fact, from, to })
    }
    return changes.sort((a, b) => (a.fact < b.fact ? -1 : a.fact > b.fact ? 1 : 0))
  }

  #fromCheckpoint(seq: number): Map<string, Fact> {
    const wanted = Math.floor(seq / CHECKPOINT_EVERY)
    while (this.#checkpoints.length <= wanted) {
      const at = this.#checkpoints.length - 1
      const facts = new Map(this.#checkpoints[at])
      this.#fold(facts, at * CHECKPOINT_EVERY, (at + 1) * CHECKPOINT_EVERY)
      this.#checkpoints.push(facts)
    }
    const facts = new Map(this.#checkpoints[wanted])
    this.#fold(facts, wanted * CHECKPOINT_EVERY, seq)
    return facts
  }

  #fold(facts: Map<string, Fact>, from: number, to: number): void {
    for (let at = from; at < to; at++) {
      const event = this.#events[at]
      if (event !== undefined) fold(facts, event)
    }
  }
}

interface Table {
  get(fact: string): Fact | undefined
  set(fact: string, value: Fact): unknown
  delete(fact: string): unknown
  keys(): Iterable<string>
}

function fold(facts: Table, event: TraceEvent): void {
  switch (event.type) {
    case 'node.start':
      facts.set(`node/${event.node}`, /^b[0-9]/.test(event.node) ? 'fenced' : 'up')
      break
    case 'node.down':
      facts.set(`node/${event.node}`, 'down')
      forgetRole(facts, event.node)
      break
    case 'node.pause':
      facts.set(`node/${event.node}`, 'paused')
      break
    case 'node.resume':
      facts.set(`node/${event.node}`, 'up')
      break
    case 'node.stopping':
      facts.set(`node/${event.node}`, 'stopping')
      break
    case 'clock.change':
      facts.set(`clock/${event.node}`, `${(Number(facts.get(`clock/${event.node}`)) || 0) + event.data.byMs} ms`)
      break
    case 'quorum.state':
      facts.set(`quorum/${event.node}`, `${event.data.to} e${event.data.epoch}`)
      break
    case 'quorum.hw':
      facts.set(`quorum-hw/${event.node}`, event.data.to)
      break
    case 'controller.active':
      facts.set('controller', `${event.node} e${event.data.epoch}`)
      break
    case 'controller.resigned':
      facts.set('controller', 'none')
      break
    case 'controller.broker':
      foldBroker(facts, nodeName(event.data.broker), event.data.change)
      break
    case 'controller.partition': {
      const { partition, leader, leaderEpoch, isr, elr, replicas, unclean } = event.data
      facts.set(`part/${partition}/leader`, leader < 0 ? 'none' : nodeName(leader))
      facts.set(`part/${partition}/epoch`, leaderEpoch)
      facts.set(`part/${partition}/isr`, isr.join(' '))
      facts.set(`part/${partition}/elr`, elr.join(' '))
      facts.set(`part/${partition}/replicas`, replicas.join(' '))
      if (unclean) facts.set(`part/${partition}/unclean`, event.time)
      break
    }
    default:
      foldReplica(facts, event)
  }
}

function foldBroker(facts: Table, broker: string, change: string): void {
  const fact = `node/${broker}`
  if (facts.get(fact) === 'down') return
  if (change === 'unfenced') facts.set(fact, 'up')
  else if (change === 'fenced' || change === 'registered') facts.set(fact, 'fenced')
}

function forgetRole(facts: Table, node: string): void {
  facts.delete(`quorum/${node}`)
  for (const fact of facts.keys()) if (fact.startsWith('rep/') && fact.endsWith(`/${node}/role`)) facts.delete(fact)
}

function foldReplica(facts: Table, event: TraceEvent): void {
  switch (event.type) {
    case 'log.open':
      facts.set(`rep/${event.data.partition}/${event.node}/start`, event.data.logStart)
      facts.set(`rep/${event.data.partition}/${event.node}/leo`, event.data.logEnd)
      break
    case 'log.append':
      facts.set(`rep/${event.data.partition}/${event.node}/leo`, event.data.lastOffset + 1)
      break
    case 'log.truncate':
      facts.set(`rep/${event.data.partition}/${event.node}/leo`, event.data.to)
      break
    case 'log.start-offset':
      facts.set(`rep/${event.data.partition}/${event.node}/start`, event.data.to)
      break
    case 'hw.advance':
    case 'hw.set':
      facts.set(`rep/${event.data.partition}/${event.node}/hw`, event.data.to)
      break
    case 'lso.advance':
      facts.set(`rep/${event.data.partition}/${event.node}/lso`, event.data.to)
      break
    case 'replica.leader':
      facts.set(`rep/${event.data.partition}/${event.node}/role`, `leader e${event.data.leaderEpoch}`)
      break
    case 'replica.follower':
      facts.set(`rep/${event.data.partition}/${event.node}/role`, `follower e${event.data.leaderEpoch}`)
      break
    case 'replica.offline':
      facts.set(`rep/${event.data.partition}/${event.node}/role`, 'offline')
      break
    case 'replica.stopped':
      facts.delete(`rep/${event.data.partition}/${event.node}/role`)
      break
    case 'isr.proposed':
      facts.set(`rep/${event.data.partition}/${event.node}/pending`, event.data.to.join(' '))
      break
    case 'isr.committed':
    case 'isr.rejected':
      facts.delete(`rep/${event.data.partition}/${event.node}/pending`)
      break
    default:
      foldClient(facts, event)
  }
}

function foldClient(facts: Table, event: TraceEvent): void {
  switch (event.type) {
    case 'produce.invoked':
      add(facts, `client/${event.node}/sent`, 1)
      break
    case 'produce.acked':
      add(facts, `client/${event.node}/acked`, 1)
      break
    case 'produce.failed':
      add(facts, `client/${event.node}/failed`, 1)
      break
    case 'consume.polled':
      add(facts, `client/${event.node}/read`, event.data.offsets.length)
      facts.set(`client/${event.node}/at ${event.data.partition}`, (event.data.offsets.at(-1) ?? -1) + 1)
      break
    case 'consume.position':
      facts.set(`client/${event.node}/at ${event.data.partition}`, event.data.to)
      break
    case 'consumer.member':
      facts.set(`client/${event.node}/member`, placeOf(event.data))
      break
    case 'consumer.assigned':
      facts.set(`client/${event.node}/owns`, event.data.owned.join(' '))
      break
    case 'consumer.revoked':
      facts.set(`client/${event.node}/owns`, without(facts.get(`client/${event.node}/owns`), event.data.partitions))
      break
    case 'group.state':
      facts.set(
        `group/${event.data.group}/state`,
        `${event.data.to} generation ${event.data.generation}, ${event.data.members} members`,
      )
      break
    case 'group.offset':
      facts.set(`group/${event.data.group}/committed ${event.data.partition}`, event.data.offset)
      break
    case 'group.offset-removed':
      facts.delete(`group/${event.data.group}/committed ${event.data.partition}`)
      break
    case 'txn.state': {
      const { transactionalId, to, producerId, producerEpoch, partitions } = event.data
      facts.set(
        `txn/${transactionalId}/state`,
        `${to} ${producerId}/${producerEpoch} ${partitions.join(' ')}`.trimEnd(),
      )
      break
    }
    default:
      foldZooKeeper(facts, event)
  }
}

function add(facts: Table, fact: string, count: number): void {
  facts.set(fact, (Number(facts.get(fact)) || 0) + count)
}

function without(owned: Fact | undefined, gone: readonly string[]): string {
  return String(owned ?? '')
    .split(' ')
    .filter((partition) => partition !== '' && !gone.includes(partition))
    .join(' ')
}

/** Old consumers, whose group is kept in ZooKeeper, have no generations. */
function placeOf({ to, generation }: { readonly to: string; readonly generation: number }): string {
  return generation < 0 ? to : `${to} generation ${generation}`
}
