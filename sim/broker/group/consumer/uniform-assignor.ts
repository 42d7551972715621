/**
 * Everybody gets as many partitions as anybody else, give or take one, and keeps as many as it can (`UniformAssignor`,
 * `UniformHomogeneousAssignmentBuilder`).
 *
 * When all members subscribe to the same topics: each may keep up to its quota, in the order of members, the first ones one more where it
 * does not divide; what is over, and what was nobody's, fills up those who lack. Members with unequal subscriptions are balanced by
 * uniform-heterogeneous.ts.
 */

import { toTopicPartitions } from './assignment.js'
import {
  addTo,
  type Assigned,
  copyOf,
  type GroupSpec,
  type MemberSpec,
  type MutableAssignment,
  removeFrom,
  unknownTopic,
} from './assignor.js'
import { inCopiedUuidOrder } from './java-order.js'
import { assignHeterogeneous } from './uniform-heterogeneous.js'

export const UNIFORM_ASSIGNOR = {
  name: 'uniform',

  assign(spec: GroupSpec): Assigned {
    if (spec.members.length === 0) return new Map()
    return spec.isHomogeneous ? new Homogeneous(spec).build() : assignHeterogeneous(spec)
  },
} as const

interface Unassigned {
  readonly topicId: string
  readonly partition: number
}

class Homogeneous {
  readonly #spec: GroupSpec
  readonly #topics: readonly string[]
  readonly #unassigned: Unassigned[] = []
  readonly #unfilled: { readonly memberId: string; readonly quota: number }[] = []
  readonly #target = new Map<string, MutableAssignment>()
  #minimum = 0
  /** Members that are still to get one more than the minimum. */
  #extras = 0

  constructor(spec: GroupSpec) {
    this.#spec = spec
    const { topics, topicNames } = spec.members[0] as MemberSpec
    this.#topics = inCopiedUuidOrder(topics, topicNames)
  }

  build(): Assigned {
    if (this.#topics.length === 0) return new Map()
    let total = 0
    for (const topicId of this.#topics) {
      const count = this.#spec.partitionCount(topicId)
      if (count < 0) return unknownTopic(topicId)
      for (let partition = 0; partition < count; partition++) {
        if (!this.#spec.isAssigned(topicId, partition)) this.#unassigned.push({ topicId, partition })
      }
      total += count
    }
    const { members } = this.#spec
    this.#minimum = Math.floor(total / members.length)
    this.#extras = total % members.length
    members.forEach((member, at) => this.#keep(member, members.length - at))
    return this.#fill()
  }

  /** What the member keeps of what it had. `left`: members from this one on. */
  #keep({ memberId, assignment }: MemberSpec, left: number): void {
    const kept = copyOf(assignment)
    let hasExtra = this.#extras > 0
    let quota = this.#minimum + (hasExtra ? 1 : 0)
    for (const { topicId, partitions } of toTopicPartitions(assignment)) {
      if (!this.#topics.includes(topicId)) {
        kept.delete(topicId)
        continue
      }
      if (partitions.length <= quota) {
        quota -= partitions.length
        continue
      }
      for (const partition of partitions) {
        if (quota > 0) quota--
        else {
          removeFrom(kept, topicId, partition)
          this.#unassigned.push({ topicId, partition })
        }
      }
    }
    if (quota > 0 && hasExtra && left > this.#extras) {
      // There are enough members after this one to take the extra partitions.
      quota--
      hasExtra = false
    }
    if (quota > 0) this.#unfilled.push({ memberId, quota })
    if (hasExtra) this.#extras--
    this.#target.set(memberId, kept)
  }

  #fill(): Assigned {
    let at = 0
    for (const { memberId, quota } of this.#unfilled) {
      const assignment = this.#target.get(memberId) as MutableAssignment
      for (let i = 0; i < quota && at < this.#unassigned.length; i++, at++) {
        const { topicId, partition } = this.#unassigned[at] as Unassigned
        addTo(assignment, topicId, partition)
      }
    }
    return at < this.#unassigned.length ? { problem: 'partitions were left unassigned' } : this.#target
  }
}
