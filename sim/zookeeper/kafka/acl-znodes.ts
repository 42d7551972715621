/**
 * How Kafka's `AclAuthorizer` keeps ACLs in ZooKeeper (`ZkAclStore`, `ZkAclChangeStore`, `ResourceZNode`, `AclEntry`; KIP-290).
 *
 *     /kafka-acl/Topic/orders                     {version 1, acls: [{principal, permissionType, operation, host}]}   of the name itself, and of `*`
 *     /kafka-acl-extended/prefixed/Topic/ord      the same, of every name that begins so
 *     /kafka-acl-changes/acl_changes_N            TOPIC:orders   tells brokers to read that again; purged after 15 minutes
 *     /kafka-acl-extended-changes/acl_changes_N   {version 1, resourceType, name, patternType}
 *
 * A resource without ACLs has no znode. Codes are those of Kafka's requests; what ZooKeeper holds that is none of them is no ACL.
 */

import { decodeText, encodeText } from './znodes.js'

/** By code, as they stand in paths; the first two, UNKNOWN and ANY, are nobody's. */
const RESOURCE_TYPES = ['', '', 'Topic', 'Group', 'Cluster', 'TransactionalId', 'DelegationToken', 'User'] as const
const RESOURCE_TYPE_NAMES = [
  '',
  '',
  'TOPIC',
  'GROUP',
  'CLUSTER',
  'TRANSACTIONAL_ID',
  'DELEGATION_TOKEN',
  'USER',
] as const
const OPERATIONS = [
  '',
  '',
  'All',
  'Read',
  'Write',
  'Create',
  'Delete',
  'Alter',
  'Describe',
  'ClusterAction',
  'DescribeConfigs',
  'AlterConfigs',
  'IdempotentWrite',
  'CreateTokens',
  'DescribeTokens',
] as const
const PERMISSIONS = ['', '', 'Deny', 'Allow'] as const
const FIRST_REAL = 2
const LITERAL = 3
const PREFIXED = 4

/** What ACLs are about. */
export interface ResourcePattern {
  readonly resourceType: number
  readonly resourceName: string
  /** LITERAL 3 or PREFIXED 4. */
  readonly patternType: number
}

/** One entry of a resource. */
export interface AclEntry {
  readonly principal: string
  readonly host: string
  readonly operation: number
  readonly permissionType: number
}

/** Where the ACLs of one pattern type stand, and where changes of them are told. */
interface AclStore {
  readonly patternType: number
  readonly path: string
  readonly changes: string
}

export const ACL_STORES: readonly AclStore[] = [
  { patternType: LITERAL, path: '/kafka-acl', changes: '/kafka-acl-changes' },
  { patternType: PREFIXED, path: '/kafka-acl-extended/prefixed', changes: '/kafka-acl-extended-changes' },
]

export const ACL_CHANGE_PREFIX = 'acl_changes_'

/** Made by every broker that has an authorizer (`KafkaZkClient.createAclPaths`). */
export const ACL_PATHS: readonly string[] = [
  ...ACL_STORES.flatMap(({ path }) => [path, ...RESOURCE_TYPES.slice(FIRST_REAL).map((type) => `${path}/${type}`)]),
  ...ACL_STORES.map(({ changes }) => changes),
]

/** The type that a child of a store is about; undefined: of none that is known. */
export function resourceTypeOf(child: string): number | undefined {
  const code = (RESOURCE_TYPES as readonly string[]).indexOf(child)
  return code < FIRST_REAL ? undefined : code
}

export function aclPath({ resourceType, resourceName, patternType }: ResourcePattern): string {
  return `${storeOf(patternType).path}/${RESOURCE_TYPES[resourceType] ?? ''}/${resourceName}`
}

/** Where a change is told: the path without its number. */
export function aclChangePath({ patternType }: ResourcePattern): string {
  return `${storeOf(patternType).changes}/${ACL_CHANGE_PREFIX}`
}

/** Whether ZooKeeper can hold it: its name is a part of a path. */
export function isKeepable({ resourceName }: ResourcePattern, { operation }: AclEntry): boolean {
  return !resourceName.includes('/') && (OPERATIONS[operation] ?? '') !== ''
}

export const AclZnode = {
  encode: (entries: Iterable<AclEntry>): Uint8Array => {
    const acls = [...entries].map(({ principal, permissionType, operation, host }) => ({
      principal,
      permissionType: PERMISSIONS[permissionType],
      operation: OPERATIONS[operation],
      host,
    }))
    return encodeText(JSON.stringify({ version: 1, acls }))
  },
  decode: (data: Uint8Array | null): readonly AclEntry[] => {
    type Entry = { principal: string; permissionType: string; operation: string; host: string }
    const json = parse(data) as { readonly acls?: readonly Entry[] } | undefined
    return (json?.acls ?? []).map(({ principal, permissionType, operation, host }) => ({
      principal,
      host,
      operation: (OPERATIONS as readonly string[]).indexOf(operation),
      permissionType: (PERMISSIONS as readonly string[]).indexOf(permissionType),
    }))
  },
} as const

export const AclChangeZnode = {
  encode: ({ resourceType, resourceName, patternType }: ResourcePattern): Uint8Array => {
    const type = RESOURCE_TYPE_NAMES[resourceType] ?? ''
    if (patternType === LITERAL) return encodeText(`${type}:${resourceName}`)
    const event = { version: 1, resourceType: type, name: resourceName, patternType: 'PREFIXED' }
    return encodeText(JSON.stringify(event))
  },
  /** `patternType` is that of the store that told it. Undefined: it cannot be read. */
  decode: (data: Uint8Array | null, patternType: number): ResourcePattern | undefined => {
    if (data === null) return undefined
    let type: string
    let resourceName: string
    if (patternType === LITERAL) {
      const text = decodeText(data)
      const colon = text.indexOf(':')
      type = text.slice(0, Math.max(0, colon))
      resourceName = text.slice(colon + 1)
    } else {
      const json = parse(data) as { readonly resourceType?: string; readonly name?: string } | undefined
      type = json?.resourceType ?? ''
      resourceName = json?.name ?? ''
    }
    const resourceType = (RESOURCE_TYPE_NAMES as readonly string[]).indexOf(type)
    return resourceType < FIRST_REAL || resourceName === '' ? undefined : { resourceType, resourceName, patternType }
  },
} as const

function storeOf(patternType: number): AclStore {
  return (patternType === LITERAL ? ACL_STORES[0] : ACL_STORES[1]) as AclStore
}

function parse(data: Uint8Array | null): unknown {
  if (data === null) return undefined
  try {
    return JSON.parse(decodeText(data))
  } catch (error) {
    if (error instanceof SyntaxError) return undefined
    throw error
  }
}
