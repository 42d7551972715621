/**
 * ZooKeeper's atomic broadcast: `zookeeper-total-order`, `zookeeper-commits-survive`, `one-zookeeper-leader-per-epoch`.
 *
 * Transactions form one history: within an epoch they follow one another, the first of an epoch follows the history with which its leader was
 * established. Every server applies committed transactions only, each once, in the order of that history, without a gap, and what a
 * transaction changes is the same everywhere. A transaction is committed when a quorum says that it is on disk, and it is; no leader established
 * later lacks it. An epoch has one leader, and only that one proposes in it. Where a server's disk lied, rotted or was emptied, what that
 * may have cost is told as a loss.
 */

import type { EventOf, EventType, TraceEvent } from '../kernel/events.js'
import { zookeeperId, zookeeperName, type NodeName } from '../kernel/names.js'
import type { Epoch } from '../kernel/units.js'
import { Findings } from './findings.js'
import type { Oracle, OracleReport, RunEnd } from './oracle.js'

const COUNTERS = 0x1_0000_0000

interface EpochHistory {
  readonly leader: NodeName
  /** The last transaction before the epoch; 0 for none. */
  readonly base: number
  readonly seq: number
}

interface Proposal {
  readonly checksum: number
  readonly seq: number
}

interface Server {
  /** The last transaction applied. */
  position: number
  /** The one being applied, and a hash of what it has changed so far. */
  applying: number
  changes: number
  seq: number
}

export class ZooKeeperHistory implements Oracle {
  readonly name = 'zookeeper-total-order'
  readonly watches: readonly EventType[] = [
    'zk.leading',
    'zk.propose',
    'zk.logged',
    'zk.commit',
    'zk.apply',
    'zk.znode',
    'zk.recovered',
    'zk.truncated',
    'zk.snapshot',
    'zk.serving',
    'node.down',
    'node.wiped',
    'disk.corrupted',
    'fault.start',
  ]
  readonly survive = new Findings('zookeeper-commits-survive')
  readonly leaders = new Findings('one-zookeeper-leader-per-epoch')
  readonly #order = new Findings(this.name)
  readonly #epochs = new Map<Epoch, EpochHistory>()
  readonly #proposals = new Map<number, Proposal>()
  /** The last transaction that is committed. */
  #committed = 0
  #committedSeq = 0
  readonly #lastProposed = new Map<Epoch, number>()
  /** Transaction not committed yet → who has it on disk. */
  readonly #logged = new Map<number, Set<NodeName>>()
  readonly #servers = new Map<NodeName, Server>()
  /** Transaction → hash of its changes, as the first server to have applied it whole told them. */
  readonly #changes = new Map<number, number>()
  #excuse: string | undefined

  observe(event: TraceEvent): void {
    switch (event.type) {
      case 'zk.leading':
        return this.#leading(event)
      case 'zk.propose':
        return this.#propose(event)
      case 'zk.logged':
        return this.#onDisk(event)
      case 'zk.commit':
        return this.#commit(event)
      case 'zk.apply':
        return this.#apply(event)
      case 'zk.znode':
        return this.#change(event)
      case 'zk.serving':
        return this.#serving(event)
      case 'zk.recovered':
        return this.#stand(event.node, event.data.zxid, event.seq)
      case 'zk.truncated':
        return this.#stand(event.node, event.data.to, event.seq)
      case 'zk.snapshot':
        if (event.data.how === 'received') this.#stand(event.node, event.data.zxid, event.seq)
        return
      case 'node.down':
        this.#servers.delete(event.node)
        return
      case 'node.wiped':
        return this.#disturbed(event.node, `the disk of ${event.node} was emptied`)
      case 'disk.corrupted':
        return this.#disturbed(event.node, `the disk of ${event.node} rotted`)
      case 'fault.start':
        if (event.data.kind === 'disk-lie') {
          for (const node of event.data.targets) this.#disturbed(node, `the disk of ${node} lied`)
        }
        return
      default:
        return
    }
  }

  finish(_end: RunEnd): OracleReport {
    return this.#order.report()
  }

  // ── history ───────────────────────────────────────────────────────────────────────────────────────────────────────

  /** The transaction that `zxid` stands for: (epoch, 0) is where the epoch began. */
  #canonical(zxid: number): number {
    let at = zxid
    while (at > 0 && at % COUNTERS === 0) at = this.#epochs.get(at / COUNTERS)?.base ?? 0
    return at
  }

  #before(zxid: number): number {
    return this.#canonical(zxid - 1)
  }

  /** Whether the history that ends at `end` has `zxid` in it. */
  #contains(end: number, zxid: number): boolean {
    let at = this.#canonical(end)
    const epoch = epochOf(zxid)
    while (epochOf(at) > epoch) at = this.#canonical(epochOf(at) * COUNTERS)
    return zxid === 0 || (epochOf(at) === epoch && at >= zxid)
  }

  #leading({ node, data, seq, time }: EventOf<'zk.leading'>): void {
    const { epoch, zxid } = data
    this.leaders.checks++
    const other = this.#epochs.get(epoch)
    if (other !== undefined) {
      const message = `${node} and ${other.leader} both lead epoch ${epoch}`
      this.leaders.add(`epoch ${epoch}`, message, time, [other.seq, seq], this.#excuse)
      return
    }
    const base = this.#canonical(zxid)
    this.survive.checks++
    if (!this.#contains(base, this.#committed)) {
      const message = `${node} leads epoch ${epoch} from ${text(base)}, without ${text(this.#committed)}, which was committed`
      this.survive.add(text(this.#committed), message, time, [this.#committedSeq, seq], this.#excuse)
    }
    this.#epochs.set(epoch, { leader: node, base, seq })
    this.#committed = base
    this.#committedSeq = seq
  }

  #propose({ node, data, seq, time }: EventOf<'zk.propose'>): void {
    const { zxid, checksum } = data
    const epoch = epochOf(zxid)
    const leader = this.#epochs.get(epoch)
    this.leaders.checks++
    if (leader?.leader !== node) {
      const message = `${node} proposes ${text(zxid)}, in an epoch that ${leader === undefined ? 'nobody' : leader.leader} leads`
      this.leaders.add(`epoch ${epoch}`, message, time, [leader?.seq ?? 0, seq], this.#excuse)
    }
    const last = this.#lastProposed.get(epoch) ?? epoch * COUNTERS
    this.#order.checks++
    if (zxid !== last + 1) {
      this.#order.add(text(zxid), `${node} proposes ${text(zxid)} after ${text(last)}`, time, [seq], this.#excuse)
    }
    this.#lastProposed.set(epoch, zxid)
    this.#proposals.set(zxid, { checksum, seq })
  }

  #onDisk({ node, data, seq, time }: EventOf<'zk.logged'>): void {
    const { zxid, checksum } = data
    this.#same(node, 'logs', zxid, checksum, time, seq)
    if (this.#contains(this.#committed, zxid)) return
    const logged = this.#logged.get(zxid)
    if (logged === undefined) this.#logged.set(zxid, new Set([node]))
    else logged.add(node)
  }

  #commit({ node, data, seq, time }: EventOf<'zk.commit'>): void {
    const { zxid, acks } = data
    this.survive.checks++
    // A leader that was deposed may only just learn of the last acknowledgement.
    if (this.#contains(this.#committed, zxid)) return
    const logged = this.#logged.get(zxid)
    const missing = acks.map(zookeeperName).find((name) => logged?.has(name) !== true)
    if (missing !== undefined) {
      const message = `${node} commits ${text(zxid)}, which ${missing} has acknowledged but not on disk`
      this.survive.add(text(zxid), message, time, [this.#proposals.get(zxid)?.seq ?? 0, seq], this.#excuse)
    }
    if (this.#before(zxid) !== this.#committed) {
      const message = `${node} commits ${text(zxid)} after ${text(this.#committed)}`
      this.#order.add(text(zxid), message, time, [this.#committedSeq, seq], this.#excuse)
    }
    this.#committed = zxid
    this.#committedSeq = seq
    this.#logged.delete(zxid)
  }

  // ── servers ───────────────────────────────────────────────────────────────────────────────────────────────────────

  #stand(node: NodeName, zxid: number, seq: number): void {
    if (zookeeperId(node) === undefined) return
    this.#servers.set(node, { position: zxid, applying: 0, changes: 0, seq })
  }

  #apply({ node, data, seq, time }: EventOf<'zk.apply'>): void {
    const { zxid, checksum } = data
    const server = this.#servers.get(node)
    if (server === undefined) return
    this.#applied(server, node, time)
    this.#same(node, 'applies', zxid, checksum, time, seq)
    const expected = this.#before(zxid)
    if (this.#canonical(server.position) !== expected) {
      const message = `${node} applies ${text(zxid)} after ${text(server.position)}, not after ${text(expected)}`
      this.#order.add(text(zxid), message, time, [server.seq, seq], this.#excuse)
    }
    if (!this.#contains(this.#committed, zxid)) {
      const message = `${node} applies ${text(zxid)}, which is not committed`
      this.#order.add(text(zxid), message, time, [this.#committedSeq, seq], this.#excuse)
    }
    server.position = zxid
    server.applying = zxid
    server.changes = 0
    server.seq = seq
  }

  #change({ node, data }: EventOf<'zk.znode'>): void {
    const server = this.#servers.get(node)
    if (server === undefined || server.applying !== data.zxid) return
    const { change, path, version, owner } = data
    server.changes = hash(server.changes, `${change} ${path} ${version} ${owner}`)
  }

  /** The server has applied its last transaction whole. */
  #applied(server: Server, node: NodeName, time: number): void {
    const { applying, changes, seq } = server
    if (applying === 0) return
    const known = this.#changes.get(applying)
    if (known === undefined) this.#changes.set(applying, changes)
    else if (known !== changes) {
      this.#order.add(text(applying), `${text(applying)} changes something else on ${node}`, time, [seq], this.#excuse)
    }
  }

  #serving({ node, data, seq, time }: EventOf<'zk.serving'>): void {
    const position = this.#servers.get(node)?.position ?? 0
    this.#order.checks++
    if (this.#contains(this.#committed, this.#canonical(position))) return
    const message = `${node} serves in epoch ${data.epoch} with ${text(position)}, which is not committed`
    this.#order.add(text(position), message, time, [this.#committedSeq, seq], this.#excuse)
  }

  /** One transaction under a zxid. */
  #same(node: NodeName, does: string, zxid: number, checksum: number, time: number, seq: number): void {
    this.#order.checks++
    const proposal = this.#proposals.get(zxid)
    if (proposal?.checksum === checksum) return
    const message = `${node} ${does} another ${text(zxid)} than was proposed`
    this.#order.add(text(zxid), message, time, [proposal?.seq ?? 0, seq], this.#excuse)
  }

  #disturbed(node: NodeName, excuse: string): void {
    if (zookeeperId(node) !== undefined) this.#excuse ??= excuse
  }
}

function epochOf(zxid: number): Epoch {
  return Math.floor(zxid / COUNTERS)
}

/** `e3:41`. */
function text(zxid: number): string {
  return `e${epochOf(zxid)}:${zxid % COUNTERS}`
}

function hash(from: number, words: string): number {
  let value = from ^ 0x811c9dc5
  for (let i = 0; i < words.length; i++) value = Math.imul(value ^ words.charCodeAt(i), 0x01000193)
  return value
}
