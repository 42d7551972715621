/**
 * The bytes of metadata records, and their digest.
 *
 *   Record  => frameVersion uvarint = 1 · apiKey uvarint · version uvarint · fields · tagged fields
 *   string  => length + 1 uvarint · UTF-8 (0: null)          array  => count + 1 uvarint · items (0: null)
 *   tagged  => count uvarint · (tag uvarint · size uvarint · value)…    ascending; a field at its default is left out
 *
 * SCHEMAS states every record's fields in the order, versions, tags and defaults of Kafka's own schemas. Encoding and decoding
 * remember their results by identity (records and the bytes of a batch never change), so nodes that share a record
 * batch decode it once. A field that the version cannot carry must be at its default.
 */

import { assert } from '../../kernel/errors.js'
import type { Offset } from '../../kernel/units.js'
import { ByteReader, ByteWriter, MalformedBytes, sizeOfUvarint, utf8Size } from '../../wire/primitives.js'
import { sameItems } from './image.js'
import type { MetadataRecord, MetadataRecordType, RecordEndpoint, RecordFeature, Uuid } from './records.js'

const FRAME_VERSION = 1

type Kind =
  | 'bool'
  | 'int8'
  | 'int16'
  | 'int32'
  | 'int64'
  | 'string'
  | 'nullableString'
  | 'uuid'
  | 'int32s'
  | 'uuids'
  | 'endPoints'
  | 'features'

interface Field {
  readonly name: string
  readonly kind: Kind
  /** First version that has it. */
  readonly since: number
  readonly tag?: number
  /** Value when the version does not have it, or when it is tagged and absent. */
  readonly absent: unknown
}

interface Schema {
  readonly key: number
  readonly maxVersion: number
  readonly fields: readonly Field[]
  readonly tagged: readonly Field[]
}

function field(name: string, kind: Kind, since = 0, absent?: unknown): Field {
  return { name, kind, since, absent }
}

function tagged(tag: number, name: string, kind: Kind, absent: unknown, since = 0): Field {
  return { name, kind, since, tag, absent }
}

function schema(key: number, maxVersion: number, ...all: Field[]): Schema {
  const tags = all.filter((each) => each.tag !== undefined).sort((a, b) => (a.tag as number) - (b.tag as number))
  return { key, maxVersion, fields: all.filter((each) => each.tag === undefined), tagged: tags }
}

const SCHEMAS: { readonly [T in MetadataRecordType]: Schema } = {
  RegisterBrokerRecord: schema(
    0,
    3,
    field('brokerId', 'int32'),
    field('isMigratingZkBroker', 'bool', 2, false),
    field('incarnationId', 'uuid'),
    field('brokerEpoch', 'int64'),
    field('endPoints', 'endPoints'),
    field('features', 'features'),
    field('rack', 'nullableString'),
    field('fenced', 'bool'),
    field('inControlledShutdown', 'bool', 1, false),
    tagged(0, 'logDirs', 'uuids', [], 3),
  ),
  UnregisterBrokerRecord: schema(1, 0, field('brokerId', 'int32'), field('brokerEpoch', 'int64')),
  TopicRecord: schema(2, 0, field('name', 'string'), field('topicId', 'uuid')),
  PartitionRecord: schema(
    3,
    2,
    field('partitionId', 'int32'),
    field('topicId', 'uuid'),
    field('replicas', 'int32s'),
    field('isr', 'int32s'),
    field('removingReplicas', 'int32s'),
    field('addingReplicas', 'int32s'),
    field('leader', 'int32'),
    field('leaderEpoch', 'int32'),
    field('partitionEpoch', 'int32'),
    field('directories', 'uuids', 1, []),
    tagged(0, 'leaderRecoveryState', 'int8', 0),
    tagged(1, 'eligibleLeaderReplicas', 'int32s', null, 2),
    tagged(2, 'lastKnownElr', 'int32s', null, 2),
  ),
  ConfigRecord: schema(
    4,
    0,
    field('resourceType', 'int8'),
    field('resourceName', 'string'),
    field('name', 'string'),
    field('value', 'nullableString'),
  ),
  PartitionChangeRecord: schema(
    5,
    2,
    field('partitionId', 'int32'),
    field('topicId', 'uuid'),
    tagged(0, 'isr', 'int32s', null),
    tagged(1, 'leader', 'int32', -2),
    tagged(2, 'replicas', 'int32s', null),
    tagged(3, 'removingReplicas', 'int32s', null),
    tagged(4, 'addingReplicas', 'int32s', null),
    tagged(5, 'leaderRecoveryState', 'int8', -1),
    tagged(6, 'eligibleLeaderReplicas', 'int32s', null, 2),
    tagged(7, 'lastKnownElr', 'int32s', null, 2),
    tagged(8, 'directories', 'uuids', null, 1),
  ),
  FenceBrokerRecord: schema(7, 0, field('id', 'int32'), field('epoch', 'int64')),
  UnfenceBrokerRecord: schema(8, 0, field('id', 'int32'), field('epoch', 'int64')),
  RemoveTopicRecord: schema(9, 0, field('topicId', 'uuid')),
  FeatureLevelRecord: schema(12, 0, field('name', 'string'), field('featureLevel', 'int16')),
  ProducerIdsRecord: schema(
    15,
    0,
    field('brokerId', 'int32'),
    field('brokerEpoch', 'int64'),
    field('nextProducerId', 'int64'),
  ),
  BrokerRegistrationChangeRecord: schema(
    17,
    2,
    field('brokerId', 'int32'),
    field('brokerEpoch', 'int64'),
    tagged(0, 'fenced', 'int8', 0),
    tagged(1, 'inControlledShutdown', 'int8', 0, 1),
    tagged(2, 'logDirs', 'uuids', [], 2),
  ),
  AccessControlEntryRecord: schema(
    18,
    0,
    field('id', 'uuid'),
    field('resourceType', 'int8'),
    field('resourceName', 'string'),
    field('patternType', 'int8'),
    field('principal', 'string'),
    field('host', 'string'),
    field('operation', 'int8'),
    field('permissionType', 'int8'),
  ),
  RemoveAccessControlEntryRecord: schema(19, 0, field('id', 'uuid')),
  NoOpRecord: schema(20, 0),
  BeginTransactionRecord: schema(23, 0, tagged(0, 'name', 'nullableString', null)),
  EndTransactionRecord: schema(24, 0),
  AbortTransactionRecord: schema(25, 0, tagged(0, 'reason', 'nullableString', null)),
  RegisterControllerRecord: schema(
    27,
    0,
    field('controllerId', 'int32'),
    field('incarnationId', 'uuid'),
    field('zkMigrationReady', 'bool'),
    field('endPoints', 'endPoints'),
    field('features', 'features'),
  ),
  ClearElrRecord: schema(28, 0, field('topicName', 'string')),
}

const TYPE_BY_KEY = new Map(
  (Object.keys(SCHEMAS) as MetadataRecordType[]).map((type) => [SCHEMAS[type].key, type] as const),
)

/** Kafka's id of a record type. */
export function recordApiKey(type: MetadataRecordType): number {
  return SCHEMAS[type].key
}

/** The value of the log record that carries `record`. Must not be written to. */
export function encodeMetadataRecord(record: MetadataRecord): Uint8Array {
  const known = encoded.get(record)
  if (known !== undefined) return known
  const { key, maxVersion, fields, tagged: tags } = SCHEMAS[record.type]
  assert(record.version >= 0 && record.version <= maxVersion, 'metadata record: version', { record })
  const values = record as unknown as Record<string, unknown>
  const writer = new ByteWriter(64)
  writer.uvarint(FRAME_VERSION)
  writer.uvarint(key)
  writer.uvarint(record.version)
  for (const each of fields) {
    const value = values[each.name]
    if (record.version >= each.since) writeValue(writer, each.kind, value)
    else assert(isAbsent(each, value), 'metadata record: field unknown to the version', { record, field: each.name })
  }
  const present = tags.filter((each) => !isAbsent(each, values[each.name]))
  writer.uvarint(present.length)
  for (const each of present) {
    assert(record.version >= each.since, 'metadata record: field unknown to the version', { record, field: each.name })
    const value = values[each.name]
    writer.uvarint(each.tag as number)
    writer.uvarint(sizeOfValue(each.kind, value))
    writeValue(writer, each.kind, value)
  }
  const bytes = writer.finish().slice()
  encoded.set(record, bytes)
  return bytes
}

/** The record of such a value. @throws MalformedBytes when the bytes are no metadata record of a known type and version. */
export function decodeMetadataRecord(bytes: Uint8Array): MetadataRecord {
  const known = decoded.get(bytes)
  if (known !== undefined) return known
  const reader = new ByteReader(bytes)
  const frame = reader.uvarint()
  if (frame !== FRAME_VERSION) throw new MalformedBytes(`metadata record: frame version ${frame}`)
  const key = reader.uvarint()
  const type = TYPE_BY_KEY.get(key)
  if (type === undefined) throw new MalformedBytes(`metadata record: unknown type ${key}`)
  const version = reader.uvarint()
  const { maxVersion, fields, tagged: tags } = SCHEMAS[type]
  if (version > maxVersion) throw new MalformedBytes(`${type}: unknown version ${version}`)
  const record: Record<string, unknown> = { type, version }
  for (const each of fields) record[each.name] = version >= each.since ? readValue(reader, each.kind) : each.absent
  for (const each of tags) record[each.name] = each.absent
  readTagged(reader, tags, version, record)
  if (reader.remaining > 0) throw new MalformedBytes(`${type}: ${reader.remaining} bytes of garbage`)
  const result = record as unknown as MetadataRecord
  decoded.set(bytes, result)
  encoded.set(result, bytes)
  return result
}

/** For whoever keeps metadata records in batches. */
export const METADATA_RECORD_CODEC = { encode: encodeMetadataRecord, decode: decodeMetadataRecord } as const

/** A 32-bit digest of records and the offset of the first, equal on every node that replays the same batch. */
export function digestRecords(baseOffset: Offset, records: readonly MetadataRecord[]): number {
  let digest = Math.imul(baseOffset | 0, 0x9e3779b1) ^ records.length
  for (const record of records) {
    let hash = digests.get(record)
    if (hash === undefined) digests.set(record, (hash = digestBytes(encodeMetadataRecord(record))))
    digest = Math.imul(digest ^ hash, 0x85ebca6b)
    digest = (digest << 13) | (digest >>> 19)
  }
  return digest >>> 0
}

const encoded = new WeakMap<MetadataRecord, Uint8Array>()
const decoded = new WeakMap<Uint8Array, MetadataRecord>()
const digests = new WeakMap<MetadataRecord, number>()

/** FNV-1a. */
function digestBytes(bytes: Uint8Array): number {
  let hash = 0x811c9dc5 | 0
  for (let i = 0; i < bytes.length; i++) hash = Math.imul(hash ^ (bytes[i] as number), 0x01000193)
  return hash
}

function isAbsent(of: Field, value: unknown): boolean {
  if (Array.isArray(of.absent)) return Array.isArray(value) && sameItems(value, of.absent)
  return value === of.absent
}

function readTagged(reader: ByteReader, tags: readonly Field[], version: number, into: Record<string, unknown>): void {
  const count = reader.uvarint()
  for (let i = 0; i < count; i++) {
    const tag = reader.uvarint()
    const size = reader.uvarint()
    const known = tags.find((each) => each.tag === tag && version >= each.since)
    if (known === undefined) reader.take(size)
    else into[known.name] = readValue(reader, known.kind)
  }
}

function writeValue(writer: ByteWriter, kind: Kind, value: unknown): void {
  switch (kind) {
    case 'bool':
      return writer.bool(value as boolean)
    case 'int8':
      return writer.int8(value as number)
    case 'int16':
      return writer.int16(value as number)
    case 'int32':
      return writer.int32(value as number)
    case 'int64':
      return writer.int64(value as number)
    case 'string':
      return writer.compactString(value as string)
    case 'nullableString':
      return writer.compactNullableString(value as string | null)
    case 'uuid':
      return writer.uuid(value as Uuid)
    case 'int32s':
      return writeArray(writer, value as readonly number[] | null, (item) => writer.int32(item))
    case 'uuids':
      return writeArray(writer, value as readonly Uuid[] | null, (item) => writer.uuid(item))
    case 'endPoints':
      return writeArray(writer, value as readonly RecordEndpoint[], (item) => writeEndpoint(writer, item))
    case 'features':
      return writeArray(writer, value as readonly RecordFeature[], (item) => writeFeature(writer, item))
  }
}

function writeArray<T>(writer: ByteWriter, items: readonly T[] | null, write: (item: T) => void): void {
  if (items === null) return writer.uvarint(0)
  writer.uvarint(items.length + 1)
  for (const item of items) write(item)
}

function writeEndpoint(writer: ByteWriter, endpoint: RecordEndpoint): void {
  writer.compactString(endpoint.name)
  writer.compactString(endpoint.host)
  writer.uint16(endpoint.port)
  writer.int16(endpoint.securityProtocol)
  writer.uvarint(0)
}

function writeFeature(writer: ByteWriter, feature: RecordFeature): void {
  writer.compactString(feature.name)
  writer.int16(feature.minSupportedVersion)
  writer.int16(feature.maxSupportedVersion)
  writer.uvarint(0)
}

/** Of the kinds that are tagged somewhere. */
function sizeOfValue(kind: Kind, value: unknown): number {
  switch (kind) {
    case 'int8':
      return 1
    case 'int32':
      return 4
    case 'nullableString': {
      const size = utf8Size(value as string)
      return sizeOfUvarint(size + 1) + size
    }
    case 'int32s':
      return sizeOfUvarint((value as readonly number[]).length + 1) + 4 * (value as readonly number[]).length
    case 'uuids':
      return sizeOfUvarint((value as readonly Uuid[]).length + 1) + 16 * (value as readonly Uuid[]).length
    default:
      assert(false, 'metadata record: kind is never tagged', { kind })
  }
}

function readValue(reader: ByteReader, kind: Kind): unknown {
  switch (kind) {
    case 'bool':
      return reader.bool()
    case 'int8':
      return reader.int8()
    case 'int16':
      return reader.int16()
    case 'int32':
      return reader.int32()
    case 'int64':
      return reader.int64()
    case 'string':
      return reader.compactString()
    case 'nullableString':
      return reader.compactNullableString()
    case 'uuid':
      return reader.uuid()
    case 'int32s':
      return readArray(reader, () => reader.int32())
    case 'uuids':
      return readArray(reader, () => reader.uuid())
    case 'endPoints':
      return readArray(reader, () => readEndpoint(reader))
    case 'features':
      return readArray(reader, () => readFeature(reader))
  }
}

function readArray<T>(reader: ByteReader, read: () => T): T[] | null {
  const length = reader.uvarint() - 1
  if (length < 0) return null
  const items: T[] = []
  for (let left = reader.arrayLength(length); left > 0; left--) items.push(read())
  return items
}

function readEndpoint(reader: ByteReader): RecordEndpoint {
  const endpoint = {
    name: reader.compactString(),
    host: reader.compactString(),
    port: reader.uint16(),
    securityProtocol: reader.int16(),
  }
  skipTagged(reader)
  return endpoint
}

function readFeature(reader: ByteReader): RecordFeature {
  const feature = {
    name: reader.compactString(),
    minSupportedVersion: reader.int16(),
    maxSupportedVersion: reader.int16(),
  }
  skipTagged(reader)
  return feature
}

function skipTagged(reader: ByteReader): void {
  for (let count = reader.uvarint(); count > 0; count--) {
    reader.uvarint()
    reader.take(reader.uvarint())
  }
}
