/** A little language for traces of an ensemble: z1 leads z2 and z3; k1 has a session with an ephemeral znode. */

import type { Events, EventType } from '../../sim/kernel/events.js'

/** Transactions of epoch 1 are EPOCH + their counter. */
export const EPOCH = 2 ** 32
export const SESSION = '0x0000000000000001'

export interface Teller {
  emit<K extends EventType>(node: string, type: K, data: Events[K]): unknown
  later(micros: number): unknown
}

export class EnsembleStory {
  readonly #teller: Teller

  /** z1 is established as the leader of epoch 1; the session and its ephemeral are committed, and applied by z1 and z2. */
  constructor(teller: Teller) {
    this.#teller = teller
    for (const server of ['z1', 'z2', 'z3']) {
      this.emit(server, 'zk.recovered', { snapshot: 0, zxid: 0, sessions: 0, znodes: 4 })
    }
    this.emit('z1', 'zk.leading', { epoch: 1, zxid: 0, synced: [1, 2] })
    this.write(1, 'createSession').apply('z1', 1, 'createSession').apply('z2', 1, 'createSession')
    this.write(2, 'create').apply('z1', 2, 'create').apply('z2', 2, 'create')
  }

  emit<K extends EventType>(node: string, type: K, data: Events[K]): this {
    this.#teller.emit(node, type, data)
    return this
  }

  /** z1 proposes the transaction, z1 and z2 log it, z1 commits it. */
  write(counter: number, type: string): this {
    const zxid = EPOCH + counter
    this.emit('z1', 'zk.propose', { zxid, checksum: counter, type })
    for (const server of ['z1', 'z2']) this.emit(server, 'zk.logged', { zxid, checksum: counter })
    return this.emit('z1', 'zk.commit', { zxid, acks: [1, 2] })
  }

  apply(node: string, counter: number, type: string, session = SESSION): this {
    const zxid = EPOCH + counter
    this.emit(node, 'zk.apply', { zxid, checksum: counter, type, session })
    if (type === 'createSession') this.emit(node, 'zk.session', { session, change: 'created', zxid, timeout: 4_000 })
    if (type === 'create') this.znode(node, counter, 'created')
    if (type === 'closeSession') {
      this.znode(node, counter, 'deleted')
      this.emit(node, 'zk.session', { session, change: 'closed', zxid, timeout: 0 })
    }
    return this
  }

  /** What happens to the ephemeral. */
  znode(node: string, counter: number, change: 'created' | 'deleted'): this {
    const data = { path: '/e', zxid: EPOCH + counter, version: 0, owner: SESSION, dataBytes: 0 }
    return this.emit(node, 'zk.znode', { change, ...data })
  }

  /** k1 watches its znode; the watch fires, and k1 is told. */
  watch(): this {
    this.emit('z1', 'zk.connected', { session: SESSION, client: 'k1', timeout: 4_000 })
    this.emit('k1', 'zk.client', { session: SESSION, to: 'connected', server: 'z1' })
    this.emit('z1', 'zk.watch-set', { session: SESSION, kind: 'data', path: '/e' })
    return this.fire().emit('k1', 'zk.client-watch', { session: SESSION, type: 'NodeDeleted', path: '/e' })
  }

  fire(type = 'NodeDeleted', path = '/e'): this {
    return this.emit('z1', 'zk.watch', { session: SESSION, client: 'k1', type, path, zxid: EPOCH + 3 })
  }

  /** The session is given up so long after it was known to be alive. */
  expire(ms: number): this {
    this.emit('z1', 'zk.touched', { session: SESSION, timeout: 4_000 })
    this.#teller.later(ms * 1_000)
    return this.emit('z1', 'zk.expired', { session: SESSION, timeout: 4_000 })
  }

  /** A whole life: the watch, the end of the session, and the next epoch. */
  soundly(): this {
    this.expire(4_000).write(3, 'closeSession').apply('z1', 3, 'closeSession').apply('z2', 3, 'closeSession').watch()
    return this.emit('z2', 'zk.leading', { epoch: 2, zxid: EPOCH + 3, synced: [1, 2] })
  }

  /** z2 leaves a transaction out. */
  skip(): this {
    return this.write(3, 'error').apply('z1', 3, 'error').write(4, 'error').apply('z2', 4, 'error')
  }

  /** z3 leads without the ephemeral's transaction. */
  lose(): this {
    return this.emit('z3', 'zk.leading', { epoch: 2, zxid: EPOCH + 1, synced: [2, 3] })
  }

  leadTwice(): this {
    return this.emit('z2', 'zk.leading', { epoch: 1, zxid: 0, synced: [2, 3] })
  }

  /** The session ends and its ephemeral stays. */
  outlive(): this {
    const zxid = EPOCH + 3
    this.write(3, 'closeSession')
    this.emit('z1', 'zk.apply', { zxid, checksum: 3, type: 'closeSession', session: SESSION })
    return this.emit('z1', 'zk.session', { session: SESSION, change: 'closed', zxid, timeout: 0 })
  }
}
