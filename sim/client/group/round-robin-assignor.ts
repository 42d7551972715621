/** All partitions in a row, each to the next member in turn that subscribes to its topic (RoundRobinAssignor). */

import { partitionName } from '../../kernel/names.js'
import {
  byCodeUnit,
  membersInOrder,
  type Assignments,
  type Assignor,
  type GroupSubscription,
  type PartitionsPerTopic,
} from './assignor.js'

export class RoundRobinAssignor implements Assignor {
  readonly name = 'roundrobin'
  readonly protocols = ['eager'] as const

  userData(): null {
    return null
  }

  onAssignment(): void {}

  assign(partitions: PartitionsPerTopic, group: GroupSubscription): Assignments {
    const assignments: Assignments = new Map([...group.keys()].map((memberId) => [memberId, []]))
    const members = membersInOrder(group.keys(), group)
    const topics = [...new Set([...group.values()].flatMap((subscription) => subscription.topics))].sort(byCodeUnit)
    let turn = 0
    for (const topic of topics) {
      const count = partitions.get(topic)?.length ?? 0
      for (let index = 0; index < count; index++) {
        let memberId = members[turn++ % members.length] as string
        while (!group.get(memberId)?.topics.includes(topic)) memberId = members[turn++ % members.length] as string
        assignments.get(memberId)?.push(partitionName(topic, index))
      }
    }
    return assignments
  }
}
