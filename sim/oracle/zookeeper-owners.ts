/**
 * Who owns what in groups of old consumers, as their znodes say: `/consumers/G/owners/T/P` is an ephemeral of its owner's session.
 *
 * One znode has one owner, and ZooKeeper keeps that. But a member learns late that its session is over, and may delete with a request of an
 * old session what is another's by now. So two may believe that they own a partition, without either having done wrong: then this model
 * says how the first one's claim went.
 */

import type { EventOf, EventType, TraceEvent } from '../kernel/events.js'
import type { NodeName } from '../kernel/names.js'

export const OWNER_EVENTS: readonly EventType[] = ['zk.apply', 'zk.znode', 'zk.leading', 'zk.client']

const SESSION_OVER = 'a member reads on until it hears that its session is over (group in ZooKeeper)'
const DELETED_BY_ANOTHER = "another member's request, sent in an earlier session, deleted the owner's znode"
const NOT_KNOWN = 'what became of its znode was not told: the ensemble recovered'

/** How a claim went: with its session, deleted by its owner, or by somebody else. */
type Ending = 'session' | 'released' | 'deleted'

export class ZooKeeperOwners {
  /** `/consumers/G/owners/T/P` → the session that owns it. */
  readonly #owners = new Map<string, string>()
  /** `path session` → how the last claim of that session went. */
  readonly #endings = new Map<string, Ending>()
  /** Node → its sessions, the last one last. */
  readonly #sessions = new Map<NodeName, string[]>()
  #narrated = 0
  #narrator: NodeName = ''
  #session = ''
  #isClosing = false
  /** Epoch → the history with which its leader was established. */
  readonly #bases = new Map<number, number>()
  /** Transactions took effect that nobody told of: of claims made before nothing is known. */
  #hasGap = false

  observe(event: TraceEvent): void {
    switch (event.type) {
      case 'zk.apply':
        return this.#apply(event)
      case 'zk.znode':
        return this.#znode(event)
      case 'zk.leading':
        this.#bases.set(event.data.epoch, event.data.zxid)
        return
      case 'zk.client':
        if (event.data.to === 'connected') this.#connected(event)
        return
      default:
        return
    }
  }

  /** Whether the partition's znode is of this node's session, as far as is known. */
  isOwner(node: NodeName, group: string, partition: string): boolean {
    const owner = this.#owners.get(pathOf(group, partition))
    if (owner === undefined) return false
    return this.#sessions.get(node)?.includes(owner) === true
  }

  /** Why this node may believe that it owns the partition, whose znode is not its own; undefined: it has no reason to. */
  excuse(node: NodeName, group: string, partition: string): string | undefined {
    const path = pathOf(group, partition)
    const sessions = this.#sessions.get(node) ?? []
    const endings = sessions.map((session) => this.#endings.get(`${path} ${session}`))
    const last = endings.filter((ending) => ending !== undefined).at(-1)
    if (last === 'session') return SESSION_OVER
    if (last === 'deleted') return DELETED_BY_ANOTHER
    return this.#hasGap && !sessions.includes(this.#owners.get(path) ?? '') ? NOT_KNOWN : undefined
  }

  #apply({ node, data }: EventOf<'zk.apply'>): void {
    const { zxid, type, session } = data
    if (zxid <= this.#narrated) return
    if (this.#before(zxid) !== this.#narrated) {
      this.#hasGap = true
      this.#owners.clear()
      this.#endings.clear()
    }
    this.#narrated = zxid
    this.#narrator = node
    this.#session = session
    this.#isClosing = type === 'closeSession'
  }

  /** The transaction before this one. An epoch may begin after transactions that nobody had applied in the one before. */
  #before(zxid: number): number {
    let at = zxid - 1
    while (at > 0 && at % EPOCH === 0) at = this.#bases.get(at / EPOCH) ?? 0
    return at
  }

  #znode({ node, data }: EventOf<'zk.znode'>): void {
    const { change, path, zxid, owner } = data
    if (node !== this.#narrator || zxid !== this.#narrated) return
    if (!path.startsWith('/consumers/') || !path.includes('/owners/')) return
    if (change === 'created') {
      this.#owners.set(path, owner)
      this.#endings.delete(`${path} ${owner}`)
    } else if (change === 'deleted') {
      this.#owners.delete(path)
      const ending = this.#isClosing ? 'session' : this.#session === owner ? 'released' : 'deleted'
      this.#endings.set(`${path} ${owner}`, ending)
    }
  }

  #connected({ node, data: { session } }: EventOf<'zk.client'>): void {
    const sessions = this.#sessions.get(node)
    if (sessions === undefined) this.#sessions.set(node, [session])
    else if (!sessions.includes(session)) sessions.push(session)
  }
}

const EPOCH = 0x1_0000_0000

/** `orders-0` of group `shop`. */
function pathOf(group: string, partition: string): string {
  const at = partition.lastIndexOf('-')
  return `/consumers/${group}/owners/${partition.slice(0, at)}/${partition.slice(at + 1)}`
}
