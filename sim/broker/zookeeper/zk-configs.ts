/**
 * Settings of topics and brokers as a broker follows them in ZooKeeper (`ZkConfigManager`, `ZkNodeChangeNotificationListener`).
 *
 * They are read when the broker starts, when a log is made, and when a child of /config/changes names their entity. Children that were handled are
 * not handled again; those older than 15 minutes are deleted by whoever sees them. After a session expired everything is looked at again.
 */

import type { Env } from '../../kernel/env.js'
import type { Millis, NodeId } from '../../kernel/units.js'
import { isZooKeeperTrouble, type KafkaZkClient } from '../../zookeeper/kafka/kafka-zk-client.js'
import { type Task, TaskQueue } from '../../zookeeper/kafka/task.js'
import {
  ConfigChangeZnode,
  type ConfigEntity,
  ConfigZnode,
  DEFAULT_ENTITY,
  Path,
} from '../../zookeeper/kafka/znodes.js'

const EXPIRATION_MS: Millis = 900_000
const PREFIX = 'config_change_'

export interface ZkConfigsOptions {
  readonly zk: KafkaZkClient
  readonly brokerId: NodeId
  /** All settings of `topic:orders`, `broker:1` or `broker:`; `isChange`: somebody changed them while the broker runs. */
  readonly apply: (resource: string, settings: ReadonlyMap<string, string>, isChange: boolean) => void
}

export class ZkConfigs {
  readonly #env: Env
  readonly #options: ZkConfigsOptions
  readonly #queue = new TaskQueue()
  #lastHandled = -1
  #isClosed = false

  constructor(env: Env, options: ZkConfigsOptions) {
    this.#env = env
    this.#options = options
  }

  /** What holds for this broker, and for all topics that there are. @throws KeeperFailure */
  *load(): Task<void> {
    yield* this.#read('brokers', DEFAULT_ENTITY, false)
    yield* this.#read('brokers', String(this.#options.brokerId), false)
    yield* this.readTopics(yield* this.#options.zk.getChildren(Path.configs('topics')))
  }

  /** @throws KeeperFailure */
  *readTopics(topics: readonly string[]): Task<void> {
    for (const topic of topics) yield* this.#read('topics', topic, false)
  }

  /** From now on changes are heard of. */
  startup(): void {
    const { zk } = this.#options
    zk.registerChildHandler(Path.configChanges, () => this.#look())
    zk.registerStateHandler('config-changes', { afterInitializingSession: () => this.#look() })
    this.#look()
  }

  close(): void {
    this.#isClosed = true
    this.#options.zk.unregisterChildHandler(Path.configChanges)
    this.#options.zk.unregisterStateHandler('config-changes')
  }

  #look(): void {
    this.#queue.put(() => this.#tryChanges())
  }

  *#tryChanges(): Task<void> {
    try {
      if (!this.#isClosed) yield* this.#handleChanges()
    } catch (error) {
      // The next change, or the next session, looks again.
      if (!isZooKeeperTrouble(error)) throw error
    }
  }

  *#handleChanges(): Task<void> {
    const { zk } = this.#options
    const names = (yield* zk.getChildren(Path.configChanges)).slice().sort()
    const now = this.#env.clock.wallMs()
    for (const name of names) {
      const number = Number(name.slice(PREFIX.length))
      const found = yield* zk.getData(`${Path.configChanges}/${name}`)
      if (found !== undefined && number > this.#lastHandled) yield* this.#handle(ConfigChangeZnode.decode(found.data))
      if (number > this.#lastHandled) this.#lastHandled = number
      if (found !== undefined && now - found.stat.ctime > EXPIRATION_MS)
        yield* zk.delete(`${Path.configChanges}/${name}`)
    }
  }

  *#handle(entityPath: string | undefined): Task<void> {
    const slash = entityPath?.indexOf('/') ?? -1
    if (entityPath === undefined || slash < 0) return
    const type = entityPath.slice(0, slash)
    const entity = entityPath.slice(slash + 1)
    if (type === 'topics') yield* this.#read('topics', entity, true)
    else if (type === 'brokers' && [DEFAULT_ENTITY, String(this.#options.brokerId)].includes(entity)) {
      yield* this.#read('brokers', entity, true)
    }
  }

  *#read(type: ConfigEntity, entity: string, isChange: boolean): Task<void> {
    const found = yield* this.#options.zk.getData(Path.config(type, entity))
    const resource = type === 'topics' ? `topic:${entity}` : `broker:${entity === DEFAULT_ENTITY ? '' : entity}`
    this.#options.apply(resource, ConfigZnode.decode(found?.data ?? null), isChange)
  }
}
