/**
 * The records of `__consumer_offsets`, byte for byte: a version (int16) that tells the type stands before each key, and before
 * each value the version that it is written in (`CoordinatorRecordSerde`, the schemas of the group coordinator).
 *
 *     key 0, 1   OffsetCommit    group, topic, partition → offset, leader epoch, metadata, commit time
 *     key 2      GroupMetadata   group → generation, protocol, leader, members with subscriptions and assignments
 *     key 3–8, 16                KIP-848 groups: consumer/consumer-records.ts
 *
 * A null value is a tombstone. Records of other keys (share and streams groups) are passed over.
 */

import type { Millis } from '../../kernel/units.js'
import { MessageCodec } from '../../wire/codec.js'
import { ByteReader, ByteWriter } from '../../wire/primitives.js'
import type { NewRecord, Record } from '../../wire/record-batch.js'
import { parseVersions } from '../../wire/schema.js'
import {
  CONSUMER_RECORDS,
  CONSUMER_VALUE_VERSION,
  type ConsumerGroupRecord,
  type ConsumerRecordCodec,
} from './consumer/consumer-records.js'

export interface OffsetCommitKey {
  readonly group: string
  readonly topic: string
  readonly partition: number
}

export interface OffsetCommitValue {
  readonly offset: number
  readonly leaderEpoch: number
  readonly metadata: string
  readonly commitTimestamp: number
  /** -1 unless the client asked for a retention of its own (versions before 5). */
  readonly expireTimestamp: number
  /** Of the topic when the offset was committed; zero when the client did not tell. */
  readonly topicId: string
}

export interface GroupMetadataKey {
  readonly group: string
}

export interface GroupMetadataValue {
  readonly protocolType: string
  readonly generation: number
  readonly protocol: string | null
  readonly leader: string | null
  readonly currentStateTimestamp: number
  readonly members: readonly MemberMetadata[]
}

export interface MemberMetadata {
  readonly memberId: string
  readonly groupInstanceId: string | null
  readonly clientId: string
  readonly clientHost: string
  readonly rebalanceTimeout: number
  readonly sessionTimeout: number
  readonly subscription: Uint8Array
  readonly assignment: Uint8Array
}

export type GroupRecord =
  | { readonly type: 'OffsetCommit'; readonly key: OffsetCommitKey; readonly value: OffsetCommitValue | null }
  | { readonly type: 'GroupMetadata'; readonly key: GroupMetadataKey; readonly value: GroupMetadataValue | null }
  | ConsumerGroupRecord

const NEVER_FLEXIBLE = undefined

const OFFSET_COMMIT_KEY = new MessageCodec<OffsetCommitKey>(
  'OffsetCommitKey',
  parseVersions('0-1'),
  NEVER_FLEXIBLE,
  `
    group: string
    topic: string
    partition: int32
  `,
)

const OFFSET_COMMIT_VALUE = new MessageCodec<OffsetCommitValue>(
  'OffsetCommitValue',
  parseVersions('0-4'),
  parseVersions('4+'),
  `
    offset: int64
    leaderEpoch: int32 3+ = -1 ignorable
    metadata: string
    commitTimestamp: int64
    expireTimestamp: int64 1 = -1 ignorable
    topicId: uuid 4+ tag 0 ignorable
  `,
)

const GROUP_METADATA_KEY = new MessageCodec<GroupMetadataKey>(
  'GroupMetadataKey',
  parseVersions('2'),
  NEVER_FLEXIBLE,
  `
    group: string
  `,
)

const GROUP_METADATA_VALUE = new MessageCodec<GroupMetadataValue>(
  'GroupMetadataValue',
  parseVersions('0-4'),
  parseVersions('4+'),
  `
    protocolType: string
    generation: int32
    protocol: string null
    leader: string null
    currentStateTimestamp: int64 2+ = -1 ignorable
    members: []struct
      memberId: string
      groupInstanceId: string 3+ null = null ignorable
      clientId: string
      clientHost: string
      rebalanceTimeout: int32 1+ = -1 ignorable
      sessionTimeout: int32
      subscription: bytes
      assignment: bytes
  `,
)

const OFFSET_KEY_VERSION = 1
const GROUP_KEY_VERSION = 2
/** What Kafka 4.1 writes; a retention of its own needs the version that knows it. */
const OFFSET_VALUE_VERSION = 4
const OFFSET_VALUE_VERSION_WITH_EXPIRY = 1
const GROUP_VALUE_VERSION = 3

const CONSUMER_TYPES: ReadonlyMap<number, [ConsumerGroupRecord['type'], ConsumerRecordCodec]> = new Map(
  Object.entries(CONSUMER_RECORDS).map(([type, codec]) => [codec.apiKey, [type as ConsumerGroupRecord['type'], codec]]),
)

export const GROUP_RECORD_CODEC = {
  encode(record: GroupRecord, nowMs: Millis): NewRecord {
    switch (record.type) {
      case 'OffsetCommit': {
        const { value } = record
        const version =
          value === null || value.expireTimestamp < 0 ? OFFSET_VALUE_VERSION : OFFSET_VALUE_VERSION_WITH_EXPIRY
        return {
          timestamp: nowMs,
          key: versioned(OFFSET_COMMIT_KEY, OFFSET_KEY_VERSION, record.key),
          value: value === null ? null : versioned(OFFSET_COMMIT_VALUE, version, value),
        }
      }
      case 'GroupMetadata':
        return {
          timestamp: nowMs,
          key: versioned(GROUP_METADATA_KEY, GROUP_KEY_VERSION, record.key),
          value: record.value === null ? null : versioned(GROUP_METADATA_VALUE, GROUP_VALUE_VERSION, record.value),
        }
      default: {
        const { apiKey, key, value } = CONSUMER_RECORDS[record.type]
        return {
          timestamp: nowMs,
          key: versioned(key, apiKey, record.key),
          value: record.value === null ? null : versioned(value, CONSUMER_VALUE_VERSION, record.value),
        }
      }
    }
  },

  decode(record: Record): GroupRecord | undefined {
    if (record.key === null) return undefined
    const reader = new ByteReader(record.key)
    const type = reader.int16()
    if (type === 0 || type === OFFSET_KEY_VERSION) {
      const key = OFFSET_COMMIT_KEY.read(reader, type)
      return { type: 'OffsetCommit', key, value: valueOf(OFFSET_COMMIT_VALUE, record.value) }
    }
    if (type === GROUP_KEY_VERSION) {
      const key = GROUP_METADATA_KEY.read(reader, type)
      return { type: 'GroupMetadata', key, value: valueOf(GROUP_METADATA_VALUE, record.value) }
    }
    const consumer = CONSUMER_TYPES.get(type)
    if (consumer === undefined) return undefined
    const [name, codec] = consumer
    const key = codec.key.read(reader, type)
    return { type: name, key, value: valueOf(codec.value, record.value) } as ConsumerGroupRecord
  },
}

function versioned<T>(codec: MessageCodec<T>, version: number, message: T): Uint8Array {
  const writer = new ByteWriter(2 + codec.size(version, message))
  writer.int16(version)
  codec.write(writer, version, message)
  return writer.finish()
}

function valueOf<T>(codec: MessageCodec<T>, bytes: Uint8Array | null): T | null {
  if (bytes === null) return null
  const reader = new ByteReader(bytes)
  return codec.read(reader, reader.int16())
}
