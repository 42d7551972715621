/**
 * Settings of topics and brokers as a broker follows them in ZooKeeper (`ZkConfigManager`, `ZkNodeChangeNotificationListener`).
 *
 * They are read when the broker starts, when a log is made, and when a child of /config/changes names their entity.
 */

import type { Env } from '../../kernel/env.js'
import type { NodeId } from '../../kernel/units.js'
import type { KafkaZkClient } from '../../zookeeper/kafka/kafka-zk-client.js'
import type { Task } from '../../zookeeper/kafka/task.js'
import {
  ConfigChangeZnode,
  type ConfigEntity,
  ConfigZnode,
  DEFAULT_ENTITY,
  Path,
} from '../../zookeeper/kafka/znodes.js'
import { ChangeNotifications } from './change-notifications.js'

const PREFIX = 'config_change_'

export interface ZkConfigsOptions {
  readonly zk: KafkaZkClient
  readonly brokerId: NodeId
  /** All settings of `topic:orders`, `broker:1` or `broker:`; `isChange`: somebody changed them while the broker runs. */
  readonly apply: (resource: string, settings: ReadonlyMap<string, string>, isChange: boolean) => void
}

export class ZkConfigs {
  readonly #options: ZkConfigsOptions
  readonly #changes: ChangeNotifications

  constructor(env: Env, options: ZkConfigsOptions) {
    this.#options = options
    this.#changes = new ChangeNotifications(env, {
      zk: options.zk,
      path: Path.configChanges,
      prefix: PREFIX,
      handle: (data) => this.#handle(ConfigChangeZnode.decode(data)),
    })
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
    this.#changes.start()
  }

  close(): void {
    this.#changes.close()
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
