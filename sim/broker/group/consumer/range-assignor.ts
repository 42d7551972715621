/**
 * Topic by topic, neighbouring partitions to the topic's subscribers in order; the first ones get one more where it does not divide
 * (`RangeAssignor` of the group coordinator).
 *
 * Members are ordered by group.instance.id, those with one first, then by member id: a static member gets the same ranges again whatever its member id is. Topics
 * with as many partitions and the same subscribers are assigned alike, so that joins find partition n of all of them at one member.
 */

import { type Assigned, type GroupSpec, type MemberSpec, type MutableAssignment, unknownTopic } from './assignor.js'
import { byCodeUnit } from './consumer-member.js'

/** How far a topic is handed out. */
interface Progress {
  readonly partitions: number
  readonly subscribers: number
  extra: number
  next: number
}

export const RANGE_ASSIGNOR = {
  name: 'range',

  assign(spec: GroupSpec): Assigned {
    const members = [...spec.members].sort(byInstanceThenId)
    const subscribers = new Map<string, number>()
    for (const { topics } of members) {
      for (const topicId of topics) subscribers.set(topicId, (subscribers.get(topicId) ?? 0) + 1)
    }
    const progress = new Map<string, Progress>()
    for (const [topicId, count] of subscribers) {
      const partitions = spec.partitionCount(topicId)
      if (partitions < 0) return unknownTopic(topicId)
      progress.set(topicId, { partitions, subscribers: count, extra: partitions % count, next: 0 })
    }
    return new Map(
      members.map(({ memberId, topics }) => {
        const assignment: MutableAssignment = new Map()
        for (const topicId of topics) takeRange(progress.get(topicId) as Progress, topicId, assignment)
        return [memberId, assignment]
      }),
    )
  },
} as const

function takeRange(progress: Progress, topicId: string, assignment: MutableAssignment): void {
  let quota = Math.floor(progress.partitions / progress.subscribers)
  if (progress.extra > 0) {
    quota++
    progress.extra--
  }
  const end = Math.min(progress.next + quota, progress.partitions)
  const range = new Set<number>()
  while (progress.next < end) range.add(progress.next++)
  if (range.size > 0) assignment.set(topicId, range)
}

function byInstanceThenId(a: MemberSpec, b: MemberSpec): number {
  if (a.instanceId !== null && b.instanceId !== null) return byCodeUnit(a.instanceId, b.instanceId)
  if (a.instanceId !== null) return -1
  if (b.instanceId !== null) return 1
  return byCodeUnit(a.memberId, b.memberId)
}
