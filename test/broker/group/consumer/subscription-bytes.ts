/** What a consumer of the classic protocol joins with, version 1. */

import { ByteWriter } from '../../../../sim/wire/primitives.js'

/** @param owned `foo:0,1` for each topic */
export function subscriptionBytes(topics: readonly string[], owned: readonly string[] = []): Uint8Array {
  const writer = new ByteWriter(64)
  writer.int16(1)
  writer.int32(topics.length)
  for (const name of topics) writer.string(name)
  writer.nullableByteString(null)
  writer.int32(owned.length)
  for (const part of owned) {
    const [topic = '', indexes = ''] = part.split(':')
    writer.string(topic)
    const list = indexes.split(',').map(Number)
    writer.int32(list.length)
    for (const index of list) writer.int32(index)
  }
  return writer.finish()
}
