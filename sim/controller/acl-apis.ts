/**
 * Requests about ACLs (Kafka's `AclApis` on a controller): to create and delete them is the active controller's, to describe them anybody's.
 *
 * Without an authorizer all of them are answered with SECURITY_DISABLED. A resource of type CLUSTER has one name only.
 */

import { type Acl, CLUSTER_NAME, ResourceType } from '../kraft/metadata/acl.js'
import { describeAcls } from '../kraft/metadata/describe-acls.js'
import type { RequestAuthorizer } from '../kraft/metadata/request-authorizer.js'
import { type ApiError, errorResponse } from '../wire/error-response.js'
import { Errors } from '../wire/errors.js'
import type { AclCreation } from '../wire/messages/create-acls.js'
import type { Deletion } from './acl-control.js'
import type { Asked, Handlers } from './controller-request.js'
import { answerDecision } from './controller-request.js'
import { apiError } from './controller-result.js'
import type { QuorumController } from './quorum-controller.js'

const throttleTimeMs = 0
const DISABLED = apiError(Errors.SECURITY_DISABLED, 'no authorizer is configured')

export function aclHandlers(controller: QuorumController, auth: RequestAuthorizer): Handlers {
  return {
    CreateAcls: (asked) => {
      if (auth.isEnabled) createAcls(controller, asked)
      else asked.respond(errorResponse('CreateAcls', asked.body, DISABLED))
    },
    DeleteAcls: (asked) => {
      if (auth.isEnabled) deleteAcls(controller, asked)
      else asked.respond(errorResponse('DeleteAcls', asked.body, DISABLED))
    },
    DescribeAcls: (asked) => asked.respond(describeAcls(auth, asked.body)),
  }
}

function createAcls(controller: QuorumController, asked: Asked<'CreateAcls'>): void {
  const { creations } = asked.body
  const problems = creations.map(problemOf)
  const acls = creations.filter((_, at) => problems[at] === undefined).map(aclOf)
  answerDecision(
    controller,
    'CreateAcls',
    asked,
    () => controller.state.acls.createAcls(acls),
    (results) => {
      let next = 0
      const all = problems.map((problem) => problem ?? (results[next++] as ApiError))
      return { throttleTimeMs, results: all.map(({ error, message }) => ({ errorCode: error, errorMessage: message })) }
    },
  )
}

function deleteAcls(controller: QuorumController, asked: Asked<'DeleteAcls'>): void {
  answerDecision(
    controller,
    'DeleteAcls',
    asked,
    () => controller.state.acls.deleteAcls(asked.body.filters),
    (results) => ({ throttleTimeMs, filterResults: results.map(filterResult) }),
  )
}

function problemOf({ resourceType, resourceName }: AclCreation): ApiError | undefined {
  if (resourceType === ResourceType.CLUSTER && resourceName !== CLUSTER_NAME) {
    return apiError(Errors.INVALID_REQUEST, `the only resource of type cluster is ${CLUSTER_NAME}`)
  }
  return resourceName === '' ? apiError(Errors.INVALID_REQUEST, 'the resource has no name') : undefined
}

function aclOf({ resourcePatternType, ...rest }: AclCreation): Acl {
  return { ...rest, patternType: resourcePatternType }
}

function filterResult({ error: { error, message }, deleted }: Deletion) {
  return {
    errorCode: error,
    errorMessage: message,
    matchingAcls: deleted.map((acl) => ({ errorCode: Errors.NONE, errorMessage: null, ...acl })),
  }
}
