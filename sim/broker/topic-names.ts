/** What a topic may be called, and which topics are Kafka's own (`Topic`). */

const MAX_NAME_LENGTH = 249
const LEGAL_NAME = /^[a-zA-Z0-9._-]+$/

export const GROUP_METADATA_TOPIC = '__consumer_offsets'
export const TRANSACTION_STATE_TOPIC = '__transaction_state'
export const SHARE_GROUP_STATE_TOPIC = '__share_group_state'

const INTERNAL_TOPICS: ReadonlySet<string> = new Set([
  GROUP_METADATA_TOPIC,
  TRANSACTION_STATE_TOPIC,
  SHARE_GROUP_STATE_TOPIC,
])

export function isInternalTopic(name: string): boolean {
  return INTERNAL_TOPICS.has(name)
}

/** Letters, digits, dot, underscore and dash; not empty, `.` or `..`; at most 249 characters. */
export function isValidTopicName(name: string): boolean {
  return name !== '.' && name !== '..' && name.length <= MAX_NAME_LENGTH && LEGAL_NAME.test(name)
}
