/**
 * The table of the APIs that a broker serves (`KafkaApis.handle`): one line an API, each leading to the part that answers it.
 *
 *   data              → ReplicaManager          Produce, Fetch, ListOffsets, OffsetForLeaderEpoch, DeleteRecords
 *   cluster           → metadata cache          Metadata, DescribeCluster, DescribeTopicPartitions, ApiVersions
 *   permissions       → authorizer              DescribeAcls
 *   this broker       → its own state           DescribeConfigs, DescribeLogDirs
 *   coordinators      → metadata                FindCoordinator
 *   groups            → GroupCoordinator        JoinGroup, SyncGroup, Heartbeat, LeaveGroup, OffsetCommit, OffsetFetch, …
 *   transactions      → TransactionCoordinator  InitProducerId, AddPartitionsToTxn, EndTxn, WriteTxnMarkers, …
 *   everything that changes the cluster → the active controller, in an envelope
 *
 *   what the controller of ZooKeeper mode tells its brokers, and what they ask it → the membership
 *
 * Whether the sender may do what it asks for is asked where it is answered (`ApiContext.auth`), or by the controller.
 * An API without a line (those of controllers and of raft) is refused by closing the connection, as Kafka's SocketServer does.
 */

import type { ApiName, ForwardableApi } from '../wire/apis.js'
import type { IncomingRequest } from '../wire/request-server.js'
import { alterConfigHandlers } from './api-alter-configs.js'
import { configHandlers } from './api-configs.js'
import type { ApiContext, ApiHandler, ApiHandlers } from './api-context.js'
import { coordinatorHandlers } from './api-coordinators.js'
import { groupHandlers } from './api-groups.js'
import { transactionHandlers } from './api-transactions.js'
import { logDirHandlers } from './api-log-dirs.js'
import { producerHandlers } from './api-producers.js'
import { metadataHandlers } from './api-metadata.js'
import { apiVersionsHandler } from './api-versions.js'

/** `ofMode`: what brokers of this mode answer beside all others. */
export function brokerHandlers(context: ApiContext, ofMode: ApiHandlers = {}): ApiHandlers {
  const { replicas } = context
  const handlers: ApiHandlers = {
    ...ofMode,
    Produce: (request) => replicas.handleProduce(request),
    Fetch: (request) => replicas.handleFetch(request),
    ListOffsets: (request) => replicas.handleListOffsets(request),
    OffsetForLeaderEpoch: (request) => replicas.handleOffsetForLeaderEpoch(request),
    DeleteRecords: (request) => replicas.handleDeleteRecords(request),
    ...metadataHandlers(context),
    ...configHandlers(context),
    ...alterConfigHandlers(context),
    ...logDirHandlers(context),
    ...coordinatorHandlers(context),
    ...groupHandlers(context),
    ...transactionHandlers(context),
    ...producerHandlers(context),
    ApiVersions: apiVersionsHandler(context, () => new Set(Object.keys(handlers) as ApiName[])),
    CreateTopics: forward(context, 'CreateTopics'),
    DeleteTopics: forward(context, 'DeleteTopics'),
    CreatePartitions: forward(context, 'CreatePartitions'),
    ElectLeaders: forward(context, 'ElectLeaders'),
    AlterPartitionReassignments: forward(context, 'AlterPartitionReassignments'),
    ListPartitionReassignments: forward(context, 'ListPartitionReassignments'),
    UpdateFeatures: forward(context, 'UpdateFeatures'),
    UnregisterBroker: forward(context, 'UnregisterBroker'),
    DescribeQuorum: forward(context, 'DescribeQuorum'),
    CreateAcls: forward(context, 'CreateAcls'),
    DeleteAcls: forward(context, 'DeleteAcls'),
  }
  return handlers
}

/** Gives a request to its handler. */
export function dispatch(handlers: ApiHandlers, request: IncomingRequest): void {
  const handler = handlers[request.api] as ((request: IncomingRequest) => void) | undefined
  if (handler === undefined) request.closeConnection()
  else handler(request)
}

function forward<A extends ForwardableApi>(context: ApiContext, api: A): ApiHandler<A> {
  return (request) => {
    context.forwarding.forward(api, request.body, request, (response) => {
      if (response === undefined) request.closeConnection()
      else request.respond(response)
    })
  }
}
