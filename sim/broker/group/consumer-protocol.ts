/** What a broker reads of a consumer's subscription: the topics (`ConsumerProtocol.deserializeVersion`, `ConsumerProtocolSubscription`). */

import { ByteReader, MalformedBytes } from '../../wire/primitives.js'

/** Topics of the `metadata` that a consumer joins with; undefined when it cannot be read. */
export function subscribedTopics(metadata: Uint8Array): readonly string[] | undefined {
  const reader = new ByteReader(metadata)
  try {
    reader.int16()
    const count = reader.int32()
    const topics: string[] = []
    for (let i = 0; i < count; i++) topics.push(reader.string())
    return topics
  } catch (error) {
    if (error instanceof MalformedBytes) return undefined
    throw error
  }
}
