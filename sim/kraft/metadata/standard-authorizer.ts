/**
 * Kafka's `StandardAuthorizer` (KIP-801): decides from the ACLs of the metadata log.
 *
 *   the principal is a super user                                            allowed
 *   an entry about this resource, for this principal and host, denies         denied, whatever others allow
 *   one allows                                                               allowed
 *   there are entries about this resource, none of them for this             denied
 *   there are none                                                           `allow.everyone.if.no.acl.found`
 *
 * About a resource are the entries with its name (LITERAL), with a beginning of its name (PREFIXED) and with `*` (LITERAL). To allow READ,
 * WRITE, DELETE or ALTER allows DESCRIBE, and ALTER_CONFIGS allows DESCRIBE_CONFIGS; to deny implies nothing. ALL is every operation.
 *
 * What a principal may do to a resource is worked out once, as a set of bits, and kept until the ACLs change.
 */

import {
  type Acl,
  AclOperation,
  type AclFilter,
  AclPermission,
  matchesFilter,
  PatternType,
  ResourceType,
  WILDCARD,
  WILDCARD_PRINCIPAL,
} from './acl.js'
import type { Authorizer } from './authorizer.js'
import type { Uuid } from './records.js'

const EVERYTHING = 0xffff
/** A name like any other: what is allowed to it is allowed to all (`Authorizer.authorizeByResourceType`). */
const ANY_NAME = 'hardcode'

/** Bits by operation code: what an entry that allows it allows. */
const ALLOWS: readonly number[] = Array.from({ length: 16 }, (_, operation) => {
  switch (operation) {
    case AclOperation.ALL:
      return EVERYTHING
    case AclOperation.READ:
    case AclOperation.WRITE:
    case AclOperation.DELETE:
    case AclOperation.ALTER:
      return (1 << operation) | (1 << AclOperation.DESCRIBE)
    case AclOperation.ALTER_CONFIGS:
      return (1 << operation) | (1 << AclOperation.DESCRIBE_CONFIGS)
    default:
      return 1 << operation
  }
})

/** The entries about resources of one type. */
interface OfType {
  readonly literal: Map<string, Acl[]>
  readonly prefixed: Acl[]
}

export interface AuthorizerOptions {
  /** `User:admin`. */
  readonly superUsers: ReadonlySet<string>
  readonly allowEveryoneIfNoAclFound: boolean
}

export class StandardAuthorizer implements Authorizer {
  readonly #options: AuthorizerOptions
  #acls: ReadonlyMap<Uuid, Acl> = new Map()
  #loaded = false
  /** By resource type. */
  #index: (OfType | undefined)[] = []
  /** Principal → host → resource type → name → bits of the operations allowed. */
  readonly #known = new Map<string, Map<string, (Map<string, number> | undefined)[]>>()

  constructor(options: AuthorizerOptions) {
    this.#options = options
  }

  /** ACLs were given once: until then only super users can be judged. */
  canJudge(principal: string): boolean {
    return this.#loaded || this.isSuperUser(principal)
  }

  /** From now on these ACLs count. */
  setAcls(acls: ReadonlyMap<Uuid, Acl>): void {
    this.#loaded = true
    if (acls === this.#acls) return
    this.#acls = acls
    this.#known.clear()
    this.#index = []
    for (const acl of acls.values()) {
      const ofType: OfType = (this.#index[acl.resourceType] ??= { literal: new Map(), prefixed: [] })
      if (acl.patternType === PatternType.PREFIXED) ofType.prefixed.push(acl)
      else {
        const named = ofType.literal.get(acl.resourceName)
        if (named === undefined) ofType.literal.set(acl.resourceName, [acl])
        else named.push(acl)
      }
    }
  }

  isSuperUser(principal: string): boolean {
    return this.#options.superUsers.has(principal)
  }

  authorize(principal: string, host: string, operation: number, resourceType: number, name: string): boolean {
    return ((this.operations(principal, host, resourceType, name) >> operation) & 1) === 1
  }

  /** A bit for each operation that is allowed, by its code. */
  operations(principal: string, host: string, resourceType: number, name: string): number {
    let hosts = this.#known.get(principal)
    if (hosts === undefined) this.#known.set(principal, (hosts = new Map()))
    let types = hosts.get(host)
    if (types === undefined) hosts.set(host, (types = []))
    const names = (types[resourceType] ??= new Map())
    let bits = names.get(name)
    if (bits === undefined) names.set(name, (bits = this.#decide(principal, host, resourceType, name)))
    return bits
  }

  /**
   * Whether there is any resource of the type on which the operation is allowed (KIP-679): some entry allows it that no other takes
   * away as a whole. What entries imply does not count here.
   */
  authorizeByResourceType(principal: string, host: string, operation: number, resourceType: number): boolean {
    if (this.authorize(principal, host, operation, resourceType, ANY_NAME)) return true
    return isAnyAllowed(this.#acls.values(), principal, host, operation, resourceType, false)
  }

  /** In the order of their creation. */
  acls(filter: AclFilter): Acl[] {
    return [...this.#acls.values()].filter((acl) => matchesFilter(filter, acl))
  }

  #decide(principal: string, host: string, resourceType: number, name: string): number {
    if (this.#options.superUsers.has(principal)) return EVERYTHING
    let allowed = 0
    let denied = 0
    let isKnown = false
    const consider = (acl: Acl): void => {
      isKnown = true
      if (!concerns(acl, principal, host)) return
      if (acl.permissionType === AclPermission.ALLOW) allowed |= ALLOWS[acl.operation] ?? 0
      else denied |= acl.operation === AclOperation.ALL ? EVERYTHING : 1 << acl.operation
    }
    const ofType = this.#index[resourceType]
    ofType?.literal.get(name)?.forEach(consider)
    if (name !== WILDCARD) ofType?.literal.get(WILDCARD)?.forEach(consider)
    for (const acl of ofType?.prefixed ?? []) if (name.startsWith(acl.resourceName)) consider(acl)
    if (!isKnown) return this.#options.allowEveryoneIfNoAclFound ? EVERYTHING : 0
    return allowed & ~denied
  }
}

function concerns({ principal, host }: Acl, who: string, from: string): boolean {
  return (principal === who || principal === WILDCARD_PRINCIPAL) && (host === WILDCARD || host === from)
}

/**
 * Whether some entry allows the operation on resources of the type that no other takes away as a whole. `everyone`: what is not denied for
 * all of them is allowed where no entry is about it. What entries imply does not count.
 */
export function isAnyAllowed(
  acls: Iterable<Acl>,
  principal: string,
  host: string,
  operation: number,
  resourceType: number,
  everyone: boolean,
): boolean {
  const denied = { literal: new Set<string>(), prefixed: new Set<string>() }
  const allowed = { literal: new Set<string>(), prefixed: new Set<string>() }
  for (const acl of acls) {
    if (acl.resourceType !== resourceType || !concerns(acl, principal, host)) continue
    if (acl.operation !== operation && acl.operation !== AclOperation.ALL) continue
    const side = acl.permissionType === AclPermission.DENY ? denied : allowed
    ;(acl.patternType === PatternType.PREFIXED ? side.prefixed : side.literal).add(acl.resourceName)
  }
  if (denied.literal.has(WILDCARD)) return false
  if (everyone || allowed.literal.has(WILDCARD)) return true
  const isDenied = (name: string): boolean => {
    for (const prefix of denied.prefixed) if (prefix !== '' && name.startsWith(prefix)) return true
    return false
  }
  for (const name of allowed.literal) if (!denied.literal.has(name) && !isDenied(name)) return true
  for (const name of allowed.prefixed) if (!isDenied(name)) return true
  return false
}

/** Operations that mean something on a resource, as bits (`AclEntry.supportedOperations`). */
export function supportedOperations(resourceType: number): number {
  const { READ, WRITE, CREATE, DESCRIBE, DELETE, ALTER, DESCRIBE_CONFIGS, ALTER_CONFIGS } = AclOperation
  switch (resourceType) {
    case ResourceType.TOPIC:
      return bits(READ, WRITE, CREATE, DESCRIBE, DELETE, ALTER, DESCRIBE_CONFIGS, ALTER_CONFIGS)
    case ResourceType.GROUP:
      return bits(READ, DESCRIBE, DELETE, DESCRIBE_CONFIGS, ALTER_CONFIGS)
    case ResourceType.CLUSTER:
      return bits(
        CREATE,
        AclOperation.CLUSTER_ACTION,
        DESCRIBE_CONFIGS,
        ALTER_CONFIGS,
        AclOperation.IDEMPOTENT_WRITE,
        ALTER,
        DESCRIBE,
      )
    case ResourceType.TRANSACTIONAL_ID:
      return bits(DESCRIBE, WRITE, AclOperation.TWO_PHASE_COMMIT)
    default:
      return 0
  }
}

function bits(...operations: readonly number[]): number {
  return operations.reduce((all, operation) => all | (1 << operation), 0)
}
