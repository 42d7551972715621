/**
 * Who gets which partition: the assignors that the leader of a classic group runs (`RangeAssignor`, `RoundRobinAssignor`, and the sticky
 * ones of sticky-assignor.ts). Results are Kafka's; racks are not looked at.
 */

import { partitionName } from '../../kernel/names.js'
import { byCodeUnit } from './consumer-protocol.js'
import { assignSticky, withoutTransfers } from './sticky-assignor.js'

/** A member as an assignor sees it. */
export interface AssignorMember {
  readonly memberId: string
  /** group.instance.id of a static member. */
  readonly instanceId: string | undefined
  readonly topics: readonly string[]
  readonly owned: readonly string[]
  readonly generation: number
}

/** Topic → number of partitions; topics that do not exist are missing. */
export type PartitionCounts = ReadonlyMap<string, number>
/** Member id → partitions. */
export type Assignments = Map<string, string[]>

export interface Assignor {
  readonly name: string
  /** Members keep what they have until it is taken away (KIP-429). */
  readonly isCooperative: boolean
  assign(counts: PartitionCounts, members: readonly AssignorMember[]): Assignments
}

const RANGE: Assignor = { name: 'range', isCooperative: false, assign: assignRange }
const ROUND_ROBIN: Assignor = { name: 'roundrobin', isCooperative: false, assign: assignRoundRobin }
const STICKY: Assignor = { name: 'sticky', isCooperative: false, assign: assignSticky }
const COOPERATIVE_STICKY: Assignor = {
  name: 'cooperative-sticky',
  isCooperative: true,
  assign: (counts, members) => withoutTransfers(assignSticky(counts, members), members),
}

const ASSIGNORS: readonly Assignor[] = [RANGE, ROUND_ROBIN, STICKY, COOPERATIVE_STICKY]
export const ASSIGNOR_NAMES: readonly string[] = ASSIGNORS.map(({ name }) => name)

const CLASSES: Readonly<Record<string, string>> = {
  RangeAssignor: 'range',
  RoundRobinAssignor: 'roundrobin',
  StickyAssignor: 'sticky',
  CooperativeStickyAssignor: 'cooperative-sticky',
}

/** The name of an assignor, given by name or by Kafka's class. */
export function assignorName(text: string): string | undefined {
  if (ASSIGNOR_NAMES.includes(text)) return text
  const simple = /^org\.apache\.kafka\.clients\.consumer\.(\w+)$/.exec(text)?.[1] ?? ''
  return Object.hasOwn(CLASSES, simple) ? CLASSES[simple] : undefined
}

export function assignorOf(name: string): Assignor | undefined {
  return ASSIGNORS.find((assignor) => assignor.name === name)
}

/** Static members by their instance id, before all others by member id (`AbstractPartitionAssignor.MemberInfo`). */
function byIdentity(a: AssignorMember, b: AssignorMember): number {
  if (a.instanceId !== undefined && b.instanceId !== undefined) return byCodeUnit(a.instanceId, b.instanceId)
  if (a.instanceId !== undefined) return -1
  return b.instanceId !== undefined ? 1 : byCodeUnit(a.memberId, b.memberId)
}

/** Topic by topic: neighbouring partitions to members in order, the first ones get one more where it does not divide. */
function assignRange(counts: PartitionCounts, members: readonly AssignorMember[]): Assignments {
  const sorted = [...members].sort(byIdentity)
  const assignments: Assignments = new Map(members.map(({ memberId }) => [memberId, []]))
  const topics = [...new Set(sorted.flatMap((member) => member.topics))].sort(byCodeUnit)
  for (const topic of topics) {
    const count = counts.get(topic)
    const subscribers = sorted.filter((member) => member.topics.includes(topic))
    if (count === undefined || subscribers.length === 0) continue
    const each = Math.floor(count / subscribers.length)
    const extra = count % subscribers.length
    let next = 0
    subscribers.forEach(({ memberId }, at) => {
      const share = each + (at < extra ? 1 : 0)
      for (let i = 0; i < share; i++) assignments.get(memberId)?.push(partitionName(topic, next++))
    })
  }
  return assignments
}

/** All partitions in a row, to the next member in turn that subscribes to the topic. */
function assignRoundRobin(counts: PartitionCounts, members: readonly AssignorMember[]): Assignments {
  const sorted = [...members].sort(byIdentity)
  const assignments: Assignments = new Map(members.map(({ memberId }) => [memberId, []]))
  const topics = [...new Set(members.flatMap((member) => member.topics))].sort(byCodeUnit)
  let turn = 0
  for (const topic of topics) {
    for (let index = 0; index < (counts.get(topic) ?? 0); index++) {
      while (!(sorted[turn % sorted.length] as AssignorMember).topics.includes(topic)) turn++
      assignments.get((sorted[turn % sorted.length] as AssignorMember).memberId)?.push(partitionName(topic, index))
      turn++
    }
  }
  return assignments
}
