/**
 * Targets: who a fault or operation is about, as the user writes it, resolved when the step acts.
 *
 *     target := NAME | brokers | controllers | zookeeper | clients | controller | any broker | any controller | any zookeeper
 *             | leader(PARTITION) | followers(PARTITION) | replicas(PARTITION) | isr(PARTITION)
 *             | leader(zookeeper) | minority(SET) | majority(SET) | random(N of SET) | rest
 *             | coordinator(GROUP) | members(CLIENT)
 *     SET    := brokers | controllers | zookeeper | clients | any target above
 *
 * `any` and `random` choose among nodes that are up, from the step's own random stream. `rest` is every broker, controller and ZooKeeper server not
 * named by the other sides of a partition. A target that matches nobody right now makes the step be skipped, and says why.
 */

import type { ClusterView } from '../cluster/cluster-view.js'
import { nodeId, nodeName, parsePartition, type NodeName } from '../kernel/names.js'
import { nearest } from '../kernel/config-def.js'
import type { Random } from '../kernel/random.js'

export type Target =
  | { readonly type: 'node'; readonly name: NodeName }
  | { readonly type: 'set'; readonly set: NodeSet }
  | { readonly type: 'controller' }
  | { readonly type: 'ensemble-leader' }
  | { readonly type: 'any'; readonly of: Target }
  | { readonly type: 'partition'; readonly role: PartitionRole; readonly partition: string }
  | { readonly type: 'share'; readonly share: 'minority' | 'majority'; readonly of: Target }
  | { readonly type: 'random'; readonly count: number; readonly of: Target }
  | { readonly type: 'coordinator'; readonly group: string }
  | { readonly type: 'members'; readonly client: string }

type NodeSet = 'brokers' | 'controllers' | 'zookeeper' | 'clients' | 'rest'
type PartitionRole = 'leader' | 'followers' | 'replicas' | 'isr'

/** Names that targets may use, for checking them before a run. */
export interface TargetNames {
  readonly brokers: readonly NodeName[]
  readonly controllers: readonly NodeName[]
  /** Servers of the ensemble, in ZooKeeper mode. */
  readonly zookeeper?: readonly NodeName[]
  readonly clients: readonly NodeName[]
  readonly partitions: readonly string[]
  /** group.id of every group. */
  readonly groups?: readonly string[]
  /** Client → the nodes of its members. */
  readonly members?: ReadonlyMap<string, readonly NodeName[]>
}

/** What a target is resolved against when its step acts. */
export interface TargetContext {
  readonly names: TargetNames
  readonly view: ClusterView
  readonly random: Random
  /** Nodes already taken by the other sides of a partition, for `rest`. */
  readonly taken?: ReadonlySet<NodeName>
}

/** Partitions of Kafka's own topics, which come when they are needed. */
const INTERNAL = /^__(consumer_offsets|transaction_state)-[0-9]+$/

const ROLES: readonly PartitionRole[] = ['leader', 'followers', 'replicas', 'isr']
const WORDS = ['brokers', 'controllers', 'clients', 'controller', 'any broker', 'any controller', 'rest']
const ENSEMBLE_WORDS = ['brokers', 'zookeeper', 'clients', 'controller', 'any broker', 'any zookeeper', 'rest']
const FORMS = [
  'leader(…)',
  'followers(…)',
  'replicas(…)',
  'isr(…)',
  'minority(…)',
  'majority(…)',
  'random(N of …)',
  'coordinator(…)',
  'members(…)',
]

/** Parses a target, or says what is wrong with it and how to mend it. */
export function parseTarget(text: string, names: TargetNames): { target: Target } | { wrong: string; mend?: string } {
  const trimmed = text.trim()
  const call = /^([a-z]+)\((.*)\)$/.exec(trimmed)
  if (call) return parseCall(call[1] as string, (call[2] as string).trim(), names)
  const set = NODE_SETS.find((name) => name === trimmed || `all ${name}` === trimmed)
  if (set !== undefined) return parseSet(set, names)
  if (trimmed === 'controller') return { target: { type: 'controller' } }
  if (trimmed === 'any broker') return { target: { type: 'any', of: { type: 'set', set: 'brokers' } } }
  if (trimmed === 'any controller') return anyOf(parseSet('controllers', names))
  if (trimmed === 'any zookeeper') return anyOf(parseSet('zookeeper', names))
  const known = [...names.brokers, ...names.controllers, ...(names.zookeeper ?? []), ...names.clients]
  if (known.includes(trimmed)) return { target: { type: 'node', name: trimmed } }
  // A broker that an add-broker step brings later.
  if (/^b[1-9][0-9]*$/.test(trimmed) && names.brokers.length === 0) return { target: { type: 'node', name: trimmed } }
  const words = hasEnsemble(names) ? ENSEMBLE_WORDS : WORDS
  const near = nearest(trimmed, [...known, ...words])
  return {
    wrong: `unknown target ${trimmed}`,
    mend: near ? `did you mean ${near}?` : `known are ${[...known, ...words, ...FORMS].join(', ')}`,
  }
}

const NODE_SETS: readonly NodeSet[] = ['brokers', 'controllers', 'zookeeper', 'clients', 'rest']

type Parsed = { target: Target } | { wrong: string; mend?: string }

function hasEnsemble(names: TargetNames): boolean {
  return (names.zookeeper?.length ?? 0) > 0
}

/** Sets that a mode does not have are told with what stands in their place. */
function parseSet(set: NodeSet, names: TargetNames): Parsed {
  if (set === 'controllers' && hasEnsemble(names)) {
    const mend = 'controller is the broker in office, zookeeper are the servers of the ensemble'
    return { wrong: 'ZooKeeper mode has no controllers of their own', mend }
  }
  if (set === 'zookeeper' && names.controllers.length > 0) {
    return { wrong: 'KRaft mode has no ZooKeeper servers', mend: 'controllers are the servers of the metadata quorum' }
  }
  return { target: { type: 'set', set } }
}

function anyOf(parsed: Parsed): Parsed {
  return 'wrong' in parsed ? parsed : { target: { type: 'any', of: parsed.target } }
}

function parseCall(
  name: string,
  argument: string,
  names: TargetNames,
): { target: Target } | { wrong: string; mend?: string } {
  if (name === 'leader' && argument === 'zookeeper') {
    const of = parseSet('zookeeper', names)
    return 'wrong' in of ? of : { target: { type: 'ensemble-leader' } }
  }
  if ((ROLES as readonly string[]).includes(name)) {
    if (parsePartition(argument) === undefined) {
      return { wrong: `${name}(${argument}): expected a partition`, mend: 'write it as topic-index, such as orders-0' }
    }
    if (!names.partitions.includes(argument) && !INTERNAL.test(argument)) {
      const near = nearest(argument, names.partitions)
      return {
        wrong: `${name}(${argument}): no such partition`,
        mend: near ? `did you mean ${near}?` : 'declare its topic under cluster.topics',
      }
    }
    return { target: { type: 'partition', role: name as PartitionRole, partition: argument } }
  }
  if (name === 'coordinator') {
    const groups = names.groups ?? []
    if (groups.includes(argument)) return { target: { type: 'coordinator', group: argument } }
    return unknownName(
      name,
      argument,
      'no such group',
      groups,
      'give a client a group: { consume: TOPIC, group: NAME }',
    )
  }
  if (name === 'members') {
    const clients = [...(names.members?.keys() ?? [])]
    if (clients.includes(argument)) return { target: { type: 'members', client: argument } }
    return unknownName(name, argument, 'no such client', clients, 'it is a client with a group')
  }
  if (name === 'minority' || name === 'majority') {
    const of = parseTarget(argument, names)
    return 'wrong' in of ? of : { target: { type: 'share', share: name, of: of.target } }
  }
  if (name === 'any') {
    const of = parseTarget(argument, names)
    return 'wrong' in of ? of : { target: { type: 'any', of: of.target } }
  }
  if (name === 'random') {
    const parts = /^([1-9][0-9]*) of (.+)$/.exec(argument)
    if (!parts) return { wrong: `random(${argument}): expected a count and a set`, mend: 'write random(2 of brokers)' }
    const of = parseTarget(parts[2] as string, names)
    return 'wrong' in of ? of : { target: { type: 'random', count: Number(parts[1]), of: of.target } }
  }
  const near = nearest(name, [...ROLES, 'minority', 'majority', 'random', 'any', 'coordinator', 'members'])
  return {
    wrong: `unknown target ${name}(…)`,
    mend: near ? `did you mean ${near}(…)?` : `known are ${FORMS.join(', ')}`,
  }
}

function unknownName(
  form: string,
  argument: string,
  what: string,
  known: readonly string[],
  otherwise: string,
): { wrong: string; mend: string } {
  const near = nearest(argument, known)
  return { wrong: `${form}(${argument}): ${what}`, mend: near ? `did you mean ${near}?` : otherwise }
}

/** The nodes that `target` means right now, in a fixed order; or why it means nobody. */
export function resolveTarget(target: Target, context: TargetContext): readonly NodeName[] | { nobody: string } {
  switch (target.type) {
    case 'node':
      return [target.name]
    case 'set':
      return resolveSet(target.set, context)
    case 'controller': {
      const controller = context.view.controller()
      return controller === undefined ? { nobody: 'there is no active controller' } : [controller]
    }
    case 'ensemble-leader': {
      const leader = context.view.ensembleLeader()
      return leader === undefined ? { nobody: 'the ensemble has no leader' } : [leader]
    }
    case 'partition':
      return resolvePartition(target.role, target.partition, context)
    case 'coordinator': {
      const coordinator = context.view.groupCoordinator(target.group)
      return coordinator === undefined ? { nobody: `nobody coordinates ${target.group} yet` } : [coordinator]
    }
    case 'members':
      return context.names.members?.get(target.client) ?? []
    case 'any':
    case 'random': {
      const of = resolveTarget(target.of, context)
      if ('nobody' in of) return of
      const up = of.filter((name) => context.view.isUp(name))
      const count = target.type === 'any' ? 1 : target.count
      if (up.length < count) return { nobody: `only ${up.length} of the ${count} wanted are up` }
      return sortNodes(context.random.sample(up, count))
    }
    case 'share': {
      const of = resolveTarget(target.of, context)
      if ('nobody' in of) return of
      const minority = Math.floor((of.length - 1) / 2)
      const count = target.share === 'minority' ? minority : of.length - minority
      if (count === 0) return { nobody: `a minority of ${of.length} is nobody` }
      return sortNodes(context.random.sample(of, count))
    }
  }
}

function resolveSet(set: NodeSet, { names, taken }: TargetContext): readonly NodeName[] {
  if (set === 'zookeeper') return names.zookeeper ?? []
  if (set !== 'rest') return names[set]
  return [...names.brokers, ...names.controllers, ...(names.zookeeper ?? [])].filter(
    (name) => taken === undefined || !taken.has(name),
  )
}

function resolvePartition(
  role: PartitionRole,
  partition: string,
  { view }: TargetContext,
): readonly NodeName[] | { nobody: string } {
  const state = view.partition(partition)
  if (state === undefined) return { nobody: `${partition} does not exist` }
  if (role === 'leader') return state.leader < 0 ? { nobody: `${partition} has no leader` } : [nodeName(state.leader)]
  if (role === 'replicas') return state.replicas.map(nodeName)
  if (role === 'isr') return state.isr.map(nodeName)
  const followers = state.replicas.filter((id) => id !== state.leader).map(nodeName)
  return followers.length === 0 ? { nobody: `${partition} has no followers` } : followers
}

/** Brokers by number, then controllers by number, then the rest by name. */
export function sortNodes(nodes: readonly NodeName[]): NodeName[] {
  return [...nodes].sort((a, b) => (nodeId(a) ?? 1e9) - (nodeId(b) ?? 1e9) || (a < b ? -1 : a > b ? 1 : 0))
}
