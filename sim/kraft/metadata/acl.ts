/**
 * Access control entries: who may, or may not, do what to which resource (KIP-11, KIP-290; Kafka's `AclBinding`, `StandardAcl`).
 *
 * Codes are Kafka's, as they stand in requests and metadata records; a code that is not known here counts as UNKNOWN. A LITERAL name is
 * that name alone, or with `*` any; a PREFIXED one every name that begins with it. A filter leaves out what shall not matter (ANY, null);
 * pattern type MATCH finds every entry that would apply to the name.
 */

export const ResourceType = {
  UNKNOWN: 0,
  ANY: 1,
  TOPIC: 2,
  GROUP: 3,
  CLUSTER: 4,
  TRANSACTIONAL_ID: 5,
  DELEGATION_TOKEN: 6,
  USER: 7,
} as const

export const PatternType = { UNKNOWN: 0, ANY: 1, MATCH: 2, LITERAL: 3, PREFIXED: 4 } as const

export const AclOperation = {
  UNKNOWN: 0,
  ANY: 1,
  ALL: 2,
  READ: 3,
  WRITE: 4,
  CREATE: 5,
  DELETE: 6,
  ALTER: 7,
  DESCRIBE: 8,
  CLUSTER_ACTION: 9,
  DESCRIBE_CONFIGS: 10,
  ALTER_CONFIGS: 11,
  IDEMPOTENT_WRITE: 12,
  CREATE_TOKENS: 13,
  DESCRIBE_TOKENS: 14,
  TWO_PHASE_COMMIT: 15,
} as const

export const AclPermission = { UNKNOWN: 0, ANY: 1, DENY: 2, ALLOW: 3 } as const

/** Any name, any host. */
export const WILDCARD = '*'
export const WILDCARD_PRINCIPAL = 'User:*'
/** The only name of the only resource of type CLUSTER. */
export const CLUSTER_NAME = 'kafka-cluster'

/** One entry with the resource that it is about, in codes. */
export interface Acl {
  readonly resourceType: number
  readonly resourceName: string
  readonly patternType: number
  /** `User:alice`. */
  readonly principal: string
  readonly host: string
  readonly operation: number
  readonly permissionType: number
}

/** As DescribeAcls and DeleteAcls carry it. */
export interface AclFilter {
  readonly resourceTypeFilter: number
  readonly resourceNameFilter: string | null
  readonly patternTypeFilter: number
  readonly principalFilter: string | null
  readonly hostFilter: string | null
  readonly operation: number
  readonly permissionType: number
}

/** Equal for equal entries. */
export function aclKey(acl: Acl): string {
  const { resourceType, patternType, operation, permissionType, resourceName, principal, host } = acl
  return `${resourceType} ${patternType} ${operation} ${permissionType}\n${resourceName}\n${principal}\n${host}`
}

/** Codes from UNKNOWN on, without gaps: whether `code` is a known one. */
function isKnown(codes: Readonly<Record<string, number>>, code: number): boolean {
  return code > 0 && code < Object.keys(codes).length
}

/** Some part of the filter means nothing here. */
export function isUnknownFilter(filter: AclFilter): boolean {
  return (
    !isKnown(ResourceType, filter.resourceTypeFilter) ||
    !isKnown(PatternType, filter.patternTypeFilter) ||
    !isKnown(AclOperation, filter.operation) ||
    !isKnown(AclPermission, filter.permissionType)
  )
}

/** An entry names one thing each; undefined when it does, else the part that is wrong (`AclControlManager.validateNewAcl`). */
export function problemOfAcl(acl: Acl): string | undefined {
  const { resourceType, patternType, operation, permissionType, resourceName, principal } = acl
  if (!isKnown(ResourceType, resourceType) || resourceType === ResourceType.ANY) {
    return `resource type ${resourceType} cannot be given`
  }
  if (patternType !== PatternType.LITERAL && patternType !== PatternType.PREFIXED) {
    return `pattern type ${patternType} cannot be given`
  }
  if (!isKnown(AclOperation, operation) || operation === AclOperation.ANY)
    return `operation ${operation} cannot be given`
  if (permissionType !== AclPermission.DENY && permissionType !== AclPermission.ALLOW) {
    return `permission type ${permissionType} cannot be given`
  }
  if (resourceName === '') return 'the resource has no name'
  if (!principal.includes(':')) return `${principal} is no principal: its type and a colon are missing`
  return undefined
}

export function matchesFilter(filter: AclFilter, acl: Acl): boolean {
  const { principalFilter, hostFilter, operation, permissionType } = filter
  return (
    matchesResource(filter, acl) &&
    (principalFilter === null || principalFilter === acl.principal) &&
    (hostFilter === null || hostFilter === acl.host) &&
    (operation === AclOperation.ANY || operation === acl.operation) &&
    (permissionType === AclPermission.ANY || permissionType === acl.permissionType)
  )
}

/** What a filter says of the resource alone (`ResourcePatternFilter`). */
export function matchesResource(
  filter: AclFilter,
  { resourceType, resourceName, patternType }: Pick<Acl, 'resourceType' | 'resourceName' | 'patternType'>,
): boolean {
  const { resourceTypeFilter, resourceNameFilter, patternTypeFilter } = filter
  if (resourceTypeFilter !== ResourceType.ANY && resourceTypeFilter !== resourceType) return false
  if (
    patternTypeFilter !== PatternType.ANY &&
    patternTypeFilter !== PatternType.MATCH &&
    patternTypeFilter !== patternType
  ) {
    return false
  }
  if (resourceNameFilter === null) return true
  if (patternTypeFilter !== PatternType.MATCH) return resourceNameFilter === resourceName
  if (patternType === PatternType.PREFIXED) return resourceNameFilter.startsWith(resourceName)
  return resourceNameFilter === resourceName || resourceName === WILDCARD
}

// ── words ─────────────────────────────────────────────────────────────────────────────────────────────────────────────

/** `cluster-action`. */
export function operationWord(operation: number): string {
  return wordOf(AclOperation, operation)
}

/** `topic orders`. */
export function resourceWord(resourceType: number, name: string): string {
  return `${wordOf(ResourceType, resourceType)} ${name}`
}

const WORDS = new Map<object, readonly string[]>(
  [ResourceType, AclOperation].map((codes) => [
    codes,
    Object.keys(codes).map((name) => name.toLowerCase().replaceAll('_', '-')),
  ]),
)

function wordOf(codes: Readonly<Record<string, number>>, code: number): string {
  return WORDS.get(codes)?.[code] ?? 'unknown'
}
