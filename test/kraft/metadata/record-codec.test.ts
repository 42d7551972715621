/** The bytes of metadata records. The layouts are those of Kafka's record schemas, spelt out by hand. */

import { describe, expect, it } from 'vitest'
import { Random } from '../../../sim/kernel/random.js'
import { decodeMetadataRecord, digestRecords, encodeMetadataRecord } from '../../../sim/kraft/metadata/record-codec.js'
import type { MetadataRecord } from '../../../sim/kraft/metadata/records.js'
import {
  configRecord,
  featureLevelRecord,
  NO_OP_RECORD,
  partitionChange,
  topicRecord,
  ZERO_UUID,
} from '../../../sim/kraft/metadata/records.js'
import { MalformedBytes } from '../../../sim/wire/primitives.js'

function hex(record: MetadataRecord): string {
  return Buffer.from(encodeMetadataRecord(record)).toString('hex')
}

function bytes(text: string): Uint8Array {
  return Uint8Array.from(Buffer.from(text.replaceAll(' ', ''), 'hex'))
}

const UUID = 'AAECAwQFBgcICQoLDA0ODw'
const UUID_HEX = '000102030405060708090a0b0c0d0e0f'

const VECTORS: readonly (readonly [string, MetadataRecord, string])[] = [
  ['NoOpRecord', NO_OP_RECORD, '01 14 00 00'],
  ['TopicRecord', topicRecord('foo', UUID), `01 02 00 04 666f6f ${UUID_HEX} 00`],
  ['RemoveTopicRecord', { type: 'RemoveTopicRecord', version: 0, topicId: UUID }, `01 09 00 ${UUID_HEX} 00`],
  [
    'FeatureLevelRecord',
    featureLevelRecord('metadata.version', 27),
    '01 0c 00 11 6d657461646174612e76657273696f6e 001b 00',
  ],
  ['ConfigRecord', configRecord(2, 'foo', 'a', '1'), '01 04 00 02 04 666f6f 02 61 02 31 00'],
  ['ConfigRecord that deletes', configRecord(4, '', 'a', null), '01 04 00 04 01 02 61 00 00'],
  ['BeginTransactionRecord', { type: 'BeginTransactionRecord', version: 0, name: 'b' }, '01 17 00 01 00 02 02 62'],
  ['EndTransactionRecord', { type: 'EndTransactionRecord', version: 0 }, '01 18 00 00'],
  ['AbortTransactionRecord', { type: 'AbortTransactionRecord', version: 0, reason: null }, '01 19 00 00'],
  [
    'AccessControlEntryRecord',
    {
      type: 'AccessControlEntryRecord',
      version: 0,
      id: UUID,
      resourceType: 2,
      resourceName: 'foo',
      patternType: 3,
      principal: 'User:a',
      host: '*',
      operation: 4,
      permissionType: 3,
    },
    `01 12 00 ${UUID_HEX} 02 04 666f6f 03 07 557365723a61 02 2a 04 03 00`,
  ],
  [
    'RemoveAccessControlEntryRecord',
    { type: 'RemoveAccessControlEntryRecord', version: 0, id: UUID },
    `01 13 00 ${UUID_HEX} 00`,
  ],
  ['ClearElrRecord', { type: 'ClearElrRecord', version: 0, topicName: '' }, '01 1c 00 01 00'],
  [
    'ProducerIdsRecord',
    { type: 'ProducerIdsRecord', version: 0, brokerId: 1, brokerEpoch: 5, nextProducerId: 1000 },
    '01 0f 00 00000001 0000000000000005 00000000000003e8 00',
  ],
  [
    'BrokerRegistrationChangeRecord version 1',
    {
      type: 'BrokerRegistrationChangeRecord',
      version: 1,
      brokerId: 1,
      brokerEpoch: 5,
      fenced: -1,
      inControlledShutdown: 1,
      logDirs: [],
    },
    '01 11 01 00000001 0000000000000005 02 00 01 ff 01 01 01',
  ],
  ['PartitionChangeRecord of nothing', partitionChange(UUID, 3, 2, {}), `01 05 02 00000003 ${UUID_HEX} 00`],
  [
    'PartitionChangeRecord with tags out of declaration order',
    partitionChange(UUID, 0, 2, {
      isr: [1, 2],
      leader: 1,
      leaderRecoveryState: 0,
      directories: [UUID],
      eligibleLeaderReplicas: [],
    }),
    `01 05 02 00000000 ${UUID_HEX} 05 00 09 03 00000001 00000002 01 04 00000001 05 01 00 06 01 01 08 11 02 ${UUID_HEX}`,
  ],
  [
    'PartitionRecord version 2',
    {
      type: 'PartitionRecord',
      version: 2,
      partitionId: 0,
      topicId: UUID,
      replicas: [1, 2],
      isr: [1],
      removingReplicas: [],
      addingReplicas: [],
      leader: 1,
      leaderRecoveryState: 0,
      leaderEpoch: 3,
      partitionEpoch: 4,
      directories: [UUID, ZERO_UUID],
      eligibleLeaderReplicas: [2],
      lastKnownElr: null,
    },
    `01 03 02 00000000 ${UUID_HEX} 03 00000001 00000002 02 00000001 01 01 00000001 00000003 00000004
     03 ${UUID_HEX} ${'00'.repeat(16)} 01 01 05 02 00000002`.replaceAll('\n', ''),
  ],
  [
    'RegisterBrokerRecord version 3',
    {
      type: 'RegisterBrokerRecord',
      version: 3,
      brokerId: 1,
      isMigratingZkBroker: false,
      incarnationId: UUID,
      brokerEpoch: 5,
      endPoints: [{ name: 'P', host: 'b1', port: 9092, securityProtocol: 0 }],
      features: [{ name: 'f', minSupportedVersion: 0, maxSupportedVersion: 1 }],
      rack: null,
      fenced: true,
      inControlledShutdown: false,
      logDirs: [UUID],
    },
    `01 00 03 00000001 00 ${UUID_HEX} 0000000000000005 02 02 50 03 6231 2384 0000 00 02 02 66 0000 0001 00 00 01 00 01 00 11 02 ${UUID_HEX}`,
  ],
]

describe('a metadata record', () => {
  it.each(VECTORS)('has the bytes of Kafka’s schema: %s', (_name, record, expected) => {
    expect(hex(record)).toBe(expected.replaceAll(' ', ''))
    expect(decodeMetadataRecord(bytes(expected))).toEqual(record)
  })

  it('of an older version leaves out what that version does not know', () => {
    const record: MetadataRecord = {
      type: 'RegisterBrokerRecord',
      version: 1,
      brokerId: 1,
      isMigratingZkBroker: false,
      incarnationId: UUID,
      brokerEpoch: 5,
      endPoints: [],
      features: [],
      rack: 'r',
      fenced: false,
      inControlledShutdown: true,
      logDirs: [],
    }
    expect(hex(record)).toBe(`01000100000001${UUID_HEX}0000000000000005010102720001` + '00')
    expect(decodeMetadataRecord(encodeMetadataRecord(record))).toEqual(record)
    expect(() => encodeMetadataRecord({ ...record, logDirs: [UUID] })).toThrow(/field unknown/)
  })

  it('passes over tags that this build does not know', () => {
    expect(decodeMetadataRecord(bytes('01 14 00 01 63 02 abcd'))).toEqual(NO_OP_RECORD)
  })

  it.each([
    ['another frame', '00 14 00 00'],
    ['an unknown type', '01 7f 00 00'],
    ['an unknown version', '01 14 09 00'],
    ['garbage at the end', '01 14 00 00 00'],
    ['a missing end', '01 02 00 04 666f'],
  ])('is refused with %s', (_what, text) => {
    expect(() => decodeMetadataRecord(bytes(text))).toThrow(MalformedBytes)
  })

  it('is decoded once for all who share its bytes', () => {
    const value = bytes('01 02 00 04 666f6f 00000000000000000000000000000000 00')
    expect(decodeMetadataRecord(value)).toBe(decodeMetadataRecord(value))
  })

  it('survives any values of a partition change', () => {
    const random = new Random('changes')
    const list = (): number[] | null =>
      random.chance(0.5) ? null : Array.from({ length: random.int(4) }, () => random.int(100))
    for (let i = 0; i < 200; i++) {
      const record = partitionChange(random.uuid(), random.int(1000), 2, {
        isr: list(),
        leader: random.between(-2, 40),
        replicas: list(),
        removingReplicas: list(),
        addingReplicas: list(),
        directories: random.chance(0.5) ? null : [random.uuid()],
        eligibleLeaderReplicas: list(),
        lastKnownElr: list(),
      })
      expect(decodeMetadataRecord(encodeMetadataRecord(record).slice())).toEqual(record)
    }
  })
})

describe('the digest of a batch', () => {
  const records = [topicRecord('foo', UUID), NO_OP_RECORD]

  it('is the same for the same records, however they came', () => {
    const decoded = records.map((record) => decodeMetadataRecord(encodeMetadataRecord(record).slice()))
    expect(digestRecords(7, decoded)).toBe(digestRecords(7, records))
  })

  it('differs with content, order and offset', () => {
    const all = [
      digestRecords(7, records),
      digestRecords(8, records),
      digestRecords(7, records.toReversed()),
      digestRecords(7, [topicRecord('bar', UUID), NO_OP_RECORD]),
      digestRecords(7, []),
    ]
    expect(new Set(all).size).toBe(all.length)
  })
})
