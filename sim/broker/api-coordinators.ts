/**
 * Coordinators of groups and transactions, and producer ids.
 *
 * FindCoordinator looks its key type up in COORDINATORS; a type without an entry has no coordinator yet and is answered
 * COORDINATOR_NOT_AVAILABLE, as Kafka does while the internal topic is missing, without creating that topic. InitProducerId
 * without a transactional id gives a new producer id with epoch 0 whatever id the producer had before: an idempotent
 * producer bumps its epoch by itself and asks only once the epochs are used up (KIP-360, `TransactionCoordinator`).
 */

import type { NodeId } from '../kernel/units.js'
import type { Apis } from '../wire/apis.js'
import { type ErrorCode, Errors } from '../wire/errors.js'
import type { ApiContext, ApiHandlers } from './api-context.js'

/** `CoordinatorType`. */
export const GROUP_COORDINATOR = 0
export const TRANSACTION_COORDINATOR = 1
export const SHARE_COORDINATOR = 2

/** Where the coordinator of a key is: an unfenced broker, or why there is none. */
export type Coordinator =
  | { readonly error: typeof Errors.NONE; readonly nodeId: NodeId; readonly host: string; readonly port: number }
  | { readonly error: ErrorCode }

/** One function for each type of coordinator. Groups and transactions register theirs here. */
export type CoordinatorTable = ReadonlyMap<number, (key: string) => Coordinator>

const NO_PRODUCER_ID = -1
const NO_PRODUCER_EPOCH = -1

type Found = Apis['FindCoordinator']['response']['coordinators'][number]

export function coordinatorHandlers(context: ApiContext, coordinators: CoordinatorTable): ApiHandlers {
  return {
    FindCoordinator: (request) => {
      const { keyType, coordinatorKeys } = request.body
      const find = coordinators.get(keyType)
      const found = coordinatorKeys.map((key): Found => {
        const coordinator = find?.(key) ?? { error: noCoordinator(keyType) }
        return coordinator.error === Errors.NONE && 'nodeId' in coordinator
          ? {
              key,
              nodeId: coordinator.nodeId,
              host: coordinator.host,
              port: coordinator.port,
              errorCode: 0,
              errorMessage: '',
            }
          : { key, nodeId: -1, host: '', port: -1, errorCode: coordinator.error, errorMessage: '' }
      })
      request.respond({
        throttleTimeMs: 0,
        errorCode: Errors.NONE,
        errorMessage: '',
        nodeId: 0,
        host: '',
        port: 0,
        coordinators: found,
      })
    },
    InitProducerId: (request) => request.respond(initProducerId(context, request.body)),
  }
}

function noCoordinator(keyType: number): ErrorCode {
  const known = keyType === GROUP_COORDINATOR || keyType === TRANSACTION_COORDINATOR || keyType === SHARE_COORDINATOR
  return known ? Errors.COORDINATOR_NOT_AVAILABLE : Errors.UNKNOWN_SERVER_ERROR
}

function initProducerId(
  context: ApiContext,
  body: Apis['InitProducerId']['request'],
): Apis['InitProducerId']['response'] {
  if ((body.producerId === NO_PRODUCER_ID) !== (body.producerEpoch === NO_PRODUCER_EPOCH)) {
    return producerIdError(Errors.INVALID_REQUEST)
  }
  if (body.transactionalId === '') return producerIdError(Errors.INVALID_REQUEST)
  if (body.transactionalId !== null) return producerIdError(Errors.COORDINATOR_NOT_AVAILABLE)
  const generated = context.producerIds.generate()
  if (!('producerId' in generated)) return producerIdError(generated.error)
  return {
    throttleTimeMs: 0,
    errorCode: Errors.NONE,
    producerId: generated.producerId,
    producerEpoch: 0,
  }
}

function producerIdError(errorCode: ErrorCode): Apis['InitProducerId']['response'] {
  return {
    throttleTimeMs: 0,
    errorCode,
    producerId: NO_PRODUCER_ID,
    producerEpoch: NO_PRODUCER_EPOCH,
  }
}
