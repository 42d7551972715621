/** The server's assignors against Kafka's own, member by member and partition by partition: vectors/assignors.txt. */

import { readFileSync } from 'node:fs'
import { describe, expect, it } from 'vitest'
import { type MemberSpec, type PartitionAssignor } from '../../../../sim/broker/group/consumer/assignor.js'
import { newMember, sortedNames } from '../../../../sim/broker/group/consumer/consumer-member.js'
import { RANGE_ASSIGNOR } from '../../../../sim/broker/group/consumer/range-assignor.js'
import { computeTarget, invert } from '../../../../sim/broker/group/consumer/target-assignment.js'
import { UNIFORM_ASSIGNOR } from '../../../../sim/broker/group/consumer/uniform-assignor.js'
import { EMPTY_IMAGE, type MetadataImage, type TopicImage } from '../../../../sim/kraft/metadata/image.js'

const ASSIGNORS: Readonly<Record<string, PartitionAssignor>> = { range: RANGE_ASSIGNOR, uniform: UNIFORM_ASSIGNOR }

interface Case {
  readonly title: string
  readonly lines: readonly string[]
}

const CASES: readonly Case[] = readFileSync(new URL('vectors/assignors.txt', import.meta.url), 'utf8')
  .split('\n\n')
  .slice(1)
  .map((block) => block.trim().split('\n'))
  .filter(([title]) => title?.startsWith('case ') === true)
  .map(([title = '', ...lines]) => ({ title: title.slice('case '.length), lines }))

function imageOf(topics: readonly TopicImage[]): MetadataImage {
  return {
    ...EMPTY_IMAGE,
    topicsByName: new Map(topics.map((topic) => [topic.name, topic])),
    topicsById: new Map(topics.map((topic) => [topic.id, topic])),
  }
}

/** The result in the words of the vectors. */
function assign({ title, lines }: Case): string[] {
  const wordsOf = (kind: string): string[][] =>
    lines.filter((line) => line.startsWith(kind)).map((line) => line.split(' ').slice(1))
  const topics = wordsOf('topic').map(([name = '', id = '', count = '']): TopicImage => {
    const partitions = new Map(Array.from({ length: Number(count) }, (_, index) => [index, {} as never]))
    return { name, id, partitions }
  })
  const idOf = new Map(topics.map(({ name, id }) => [name, id]))
  const members = wordsOf('member').map(([memberId = '', instance = '', names = '', target = '']) => {
    const topicNames = sortedNames(names === '-' ? [] : names.split(','))
    const before = new Map<string, Set<number>>()
    for (const part of target.split(';')) {
      const [topic = '', indexes] = part.split(':')
      if (indexes !== undefined) before.set(idOf.get(topic) as string, new Set(indexes.split(',').map(Number)))
    }
    const member = { ...newMember(memberId), instanceId: instance === '-' ? null : instance, topicNames }
    return { member, target: target === '!' ? undefined : before }
  })
  const targets = new Map(
    members.flatMap(({ member, target }) => (target === undefined ? [] : [[member.memberId, target]])),
  )
  const taken = invert(targets)
  const result = computeTarget({
    groupId: 'shop',
    groupEpoch: 1,
    assignor: ASSIGNORS[title.split(' ')[0] ?? ''] as PartitionAssignor,
    members: new Map(members.map(({ member }) => [member.memberId, member])),
    staticMembers: new Map(),
    isHomogeneous: title.includes('homogeneous'),
    targets,
    regexes: new Map(),
    image: imageOf(topics),
    isAssigned: (topicId, partition) => taken.get(topicId)?.has(partition) === true,
    changes: new Map(),
  })
  if ('problem' in result) return [result.problem]
  const nameOf = new Map(topics.map(({ name, id }) => [id, name]))
  return [...result.targets]
    .map(([memberId, assigned]) => {
      const text = [...assigned].map(([id, parts]) => `${nameOf.get(id)}:${[...parts].sort((a, b) => a - b).join(',')}`)
      return `→ ${memberId} ${text.sort().join(';') || '-'}`
    })
    .sort()
}

describe('a server-side assignor gives what Kafka’s gives', () => {
  it.each(CASES.map((each) => [each.title, each] as const))('%s', (_, each) => {
    expect(assign(each)).toEqual(each.lines.filter((line) => line.startsWith('→')).sort())
  })

  it('over all the cases of Kafka’s own tests, and more', () => expect(CASES).toHaveLength(78))
})

describe('an assignor', () => {
  const spec = (members: readonly MemberSpec[], isHomogeneous = true) => ({
    members,
    isHomogeneous,
    isAssigned: () => false,
    partitionCount: (topicId: string) => (topicId === 'known' ? 3 : -1),
  })
  const member = (topics: readonly string[]): MemberSpec => ({
    memberId: 'A',
    instanceId: null,
    topics,
    topicNames: topics.length,
    assignment: new Map(),
  })

  it.each(Object.values(ASSIGNORS))('does not assign topics that do not exist', (assignor) => {
    for (const isHomogeneous of [true, false]) {
      const gone = 'AAAAAAAAAAQAAAAAAAAAAA'
      expect(assignor.assign(spec([member([gone])], isHomogeneous))).toHaveProperty('problem')
    }
  })

  it.each(Object.values(ASSIGNORS))('has nothing to do without members', (assignor) => {
    expect(assignor.assign(spec([]))).toEqual(new Map())
  })
})
