/** What the handlers of a broker's requests share, and the type of the table that they make. */

import type { Env } from '../kernel/env.js'
import type { NodeId } from '../kernel/units.js'
import type { RequestAuthorizer } from '../kraft/metadata/request-authorizer.js'
import type { LogManager } from '../log/log-manager.js'
import type { ApiName } from '../wire/apis.js'
import type { IncomingRequestOf } from '../wire/request-server.js'
import type { BrokerDynamicConfig } from './broker-dynamic-config.js'
import type { GroupCoordinator } from './group/group-coordinator.js'
import type { ClusterAdministration } from './membership.js'
import type { MetadataCache } from './metadata-cache.js'
import type { ProducerIdManager } from './producer-id-manager.js'
import type { ReplicaManager } from './replica-manager.js'
import type { TransactionCoordinator } from './txn/transaction-coordinator.js'
import type { TransactionVerifier } from './txn/verification.js'
import type { TopicAutoCreation } from './topic-auto-creation.js'

export interface ApiContext {
  readonly env: Env
  readonly brokerId: NodeId
  /** Who may do what. */
  readonly auth: RequestAuthorizer
  readonly clusterId: string
  readonly config: BrokerDynamicConfig
  readonly metadata: MetadataCache
  readonly forwarding: ClusterAdministration
  readonly autoCreation: TopicAutoCreation
  readonly producerIds: ProducerIdManager
  readonly replicas: ReplicaManager
  readonly logs: LogManager
  readonly groups: GroupCoordinator
  readonly transactions: TransactionCoordinator
  readonly verifier: TransactionVerifier
  /** The finalised level of kraft.version, which the quorum keeps in control records; 0 without a quorum, and then no feature is known. */
  readonly kraftVersion: () => number
}

export type ApiHandler<A extends ApiName> = (request: IncomingRequestOf<A>) => void

/** One handler for each API that the broker serves. An API that is missing is not served: its connection is closed. */
export type ApiHandlers = { readonly [A in ApiName]?: ApiHandler<A> }
