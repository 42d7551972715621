/**
 * What the handlers of requests ask, on brokers and controllers: may whoever sent this do that (Kafka's `AuthHelper`).
 *
 * The one place that decides. Without an authorizer the answer is always yes. A refusal of what was asked for outright stands in the
 * trace (`acl.denied`), as it stands in Kafka's audit log; one that only picks what is shown does not (`quietly`).
 */

import type { Env } from '../../kernel/env.js'
import type { NodeName } from '../../kernel/names.js'
import type { ApiName } from '../../wire/apis.js'
import { type AclOperation, CLUSTER_NAME, operationWord, ResourceType, resourceWord } from './acl.js'
import type { Authorizer } from './authorizer.js'
import { supportedOperations } from './standard-authorizer.js'

/** The sender of a request; an IncomingRequest is one. */
export interface Requester {
  readonly api: ApiName
  readonly principal: string
  readonly from: NodeName
}

export type Operation = (typeof AclOperation)[keyof typeof AclOperation]

/** Whether a refusal is told in the trace. */
export type Audit = 'told' | 'quietly'

export class RequestAuthorizer {
  readonly authorizer: Authorizer | undefined
  readonly #env: Pick<Env, 'emit'>

  constructor(env: Pick<Env, 'emit'>, authorizer: Authorizer | undefined) {
    this.#env = env
    this.authorizer = authorizer
  }

  get isEnabled(): boolean {
    return this.authorizer !== undefined
  }

  authorize(
    request: Requester,
    operation: Operation,
    resourceType: number,
    name: string,
    audit: Audit = 'told',
  ): boolean {
    if (this.authorizer === undefined) return true
    if (this.authorizer.authorize(request.principal, request.from, operation, resourceType, name)) return true
    if (audit === 'told') this.#deny(request, operation, resourceWord(resourceType, name))
    return false
  }

  onTopic(request: Requester, operation: Operation, topic: string, audit: Audit = 'told'): boolean {
    return this.authorizer === undefined || this.authorize(request, operation, ResourceType.TOPIC, topic, audit)
  }

  onGroup(request: Requester, operation: Operation, groupId: string, audit: Audit = 'told'): boolean {
    return this.authorizer === undefined || this.authorize(request, operation, ResourceType.GROUP, groupId, audit)
  }

  onTransactionalId(request: Requester, operation: Operation, id: string, audit: Audit = 'told'): boolean {
    return this.authorizer === undefined || this.authorize(request, operation, ResourceType.TRANSACTIONAL_ID, id, audit)
  }

  onCluster(request: Requester, operation: Operation, audit: Audit = 'told'): boolean {
    return (
      this.authorizer === undefined || this.authorize(request, operation, ResourceType.CLUSTER, CLUSTER_NAME, audit)
    )
  }

  /** Each of these topics, asked about once: those on which the operation is allowed. */
  topics(
    request: Requester,
    operation: Operation,
    topics: Iterable<string>,
    audit: Audit = 'told',
  ): ReadonlySet<string> {
    const names = new Set(topics)
    if (this.authorizer === undefined) return names
    for (const name of names) if (!this.onTopic(request, operation, name, audit)) names.delete(name)
    return names
  }

  /** Whether there is any resource of the type on which the operation is allowed. */
  onAny(request: Requester, operation: Operation, resourceType: number): boolean {
    return this.authorizer?.authorizeByResourceType(request.principal, request.from, operation, resourceType) ?? true
  }

  /** Kafka's bit field of the operations allowed on a resource, for answers that were asked for them. */
  operations(request: Requester, resourceType: number, name: string): number {
    const supported = supportedOperations(resourceType)
    if (this.authorizer === undefined) return supported
    return supported & this.authorizer.operations(request.principal, request.from, resourceType, name)
  }

  #deny({ principal, api, from }: Requester, operation: number, resource: string): void {
    this.#env.emit('acl.denied', { principal, operation: operationWord(operation), resource, api, from })
  }
}
