/**
 * Access control in the hands of an administrator (KIP-140, KIP-290; describeAcls, createAcls, deleteAcls of Kafka's KafkaAdminClient).
 *
 * A binding allows or denies a principal one operation on a resource, or on all resources whose names begin alike. A filter leaves out what
 * shall not matter. Names are Kafka's, in lower case with dashes.
 */

import { UsageError } from '../kernel/errors.js'
import { Errors } from '../wire/errors.js'
import type { AdminContext, Done } from './admin-context.js'

/** ResourceType. */
const RESOURCE_TYPES = { any: 1, topic: 2, group: 3, cluster: 4, 'transactional-id': 5 } as const

/** PatternType. `match` is for filters: every binding that would apply to the name. */
const PATTERN_TYPES = { any: 1, match: 2, literal: 3, prefixed: 4 } as const

/** AclOperation. */
const OPERATIONS = {
  any: 1,
  all: 2,
  read: 3,
  write: 4,
  create: 5,
  delete: 6,
  alter: 7,
  describe: 8,
  'cluster-action': 9,
  'describe-configs': 10,
  'alter-configs': 11,
  'idempotent-write': 12,
} as const

/** AclPermissionType. */
const PERMISSIONS = { any: 1, deny: 2, allow: 3 } as const

export type AclOperation = Exclude<keyof typeof OPERATIONS, 'any'>

export interface AclBinding {
  readonly resourceType: Exclude<keyof typeof RESOURCE_TYPES, 'any'>
  /** `kafka-cluster` for the cluster; `*` for all. */
  readonly resourceName: string
  readonly pattern: 'literal' | 'prefixed'
  /** `User:alice`, `User:*`. */
  readonly principal: string
  /** `*` for any. */
  readonly host: string
  readonly operation: AclOperation
  readonly permission: 'allow' | 'deny'
}

/** What is left out does not matter. */
export interface AclFilter {
  readonly resourceType?: AclBinding['resourceType']
  readonly resourceName?: string
  readonly pattern?: AclBinding['pattern'] | 'match' | 'any'
  readonly principal?: string
  readonly host?: string
  readonly operation?: AclOperation
  readonly permission?: AclBinding['permission']
}

export class AdminAcls {
  readonly #context: AdminContext

  constructor(context: AdminContext) {
    this.#context = context
  }

  /** The result's only value is named `acls`. */
  describe(filter: AclFilter, done: Done<readonly AclBinding[]>): void {
    const operation = this.#context.beginAs('describe-acls', ['acls'], done)
    this.#context.call(
      operation,
      'DescribeAcls',
      'least loaded',
      () => wireFilter(filter),
      (response) => {
        const found = response.resources.flatMap(({ resourceType, resourceName, patternType, acls }) =>
          acls.map((acl) => binding({ ...acl, resourceType, resourceName, patternType })),
        )
        operation.answered('acls', response.errorCode, found)
        return undefined
      },
    )
  }

  /** Results are named as `describeBinding` does. */
  create(bindings: readonly AclBinding[], done: Done<void>): void {
    const names = bindings.map(describeBinding)
    const operation = this.#context.begin('create-acls', names, done)
    this.#context.controllerCall(operation, {
      api: 'CreateAcls',
      to: 'least loaded',
      request: () => ({
        creations: bindings.map((acl) => ({
          resourceType: RESOURCE_TYPES[acl.resourceType],
          resourceName: acl.resourceName,
          resourcePatternType: PATTERN_TYPES[acl.pattern],
          principal: acl.principal,
          host: acl.host,
          operation: OPERATIONS[acl.operation],
          permissionType: PERMISSIONS[acl.permission],
        })),
      }),
      take: ({ results }) => {
        for (const [i, { errorCode }] of results.entries())
          operation.answered(names[i] ?? String(i), errorCode, undefined)
      },
      errors: ({ results }) => results.map(({ errorCode }) => errorCode),
    })
  }

  /**
   * Values are the bindings that each filter deleted, named by the filter's place: `0`, `1`, …. A filter fails with the first of its
   * bindings that could not be deleted (`DeleteAclsResult.all`).
   */
  delete(filters: readonly AclFilter[], done: Done<readonly AclBinding[]>): void {
    const operation = this.#context.beginAs(
      'delete-acls',
      filters.map((_, i) => String(i)),
      done,
    )
    this.#context.controllerCall(operation, {
      api: 'DeleteAcls',
      to: 'least loaded',
      request: () => ({ filters: filters.map(wireFilter) }),
      take: ({ filterResults }) => {
        for (const [i, { errorCode, matchingAcls }] of filterResults.entries()) {
          const deleted = matchingAcls.filter((acl) => acl.errorCode === Errors.NONE).map(binding)
          const refused = matchingAcls.find((acl) => acl.errorCode !== Errors.NONE)
          operation.answered(
            String(i),
            errorCode === Errors.NONE ? (refused?.errorCode ?? Errors.NONE) : errorCode,
            deleted,
          )
        }
      },
      errors: ({ filterResults }) => filterResults.map(({ errorCode }) => errorCode),
    })
  }
}

/** `allow User:alice read topic orders`, with `…` after a prefix and the host where it is not any. */
export function describeBinding(acl: AclBinding): string {
  const name = acl.pattern === 'prefixed' ? `${acl.resourceName}…` : acl.resourceName
  const from = acl.host === '*' ? '' : ` from ${acl.host}`
  return `${acl.permission} ${acl.principal} ${acl.operation} ${acl.resourceType} ${name}${from}`
}

function wireFilter(filter: AclFilter): {
  resourceTypeFilter: number
  resourceNameFilter: string | null
  patternTypeFilter: number
  principalFilter: string | null
  hostFilter: string | null
  operation: number
  permissionType: number
} {
  return {
    resourceTypeFilter: RESOURCE_TYPES[filter.resourceType ?? 'any'],
    resourceNameFilter: filter.resourceName ?? null,
    patternTypeFilter: PATTERN_TYPES[filter.pattern ?? 'any'],
    principalFilter: filter.principal ?? null,
    hostFilter: filter.host ?? null,
    operation: OPERATIONS[filter.operation ?? 'any'],
    permissionType: PERMISSIONS[filter.permission ?? 'any'],
  }
}

function binding(acl: {
  readonly resourceType: number
  readonly resourceName: string
  readonly patternType: number
  readonly principal: string
  readonly host: string
  readonly operation: number
  readonly permissionType: number
}): AclBinding {
  return {
    resourceType: nameOf(RESOURCE_TYPES, acl.resourceType) as AclBinding['resourceType'],
    resourceName: acl.resourceName,
    pattern: nameOf(PATTERN_TYPES, acl.patternType) as AclBinding['pattern'],
    principal: acl.principal,
    host: acl.host,
    operation: nameOf(OPERATIONS, acl.operation) as AclOperation,
    permission: nameOf(PERMISSIONS, acl.permissionType) as AclBinding['permission'],
  }
}

function nameOf(names: Readonly<Record<string, number>>, code: number): string {
  const found = Object.entries(names).find(([, each]) => each === code)
  if (found === undefined) throw new UsageError(`acls: nothing has the code ${code}`)
  return found[0]
}
