/**
 * DeleteTopics by name and by id (`ControllerApis.deleteTopics`).
 *
 * Topics are looked up in committed metadata, on any controller; only those found go to the active one. Doubles, and one topic named in
 * both ways, are refused one by one. Who may not know of a topic is not told whether it exists. Kafka shuffles its answer; here it keeps an order.
 */

import type { MetadataImage } from '../kraft/metadata/image.js'
import type { Uuid } from '../kraft/metadata/records.js'
import { ZERO_UUID } from '../kraft/metadata/records.js'
import type { ApiError } from '../wire/error-response.js'
import { Errors } from '../wire/errors.js'
import type { DeletableTopicResult, DeleteTopicsRequest } from '../wire/messages/delete-topics.js'
import { apiError } from './controller-result.js'

export interface TopicsToDelete {
  /** What is answered whatever happens to the others. */
  readonly refused: DeletableTopicResult[]
  /** Names by id. */
  readonly found: Map<Uuid, string>
}

/** Names of topics that the sender may know of, and that it may delete. */
export interface Permitted {
  readonly describable: ReadonlySet<string>
  readonly deletable: ReadonlySet<string>
}

export function findTopicsToDelete(
  image: MetadataImage,
  request: DeleteTopicsRequest,
  permitted: (names: ReadonlySet<string>) => Permitted,
): TopicsToDelete {
  const refused: DeletableTopicResult[] = []
  const refuse = (name: string | null, topicId: Uuid, error: ApiError): void => {
    refused.push({ name, topicId, errorCode: error.error, errorMessage: error.message })
  }
  const names = new Doubles()
  const ids = new Doubles()
  for (const name of request.topicNames) names.add(name)
  for (const { name, topicId } of request.topics) {
    if (name !== null && topicId !== ZERO_UUID) {
      refuse(name, topicId, apiError(Errors.INVALID_REQUEST, 'a topic is named by its name or its id, not both'))
    } else if (name !== null) names.add(name)
    else if (topicId !== ZERO_UUID) ids.add(topicId)
    else refuse(null, ZERO_UUID, apiError(Errors.INVALID_REQUEST, 'neither the name nor the id of a topic'))
  }
  for (const name of names.doubles) refuse(name, ZERO_UUID, apiError(Errors.INVALID_REQUEST, 'a topic name twice'))
  for (const id of ids.doubles) refuse(null, id, apiError(Errors.INVALID_REQUEST, 'a topic id twice'))
  const found = new Map<Uuid, string>()
  for (const id of ids.single) {
    const topic = image.topicsById.get(id)
    if (topic === undefined) refuse(null, id, apiError(Errors.UNKNOWN_TOPIC_ID))
    else found.set(id, topic.name)
  }
  const { describable, deletable } = permitted(new Set([...names.single, ...found.values()]))
  for (const [id, name] of [...found]) {
    if (deletable.has(name)) continue
    found.delete(id)
    refuse(describable.has(name) ? name : null, id, apiError(Errors.TOPIC_AUTHORIZATION_FAILED))
  }
  for (const name of names.single) {
    const topic = image.topicsByName.get(name)
    if (!describable.has(name)) refuse(name, ZERO_UUID, apiError(Errors.TOPIC_AUTHORIZATION_FAILED))
    else if (topic === undefined) refuse(name, ZERO_UUID, apiError(Errors.UNKNOWN_TOPIC_OR_PARTITION))
    else if (!deletable.has(name)) refuse(name, ZERO_UUID, apiError(Errors.TOPIC_AUTHORIZATION_FAILED))
    else if (ids.doubles.has(topic.id) || found.has(topic.id)) {
      found.delete(topic.id)
      ids.doubles.add(topic.id)
      refuse(name, topic.id, apiError(Errors.INVALID_REQUEST, 'the name of a topic whose id was given too'))
    } else found.set(topic.id, name)
  }
  return { refused, found }
}

/** Keeps apart what was given once and what was given more often. */
class Doubles {
  readonly single = new Set<string>()
  readonly doubles = new Set<string>()

  add(item: string): void {
    if (this.doubles.has(item)) return
    if (this.single.delete(item)) this.doubles.add(item)
    else this.single.add(item)
  }
}
