/**
 * One connection between each two servers for the votes of elections.
 *
 * Of two servers the one with the larger id connects. Whoever is asked by a smaller one closes that connection and connects itself; so there is one
 * at most. For each peer only the newest vote waits to be sent. A connection that comes about with nothing waiting repeats the last vote, as it may
 * have been lost with the one before. A connection is made when there is something to send, and not sooner. Source: `QuorumCnxManager`.
 */

import type { CloseReason, Connection, ConnectionHandler, Env, EnvTimer, Frame } from '../../kernel/env.js'
import type { NodeName } from '../../kernel/names.js'
import type { Millis } from '../../kernel/units.js'
import { ZooKeeperFrame, type ElectionMessage, type Notification, type ServerId } from '../messages.js'

export interface ElectionPeer {
  readonly sid: ServerId
  readonly node: NodeName
}

interface Outbox {
  readonly peer: ElectionPeer
  connection: Connection | undefined
  connecting: Connection | undefined
  timer: EnvTimer | undefined
  waiting: Notification | undefined
  last: Notification | undefined
}

export class ElectionConnections {
  readonly #env: Env
  readonly #sid: ServerId
  readonly #connectTimeoutMs: Millis
  readonly #receive: (from: ServerId, notification: Notification) => void
  readonly #outboxes = new Map<ServerId, Outbox>()

  constructor(
    env: Env,
    sid: ServerId,
    peers: readonly ElectionPeer[],
    connectTimeoutMs: Millis,
    receive: (from: ServerId, notification: Notification) => void,
  ) {
    this.#env = env
    this.#sid = sid
    this.#connectTimeoutMs = connectTimeoutMs
    this.#receive = receive
    for (const peer of peers) {
      if (peer.sid === sid) continue
      const nothing = {
        connection: undefined,
        connecting: undefined,
        timer: undefined,
        waiting: undefined,
        last: undefined,
      }
      this.#outboxes.set(peer.sid, { peer, ...nothing })
    }
  }

  send(to: ServerId, notification: Notification): void {
    if (to === this.#sid) {
      this.#env.soon(() => this.#receive(to, notification))
      return
    }
    const outbox = this.#outboxes.get(to)
    if (outbox === undefined) return
    outbox.waiting = notification
    if (outbox.connection === undefined) this.#connect(outbox)
    else this.#flush(outbox, outbox.connection)
  }

  /** Whether at least one peer has been sent all there was to send; true without peers. */
  get hasDelivered(): boolean {
    if (this.#outboxes.size === 0) return true
    for (const outbox of this.#outboxes.values())
      if (outbox.last !== undefined && outbox.waiting === undefined) return true
    return false
  }

  connectAll(): void {
    for (const outbox of this.#outboxes.values()) if (outbox.connection === undefined) this.#connect(outbox)
  }

  /** Takes over a connection that began with `hello`. */
  accept(connection: Connection, from: ServerId): ConnectionHandler {
    const outbox = this.#outboxes.get(from)
    if (outbox === undefined) {
      connection.close()
      return IGNORE
    }
    if (from < this.#sid) {
      this.#drop(outbox)
      connection.close()
      this.#connect(outbox)
      return IGNORE
    }
    this.#drop(outbox)
    this.#adopt(outbox, connection)
    return this.#handler(outbox, connection)
  }

  #connect(outbox: Outbox): void {
    if (outbox.connecting !== undefined) return
    const { sid, node } = outbox.peer
    let adopted: ConnectionHandler | undefined
    const connection = this.#env.network.connect(node, {
      onOpen: () => {
        this.#connected(outbox)
        connection.send(new ZooKeeperFrame({ type: 'hello', sid: this.#sid }))
        // The larger one connects: this only asks it to.
        if (sid > this.#sid) return connection.close()
        outbox.connection?.close()
        this.#adopt(outbox, connection)
        adopted = this.#handler(outbox, connection)
      },
      onFrame: (frame) => adopted?.onFrame(frame),
      onClose: (reason) => {
        if (outbox.connecting === connection) this.#connected(outbox)
        adopted?.onClose(reason)
      },
    })
    outbox.connecting = connection
    outbox.timer = this.#env.after(this.#connectTimeoutMs, () => {
      if (outbox.connecting !== connection) return
      this.#connected(outbox)
      connection.close()
    })
  }

  /** The attempt has ended, one way or the other. */
  #connected(outbox: Outbox): void {
    outbox.connecting = undefined
    outbox.timer?.cancel()
    outbox.timer = undefined
  }

  #adopt(outbox: Outbox, connection: Connection): void {
    outbox.connection = connection
    outbox.waiting ??= outbox.last
    this.#flush(outbox, connection)
  }

  #handler(outbox: Outbox, connection: Connection): ConnectionHandler {
    return {
      onFrame: (frame: Frame) => {
        const message = frame.body as ElectionMessage
        if (outbox.connection === connection && message.type === 'notification') this.#receive(outbox.peer.sid, message)
      },
      onClose: (_reason: CloseReason) => {
        if (outbox.connection === connection) outbox.connection = undefined
      },
    }
  }

  #flush(outbox: Outbox, connection: Connection): void {
    if (outbox.waiting === undefined) return
    outbox.last = outbox.waiting
    outbox.waiting = undefined
    connection.send(new ZooKeeperFrame(outbox.last))
  }

  #drop(outbox: Outbox): void {
    outbox.connection?.close()
    outbox.connection = undefined
  }
}

const IGNORE: ConnectionHandler = { onFrame: () => undefined, onClose: () => undefined }
