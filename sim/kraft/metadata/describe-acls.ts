/** DescribeAcls, as brokers and controllers answer it: the entries that match the filter, those of one resource together. */

import type { Apis } from '../../wire/apis.js'
import { Errors } from '../../wire/errors.js'
import type { AclFilter } from './acl.js'
import type { RequestAuthorizer } from './request-authorizer.js'

type Response = Apis['DescribeAcls']['response']
type Description = Response['resources'][number]['acls'][number]

export function describeAcls({ authorizer }: RequestAuthorizer, filter: AclFilter): Response {
  if (authorizer === undefined) {
    const errorMessage = 'no authorizer is configured'
    return { throttleTimeMs: 0, errorCode: Errors.SECURITY_DISABLED, errorMessage, resources: [] }
  }
  const resources = new Map<string, Response['resources'][number] & { readonly acls: Description[] }>()
  for (const acl of authorizer.acls(filter)) {
    const { resourceType, resourceName, patternType, principal, host, operation, permissionType } = acl
    const key = `${resourceType} ${patternType} ${resourceName}`
    let resource = resources.get(key)
    if (resource === undefined) resources.set(key, (resource = { resourceType, resourceName, patternType, acls: [] }))
    resource.acls.push({ principal, host, operation, permissionType })
  }
  return { throttleTimeMs: 0, errorCode: Errors.NONE, errorMessage: null, resources: [...resources.values()] }
}
