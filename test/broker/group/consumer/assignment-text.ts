/** Assignments as text: `foo:0,1 bar:2`. Each topic name stands for an id of its own. */

import type { Assignment, TopicPartitions } from '../../../../sim/broker/group/consumer/assignment.js'
import { fromTopicPartitions } from '../../../../sim/broker/group/consumer/assignment.js'
import {
  EMPTY_IMAGE,
  type MetadataImage,
  type PartitionImage,
  type TopicImage,
} from '../../../../sim/kraft/metadata/image.js'

const IDS: Readonly<Record<string, string>> = {
  foo: 'JoINAyeeTs-2YJGzdxxvxQ',
  bar: 'uwNZvy01y1gWmBpDnKAc4A',
  zar: 'fSjZFPHp28p2Ovab04kJRw',
  gone: 'ctdYNG10jFKynUaOwKjXLw',
}

export function idOf(topic: string): string {
  return IDS[topic] ?? topic
}

export function nameOf(topicId: string): string {
  return Object.keys(IDS).find((name) => IDS[name] === topicId) ?? topicId
}

export function partitions(text: string): TopicPartitions[] {
  return text
    .split(' ')
    .filter((word) => word !== '')
    .map((word) => {
      const [topic = '', indexes = ''] = word.split(':')
      return { topicId: idOf(topic), partitions: indexes === '' ? [] : indexes.split(',').map(Number) }
    })
}

export function assignment(text: string): Assignment {
  return fromTopicPartitions(partitions(text))
}

export function textOf(given: Assignment): string {
  return [...given]
    .map(([topicId, indexes]) => `${nameOf(topicId)}:${[...indexes].sort((a, b) => a - b).join(',')}`)
    .sort()
    .join(' ')
}

export function listText(given: readonly TopicPartitions[]): string {
  return textOf(fromTopicPartitions(given))
}

/** `foo:3 bar:2`: topics with so many partitions. */
export function imageOf(text: string, offset = 0): MetadataImage {
  const topics = text
    .split(' ')
    .filter((word) => word !== '')
    .map((word): TopicImage => {
      const [name = '', count = '0'] = word.split(':')
      const partition = { replicas: [1] } as unknown as PartitionImage
      return {
        name,
        id: idOf(name),
        partitions: new Map(Array.from({ length: Number(count) }, (_, i) => [i, partition])),
      }
    })
  return {
    ...EMPTY_IMAGE,
    offset,
    topicsByName: new Map(topics.map((topic) => [topic.name, topic])),
    topicsById: new Map(topics.map((topic) => [topic.id, topic])),
  }
}
