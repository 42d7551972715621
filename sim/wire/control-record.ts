/**
 * Control records: what a log says about itself, between the records of users.
 *
 *     key:   version i16 = 0 · type i16 (ABORT 0, COMMIT 1, LEADER_CHANGE 2, SNAPSHOT_HEADER 3, SNAPSHOT_FOOTER 4,
 *            KRAFT_VERSION 5, KRAFT_VOTERS 6)
 *     value: of a transaction marker: version i16 = 0 · coordinatorEpoch i32; of the others a flexible message that begins
 *            with its version (KIP-595, KIP-630, KIP-853)
 *
 * They stand alone in batches whose control bit is set. Consumers never see them.
 */

import type { Epoch, Millis, NodeId, Offset } from '../kernel/units.js'
import { MessageCodec } from './codec.js'
import { ByteReader, ByteWriter, MalformedBytes } from './primitives.js'
import { RecordBatch, type NewRecord, type Record } from './record-batch.js'
import { ALL_VERSIONS } from './schema.js'

/** One voter in a leader change; its directory is written from version 1 on. */
export interface LeaderChangeVoter {
  readonly voterId: NodeId
  readonly voterDirectoryId: string
}

export interface LeaderChangeMessage {
  readonly version: number
  readonly leaderId: NodeId
  readonly voters: readonly LeaderChangeVoter[]
  readonly grantingVoters: readonly LeaderChangeVoter[]
}

export interface SnapshotHeaderRecord {
  readonly version: number
  readonly lastContainedLogTimestamp: Millis
}

export interface SnapshotFooterRecord {
  readonly version: number
}

export interface KRaftVersionRecord {
  readonly version: number
  readonly kRaftVersion: number
}

export interface VotersRecordVoter {
  readonly voterId: NodeId
  readonly voterDirectoryId: string
  readonly endpoints: readonly { readonly name: string; readonly host: string; readonly port: number }[]
  readonly kRaftVersionFeature: { readonly minSupportedVersion: number; readonly maxSupportedVersion: number }
}

export interface VotersRecord {
  readonly version: number
  readonly voters: readonly VotersRecordVoter[]
}

export interface EndTransactionMarker {
  readonly coordinatorEpoch: Epoch
}

export type ControlRecord =
  | ({ readonly type: 'ABORT' | 'COMMIT' } & EndTransactionMarker)
  | ({ readonly type: 'LEADER_CHANGE' } & LeaderChangeMessage)
  | ({ readonly type: 'SNAPSHOT_HEADER' } & SnapshotHeaderRecord)
  | ({ readonly type: 'SNAPSHOT_FOOTER' } & SnapshotFooterRecord)
  | ({ readonly type: 'KRAFT_VERSION' } & KRaftVersionRecord)
  | ({ readonly type: 'KRAFT_VOTERS' } & VotersRecord)

export type ControlType = ControlRecord['type']

/** By type id. */
const TYPES: readonly ControlType[] = [
  'ABORT',
  'COMMIT',
  'LEADER_CHANGE',
  'SNAPSHOT_HEADER',
  'SNAPSHOT_FOOTER',
  'KRAFT_VERSION',
  'KRAFT_VOTERS',
]

const CODECS = {
  LEADER_CHANGE: codec<LeaderChangeMessage>(
    'LeaderChangeMessage',
    1,
    `
    version: int16
    leaderId: int32
    voters: []struct
      voterId: int32
      voterDirectoryId: uuid 1+
    grantingVoters: []struct
      voterId: int32
      voterDirectoryId: uuid 1+
  `,
  ),
  SNAPSHOT_HEADER: codec<SnapshotHeaderRecord>(
    'SnapshotHeaderRecord',
    0,
    `
    version: int16
    lastContainedLogTimestamp: int64
  `,
  ),
  SNAPSHOT_FOOTER: codec<SnapshotFooterRecord>('SnapshotFooterRecord', 0, 'version: int16'),
  KRAFT_VERSION: codec<KRaftVersionRecord>(
    'KRaftVersionRecord',
    0,
    `
    version: int16
    kRaftVersion: int16
  `,
  ),
  KRAFT_VOTERS: codec<VotersRecord>(
    'VotersRecord',
    0,
    `
    version: int16
    voters: []struct
      voterId: int32
      voterDirectoryId: uuid
      endpoints: []struct
        name: string
        host: string
        port: uint16
      kRaftVersionFeature: struct
        minSupportedVersion: int16
        maxSupportedVersion: int16
  `,
  ),
}

const KEY_VERSION = 0
const KEY_BYTES = 4
const MARKER_VERSION = 0

/** The record of a control batch. */
export function controlRecord(timestamp: Millis, control: ControlRecord): NewRecord {
  return { timestamp, key: encodeKey(control.type), value: encodeValue(control) }
}

/** A batch of control records that belong to no transaction. */
export function controlBatch(
  position: { readonly baseOffset: Offset; readonly partitionLeaderEpoch: Epoch },
  timestamp: Millis,
  controls: readonly ControlRecord[],
): RecordBatch {
  return RecordBatch.build(
    { baseOffset: position.baseOffset, partitionLeaderEpoch: position.partitionLeaderEpoch, isControl: true },
    controls.map((control) => controlRecord(timestamp, control)),
  )
}

/** The batch that ends a producer's transaction on one partition. */
export function endTransactionMarkerBatch(marker: {
  readonly timestamp: Millis
  readonly producerId: number
  readonly producerEpoch: number
  readonly coordinatorEpoch: Epoch
  readonly commit: boolean
}): RecordBatch {
  const { timestamp, producerId, producerEpoch, coordinatorEpoch, commit } = marker
  const record = controlRecord(timestamp, { type: commit ? 'COMMIT' : 'ABORT', coordinatorEpoch })
  return RecordBatch.build({ producerId, producerEpoch, isTransactional: true, isControl: true }, [record])
}

/** The type of a control record by its key; undefined for a type that Kafka 4.1 does not know. @throws MalformedBytes */
export function controlType(key: Uint8Array | null): ControlType | undefined {
  if (key === null || key.length < KEY_BYTES) throw new MalformedBytes('control record: key too short')
  const reader = new ByteReader(key)
  const version = reader.int16()
  // A newer key is read as the version known here, as Kafka does; a negative one is corruption.
  if (version < 0) throw new MalformedBytes(`control record: key version ${version}`)
  return TYPES[reader.int16()]
}

/** What a control record says; undefined for a type that Kafka 4.1 does not know. @throws MalformedBytes */
export function parseControlRecord(record: Record): ControlRecord | undefined {
  const type = controlType(record.key)
  if (type === undefined) return undefined
  if (record.value === null) throw new MalformedBytes(`control record: ${type} without a value`)
  switch (type) {
    case 'ABORT':
    case 'COMMIT':
      return { type, coordinatorEpoch: parseMarker(record.value) }
    case 'LEADER_CHANGE':
      return { type, ...CODECS.LEADER_CHANGE.decode(messageVersion(record.value, 1), record.value) }
    case 'SNAPSHOT_HEADER':
      return { type, ...CODECS.SNAPSHOT_HEADER.decode(0, record.value) }
    case 'SNAPSHOT_FOOTER':
      return { type, ...CODECS.SNAPSHOT_FOOTER.decode(0, record.value) }
    case 'KRAFT_VERSION':
      return { type, ...CODECS.KRAFT_VERSION.decode(0, record.value) }
    case 'KRAFT_VOTERS':
      return { type, ...CODECS.KRAFT_VOTERS.decode(0, record.value) }
  }
}

function encodeKey(type: ControlType): Uint8Array {
  const writer = new ByteWriter(KEY_BYTES)
  writer.int16(KEY_VERSION)
  writer.int16(TYPES.indexOf(type))
  return writer.finish()
}

function encodeValue(control: ControlRecord): Uint8Array {
  switch (control.type) {
    case 'ABORT':
    case 'COMMIT': {
      const writer = new ByteWriter(6)
      writer.int16(MARKER_VERSION)
      writer.int32(control.coordinatorEpoch)
      return writer.finish()
    }
    case 'LEADER_CHANGE':
      return CODECS.LEADER_CHANGE.encode(control.version, control)
    case 'SNAPSHOT_HEADER':
      return CODECS.SNAPSHOT_HEADER.encode(0, control)
    case 'SNAPSHOT_FOOTER':
      return CODECS.SNAPSHOT_FOOTER.encode(0, control)
    case 'KRAFT_VERSION':
      return CODECS.KRAFT_VERSION.encode(0, control)
    case 'KRAFT_VOTERS':
      return CODECS.KRAFT_VOTERS.encode(0, control)
  }
}

function parseMarker(value: Uint8Array): Epoch {
  const reader = new ByteReader(value)
  const version = reader.int16()
  if (version < 0) throw new MalformedBytes(`transaction marker: version ${version}`)
  return reader.int32()
}

/** The version that a message begins with, at most the newest known. */
function messageVersion(value: Uint8Array, newest: number): number {
  const version = new ByteReader(value).int16()
  if (version < 0) throw new MalformedBytes(`control record: version ${version}`)
  return Math.min(version, newest)
}

function codec<T>(name: string, maxVersion: number, schema: string): MessageCodec<T> {
  return new MessageCodec<T>(name, { from: 0, to: maxVersion }, ALL_VERSIONS, schema)
}
