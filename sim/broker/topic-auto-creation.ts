/**
 * Topics that clients ask for and nobody created (`AutoTopicCreationManager`): the broker asks the active controller to create
 * them with its own `num.partitions` and `default.replication.factor`, and answers UNKNOWN_TOPIC_OR_PARTITION meanwhile; the
 * client retries. One request at a time for each topic; its outcome is not looked at.
 */

import type { Millis } from '../kernel/units.js'
import { ZERO_UUID } from '../kraft/metadata/records.js'
import type { Apis } from '../wire/apis.js'
import { type ErrorCode, Errors } from '../wire/errors.js'
import type { RequestOrigin } from './forwarding.js'
import type { ClusterAdministration } from './membership.js'
import { type MetadataTopic, NO_AUTHORIZED_OPERATIONS } from './metadata-cache.js'
import { isInternalTopic, isValidTopicName } from './topic-names.js'

export interface TopicAutoCreationOptions {
  readonly numPartitions: () => number
  readonly defaultReplicationFactor: () => number
  readonly requestTimeoutMs: Millis
  /** Kafka's own topics, by name: how the broker is set to make them. */
  readonly internal: (name: string) => InternalTopic | undefined
}

export interface InternalTopic {
  readonly partitions: number
  readonly replicationFactor: number
  readonly config: Readonly<Record<string, string>>
}

type CreatableTopic = Apis['CreateTopics']['request']['topics'][number]

export class TopicAutoCreation {
  readonly #forwarding: ClusterAdministration
  readonly #options: TopicAutoCreationOptions
  readonly #inFlight = new Set<string>()

  constructor(forwarding: ClusterAdministration, options: TopicAutoCreationOptions) {
    this.#forwarding = forwarding
    this.#options = options
  }

  /** Starts to create `names` on behalf of the sender of a Metadata request; the entries to answer it with. */
  create(names: readonly string[], origin: RequestOrigin): readonly MetadataTopic[] {
    const creatable: string[] = []
    const entries: MetadataTopic[] = []
    for (const name of names) {
      if (!isValidTopicName(name)) {
        entries.push(entry(name, Errors.INVALID_TOPIC_EXCEPTION))
        continue
      }
      entries.push(entry(name, Errors.UNKNOWN_TOPIC_OR_PARTITION))
      if (this.#inFlight.has(name)) continue
      this.#inFlight.add(name)
      creatable.push(name)
    }
    if (creatable.length > 0) this.#send(creatable, origin)
    return entries
  }

  /** Starts to create a topic of Kafka's own, unless that is under way: in the broker's name, whoever needs it. */
  createInternal(name: string): void {
    if (this.#inFlight.has(name)) return
    this.#inFlight.add(name)
    this.#send([name], undefined)
  }

  #send(names: readonly string[], origin: RequestOrigin | undefined): void {
    const body: Apis['CreateTopics']['request'] = {
      topics: names.map((name) => this.#topic(name)),
      timeoutMs: this.#options.requestTimeoutMs,
      validateOnly: false,
    }
    const done = (): void => {
      for (const name of names) this.#inFlight.delete(name)
    }
    if (origin === undefined) this.#forwarding.send('CreateTopics', body, done)
    else this.#forwarding.forward('CreateTopics', body, origin, done)
  }

  #topic(name: string): CreatableTopic {
    const internal = this.#options.internal(name)
    if (internal !== undefined) {
      return {
        name,
        numPartitions: internal.partitions,
        replicationFactor: internal.replicationFactor,
        assignments: [],
        configs: Object.entries(internal.config).map(([key, value]) => ({ name: key, value })),
      }
    }
    return {
      name,
      numPartitions: this.#options.numPartitions(),
      replicationFactor: this.#options.defaultReplicationFactor(),
      assignments: [],
      configs: [],
    }
  }
}

function entry(name: string, errorCode: ErrorCode): MetadataTopic {
  return {
    errorCode,
    name,
    topicId: ZERO_UUID,
    isInternal: isInternalTopic(name),
    partitions: [],
    topicAuthorizedOperations: NO_AUTHORIZED_OPERATIONS,
  }
}
