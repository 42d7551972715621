/** What a topic may be called (Kafka's `Topic`). */

const NAME_LENGTH_MAX = 249
const LEGAL_NAME = /^[a-zA-Z0-9._-]+$/

/** The name of the metadata log, which nobody may create. */
export const CLUSTER_METADATA_TOPIC = '__cluster_metadata'

/** What is wrong with the name; undefined when nothing is. */
export function topicNameProblem(name: string): string | undefined {
  const reason = invalidReason(name)
  return reason === undefined ? undefined : `a topic name ${reason}`
}

/** Names that differ only in `.` and `_` make metrics ambiguous: they share this. Undefined for names that have neither. */
export function collisionKey(name: string): string | undefined {
  return name.includes('.') || name.includes('_') ? name.replaceAll('.', '_') : undefined
}

function invalidReason(name: string): string | undefined {
  if (name === '') return 'is not empty'
  if (name === '.' || name === '..') return `is not ${name}`
  if (name.length > NAME_LENGTH_MAX) {
    return `has at most ${NAME_LENGTH_MAX} characters`
  }
  if (LEGAL_NAME.test(name)) return undefined
  return `has only letters, digits, dot, underscore and dash, unlike ${name}`
}
