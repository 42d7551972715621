/**
 * Asks every broker for its part of a list (Kafka's listGroups, and AllBrokersStrategy).
 *
 * Brokers are those that metadata names when the operation begins. One that cannot be reached is tried until the deadline; its
 * failure is reported under its name beside what the others answered.
 */

import { nodeName } from '../kernel/names.js'
import type { ApiName, Apis } from '../wire/apis.js'
import { Errors, type ErrorCode } from '../wire/errors.js'
import type { AdminContext } from './admin-context.js'
import type { AdminOperation } from './admin-operation.js'
import { metadataRequest } from './client-metadata.js'

export interface AllBrokersRequest<A extends ApiName> {
  readonly api: A
  readonly body: Apis[A]['request']
  /** Errors after which the same broker is asked again. */
  readonly retries: ReadonlySet<ErrorCode>
  error(response: Apis[A]['response']): ErrorCode
  take(response: Apis[A]['response']): void
}

/** @param operation one without parts of its own; it is finished when all brokers have answered */
export function askAllBrokers<A extends ApiName, T>(
  context: AdminContext,
  operation: AdminOperation<T>,
  request: AllBrokersRequest<A>,
): void {
  const deadlineMs = context.deadline()
  context.calls.call({
    api: 'Metadata',
    to: 'least loaded',
    deadlineMs,
    request: () => metadataRequest([], true),
    answered: ({ brokers }) => {
      // A broker that is still starting knows nobody.
      if (brokers.length === 0) return Errors.LEADER_NOT_AVAILABLE
      let open = brokers.length
      const settle = (): void => {
        if (--open === 0) operation.finish()
      }
      for (const { nodeId } of brokers) {
        context.calls.call({
          api: request.api,
          to: nodeId,
          deadlineMs,
          request: () => request.body,
          answered: (response) => {
            const error = request.error(response)
            if (request.retries.has(error)) return error
            if (error === Errors.NONE) request.take(response)
            else operation.refused(nodeName(nodeId), error)
            settle()
            return undefined
          },
          failed: (error) => {
            operation.failed(nodeName(nodeId), error)
            settle()
          },
        })
      }
      return undefined
    },
    failed: (error) => operation.failAll(error),
  })
}
