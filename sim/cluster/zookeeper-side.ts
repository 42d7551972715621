/**
 * What a broker of ZooKeeper mode is given: the way to the ensemble, and the controller that lives in its process. Brokers and controllers do not
 * know one another; here they are put together.
 */

import type { LocalController, LocalControllerHost } from '../broker/zookeeper/local-controller.js'
import type { Connect } from '../broker/zookeeper/zk-membership.js'
import { parseZooKeeperControllerConfig } from '../controller/zookeeper/zk-controller-config.js'
import { ZkControllerServer } from '../controller/zookeeper/zk-controller-server.js'
import { type Problem, UsageError } from '../kernel/errors.js'
import type { NodeName } from '../kernel/names.js'
import { ZooKeeperClient } from '../zookeeper/client/zookeeper-client.js'
import type { RawConfig } from './cluster-spec.js'

/** @throws UsageError when the configuration is wrong */
export function zookeeperSide(
  servers: readonly NodeName[],
  raw: RawConfig,
): { readonly connect: Connect; readonly makeController: (host: LocalControllerHost) => LocalController } {
  const problems: Problem[] = []
  const config = parseZooKeeperControllerConfig(raw, problems)
  if (problems.length > 0) throw new UsageError(problems)
  return {
    connect: (env, listener, sessionTimeoutMs) => new ZooKeeperClient(env, { servers, sessionTimeoutMs }, listener),
    makeController: (host) => new ZkControllerServer(host, config),
  }
}
