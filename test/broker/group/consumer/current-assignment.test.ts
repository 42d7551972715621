/** The steps of a member towards its target: the cases of Kafka's CurrentAssignmentBuilderTest. */

import { describe, expect, it } from 'vitest'
import {
  type ConsumerMember,
  type MemberState,
  newMember,
} from '../../../../sim/broker/group/consumer/consumer-member.js'
import { reconcile } from '../../../../sim/broker/group/consumer/current-assignment.js'
import { assignment, idOf, partitions, textOf } from './assignment-text.js'

interface Case {
  /** State, epoch, previous epoch, what it has, what it is to give up. */
  readonly from: readonly [MemberState, number, number, string, string?]
  readonly target: readonly [number, string]
  /** Epoch of other owners; -1: nobody else's. */
  readonly owner: number | ((topicId: string) => number)
  /** What the member says to own. */
  readonly owned?: string
  readonly to: readonly [MemberState, number, number, string, string?]
}

const CASES: Readonly<Record<string, Case>> = {
  'follows an epoch that changes nothing for it': {
    from: ['STABLE', 10, 10, 'bar:4,5,6 foo:1,2,3'],
    target: [11, 'bar:4,5,6 foo:1,2,3'],
    owner: 10,
    to: ['STABLE', 11, 10, 'bar:4,5,6 foo:1,2,3'],
  },
  'takes new partitions that are nobody’s': {
    from: ['STABLE', 10, 10, 'bar:4,5,6 foo:1,2,3'],
    target: [11, 'bar:4,5,6,7 foo:1,2,3,4'],
    owner: -1,
    to: ['STABLE', 11, 10, 'bar:4,5,6,7 foo:1,2,3,4'],
  },
  'gives up first, in its epoch': {
    from: ['STABLE', 10, 10, 'bar:4,5,6 foo:1,2,3'],
    target: [11, 'bar:5,6,7 foo:2,3,4'],
    owner: -1,
    to: ['UNREVOKED_PARTITIONS', 10, 10, 'bar:5,6 foo:2,3', 'bar:4 foo:1'],
  },
  'waits for partitions of others in the new epoch': {
    from: ['STABLE', 10, 10, 'bar:4,5,6 foo:1,2,3'],
    target: [11, 'bar:4,5,6,7 foo:1,2,3,4'],
    owner: 10,
    to: ['UNRELEASED_PARTITIONS', 11, 10, 'bar:4,5,6 foo:1,2,3'],
  },
  'need not give up what it does not own any more': {
    from: ['STABLE', 10, 10, 'bar:4,5,6 foo:1,2,3'],
    target: [11, 'bar:4,5,7 foo:1,2,3'],
    owner: (topicId) => (topicId === idOf('bar') ? 10 : -1),
    owned: '',
    to: ['UNRELEASED_PARTITIONS', 11, 10, 'bar:4,5 foo:1,2,3'],
  },
  'goes on once it has given up': {
    from: ['UNREVOKED_PARTITIONS', 10, 10, 'bar:5,6 foo:2,3', 'bar:4 foo:1'],
    target: [11, 'bar:5,6 foo:2,3'],
    owner: -1,
    owned: 'foo:2,3 bar:5,6',
    to: ['STABLE', 11, 10, 'bar:5,6 foo:2,3'],
  },
  'stays where it is while it does not say what it owns': {
    from: ['UNREVOKED_PARTITIONS', 10, 10, 'bar:5,6 foo:2,3', 'bar:4 foo:1'],
    target: [12, 'bar:6 foo:3'],
    owner: -1,
    to: ['UNREVOKED_PARTITIONS', 10, 10, 'bar:5,6 foo:2,3', 'bar:4 foo:1'],
  },
  'stays where it is while it owns some of it': {
    from: ['UNREVOKED_PARTITIONS', 10, 10, 'bar:5,6 foo:2,3', 'bar:4 foo:1'],
    target: [12, 'bar:6 foo:3'],
    owner: -1,
    owned: 'foo:2,3 bar:4,5,6',
    to: ['UNREVOKED_PARTITIONS', 10, 10, 'bar:5,6 foo:2,3', 'bar:4 foo:1'],
  },
  'gives up more when the target went on meanwhile': {
    from: ['UNREVOKED_PARTITIONS', 10, 10, 'bar:5,6 foo:2,3', 'bar:4 foo:1'],
    target: [12, 'bar:6 foo:3'],
    owner: -1,
    owned: 'foo:2,3 bar:5,6',
    to: ['UNREVOKED_PARTITIONS', 11, 10, 'bar:6 foo:3', 'bar:5 foo:2'],
  },
  'waits for others once it has given up': {
    from: ['UNREVOKED_PARTITIONS', 11, 10, 'bar:5,6 foo:2,3'],
    target: [11, 'bar:5,6,7 foo:2,3,4'],
    owner: 10,
    owned: 'foo:2,3 bar:5,6',
    to: ['UNRELEASED_PARTITIONS', 11, 11, 'bar:5,6 foo:2,3'],
  },
  'is stable when a new target asks for nothing more': {
    from: ['UNRELEASED_PARTITIONS', 11, 11, 'bar:5,6 foo:2,3'],
    target: [12, 'bar:5,6 foo:2,3'],
    owner: 10,
    to: ['STABLE', 12, 11, 'bar:5,6 foo:2,3'],
  },
  'is stable when what it waited for was released': {
    from: ['UNRELEASED_PARTITIONS', 11, 11, 'bar:5,6 foo:2,3'],
    target: [11, 'bar:5,6,7 foo:2,3,4'],
    owner: -1,
    to: ['STABLE', 11, 11, 'bar:5,6,7 foo:2,3,4'],
  },
  'waits on while nothing was released': {
    from: ['UNRELEASED_PARTITIONS', 11, 11, 'bar:5,6 foo:2,3'],
    target: [11, 'bar:5,6,7 foo:2,3,4'],
    owner: 10,
    to: ['UNRELEASED_PARTITIONS', 11, 11, 'bar:5,6 foo:2,3'],
  },
  'gives up when a new target says so while it waits': {
    from: ['UNRELEASED_PARTITIONS', 11, 11, 'bar:5,6 foo:2,3'],
    target: [12, 'bar:6 foo:3'],
    owner: 10,
    to: ['UNREVOKED_PARTITIONS', 11, 11, 'bar:6 foo:3', 'bar:5 foo:2'],
  },
  'is taken back from an unknown state once it owns nothing': {
    from: ['UNKNOWN', 11, 11, 'bar:6 foo:3', 'bar:5 foo:2'],
    target: [12, 'bar:6 foo:3'],
    owner: 11,
    owned: '',
    to: ['STABLE', 12, 11, 'bar:6 foo:3'],
  },
}

function member([state, memberEpoch, previousMemberEpoch, assigned, revoking = '']: Case['from']): ConsumerMember {
  return {
    ...newMember('member'),
    state,
    memberEpoch,
    previousMemberEpoch,
    assigned: assignment(assigned),
    revoking: assignment(revoking),
  }
}

function step({ from, target: [epoch, target], owner, owned }: Case): ConsumerMember | 'fenced' {
  return reconcile(member(from), {
    epoch,
    assignment: assignment(target),
    partitionEpoch: (topicId) => (typeof owner === 'number' ? owner : owner(topicId)),
    owned: owned === undefined ? null : partitions(owned),
  })
}

describe('a member', () => {
  it.each(Object.entries(CASES))('%s', (_, each) => {
    const after = step(each)
    if (after === 'fenced') throw new Error('fenced')
    const { state, memberEpoch, previousMemberEpoch, assigned, revoking } = after
    expect([state, memberEpoch, previousMemberEpoch, textOf(assigned), textOf(revoking)]).toEqual([
      ...each.to.slice(0, 4),
      each.to[4] ?? '',
    ])
  })

  it('in an unknown state must come back without partitions', () => {
    const each: Case = {
      from: ['UNKNOWN', 11, 11, 'bar:6 foo:3', 'bar:5 foo:2'],
      target: [12, 'bar:6 foo:3'],
      owner: 10,
      to: ['STABLE', 12, 11, ''],
    }
    expect(step(each)).toBe('fenced')
    expect(step({ ...each, owned: 'foo:3' })).toBe('fenced')
  })
})
