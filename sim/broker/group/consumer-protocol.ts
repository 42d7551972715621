/**
 * What a broker reads and writes of what consumers of the classic protocol tell each other (`ConsumerProtocol`, versions 0–3).
 *
 *     subscription   version i16 · topics [string] · userData bytes · owned [{topic, [partition i32]}] (1+) · generation i32 (2+) · rack string (3+)
 *     assignment     version i16 · assigned [{topic, [partition i32]}] · userData bytes
 *
 * Newer versions are read as version 3: they may only add at the end.
 */

import { ByteReader, ByteWriter, MalformedBytes } from '../../wire/primitives.js'

const LATEST_VERSION = 3

export interface ProtocolPartitions {
  readonly topic: string
  readonly partitions: readonly number[]
}

export interface ProtocolSubscription {
  readonly version: number
  readonly topics: readonly string[]
  readonly owned: readonly ProtocolPartitions[]
  readonly rack: string | null
}

export interface ProtocolAssignment {
  readonly assigned: readonly ProtocolPartitions[]
  readonly hasUserData: boolean
}

/** Undefined when it cannot be read. */
export function readSubscription(bytes: Uint8Array): ProtocolSubscription | undefined {
  return readable(bytes, (reader) => {
    const version = reader.int16()
    const topics = Array.from({ length: reader.arrayLength(reader.int32()) }, () => reader.string())
    reader.nullableByteString()
    const owned = version >= 1 ? readPartitions(reader) : []
    if (version >= 2) reader.int32()
    return { version, topics, owned, rack: version >= 3 ? reader.nullableString() : null }
  })
}

/** Undefined when it cannot be read. */
export function readAssignment(bytes: Uint8Array): ProtocolAssignment | undefined {
  return readable(bytes, (reader) => {
    reader.int16()
    const assigned = readPartitions(reader)
    const userData = reader.nullableByteString()
    return { assigned, hasUserData: userData !== null && userData.length > 0 }
  })
}

export function writeAssignment(assigned: readonly ProtocolPartitions[], version: number): Uint8Array {
  const writer = new ByteWriter(128)
  writer.int16(Math.min(version, LATEST_VERSION))
  writer.int32(assigned.length)
  for (const { topic, partitions } of assigned) {
    writer.string(topic)
    writer.int32(partitions.length)
    for (const partition of partitions) writer.int32(partition)
  }
  writer.nullableByteString(null)
  return writer.finish()
}

/** Topics of the `metadata` that a consumer joins with; undefined when it cannot be read. */
export function subscribedTopics(metadata: Uint8Array): readonly string[] | undefined {
  return readable(metadata, (reader) => {
    reader.int16()
    return Array.from({ length: reader.arrayLength(reader.int32()) }, () => reader.string())
  })
}

function readPartitions(reader: ByteReader): ProtocolPartitions[] {
  return Array.from({ length: reader.arrayLength(reader.int32()) }, () => {
    const topic = reader.string()
    return { topic, partitions: Array.from({ length: reader.arrayLength(reader.int32()) }, () => reader.int32()) }
  })
}

function readable<T>(bytes: Uint8Array, read: (reader: ByteReader) => T): T | undefined {
  try {
    return read(new ByteReader(bytes))
  } catch (error) {
    if (error instanceof MalformedBytes) return undefined
    throw error
  }
}
