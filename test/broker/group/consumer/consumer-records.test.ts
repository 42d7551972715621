/** Records of KIP-848 groups, byte for byte as Kafka 4.1.0 writes them (GroupCoordinatorRecordSerde). */

import { describe, expect, it } from 'vitest'
import {
  currentAssignmentRecord,
  memberRecord,
  newMember,
} from '../../../../sim/broker/group/consumer/consumer-member.js'
import {
  groupEpochRecord,
  groupTombstones,
  memberTombstones,
  partitionMetadataTombstone,
  regexRecord,
  targetEpochRecord,
  targetRecord,
} from '../../../../sim/broker/group/consumer/consumer-records.js'
import { GROUP_RECORD_CODEC, type GroupRecord } from '../../../../sim/broker/group/group-records.js'
import { RecordBatch } from '../../../../sim/wire/record-batch.js'
import { fromTopicPartitions } from '../../../../sim/broker/group/consumer/assignment.js'

const T = 'JoINAyeeTs-2YJGzdxxvxQ'
const U = 'AAAAAAAAAAEAAAAAAAAAAg'

const MEMBER = {
  ...newMember('m1'),
  memberEpoch: 7,
  previousMemberEpoch: 6,
  state: 'UNREVOKED_PARTITIONS' as const,
  instanceId: 'i1',
  rackId: 'r1',
  rebalanceTimeoutMs: 300_000,
  clientId: 'client',
  clientHost: '/10.0.0.1',
  topicNames: ['bills', 'orders'],
  topicRegex: 'o.*',
  serverAssignor: 'range',
  assigned: fromTopicPartitions([{ topicId: T, partitions: [0, 3] }]),
  revoking: fromTopicPartitions([{ topicId: U, partitions: [1] }]),
}

const CLASSIC = {
  ...newMember('m2'),
  clientId: 'client',
  clientHost: '/10.0.0.1',
  topicRegex: null,
  classic: { sessionTimeoutMs: 45_000, supportedProtocols: [{ name: 'range', metadata: Uint8Array.of(1, 2, 3) }] },
}

const VECTORS: readonly (readonly [string, GroupRecord, string, string | null])[] = [
  [
    'a member',
    memberRecord('shop', MEMBER),
    '0005000473686f7000026d31',
    '000003693103723107636c69656e740a2f31302e302e302e31030662696c6c73076f7264657273046f2e2a000493e00672616e676501000100',
  ],
  [
    'a member of the classic protocol',
    memberRecord('shop', CLASSIC),
    '0005000473686f7000026d32',
    '0000000007636c69656e740a2f31302e302e302e310100ffffffff00010012010000afc8020672616e6765040102030000',
  ],
  ['the end of a member', memberTombstones('shop', 'm1')[2] as GroupRecord, '0005000473686f7000026d31', null],
  ['the end of old metadata', partitionMetadataTombstone('shop'), '0004000473686f70', null],
  [
    'an epoch',
    groupEpochRecord('shop', 10, -4362481169458002491n),
    '0003000473686f70',
    '00000000000a010008c3755a7d632005c5',
  ],
  ['an epoch without topics', groupEpochRecord('shop', 11, 0n), '0003000473686f70', '00000000000b00'],
  ['the end of a group', groupTombstones('shop', [], []).at(-1) as GroupRecord, '0003000473686f70', null],
  [
    'a target',
    targetRecord('shop', 'm1', fromTopicPartitions([{ topicId: T, partitions: [0, 1, 2] }])),
    '0007000473686f7000026d31',
    '00000226820d03279e4ecfb66091b3771c6fc5040000000000000001000000020000',
  ],
  ['the epoch of a target', targetEpochRecord('shop', 10), '0006000473686f70', '00000000000a00'],
  [
    'what a member has',
    currentAssignmentRecord('shop', MEMBER),
    '0008000473686f7000026d31',
    '00000000000700000006010226820d03279e4ecfb66091b3771c6fc503000000000000000300020000000000000001000000000000000202000000010000',
  ],
  [
    'a regular expression',
    regexRecord('shop', 'o.*', { topics: ['orders'], version: 12345, timestamp: 67890 }),
    '0010000473686f7000036f2e2a',
    '000002076f72646572730000000000003039000000000001093200',
  ],
]

function hex(bytes: Uint8Array | null | undefined): string | null {
  return bytes === null || bytes === undefined ? null : Buffer.from(bytes).toString('hex')
}

describe('a record of a KIP-848 group', () => {
  it.each(VECTORS)('is written as Kafka writes it: %s', (_, record, key, value) => {
    const written = GROUP_RECORD_CODEC.encode(record, 0)
    expect([hex(written.key), hex(written.value)]).toEqual([key, value])
  })

  it.each(VECTORS)('is read back: %s', (_, record) => {
    const [read] = RecordBatch.build({}, [GROUP_RECORD_CODEC.encode(record, 0)]).records()
    expect(GROUP_RECORD_CODEC.decode(read as never)).toEqual(record)
  })
})
