/**
 * How a request is handled on a controller: decided by the active one, answered when that is committed, or refused.
 */

import type { Offset } from '../kernel/units.js'
import type { Requester } from '../kraft/metadata/request-authorizer.js'
import type { ApiName, Apis } from '../wire/apis.js'
import { errorResponse } from '../wire/error-response.js'
import { Errors } from '../wire/errors.js'
import type { Decision } from './controller-result.js'
import { refused } from './controller-result.js'
import type { Outcome, QuorumController } from './quorum-controller.js'

/** What a handler needs of a request: one that came by itself, or one out of an envelope. */
export interface Asked<A extends ApiName> extends Requester {
  readonly api: A
  readonly version: number
  readonly body: Apis[A]['request']
  respond(body: Apis[A]['response']): void
}

/** Handlers by API; an API without one is not answered. */
export type Handlers = { readonly [A in ApiName]?: (asked: Asked<A>) => void }

/** Calls the handler for `api`; false when there is none. */
export function dispatch(handlers: Handlers, api: ApiName, asked: Asked<ApiName>): boolean {
  const handler = handlers[api] as ((asked: Asked<ApiName>) => void) | undefined
  handler?.(asked)
  return handler !== undefined
}

/** APIs whose timeout bounds the wait in the controller's queue. */
const HAS_DEADLINE: ReadonlySet<ApiName> = new Set<ApiName>([
  'CreateTopics',
  'DeleteTopics',
  'CreatePartitions',
  'ElectLeaders',
  'AlterPartitionReassignments',
])

/** Lets the active controller decide, and answers with what it gives, or with its refusal. */
export function answerDecision<A extends ApiName, T>(
  controller: QuorumController,
  api: A,
  asked: Asked<A>,
  decide: () => Decision<T>,
  answer: (response: T) => Apis[A]['response'],
  appended?: (offset: Offset) => void,
): void {
  const done = (outcome: Outcome<T>): void => {
    asked.respond('refused' in outcome ? errorResponse(api, asked.body, outcome.refused) : answer(outcome.response))
  }
  const timeoutMs = (asked.body as { readonly timeoutMs?: number }).timeoutMs
  if (timeoutMs !== undefined && timeoutMs <= 0 && HAS_DEADLINE.has(api)) return done(refused(Errors.REQUEST_TIMED_OUT))
  controller.write(decide, done, appended)
}
