/**
 * Computes what every member is to have, and the records that say what of it is new (`TargetAssignmentBuilder`).
 *
 * The assignor sees the members as they will be: the one that changed, and not the static member that it replaces, whose target it takes over.
 */

import type { MetadataImage } from '../../../kraft/metadata/image.js'
import { type Assignment, isSameAssignment, NO_PARTITIONS } from './assignment.js'
import { addTo, type MemberSpec, type PartitionAssignor } from './assignor.js'
import { type ConsumerMember, regexOf } from './consumer-member.js'
import { type ConsumerGroupRecord, targetEpochRecord, targetRecord } from './consumer-records.js'
import type { ResolvedRegex } from './consumer-group.js'
import { inCopiedStringOrder, inStringOrder } from './java-order.js'

export interface TargetRequest {
  readonly groupId: string
  readonly groupEpoch: number
  readonly assignor: PartitionAssignor
  readonly members: ReadonlyMap<string, ConsumerMember>
  /** group.instance.id → member id. */
  readonly staticMembers: ReadonlyMap<string, string>
  readonly isHomogeneous: boolean
  readonly targets: ReadonlyMap<string, Assignment>
  readonly regexes: ReadonlyMap<string, ResolvedRegex>
  readonly image: MetadataImage
  isAssigned(topicId: string, partition: number): boolean
  /** Members that come, change (or, undefined, go). */
  readonly changes: ReadonlyMap<string, ConsumerMember | undefined>
}

export interface TargetResult {
  readonly records: readonly ConsumerGroupRecord[]
  readonly targets: ReadonlyMap<string, Assignment>
}

export function computeTarget(request: TargetRequest): TargetResult | { readonly problem: string } {
  const { groupId, groupEpoch, assignor, targets, image } = request
  const specs = memberSpecs(request)
  const members = inStringOrder(specs.keys()).map((memberId) => specs.get(memberId) as MemberSpec)
  const assigned = assignor.assign({
    members,
    isHomogeneous: request.isHomogeneous,
    isAssigned: (topicId, partition) => request.isAssigned(topicId, partition),
    partitionCount: (topicId) => image.topicsById.get(topicId)?.partitions.size ?? -1,
  })
  if ('problem' in assigned) return assigned
  const records: ConsumerGroupRecord[] = []
  for (const { memberId } of members) {
    const before = targets.get(memberId)
    const after = assigned.get(memberId) ?? NO_PARTITIONS
    if (before === undefined || !isSameAssignment(before, after)) records.push(targetRecord(groupId, memberId, after))
  }
  records.push(targetEpochRecord(groupId, groupEpoch))
  return { records, targets: assigned }
}

function memberSpecs(request: TargetRequest): Map<string, MemberSpec> {
  const { members, changes, staticMembers, targets } = request
  const specs = new Map<string, MemberSpec>()
  for (const [memberId, member] of members) specs.set(memberId, specOf(member, targets.get(memberId), request))
  for (const [memberId, member] of changes) {
    if (member === undefined) {
      specs.delete(memberId)
      continue
    }
    const replaced = member.instanceId === null ? undefined : staticMembers.get(member.instanceId)
    const takesOver = replaced !== undefined && replaced !== memberId
    specs.set(memberId, specOf(member, targets.get(takesOver ? replaced : memberId), request))
  }
  return specs
}

function specOf(member: ConsumerMember, target: Assignment | undefined, request: TargetRequest): MemberSpec {
  const regex = regexOf(member)
  const resolved = regex === undefined ? undefined : request.regexes.get(regex)
  const names = [...inCopiedStringOrder(member.topicNames)]
  for (const name of inCopiedStringOrder(resolved?.topics ?? [])) if (!names.includes(name)) names.push(name)
  const topics: string[] = []
  for (const name of names) {
    const topic = request.image.topicsByName.get(name)
    if (topic !== undefined) topics.push(topic.id)
  }
  return {
    memberId: member.memberId,
    instanceId: member.instanceId,
    topics,
    topicNames: names.length,
    assignment: target ?? NO_PARTITIONS,
  }
}

/** Who each partition is for, by what each member is to have. */
export function invert(targets: ReadonlyMap<string, Assignment>): Assignment {
  const all = new Map<string, Set<number>>()
  for (const target of targets.values()) {
    for (const [topicId, partitions] of target) for (const partition of partitions) addTo(all, topicId, partition)
  }
  return all
}
