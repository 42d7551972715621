/** Hashes of topics and groups: vectors of xxHash, and of the library with which Kafka hashes (UtilsTest). */

import { describe, expect, it } from 'vitest'
import { TopicHashes, topicHash } from '../../../../sim/broker/group/consumer/metadata-hash.js'
import { xxh3 } from '../../../../sim/broker/group/consumer/xxh3.js'
import type { BrokerImage, MetadataImage, TopicImage } from '../../../../sim/kraft/metadata/image.js'
import { EMPTY_IMAGE } from '../../../../sim/kraft/metadata/image.js'

const ID = 'AAAAAAAAAAEAAAAAAAAAAg'

function image(racks: readonly (string | null)[], topics: readonly TopicImage[]): MetadataImage {
  return {
    ...EMPTY_IMAGE,
    brokers: new Map(racks.map((rack, id) => [id, { id, rack } as BrokerImage])),
    topicsByName: new Map(topics.map((topic) => [topic.name, topic])),
  }
}

function topic(name: string, replicas: readonly (readonly number[])[]): TopicImage {
  return { name, id: ID, partitions: new Map(replicas.map((each, index) => [index, { replicas: each } as never])) }
}

describe('XXH3', () => {
  it.each([
    [0, '2d06800538d394c2'],
    [1, 'c44bdff4074eecdb'],
    [3, '5f4299fc161c9cbb'],
    [17, '9ef341a99de37328'],
    [129, 'ec7642b431ba3e5a'],
    [241, '02e8cd95421c6d02'],
    [1024, 'e5d78bafa45b2aa5'],
    [1025, 'e95c42288f28186e'],
    [3000, '1b846747012c24aa'],
  ])('of %i bytes', (length, expected) => {
    const hash = xxh3(Uint8Array.from({ length }, (_, i) => i % 251))
    expect(BigInt.asUintN(64, hash).toString(16).padStart(16, '0')).toBe(expected)
  })
})

describe('the hash of a topic', () => {
  const RACKS = ['rack0', 'rack1', 'rack2']

  it('is Kafka’s, whatever the order of racks', () => {
    const foo = topic('foo', [
      [1, 0],
      [1, 2],
    ])
    expect(topicHash(foo, image(RACKS, [foo]))).toBe(4353889350917689232n)
  })

  it('is Kafka’s for many partitions without racks', () => {
    const orders = topic(
      'orders',
      Array.from({ length: 100 }, () => [9]),
    )
    expect(topicHash(orders, image([], [orders]))).toBe(4996723927960622235n)
  })

  it('changes with each of its parts', () => {
    const foo = topic('foo', [[0], [1]])
    const hash = topicHash(foo, image(RACKS, [foo]))
    for (const other of [
      topic('bar', [[0], [1]]),
      topic('foo', [[0]]),
      topic('foo', [[0], [2]]),
      { ...foo, id: 'AAAAAAAAAAEAAAAAAAAAAw' },
    ]) {
      expect(topicHash(other, image(RACKS, [other]))).not.toBe(hash)
    }
    expect(topicHash(foo, image([null, null, null], [foo]))).not.toBe(hash)
  })
})

describe('the hash of a group', () => {
  it('is 0 without topics that exist', () => expect(new TopicHashes().ofGroup(['gone'], image([], []))).toBe(0n))

  it('is Kafka’s', () => {
    const foo = topic('foo', [
      [1, 0],
      [1, 2],
    ])
    const known = image(['rack0', 'rack1', 'rack2'], [foo])
    expect(new TopicHashes().ofGroup(['foo', 'gone'], known)).toBe(-4362481169458002491n)
  })

  it('does not depend on the order of topics, and follows a topic once that is forgotten', () => {
    const before = image([], [topic('foo', [[0]]), topic('bar', [[0], [0]])])
    const hashes = new TopicHashes()
    const hash = hashes.ofGroup(['foo', 'bar'], before)
    expect(hashes.ofGroup(['bar', 'foo'], before)).toBe(hash)
    const after = image([], [topic('foo', [[0], [0]]), topic('bar', [[0], [0]])])
    expect(hashes.ofGroup(['foo', 'bar'], after)).toBe(hash)
    hashes.forget('foo')
    expect(hashes.ofGroup(['foo', 'bar'], after)).not.toBe(hash)
  })
})
