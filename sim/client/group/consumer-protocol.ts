/**
 * What consumers tell each other through the coordinator: subscriptions and assignments (`ConsumerProtocol`), version 3.
 *
 *     subscription   version i16 · topics [string] · userData bytes · owned [{topic, [partition i32]}] (1+) · generation i32 (2+) · rack string (3+)
 *     assignment     version i16 · assigned [{topic, [partition i32]}] · userData bytes
 */

import { partitionName, parsePartition } from '../../kernel/names.js'
import { ByteReader, ByteWriter } from '../../wire/primitives.js'

const VERSION = 3
export const NO_GENERATION = -1

export interface Subscription {
  readonly topics: readonly string[]
  /** `orders-0`, … */
  readonly owned: readonly string[]
  /** Of the assignment that `owned` comes from. */
  readonly generation: number
  readonly rack: string | null
}

export function encodeSubscription({ topics, owned, generation, rack }: Subscription): Uint8Array {
  const writer = new ByteWriter(256)
  writer.int16(VERSION)
  const sorted = [...topics].sort(byCodeUnit)
  writer.int32(sorted.length)
  for (const topic of sorted) writer.string(topic)
  writer.nullableByteString(null)
  writePartitions(writer, owned)
  writer.int32(generation)
  writer.nullableString(rack)
  return writer.finish()
}

export function decodeSubscription(bytes: Uint8Array): Subscription {
  const reader = new ByteReader(bytes)
  const version = reader.int16()
  const topics = Array.from({ length: reader.int32() }, () => reader.string())
  reader.nullableByteString()
  const owned = version >= 1 ? readPartitions(reader) : []
  const generation = version >= 2 ? reader.int32() : NO_GENERATION
  const rack = version >= 3 ? reader.nullableString() : null
  return { topics, owned, generation, rack }
}

export function encodeAssignment(partitions: readonly string[]): Uint8Array {
  const writer = new ByteWriter(128)
  writer.int16(VERSION)
  writePartitions(writer, partitions)
  writer.nullableByteString(null)
  return writer.finish()
}

/** Nothing for no bytes: a member that was given none. */
export function decodeAssignment(bytes: Uint8Array): string[] {
  if (bytes.length === 0) return []
  const reader = new ByteReader(bytes)
  reader.int16()
  return readPartitions(reader)
}

function writePartitions(writer: ByteWriter, partitions: readonly string[]): void {
  const byTopic = new Map<string, number[]>()
  for (const name of partitions) {
    const parsed = parsePartition(name)
    if (parsed === undefined) continue
    const indexes = byTopic.get(parsed.topic)
    if (indexes === undefined) byTopic.set(parsed.topic, [parsed.index])
    else indexes.push(parsed.index)
  }
  writer.int32(byTopic.size)
  for (const [topic, indexes] of byTopic) {
    writer.string(topic)
    writer.int32(indexes.length)
    for (const index of indexes) writer.int32(index)
  }
}

function readPartitions(reader: ByteReader): string[] {
  const names: string[] = []
  const topics = reader.int32()
  for (let i = 0; i < topics; i++) {
    const topic = reader.string()
    const count = reader.int32()
    for (let j = 0; j < count; j++) names.push(partitionName(topic, reader.int32()))
  }
  return names
}

export function byCodeUnit(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0
}
