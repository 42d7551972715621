/**
 * CreateAcls and DeleteAcls in ZooKeeper mode (`AclApis` on a broker of Kafka 3.9): nothing is passed on, whichever broker is asked writes to ZooKeeper.
 *
 *   the sender may not ALTER the cluster       CLUSTER_AUTHORIZATION_FAILED
 *   there is no authorizer                     SECURITY_DISABLED
 *   a cluster of another name, an empty name   INVALID_REQUEST, for this entry
 *   ZooKeeper cannot be asked, or is quicker   UNKNOWN_SERVER_ERROR, for the entries of this resource
 */

import { type Acl, AclOperation, CLUSTER_NAME, ResourceType } from '../../kraft/metadata/acl.js'
import type { Requester, RequestAuthorizer } from '../../kraft/metadata/request-authorizer.js'
import type { Apis } from '../../wire/apis.js'
import { errorResponse } from '../../wire/error-response.js'
import { Errors } from '../../wire/errors.js'
import type { AclCreation } from '../../wire/messages/create-acls.js'
import { runTask, type Task } from '../../zookeeper/kafka/task.js'
import type { AclAuthorizer, AclDeletion } from './acl-authorizer.js'

type AclApi = 'CreateAcls' | 'DeleteAcls'

const throttleTimeMs = 0
const DISABLED = { error: Errors.SECURITY_DISABLED, message: 'no authorizer is configured' }

export class ZkAclApis {
  readonly #auth: RequestAuthorizer
  readonly #authorizer: AclAuthorizer | undefined

  constructor(auth: RequestAuthorizer, authorizer: AclAuthorizer | undefined) {
    this.#auth = auth
    this.#authorizer = authorizer
  }

  /** `done` is called once. */
  handle<A extends AclApi>(
    api: A,
    body: Apis[A]['request'],
    client: Requester,
    done: (response: Apis[A]['response']) => void,
  ): void {
    const authorizer = this.#authorizer
    if (!this.#auth.onCluster(client, AclOperation.ALTER)) {
      return done(errorResponse(api, body, { error: Errors.CLUSTER_AUTHORIZATION_FAILED, message: null }))
    }
    if (authorizer === undefined) return done(errorResponse(api, body, DISABLED))
    const task =
      api === 'CreateAcls'
        ? createAcls(authorizer, body as Apis['CreateAcls']['request'])
        : deleteAcls(authorizer, body as Apis['DeleteAcls']['request'])
    runTask<Apis[AclApi]['response']>(task, (response) => done(response as Apis[A]['response']))
  }
}

function* createAcls(
  authorizer: AclAuthorizer,
  { creations }: Apis['CreateAcls']['request'],
): Task<Apis['CreateAcls']['response']> {
  const valid = creations.filter((creation) => problemOf(creation) === undefined)
  const created = yield* authorizer.createAcls(valid.map(aclOf))
  const results = creations.map((creation) => {
    const problem = problemOf(creation)
    if (problem !== undefined) return { errorCode: Errors.INVALID_REQUEST, errorMessage: problem }
    const { error, message } = created[valid.indexOf(creation)] ?? { error: Errors.NONE, message: null }
    return { errorCode: error, errorMessage: message }
  })
  return { throttleTimeMs, results }
}

function* deleteAcls(
  authorizer: AclAuthorizer,
  { filters }: Apis['DeleteAcls']['request'],
): Task<Apis['DeleteAcls']['response']> {
  const deleted = yield* authorizer.deleteAcls(filters)
  return { throttleTimeMs, filterResults: deleted.map(filterResult) }
}

function filterResult({ error, message, matching }: AclDeletion) {
  return {
    errorCode: error,
    errorMessage: message,
    matchingAcls: matching.map((one) => ({ errorCode: one.error, errorMessage: one.message, ...one.acl })),
  }
}

function problemOf({ resourceType, resourceName }: AclCreation): string | undefined {
  if (resourceType === ResourceType.CLUSTER && resourceName !== CLUSTER_NAME) {
    return `the only resource of type cluster is ${CLUSTER_NAME}`
  }
  return resourceName === '' ? 'the resource has no name' : undefined
}

function aclOf({ resourcePatternType, ...rest }: AclCreation): Acl {
  return { ...rest, patternType: resourcePatternType }
}
