/**
 * The controller that lives in every broker's process in ZooKeeper mode, as the broker sees it. Brokers and controllers do not know one
 * another's code: whoever builds the cluster puts the two together.
 */

import type { Env } from '../../kernel/env.js'
import type { NodeId } from '../../kernel/units.js'
import type { MetadataImage } from '../../kraft/metadata/image.js'
import type { Requester, RequestAuthorizer } from '../../kraft/metadata/request-authorizer.js'
import type { LogConfig } from '../../log/log-config.js'
import type { Apis, ForwardableApi } from '../../wire/apis.js'
import type { RequestClient } from '../../wire/request-client.js'
import type { KafkaZkClient } from '../../zookeeper/kafka/kafka-zk-client.js'
import type { Task } from '../../zookeeper/kafka/task.js'

/** What the controller gets of its broker. */
export interface LocalControllerHost {
  readonly env: Env
  readonly brokerId: NodeId
  readonly zk: KafkaZkClient
  /** Who may do what. */
  readonly auth: RequestAuthorizer
  readonly image: () => MetadataImage
  readonly topicDefaults: () => LogConfig
  /** A client for the channel to one broker. */
  readonly requests: () => RequestClient
  /** Registers the broker after its session expired. @throws KeeperFailure */
  readonly registerBroker: () => Task<void>
}

export type MakeLocalController = (host: LocalControllerHost) => LocalController

export interface LocalController {
  readonly isActive: boolean
  /** Runs for the election. */
  start(): void
  /** Ends what is under way, and the office. */
  shutdown(done: () => void): void
  /** `client`: who sent the request, when it is not made on somebody's behalf; that one must be allowed it. `undefined`: close the connection. */
  handle<A extends ForwardableApi>(
    api: A,
    body: Apis[A]['request'],
    client: Requester | undefined,
    done: (response: Apis[A]['response'] | undefined) => void,
  ): void
  alterPartition(
    body: Apis['AlterPartition']['request'],
    version: number,
    done: (response: Apis['AlterPartition']['response']) => void,
  ): void
  controlledShutdown(
    body: Apis['ControlledShutdown']['request'],
    done: (response: Apis['ControlledShutdown']['response']) => void,
  ): void
  allocateProducerIds(
    body: Apis['AllocateProducerIds']['request'],
    done: (response: Apis['AllocateProducerIds']['response']) => void,
  ): void
  /** The broker's metadata changed. */
  onMetadata(): void
  /** The setting was switched on for all topics, or for one. */
  enableUncleanElection(topic?: string): void
}
