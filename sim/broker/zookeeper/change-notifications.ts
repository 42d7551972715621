/**
 * Changes that are told by sequential children of one znode: of settings, of ACLs (`ZkNodeChangeNotificationListener`).
 *
 * Whoever changes something adds a child that names it; every broker watches the children. Those with a higher number than any handled are
 * handled, in order, each once: one whose handling fails is not handled again. Then children older than 15 minutes are deleted by whoever sees
 * them. When ZooKeeper cannot be asked, the rest waits for the next change; after a session expired all is looked at again. A watch that fires while
 * a look is waiting for its turn adds none.
 */

import type { Env } from '../../kernel/env.js'
import type { Millis } from '../../kernel/units.js'
import { isZooKeeperTrouble, type KafkaZkClient } from '../../zookeeper/kafka/kafka-zk-client.js'
import { type Task, TaskQueue } from '../../zookeeper/kafka/task.js'

const EXPIRATION_MS: Millis = 900_000

export interface ChangeNotificationsOptions {
  readonly zk: KafkaZkClient
  /** The znode whose children tell, and what their names begin with. */
  readonly path: string
  readonly prefix: string
  /** @throws KeeperFailure */
  readonly handle: (data: Uint8Array) => Task<void>
}

export class ChangeNotifications {
  readonly #env: Env
  readonly #options: ChangeNotificationsOptions
  readonly #queue = new TaskQueue()
  #lastHandled = -1
  #isWaiting = false
  #isClosed = false

  constructor(env: Env, options: ChangeNotificationsOptions) {
    this.#env = env
    this.#options = options
  }

  /** From now on changes are heard of; those that are there are looked at. */
  start(): void {
    const { zk, path } = this.#options
    zk.registerStateHandler(path, { afterInitializingSession: () => this.#look() })
    zk.registerChildHandler(path, () => this.#look())
    this.#look()
  }

  close(): void {
    this.#isClosed = true
    const { zk, path } = this.#options
    zk.unregisterStateHandler(path)
    zk.unregisterChildHandler(path)
  }

  #look(): void {
    if (this.#isWaiting || this.#isClosed) return
    this.#isWaiting = true
    this.#queue.put(() => this.#tryAll())
  }

  *#tryAll(): Task<void> {
    this.#isWaiting = false
    try {
      if (!this.#isClosed) yield* this.#all()
    } catch (error) {
      if (!isZooKeeperTrouble(error)) throw error
    }
  }

  *#all(): Task<void> {
    const { zk, path, prefix } = this.#options
    const names = (yield* zk.getChildren(path)).slice().sort()
    const now = this.#env.clock.wallMs()
    for (const name of names) {
      const number = Number(name.slice(prefix.length))
      if (number <= this.#lastHandled) continue
      const found = yield* zk.getData(`${path}/${name}`)
      if (found !== undefined && found.data !== null) yield* this.#tryOne(found.data)
      this.#lastHandled = number
    }
    for (const name of names) {
      const found = yield* zk.getData(`${path}/${name}`)
      if (found !== undefined && now - found.stat.ctime > EXPIRATION_MS) yield* zk.delete(`${path}/${name}`)
    }
  }

  *#tryOne(data: Uint8Array): Task<void> {
    try {
      yield* this.#options.handle(data)
    } catch (error) {
      if (!isZooKeeperTrouble(error)) throw error
    }
  }
}
