/**
 * What a group's epoch follows of its topics, as one number (`Utils.computeTopicHash`, `Utils.computeGroupHash`, since 4.1).
 *
 *     topic   magic u8 = 0 · id 16 B · name · partitions i32 · for each partition: index i32 · for each rack of its replicas, sorted: length i32 · rack
 *     group   the hashes of its topics that exist, by name; 0 for none
 *
 * Multi-byte values are little-endian, halves of an id the most significant first; text is UTF-16 and its length i32 after it.
 */

import type { MetadataImage, TopicImage } from '../../../kraft/metadata/image.js'
import { writeUuid } from '../../../wire/uuid.js'
import { byCodeUnit, sortedNames } from './consumer-member.js'
import { xxh3 } from './xxh3.js'

const MAGIC = 0

export class TopicHashes {
  readonly #hashes = new Map<string, bigint>()

  forget(topic: string): void {
    this.#hashes.delete(topic)
  }

  /** The hash of these topics. */
  ofGroup(topics: Iterable<string>, image: MetadataImage): bigint {
    const known = sortedNames([...topics].filter((name) => image.topicsByName.has(name)))
    if (known.length === 0) return 0n
    const data = new DataView(new ArrayBuffer(8 * known.length))
    known.forEach((name, at) => data.setBigInt64(8 * at, this.#ofTopic(name, image), true))
    return xxh3(new Uint8Array(data.buffer))
  }

  #ofTopic(name: string, image: MetadataImage): bigint {
    let hash = this.#hashes.get(name)
    if (hash === undefined) {
      hash = topicHash(image.topicsByName.get(name) as TopicImage, image)
      this.#hashes.set(name, hash)
    }
    return hash
  }
}

export function topicHash({ id, name, partitions }: TopicImage, image: MetadataImage): bigint {
  const bytes = new Bytes()
  bytes.int8(MAGIC)
  bytes.uuid(id)
  bytes.text(name)
  bytes.int32(partitions.size)
  for (let index = 0; index < partitions.size; index++) {
    bytes.int32(index)
    const racks: string[] = []
    for (const replica of partitions.get(index)?.replicas ?? []) {
      const rack = image.brokers.get(replica)?.rack ?? null
      if (rack !== null) racks.push(rack)
    }
    for (const rack of racks.sort(byCodeUnit)) {
      bytes.int32(rack.length)
      bytes.text(rack)
    }
  }
  return xxh3(bytes.finish())
}

class Bytes {
  readonly #bytes: number[] = []

  int8(value: number): void {
    this.#bytes.push(value & 0xff)
  }

  int32(value: number): void {
    for (let shift = 0; shift < 32; shift += 8) this.int8(value >> shift)
  }

  uuid(uuid: string): void {
    const bytes = new Uint8Array(16)
    writeUuid(uuid, bytes, 0)
    for (const half of [bytes.subarray(0, 8), bytes.subarray(8)]) this.#bytes.push(...[...half].reverse())
  }

  text(text: string): void {
    for (let i = 0; i < text.length; i++) {
      this.int8(text.charCodeAt(i))
      this.int8(text.charCodeAt(i) >> 8)
    }
    this.int32(text.length)
  }

  finish(): Uint8Array {
    return Uint8Array.from(this.#bytes)
  }
}
