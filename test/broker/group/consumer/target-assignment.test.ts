/** What is written of a new target: the cases of Kafka's TargetAssignmentBuilderTest. */

import { describe, expect, it } from 'vitest'
import type { Assignment } from '../../../../sim/broker/group/consumer/assignment.js'
import type { GroupSpec, PartitionAssignor } from '../../../../sim/broker/group/consumer/assignor.js'
import { type ConsumerMember, newMember, sortedNames } from '../../../../sim/broker/group/consumer/consumer-member.js'
import { computeTarget } from '../../../../sim/broker/group/consumer/target-assignment.js'
import { assignment, imageOf, listText, nameOf, textOf } from './assignment-text.js'

interface Given {
  readonly topics?: string
  readonly regex?: string
  readonly instance?: string
}

/** A group of epoch 20 over foo and bar, six partitions each, with an assignor that gives what it is told to. */
class Builder {
  readonly #members = new Map<string, ConsumerMember>()
  readonly #static = new Map<string, string>()
  readonly #targets = new Map<string, Assignment>()
  readonly #changes = new Map<string, ConsumerMember | undefined>()
  readonly #gives = new Map<string, Assignment>()
  readonly #regexes = new Map<string, { topics: readonly string[]; version: number; timestamp: number }>()
  spec: GroupSpec | undefined

  member(memberId: string, target: string, given: Given = {}): this {
    this.#members.set(memberId, of(memberId, given))
    if (given.instance !== undefined) this.#static.set(given.instance, memberId)
    this.#targets.set(memberId, assignment(target))
    return this
  }

  changes(memberId: string, given: Given | undefined): this {
    this.#changes.set(memberId, given === undefined ? undefined : of(memberId, given))
    return this
  }

  regex(regex: string, ...topics: readonly string[]): this {
    this.#regexes.set(regex, { topics, version: 10, timestamp: 12_345 })
    return this
  }

  gives(memberId: string, target: string): this {
    this.#gives.set(memberId, assignment(target))
    return this
  }

  /** Records in order: `A foo:1,2`, and the epoch. */
  build(): string[] {
    const assignor: PartitionAssignor = {
      name: 'prepared',
      assign: (spec) => {
        this.spec = spec
        return this.#gives
      },
    }
    const result = computeTarget({
      groupId: 'shop',
      groupEpoch: 20,
      assignor,
      members: this.#members,
      staticMembers: this.#static,
      isHomogeneous: true,
      targets: this.#targets,
      regexes: this.#regexes,
      image: imageOf('foo:6 bar:6'),
      isAssigned: () => false,
      changes: this.#changes,
    })
    if ('problem' in result) throw new Error(result.problem)
    return result.records.map((record) => {
      if (record.type === 'ConsumerGroupTargetAssignmentMember') {
        return `${record.key.memberId} ${listText(record.value?.topicPartitions ?? [])}`
      }
      return record.type === 'ConsumerGroupTargetAssignmentMetadata'
        ? `epoch ${record.value?.assignmentEpoch}`
        : record.type
    })
  }

  /** What the assignor was told of a member: its topics, and what it was to have. */
  told(memberId: string): string {
    const member = this.spec?.members.find((each) => each.memberId === memberId)
    return member === undefined
      ? 'nothing'
      : `${member.topics.map(nameOf).sort().join(' ')} | ${textOf(member.assignment)}`
  }
}

function of(memberId: string, { topics = 'foo bar zar', regex = '', instance }: Given): ConsumerMember {
  const topicNames = sortedNames(topics.split(' ').filter((name) => name !== ''))
  return { ...newMember(memberId), topicNames, topicRegex: regex, instanceId: instance ?? null }
}

const THIRD_1 = 'bar:1,2 foo:1,2'
const THIRD_2 = 'bar:3,4 foo:3,4'
const THIRD_3 = 'bar:5,6 foo:5,6'
const HALF_1 = 'bar:1,2,3 foo:1,2,3'
const HALF_2 = 'bar:4,5,6 foo:4,5,6'

describe('a new target', () => {
  it('of nobody is an epoch', () => expect(new Builder().build()).toEqual(['epoch 20']))

  it('that is the old one is an epoch', () => {
    const builder = new Builder().member('m1', HALF_1).member('m2', HALF_2).gives('m1', HALF_1).gives('m2', HALF_2)
    expect(builder.build()).toEqual(['epoch 20'])
    expect(builder.told('m1')).toBe(`bar foo | ${HALF_1}`)
  })

  it('that swaps two members is written for both', () => {
    const builder = new Builder().member('m1', HALF_1).member('m2', HALF_2).gives('m1', HALF_2).gives('m2', HALF_1)
    expect(builder.build().sort()).toEqual(['epoch 20', `m1 ${HALF_2}`, `m2 ${HALF_1}`])
  })

  it('counts a member that comes', () => {
    const builder = new Builder().member('m1', HALF_1).member('m2', HALF_2).changes('m3', {})
    builder.gives('m1', THIRD_1).gives('m2', THIRD_2).gives('m3', THIRD_3)
    expect(builder.build().sort()).toEqual(['epoch 20', `m1 ${THIRD_1}`, `m2 ${THIRD_2}`, `m3 ${THIRD_3}`])
    expect(builder.told('m3')).toBe('bar foo | ')
  })

  it('counts a member as it is after its change', () => {
    const builder = new Builder().member('m1', HALF_1).member('m3', 'bar:5,6', { topics: 'bar zar' })
    builder.changes('m3', { topics: 'foo bar zar', instance: 'i3' }).gives('m1', HALF_1).gives('m3', HALF_2)
    expect(builder.build()).toEqual([`m3 ${HALF_2}`, 'epoch 20'])
    expect(builder.told('m3')).toBe('bar foo | bar:5,6')
  })

  it('is written for those for whom it is new', () => {
    const builder = new Builder().member('m1', THIRD_1).member('m2', THIRD_2).member('m3', THIRD_3)
    builder.gives('m1', THIRD_1).gives('m2', 'bar:3,4,5 foo:3,4,5').gives('m3', 'bar:6 foo:6')
    expect(builder.build().sort()).toEqual(['epoch 20', 'm2 bar:3,4,5 foo:3,4,5', 'm3 bar:6 foo:6'])
  })

  it('does not count a member that goes', () => {
    const builder = new Builder().member('m1', THIRD_1).member('m2', THIRD_2).member('m3', THIRD_3)
    builder.changes('m3', undefined).gives('m1', HALF_1).gives('m2', HALF_2)
    expect(builder.build().sort()).toEqual(['epoch 20', `m1 ${HALF_1}`, `m2 ${HALF_2}`])
    expect(builder.told('m3')).toBe('nothing')
  })

  it('gives a static member what the one before it was to have', () => {
    const builder = new Builder().member('m1', THIRD_1, { instance: 'i1' }).member('m3', THIRD_3, { instance: 'i3' })
    builder.changes('m3', undefined).changes('m3a', { instance: 'i3' })
    builder.gives('m1', THIRD_1).gives('m3a', THIRD_3)
    expect(builder.build()).toEqual([`m3a ${THIRD_3}`, 'epoch 20'])
    expect(builder.told('m3a')).toBe(`bar foo | ${THIRD_3}`)
  })

  it('counts topics by name and by regular expression together', () => {
    const builder = new Builder()
      .member('m1', '', { topics: 'bar zar', regex: 'foo*' })
      .member('m3', '', { topics: '', regex: 'foo*' })
      .member('m4', '', { topics: '', regex: 'unresolved*' })
      .regex('foo*', 'foo')
    builder.build()
    expect([builder.told('m1'), builder.told('m3'), builder.told('m4')]).toEqual(['bar foo | ', 'foo | ', ' | '])
  })

  it('is nothing for members of whom the assignor says nothing', () => {
    expect(new Builder().member('m1', HALF_1).build()).toEqual(['m1 ', 'epoch 20'])
  })
})
