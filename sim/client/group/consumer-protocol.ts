/**
 * What the members of a classic group tell each other through the coordinator: subscriptions and assignments (ConsumerProtocol, versions 0–3).
 *
 *     subscription   version i16 · topics [string] · userData bytes · owned [{topic, [partition i32]}] (1+) · generation i32 (2+) · rack string (3+)
 *     assignment     version i16 · assigned [{topic, [partition i32]}] · userData bytes
 *
 * Newer versions than these are read as version 3: they may only add at the end.
 */

import { parsePartition, partitionName } from '../../kernel/names.js'
import { ByteReader, ByteWriter } from '../../wire/primitives.js'
import { byTopicAndIndex, type TopicPartition } from '../subscription-state.js'
import { byCodeUnit, type MemberSubscription } from './assignor.js'

const LATEST_VERSION = 3

/** Topics are written sorted, owned partitions by topic and index. */
export function encodeSubscription(
  subscription: Omit<MemberSubscription, 'instanceId'>,
  version = LATEST_VERSION,
): Uint8Array {
  const writer = new ByteWriter(256)
  const { topics, userData, owned, generation, rack } = subscription
  writer.int16(Math.min(version, LATEST_VERSION))
  writer.int32(topics.length)
  for (const topic of [...topics].sort(byCodeUnit)) writer.string(topic)
  writer.nullableByteString(userData)
  if (version >= 1) writePartitions(writer, [...owned].sort(byTopicAndIndex))
  if (version >= 2) writer.int32(generation)
  if (version >= 3) writer.nullableString(rack)
  return writer.finish()
}

/** @throws MalformedBytes */
export function decodeSubscription(bytes: Uint8Array, instanceId: string | null = null): MemberSubscription {
  const reader = new ByteReader(bytes)
  const version = reader.int16()
  const topics = Array.from({ length: reader.arrayLength(reader.int32()) }, () => reader.string())
  const userData = reader.nullableByteString()
  const owned = version >= 1 ? readPartitions(reader) : []
  const generation = version >= 2 ? Math.max(reader.int32(), -1) : -1
  const rack = version >= 3 ? reader.nullableString() : null
  return { topics, userData, owned, generation, rack: rack === '' ? null : rack, instanceId }
}

/** @param partitions by name */
export function encodeAssignment(partitions: readonly string[], version = LATEST_VERSION): Uint8Array {
  const writer = new ByteWriter(128)
  writer.int16(Math.min(version, LATEST_VERSION))
  writePartitions(
    writer,
    partitions.map((name) => parsePartition(name) as TopicPartition),
  )
  writer.nullableByteString(null)
  return writer.finish()
}

/** Names of the partitions; none for no bytes, which a member without any is given. @throws MalformedBytes */
export function decodeAssignment(bytes: Uint8Array): string[] {
  if (bytes.length === 0) return []
  const reader = new ByteReader(bytes)
  reader.int16()
  return readPartitions(reader).map(({ topic, index }) => partitionName(topic, index))
}

/** Partitions of a topic together, topics in the order in which they are met first. */
export function writePartitions(writer: ByteWriter, partitions: readonly TopicPartition[]): void {
  const topics = new Map<string, number[]>()
  for (const { topic, index } of partitions) {
    const indexes = topics.get(topic)
    if (indexes === undefined) topics.set(topic, [index])
    else indexes.push(index)
  }
  writer.int32(topics.size)
  for (const [topic, indexes] of topics) {
    writer.string(topic)
    writer.int32(indexes.length)
    for (const index of indexes) writer.int32(index)
  }
}

/** @throws MalformedBytes */
export function readPartitions(reader: ByteReader): TopicPartition[] {
  const partitions: TopicPartition[] = []
  for (let topics = reader.arrayLength(reader.int32()); topics > 0; topics--) {
    const topic = reader.string()
    for (let left = reader.arrayLength(reader.int32()); left > 0; left--)
      partitions.push({ topic, index: reader.int32() })
  }
  return partitions
}
