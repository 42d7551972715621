/**
 * ZooKeeper's sessions: `ephemerals-follow-sessions`, `watches-fire-once`, `sessions-live-out`.
 *
 * An ephemeral znode belongs to a live session, goes with it at the latest, and goes by nobody's end but its own session's. A watch that was set fires
 * once at most, in the order of the transactions, and its client is told exactly what was sent, in that order. A session is given up no sooner
 * than its timeout after the leader last knew it alive, by the leader's clock.
 */

import type { EventOf, EventType, TraceEvent } from '../kernel/events.js'
import { zookeeperId, type NodeName } from '../kernel/names.js'
import type { Micros } from '../kernel/units.js'
import { Findings } from './findings.js'
import type { Oracle, OracleReport, RunEnd } from './oracle.js'

const NOBODY = '0x0000000000000000'
const COUNTERS = 0x1_0000_0000

/** What of a session's watches is known at one server. */
interface Watching {
  readonly data: Set<string>
  readonly child: Set<string>
  /** Sent to the client, and not told by it yet. */
  readonly sent: string[]
  /** What it told last. */
  told: string
  zxid: number
}

export class ZooKeeperSessions implements Oracle {
  readonly name = 'ephemerals-follow-sessions'
  readonly watches: readonly EventType[] = [
    'zk.apply',
    'zk.znode',
    'zk.session',
    'zk.connected',
    'zk.watch-set',
    'zk.watch',
    'zk.client',
    'zk.client-watch',
    'zk.touched',
    'zk.expired',
    'zk.leading',
    'zk.state',
    'node.down',
    'clock.change',
  ]
  readonly fired = new Findings('watches-fire-once')
  readonly liveOut = new Findings('sessions-live-out')
  readonly #ephemerals = new Findings(this.name)
  /** Of those who apply a transaction, the first one tells what it does. */
  #narrated = 0
  #narrator: NodeName = ''
  /** The session that the transaction being told ends. */
  #closing = ''
  /** Transactions were applied that nobody told of (replayed after a crash). */
  #hasGap = false
  /** Epoch → the history with which its leader was established. */
  readonly #bases = new Map<number, number>()
  readonly #live = new Set<string>()
  readonly #closed = new Set<string>()
  readonly #owners = new Map<string, { readonly session: string; readonly seq: number }>()
  /** `server session` → its watches there. */
  readonly #watching = new Map<string, Watching>()
  /** Session → the server that its client is connected to. */
  readonly #serverOf = new Map<string, NodeName>()
  /** `leader session` → when it was known alive, and the timeout granted. */
  readonly #touched = new Map<string, { readonly time: Micros; readonly timeout: number; readonly seq: number }>()
  readonly #drift = new Map<NodeName, number>()

  observe(event: TraceEvent): void {
    switch (event.type) {
      case 'zk.apply':
        return this.#apply(event)
      case 'zk.znode':
        return this.#znode(event)
      case 'zk.session':
        return this.#session(event)
      case 'zk.connected':
        this.#watching.set(`${event.node} ${event.data.session}`, newWatching())
        return
      case 'zk.watch-set':
        this.#watchingOf(event.node, event.data.session)[event.data.kind].add(event.data.path)
        return
      case 'zk.watch':
        return this.#watch(event)
      case 'zk.client':
        this.#serverOf.set(event.data.session, event.data.to === 'connected' ? event.data.server : '')
        return
      case 'zk.client-watch':
        return this.#told(event)
      case 'zk.touched': {
        const { session, timeout } = event.data
        this.#touched.set(`${event.node} ${session}`, { time: event.time, timeout, seq: event.seq })
        return
      }
      case 'zk.expired':
        return this.#expired(event)
      case 'zk.leading':
        this.#bases.set(event.data.epoch, event.data.zxid)
        return
      case 'zk.state':
      case 'node.down':
        return this.#forget(event.node)
      case 'clock.change': {
        const drift = Math.max(this.#drift.get(event.node) ?? 0, Math.abs(event.data.partsPerMillion))
        this.#drift.set(event.node, drift)
        return
      }
      default:
        return
    }
  }

  finish(_end: RunEnd): OracleReport {
    return this.#ephemerals.report()
  }

  // ── ephemerals ────────────────────────────────────────────────────────────────────────────────────────────────────

  #apply({ node, data }: EventOf<'zk.apply'>): void {
    const { zxid, type, session } = data
    if (zxid <= this.#narrated) return
    if (this.#before(zxid) !== this.#narrated) {
      this.#hasGap = true
      this.#owners.clear()
    }
    this.#narrated = zxid
    this.#narrator = node
    this.#closing = type === 'closeSession' ? session : ''
  }

  /** The transaction before this one. An epoch may begin after transactions that nobody had applied in the one before. */
  #before(zxid: number): number {
    let at = zxid - 1
    while (at > 0 && at % COUNTERS === 0) at = this.#bases.get(at / COUNTERS) ?? 0
    return at
  }

  #znode({ node, data, seq, time }: EventOf<'zk.znode'>): void {
    const { change, path, zxid, owner } = data
    if (node !== this.#narrator || zxid !== this.#narrated || owner === NOBODY) return
    this.#ephemerals.checks++
    if (change === 'created') {
      const isKnown = this.#live.has(owner) || (this.#hasGap && !this.#closed.has(owner))
      if (!isKnown)
        this.#ephemerals.add(path, `${path} is created for session ${owner}, which is not alive`, time, [seq])
      this.#owners.set(path, { session: owner, seq })
    } else if (change === 'deleted') {
      const created = this.#owners.get(path)
      this.#owners.delete(path)
      if (this.#closing === '' || this.#closing === owner) return
      const message = `${path} of session ${owner} goes with session ${this.#closing}`
      this.#ephemerals.add(path, message, time, [created?.seq ?? 0, seq])
    }
  }

  #session({ node, data, seq, time }: EventOf<'zk.session'>): void {
    const { session, change, zxid } = data
    if (node !== this.#narrator || zxid !== this.#narrated) return
    if (change === 'created') {
      this.#live.add(session)
      return
    }
    this.#live.delete(session)
    this.#closed.add(session)
    this.#ephemerals.checks++
    for (const [path, created] of this.#owners) {
      if (created.session !== session) continue
      this.#owners.delete(path)
      this.#ephemerals.add(path, `${path} outlives session ${session}`, time, [created.seq, seq])
    }
  }

  // ── watches ───────────────────────────────────────────────────────────────────────────────────────────────────────

  #watchingOf(node: NodeName, session: string): Watching {
    const key = `${node} ${session}`
    let watching = this.#watching.get(key)
    if (watching === undefined) this.#watching.set(key, (watching = newWatching()))
    return watching
  }

  #watch({ node, data, seq, time }: EventOf<'zk.watch'>): void {
    const { session, type, path, zxid } = data
    const watching = this.#watchingOf(node, session)
    this.fired.checks++
    const isSet = takeWatch(watching, type, path)
    if (!isSet) this.fired.add(path, `${node} tells of ${type} ${path}, which is not watched (any more)`, time, [seq])
    if (zxid < watching.zxid) {
      this.fired.add(path, `${node} tells of ${type} ${path} after what came later`, time, [seq])
    }
    watching.zxid = zxid
    watching.sent.push(`${type} ${path}`)
  }

  #told({ node, data, seq, time }: EventOf<'zk.client-watch'>): void {
    const { session, type, path } = data
    const server = this.#serverOf.get(session) ?? ''
    const watching = this.#watchingOf(server, session)
    const { sent } = watching
    const told = `${type} ${path}`
    this.fired.checks++
    // After a reconnect a deletion is sent for each kind of watch, and the client has told it by then.
    const isRepeated = (): boolean =>
      sent[0] !== told && sent[0] === watching.told && sent[0].startsWith('NodeDeleted ')
    while (isRepeated()) sent.shift()
    const expected = sent.shift()
    watching.told = told
    if (expected === told) return
    const message = `${node} is told of ${type} ${path} where ${expected ?? 'nothing'} was sent`
    this.fired.add(path, message, time, [seq])
  }

  // ── sessions ──────────────────────────────────────────────────────────────────────────────────────────────────────

  #expired({ node, data, seq, time }: EventOf<'zk.expired'>): void {
    const { session } = data
    const touched = this.#touched.get(`${node} ${session}`)
    this.liveOut.checks++
    if (touched === undefined) {
      this.liveOut.add(session, `${node} gives session ${session} up, of which it knew nothing`, time, [seq])
      return
    }
    const heldMs = (time - touched.time) / 1_000
    // Whole milliseconds of a clock that may run fast.
    const drift = ((this.#drift.get(node) ?? 0) / 1_000_000) * touched.timeout
    if (heldMs + 1 + drift >= touched.timeout) return
    const message = `${node} gives session ${session} up ${heldMs} ms after it was alive, with ${touched.timeout} ms granted`
    this.liveOut.add(session, message, time, [touched.seq, seq])
  }

  #forget(node: NodeName): void {
    if (zookeeperId(node) === undefined) return
    // What it had sent may still arrive.
    for (const [key, { data, child }] of this.#watching) {
      if (!key.startsWith(`${node} `)) continue
      data.clear()
      child.clear()
    }
    for (const key of this.#touched.keys()) if (key.startsWith(`${node} `)) this.#touched.delete(key)
  }
}

function newWatching(): Watching {
  return { data: new Set(), child: new Set(), sent: [], told: '', zxid: 0 }
}

/** What the event ends; false when no watch waited for it. */
function takeWatch({ data, child }: Watching, type: string, path: string): boolean {
  if (type === 'NodeChildrenChanged') return child.delete(path)
  if (type !== 'NodeDeleted') return data.delete(path)
  const hadData = data.delete(path)
  return child.delete(path) || hadData
}
