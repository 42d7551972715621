/** Words for the codes of ACLs in events: what stands at a code's place (ResourceType, AclOperation), in lower case with dashes. */

export const ACL_RESOURCE_TYPES: readonly string[] = [
  '?',
  'any',
  'topic',
  'group',
  'cluster',
  'transactional-id',
  'delegation-token',
  'user',
]

export const ACL_OPERATIONS: readonly string[] = [
  '?',
  'any',
  'all',
  'read',
  'write',
  'create',
  'delete',
  'alter',
  'describe',
  'cluster-action',
  'describe-configs',
  'alter-configs',
  'idempotent-write',
  'create-tokens',
  'describe-tokens',
]

/** PatternType. */
export const ACL_PREFIXED = 4

/** AclPermissionType. */
export const ACL_DENY = 2
