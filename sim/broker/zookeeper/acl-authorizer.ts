/**
 * Kafka 3.9's `AclAuthorizer`: decides from ACLs that are kept in ZooKeeper, one znode for each resource (acl-znodes.ts).
 *
 * It has a session of its own, and knows the ACLs of every resource with the version of their znode. Any broker changes them:
 *
 *     read (what is known already counts) → change → write if the version is still that one ──yes→ known here, and told to all others
 *        ↑                                                                                   └─no→ 100 to 150 ms later, at most ten times
 *        └──────────────────────────── read again ─────────────────────────────────────────────┘
 *
 * Others read a resource again when they are told of a change of it. Until then they decide as before: brokers learn of a change one after the
 * other. A change that cannot be read when it is told, because the session just ended, is not read again before the next one of its resource.
 * Changes and readings take turns.
 *
 * What the ACLs allow is decided as by `StandardAuthorizer`, but for the question about any resource of a type.
 */

import type { Env } from '../../kernel/env.js'
import type { Millis } from '../../kernel/units.js'
import {
  type Acl,
  aclKey,
  type AclFilter,
  isUnknownFilter,
  matchesFilter,
  matchesResource,
  PatternType,
  problemOfAcl,
  ResourceType,
} from '../../kraft/metadata/acl.js'
import type { Authorizer } from '../../kraft/metadata/authorizer.js'
import { type AuthorizerOptions, isAnyAllowed, StandardAuthorizer } from '../../kraft/metadata/standard-authorizer.js'
import { type ErrorCode, Errors } from '../../wire/errors.js'
import {
  ACL_CHANGE_PREFIX,
  ACL_PATHS,
  ACL_STORES,
  AclChangeZnode,
  aclChangePath,
  type AclEntry,
  aclPath,
  AclZnode,
  isKeepable,
  type ResourcePattern,
  resourceTypeOf,
} from '../../zookeeper/kafka/acl-znodes.js'
import { isZooKeeperTrouble, type KafkaZkClient, KeeperFailure } from '../../zookeeper/kafka/kafka-zk-client.js'
import { type Task, TaskQueue, wait } from '../../zookeeper/kafka/task.js'
import { ChangeNotifications } from './change-notifications.js'

const RETRIES_MAX = 10
const RETRY_BACKOFF_MS: Millis = 100
const RETRY_JITTER_MS: Millis = 50
/** There is no znode. */
const NO_VERSION = -2

/** The entries of a resource, by what makes them equal. */
type Entries = ReadonlyMap<string, AclEntry>

interface Versioned {
  readonly entries: Entries
  readonly version: number
}

interface Known extends Versioned {
  readonly resource: ResourcePattern
}

const NO_ACLS: Versioned = { entries: new Map(), version: NO_VERSION }

export interface AclError {
  readonly error: ErrorCode
  readonly message: string | null
}

const NO_ERROR: AclError = { error: Errors.NONE, message: null }

/** What a filter of DeleteAcls came to. */
export interface AclDeletion extends AclError {
  readonly matching: readonly (AclError & { readonly acl: Acl })[]
}

export interface AclAuthorizerOptions extends AuthorizerOptions {
  /** Begins its own session. */
  readonly connect: () => KafkaZkClient
}

export class AclAuthorizer implements Authorizer {
  readonly #env: Env
  readonly #options: AclAuthorizerOptions
  readonly #rules: StandardAuthorizer
  readonly #lock = new TaskQueue()
  /** By path. */
  readonly #known = new Map<string, Known>()
  #zk: KafkaZkClient | undefined
  #changes: readonly ChangeNotifications[] = []
  #isLoaded = false

  constructor(env: Env, options: AclAuthorizerOptions) {
    this.#env = env
    this.#options = options
    this.#rules = new StandardAuthorizer(options)
  }

  // ── life ──────────────────────────────────────────────────────────────────────────────────────────────────────────

  /** Reads what there is, and hears of changes from now on; false: no ensemble within `timeoutMs`. @throws KeeperFailure */
  *configure(timeoutMs: Millis): Task<boolean> {
    const zk = this.#options.connect()
    this.#zk = zk
    if (!(yield* zk.waitForConnection((giveUp) => this.#env.after(timeoutMs, giveUp)))) return false
    for (const path of ACL_PATHS) yield* zk.createRecursive(path, null, true)
    this.#changes = ACL_STORES.map(
      ({ patternType, changes }) =>
        new ChangeNotifications(this.#env, {
          zk,
          path: changes,
          prefix: ACL_CHANGE_PREFIX,
          handle: (data) => this.#changed(AclChangeZnode.decode(data, patternType)),
        }),
    )
    for (const changes of this.#changes) changes.start()
    yield* this.#locked(() => this.#load(zk))
    this.#isLoaded = true
    return true
  }

  close(): void {
    for (const changes of this.#changes) changes.close()
    this.#zk?.close(() => {})
  }

  // ── questions ─────────────────────────────────────────────────────────────────────────────────────────────────────

  canJudge(principal: string): boolean {
    return this.#isLoaded || this.#rules.isSuperUser(principal)
  }

  authorize(principal: string, host: string, operation: number, resourceType: number, name: string): boolean {
    return this.#rules.authorize(principal, host, operation, resourceType, name)
  }

  operations(principal: string, host: string, resourceType: number, name: string): number {
    return this.#rules.operations(principal, host, resourceType, name)
  }

  /** What is allowed where there are no ACLs counts, unless everything is denied; what entries imply does not (KIP-679). */
  authorizeByResourceType(principal: string, host: string, operation: number, resourceType: number): boolean {
    if (this.#rules.isSuperUser(principal)) return true
    const { allowEveryoneIfNoAclFound } = this.#options
    return isAnyAllowed(this.#acls(), principal, host, operation, resourceType, allowEveryoneIfNoAclFound)
  }

  acls(filter: AclFilter): Acl[] {
    return this.#acls().filter((acl) => matchesFilter(filter, acl))
  }

  // ── changes ───────────────────────────────────────────────────────────────────────────────────────────────────────

  /** One result for each. Those of one resource are written together. */
  *createAcls(acls: readonly Acl[]): Task<readonly AclError[]> {
    const results = acls.map(problemHere)
    const byResource = new Map<string, { readonly resource: ResourcePattern; readonly at: number[] }>()
    acls.forEach((acl, at) => {
      if (results[at] !== NO_ERROR) return
      const path = aclPath(acl)
      const group = byResource.get(path)
      if (group === undefined) byResource.set(path, { resource: resourceOf(acl), at: [at] })
      else group.at.push(at)
    })
    if (byResource.size === 0) return results
    return yield* this.#locked(() => this.#createAll(acls, byResource.values(), results))
  }

  *#createAll(
    acls: readonly Acl[],
    groups: Iterable<{ readonly resource: ResourcePattern; readonly at: readonly number[] }>,
    results: AclError[],
  ): Task<readonly AclError[]> {
    for (const { resource, at } of groups) {
      const created = at.map((index) => acls[index] as Acl)
      const failed = created.some(({ principal }) => !principal.includes(':'))
        ? internalError('a principal has no type')
        : yield* this.#tryUpdate(resource, (entries) => {
            const all = new Map(entries)
            for (const acl of created) if (!all.has(entryKey(acl))) all.set(entryKey(acl), entryOf(acl))
            return all
          })
      if (failed !== undefined) for (const index of at) results[index] = failed
    }
    return results
  }

  /** One result for each filter; an entry counts for the first that finds it. */
  *deleteAcls(filters: readonly AclFilter[]): Task<readonly AclDeletion[]> {
    const known = filters.map((filter) => !isUnknownFilter(filter))
    const deleted = filters.map(() => new Map<string, AclError & { readonly acl: Acl }>())
    yield* this.#locked(() => this.#deleteAll(filters, known, deleted))
    return deleted.map((matching, at) =>
      known[at] === true
        ? { ...NO_ERROR, matching: [...matching.values()] }
        : { error: Errors.INVALID_REQUEST, message: 'the filter names something unknown', matching: [] },
    )
  }

  *#deleteAll(
    filters: readonly AclFilter[],
    known: readonly boolean[],
    deleted: readonly Map<string, AclError & { readonly acl: Acl }>[],
  ): Task<void> {
    const resources = new Map([...this.#sorted()].map(({ resource }) => [aclPath(resource), resource]))
    for (const filter of filters) {
      for (const resource of resourcesNamed(filter)) resources.set(aclPath(resource), resource)
    }
    for (const resource of resources.values()) {
      const matching = filters.map((filter, at) => known[at] === true && matchesResource(filter, resource))
      if (!matching.includes(true)) continue
      const now: { readonly at: number; readonly key: string }[] = []
      const failed = yield* this.#tryUpdate(resource, (entries) => {
        const rest = new Map(entries)
        for (const [key, entry] of entries) {
          const acl = { ...resource, ...entry }
          const at = filters.findIndex((filter, index) => matching[index] === true && matchesFilter(filter, acl))
          if (at < 0) continue
          rest.delete(key)
          // What an earlier try had found counts, also when somebody else was quicker.
          deleted[at]?.set(aclKey(acl), { ...NO_ERROR, acl })
          now.push({ at, key: aclKey(acl) })
        }
        return rest
      })
      if (failed === undefined) continue
      for (const { at, key } of now) {
        const found = deleted[at]?.get(key)
        if (found !== undefined) deleted[at]?.set(key, { ...failed, acl: found.acl })
      }
    }
  }

  /** Undefined when it is written. */
  *#tryUpdate(resource: ResourcePattern, change: (entries: Entries) => Entries): Task<AclError | undefined> {
    try {
      return yield* this.#update(resource, change)
    } catch (error) {
      if (!isZooKeeperTrouble(error)) throw error
      return internalError(error.message)
    }
  }

  *#update(resource: ResourcePattern, change: (entries: Entries) => Entries): Task<AclError | undefined> {
    const path = aclPath(resource)
    let current: Versioned = this.#known.get(path) ?? (yield* this.#read(path))
    for (let retries = 0; ; retries++) {
      const entries = change(current.entries)
      const version = yield* this.#write(path, entries, current.version)
      if (version !== undefined) {
        this.#knows(resource, { entries, version })
        if (!isSame(entries, current.entries)) yield* this.#tell(resource)
        return undefined
      }
      const delayMs = RETRY_BACKOFF_MS + this.#env.random.int(RETRY_JITTER_MS)
      yield* wait<undefined>((resume) => void this.#env.after(delayMs, () => resume(undefined)))
      current = yield* this.#read(path)
      if (retries === RETRIES_MAX) return internalError(`the ACLs of ${path} changed at each of ${RETRIES_MAX} tries`)
    }
  }

  /** The version that was written; undefined: another is there. @throws KeeperFailure */
  *#write(path: string, entries: Entries, version: number): Task<number | undefined> {
    const zk = this.#session
    if (entries.size > 0) {
      const data = AclZnode.encode(entries.values())
      if (version !== NO_VERSION) return yield* zk.conditionalUpdate(path, data, version)
      return (yield* outcome(zk.create(path, data, 'PERSISTENT'), 'NODEEXISTS')) === undefined ? undefined : 0
    }
    return (yield* outcome(zk.delete(path, version), 'BADVERSION')) === undefined ? undefined : 0
  }

  *#tell(resource: ResourcePattern): Task<void> {
    yield* this.#session.create(aclChangePath(resource), AclChangeZnode.encode(resource), 'PERSISTENT_SEQUENTIAL')
  }

  // ── what is known ─────────────────────────────────────────────────────────────────────────────────────────────────

  get #session(): KafkaZkClient {
    if (this.#zk === undefined) throw new KeeperFailure('SESSIONEXPIRED', 'not configured')
    return this.#zk
  }

  *#load(zk: KafkaZkClient): Task<void> {
    for (const { path, patternType } of ACL_STORES) {
      for (const type of yield* zk.getChildren(path)) {
        const resourceType = resourceTypeOf(type)
        if (resourceType === undefined) continue
        for (const resourceName of yield* zk.getChildren(`${path}/${type}`)) {
          yield* this.#reload({ resourceType, resourceName, patternType })
        }
      }
    }
  }

  *#changed(resource: ResourcePattern | undefined): Task<void> {
    if (resource !== undefined) yield* this.#locked(() => this.#reload(resource))
  }

  *#reload(resource: ResourcePattern): Task<void> {
    this.#knows(resource, yield* this.#read(aclPath(resource)))
  }

  *#read(path: string): Task<Versioned> {
    const found = yield* this.#session.getData(path)
    if (found === undefined) return NO_ACLS
    const entries = AclZnode.decode(found.data)
    return { entries: new Map(entries.map((entry) => [entryKey(entry), entry])), version: found.stat.version }
  }

  #knows(resource: ResourcePattern, { entries, version }: Versioned): void {
    if (entries.size === 0) this.#known.delete(aclPath(resource))
    else this.#known.set(aclPath(resource), { resource, entries, version })
    this.#rules.setAcls(new Map(this.#acls().map((acl) => [aclKey(acl), acl])))
    const { resourceType, resourceName, patternType } = resource
    this.#env.emit('acl.known', { resourceType, resourceName, patternType, version, acls: [...entries.values()] })
  }

  /** By type, then pattern, then name, the last one first, as Kafka keeps them. */
  #sorted(): Known[] {
    return [...this.#known.values()].sort(({ resource: a }, { resource: b }) => {
      if (a.resourceType !== b.resourceType) return a.resourceType - b.resourceType
      if (a.patternType !== b.patternType) return a.patternType - b.patternType
      return a.resourceName < b.resourceName ? 1 : a.resourceName > b.resourceName ? -1 : 0
    })
  }

  #acls(): Acl[] {
    return this.#sorted().flatMap(({ resource, entries }) =>
      [...entries.values()].map((entry) => ({ ...resource, ...entry })),
    )
  }

  /** Waits for its turn. @throws KeeperFailure */
  *#locked<T>(body: () => Task<T>): Task<T> {
    type Settled = { readonly value: T } | { readonly trouble: Error }
    const settled = yield* wait<Settled>((resume) => {
      this.#lock.put(function* () {
        let result: Settled
        try {
          result = { value: yield* body() }
        } catch (error) {
          if (!isZooKeeperTrouble(error)) throw error
          result = { trouble: error }
        }
        resume(result)
      })
    })
    if ('trouble' in settled) throw settled.trouble
    return settled.value
  }
}

/** What a call gives, or undefined when ZooKeeper refused it with `code`. */
function* outcome<T>(call: Task<T>, code: string): Task<T | undefined> {
  try {
    return yield* call
  } catch (error) {
    if (error instanceof KeeperFailure && error.code === code) return undefined
    throw error
  }
}

function internalError(message: string): AclError {
  return { error: Errors.UNKNOWN_SERVER_ERROR, message }
}

/** NO_ERROR, or why ZooKeeper cannot hold it. */
function problemHere(acl: Acl): AclError {
  const problem = problemOfAcl({ ...acl, principal: 'User:anybody' })
  if (problem !== undefined) return { error: Errors.INVALID_REQUEST, message: problem }
  if (isKeepable(acl, acl)) return NO_ERROR
  return { error: Errors.INVALID_REQUEST, message: `ZooKeeper cannot hold an ACL of ${acl.resourceName}` }
}

/** The resources that a filter can mean without a look at those that are known (`matchesAtMostOne`). */
function resourcesNamed({ resourceTypeFilter, resourceNameFilter, patternTypeFilter }: AclFilter): ResourcePattern[] {
  if (resourceTypeFilter <= ResourceType.ANY || resourceNameFilter === null) return []
  const named = { resourceType: resourceTypeFilter, resourceName: resourceNameFilter }
  switch (patternTypeFilter) {
    case PatternType.LITERAL:
    case PatternType.PREFIXED:
      return [{ ...named, patternType: patternTypeFilter }]
    case PatternType.ANY:
      return [PatternType.LITERAL, PatternType.PREFIXED].map((patternType) => ({ ...named, patternType }))
    default:
      return []
  }
}

function resourceOf({ resourceType, resourceName, patternType }: Acl): ResourcePattern {
  return { resourceType, resourceName, patternType }
}

function entryKey({ principal, host, operation, permissionType }: AclEntry): string {
  return `${operation} ${permissionType}\n${principal}\n${host}`
}

function entryOf({ principal, host, operation, permissionType }: Acl): AclEntry {
  return { principal, host, operation, permissionType }
}

function isSame(a: Entries, b: Entries): boolean {
  return a.size === b.size && [...a.keys()].every((key) => b.has(key))
}
