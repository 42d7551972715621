/** The cases of Kafka's ConsumerProtocolTest. */

import { describe, expect, it } from 'vitest'
import {
  decodeAssignment,
  decodeSubscription,
  encodeAssignment,
  encodeSubscription,
} from '../../../sim/client/group/consumer-protocol.js'
import { ByteWriter, MalformedBytes } from '../../../sim/wire/primitives.js'
import { partitions } from './assignor-lab.js'

const subscription = {
  topics: ['foo', 'bar'],
  userData: Uint8Array.of(1, 2),
  owned: partitions('foo-0 bar-0'),
  generation: 7,
  rack: 'rack1',
}

function hex(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString('hex')
}

describe('a subscription', () => {
  it.each([
    [0, [], -1, null],
    [1, 'bar-0 foo-0', -1, null],
    [2, 'bar-0 foo-0', 7, null],
    [3, 'bar-0 foo-0', 7, 'rack1'],
  ] as const)('of version %i comes back with what that version holds', (version, owned, generation, rack) => {
    expect(decodeSubscription(encodeSubscription(subscription, version), 'i1')).toEqual({
      topics: ['bar', 'foo'],
      userData: Uint8Array.of(1, 2),
      owned: typeof owned === 'string' ? partitions(owned) : [],
      generation,
      rack,
      instanceId: 'i1',
    })
  })

  it('has the bytes of ConsumerProtocolSubscription version 3', () => {
    const plain = { topics: ['t'], userData: null, owned: partitions('t-1'), generation: 2, rack: null }
    const parts = ['0003', '00000001', '000174', 'ffffffff', '00000001', '000174', '00000001', '00000001', '00000002']
    expect(hex(encodeSubscription(plain))).toBe(`${parts.join('')}ffff`)
  })

  it('of a later version is read as the latest that is known', () => {
    const bytes = encodeSubscription(subscription)
    const later = Uint8Array.from([0, 4, ...bytes.subarray(2), 1, 2, 3])
    expect(decodeSubscription(later)).toEqual(decodeSubscription(bytes))
  })

  it('takes an empty rack for none', () => {
    expect(decodeSubscription(encodeSubscription({ ...subscription, rack: '' })).rack).toBeNull()
  })

  it('that is cut off is refused', () => {
    const bytes = encodeSubscription(subscription)
    expect(() => decodeSubscription(bytes.subarray(0, 12))).toThrow(MalformedBytes)
  })
})

describe('an assignment', () => {
  it('comes back, with the partitions of a topic together', () => {
    expect(decodeAssignment(encodeAssignment(['foo-1', 'bar-0', 'foo-0']))).toEqual(['foo-1', 'foo-0', 'bar-0'])
  })

  it('has the bytes of ConsumerProtocolAssignment', () => {
    expect(hex(encodeAssignment(['t-1']))).toBe('0003' + '00000001' + '000174' + '00000001' + '00000001' + 'ffffffff')
    expect(hex(encodeAssignment([], 0))).toBe('0000' + '00000000' + 'ffffffff')
  })

  it('of a later version is read as the latest that is known', () => {
    const writer = new ByteWriter(32)
    writer.raw(encodeAssignment(['t-1']))
    const bytes = writer.finish()
    expect(decodeAssignment(Uint8Array.from([0, 100, ...bytes.subarray(2), 9]))).toEqual(['t-1'])
  })

  it('of nothing is nothing', () => expect(decodeAssignment(new Uint8Array(0))).toEqual([]))
})
