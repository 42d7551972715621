/**
 * FindCoordinator: the leader of the partition of the internal topic that the key hashes to. A topic that is missing is made, and the client is
 * to ask again (COORDINATOR_NOT_AVAILABLE). Share groups have no coordinator here.
 */

import { AclOperation } from '../kraft/metadata/acl.js'
import type { Requester } from '../kraft/metadata/request-authorizer.js'
import type { Apis } from '../wire/apis.js'
import { type ErrorCode, Errors } from '../wire/errors.js'
import type { ApiContext, ApiHandlers } from './api-context.js'
import { coordinatorPartition } from './coordinator/internal-topics.js'
import { GROUP_METADATA_TOPIC, TRANSACTION_STATE_TOPIC } from './topic-names.js'

/** `CoordinatorType`. */
export const GROUP_COORDINATOR = 0
export const TRANSACTION_COORDINATOR = 1
export const SHARE_COORDINATOR = 2

/** The internal topic of each type of coordinator. */
const TOPICS: ReadonlyMap<number, string> = new Map([
  [GROUP_COORDINATOR, GROUP_METADATA_TOPIC],
  [TRANSACTION_COORDINATOR, TRANSACTION_STATE_TOPIC],
])

/** From here on several keys are asked for at once (KIP-699). */
const BATCHED_VERSION = 4

type Found = Apis['FindCoordinator']['response']['coordinators'][number]

export function coordinatorHandlers(context: ApiContext): ApiHandlers {
  return {
    FindCoordinator: (request) => {
      const { key, keyType, coordinatorKeys } = request.body
      const isBatched = request.version >= BATCHED_VERSION
      const found = (isBatched ? coordinatorKeys : [key]).map((one) => find(context, request, keyType, one))
      const [first] = found
      request.respond({
        throttleTimeMs: 0,
        errorCode: isBatched ? Errors.NONE : (first?.errorCode ?? Errors.NONE),
        errorMessage: '',
        nodeId: isBatched ? 0 : (first?.nodeId ?? -1),
        host: isBatched ? '' : (first?.host ?? ''),
        port: isBatched ? 0 : (first?.port ?? -1),
        coordinators: isBatched ? found : [],
      })
    },
  }
}

function find(context: ApiContext, request: Requester, keyType: number, key: string): Found {
  const none = (errorCode: ErrorCode): Found => ({ key, nodeId: -1, host: '', port: -1, errorCode, errorMessage: '' })
  const refusal = refusalOf(context, request, keyType, key)
  if (refusal !== Errors.NONE) return none(refusal)
  const topic = TOPICS.get(keyType)
  if (topic === undefined) {
    return none(keyType === SHARE_COORDINATOR ? Errors.COORDINATOR_NOT_AVAILABLE : Errors.INVALID_REQUEST)
  }
  const { image } = context.metadata
  const partitions = image.topicsByName.get(topic)?.partitions
  if (partitions === undefined) {
    context.autoCreation.createInternal(topic)
    return none(Errors.COORDINATOR_NOT_AVAILABLE)
  }
  const leader = partitions.get(coordinatorPartition(key, partitions.size))?.leader ?? -1
  const broker = context.metadata.aliveBroker(leader)
  if (broker === undefined) return none(Errors.COORDINATOR_NOT_AVAILABLE)
  return { key, nodeId: leader, host: broker.host, port: broker.port, errorCode: Errors.NONE, errorMessage: '' }
}

/** Why the sender may not ask for this coordinator. */
function refusalOf({ auth }: ApiContext, request: Requester, keyType: number, key: string): ErrorCode {
  const { DESCRIBE, CLUSTER_ACTION } = AclOperation
  if (keyType === GROUP_COORDINATOR && !auth.onGroup(request, DESCRIBE, key)) return Errors.GROUP_AUTHORIZATION_FAILED
  if (keyType === TRANSACTION_COORDINATOR && !auth.onTransactionalId(request, DESCRIBE, key)) {
    return Errors.TRANSACTIONAL_ID_AUTHORIZATION_FAILED
  }
  if (keyType === SHARE_COORDINATOR && !auth.onCluster(request, CLUSTER_ACTION)) {
    return Errors.CLUSTER_AUTHORIZATION_FAILED
  }
  return Errors.NONE
}
