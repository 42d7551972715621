/**
 * ACLs as people write them in scenarios.
 *
 *     WHO OPERATIONS RESOURCE [from HOST]
 *
 *     alice read,write topic orders         one topic; `alice` is `User:alice`
 *     alice read topic orders-*             every topic whose name begins so (PREFIXED)
 *     * describe topic *                    everybody, every topic
 *     alice read group g1 from r1           asked from this host only
 *     alice write transactional-id t1
 *     alice idempotent-write cluster        the cluster has no name
 *
 * With `allow` or `deny` in front it is an entry (`cluster.acls`); a filter (`revoke`) may leave that out, and say `any` for the
 * operations. Operations are Kafka's, in lower case with dashes; one that means nothing on the resource is an error, as a slip.
 */

import type { AclBinding, AclFilter, AclOperation } from '../client/admin-acls.js'
import { nearest } from '../kernel/config-def.js'
import { CLUSTER_NAME } from '../kraft/metadata/acl.js'

export type AclEntry = AclBinding
export type AclRevocation = AclFilter

type ResourceType = AclBinding['resourceType']
type Permission = AclBinding['permission']

export interface AclProblem {
  readonly wrong: string
  readonly mend?: string
}

/** Operations that mean something on each type of resource; `all` always does. */
const OPERATIONS: Readonly<Record<ResourceType, readonly AclOperation[]>> = {
  topic: ['read', 'write', 'create', 'describe', 'delete', 'alter', 'describe-configs', 'alter-configs'],
  group: ['read', 'describe', 'delete', 'describe-configs', 'alter-configs'],
  'transactional-id': ['describe', 'write'],
  cluster: ['create', 'cluster-action', 'describe-configs', 'alter-configs', 'idempotent-write', 'alter', 'describe'],
}

const FORM = 'write it like: User:alice read,write topic orders'

/** `alice` → `User:alice`; what has a type already is left alone. */
export function principalOf(name: string): string {
  return name.includes(':') ? name : `User:${name}`
}

/** The entries of `allow alice read,write topic orders`, one for each operation; or what is wrong with it. */
export function parseAcl(text: string): { readonly bindings: readonly AclBinding[] } | AclProblem {
  const [permission, ...rest] = wordsOf(text)
  if (permission !== 'allow' && permission !== 'deny') {
    return { wrong: `expected allow or deny in front of ${JSON.stringify(text)}`, mend: `write allow ${text}` }
  }
  return parseEntries(permission, rest.join(' '))
}

/** The same without the word in front. */
export function parseEntries(
  permission: Permission,
  text: string,
): { readonly bindings: readonly AclBinding[] } | AclProblem {
  const parsed = parseRule(text)
  if ('wrong' in parsed) return parsed
  const { operations, ...rest } = parsed
  if (operations === 'any') return { wrong: `${permission} any: nothing is called any`, mend: 'write all' }
  return { bindings: operations.map((operation) => ({ ...rest, operation, permission })) }
}

/** What `revoke` takes away. */
export function parseRevocation(text: string): { readonly filters: readonly AclFilter[] } | AclProblem {
  const [first = '', ...rest] = wordsOf(text)
  const permission = first === 'allow' || first === 'deny' ? { permission: first as Permission } : {}
  const parsed = parseRule('permission' in permission ? rest.join(' ') : text)
  if ('wrong' in parsed) return parsed
  const { operations, host, ...common } = parsed
  const filter: AclFilter = { ...common, ...permission, ...(host !== '*' && { host }) }
  if (operations === 'any') return { filters: [filter] }
  return { filters: operations.map((operation) => ({ ...filter, operation })) }
}

interface Rule extends Pick<AclBinding, 'principal' | 'resourceType' | 'resourceName' | 'pattern' | 'host'> {
  readonly operations: readonly AclOperation[] | 'any'
}

function parseRule(text: string): Rule | AclProblem {
  const words = wordsOf(text.replaceAll(/\s*,\s*/g, ','))
  const [who, what, type, ...rest] = words
  if (who === undefined || what === undefined || type === undefined) {
    return { wrong: `${JSON.stringify(text)} does not say who may do what to which resource`, mend: FORM }
  }
  if (!isResourceType(type)) {
    const near = nearest(type, Object.keys(OPERATIONS))
    return {
      wrong: `no such resource ${type}`,
      mend: near ? `did you mean ${near}?` : `there are ${listOf(OPERATIONS)}`,
    }
  }
  const operations = parseOperations(what, type)
  if ('wrong' in operations) return operations
  const name = type === 'cluster' ? CLUSTER_NAME : rest.shift()
  if (name === undefined || name === 'from')
    return { wrong: `which ${type}?`, mend: `write ${type} NAME, or ${type} *` }
  const host = parseHost(rest)
  if (host === undefined) {
    return { wrong: `${rest.join(' ')} after the resource says nothing`, mend: 'only from HOST may follow' }
  }
  const isPrefix = name.length > 1 && name.endsWith('*')
  return {
    principal: principalOf(who),
    operations: operations.operations,
    resourceType: type,
    resourceName: isPrefix ? name.slice(0, -1) : name,
    pattern: isPrefix ? 'prefixed' : 'literal',
    host,
  }
}

function parseOperations(text: string, type: ResourceType): { readonly operations: Rule['operations'] } | AclProblem {
  if (text === 'any') return { operations: 'any' }
  const known: readonly string[] = ['all', ...OPERATIONS[type]]
  const names = text.split(',').filter((name) => name !== '')
  const stranger = names.find((name) => !known.includes(name))
  if (stranger === undefined && names.length > 0) return { operations: names as AclOperation[] }
  const near = nearest(stranger ?? text, known)
  return {
    wrong: `${stranger ?? text} is nothing that can be done to a ${type}`,
    mend: near ? `did you mean ${near}?` : `there are ${known.join(', ')}`,
  }
}

/** `*` when nothing is said; undefined when something else is. */
function parseHost(words: readonly string[]): string | undefined {
  if (words.length === 0) return '*'
  return words.length === 2 && words[0] === 'from' ? words[1] : undefined
}

function isResourceType(word: string): word is ResourceType {
  return Object.hasOwn(OPERATIONS, word)
}

function wordsOf(text: string): string[] {
  return text.split(/\s+/).filter((word) => word !== '')
}

function listOf(table: Readonly<Record<string, unknown>>): string {
  return Object.keys(table).join(', ')
}
