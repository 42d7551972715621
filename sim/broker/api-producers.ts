/** DescribeProducers: who has state in a partition's log, and whose transaction is open there (KIP-664; `KafkaApis`, `Partition.activeProducerState`). */

import { AclOperation } from '../kraft/metadata/acl.js'
import type { Apis } from '../wire/apis.js'
import { type ErrorCode, Errors } from '../wire/errors.js'
import type { IncomingRequestOf } from '../wire/request-server.js'
import type { ApiContext, ApiHandlers } from './api-context.js'
import { isValidTopicName } from './topic-names.js'

type PartitionAnswer = Apis['DescribeProducers']['response']['topics'][number]['partitions'][number]

export function producerHandlers(context: ApiContext): ApiHandlers {
  return {
    DescribeProducers: (request) => {
      const topics = request.body.topics.map(({ name, partitionIndexes }) => {
        const error = topicError(context, request, name)
        const partitions = partitionIndexes.map((index) =>
          error === Errors.NONE ? describe(context, name, index) : refusal(index, error),
        )
        return { name, partitions }
      })
      request.respond({ throttleTimeMs: 0, topics })
    },
  }
}

function topicError(
  { auth, metadata }: ApiContext,
  request: IncomingRequestOf<'DescribeProducers'>,
  topic: string,
): ErrorCode {
  if (!isValidTopicName(topic)) return Errors.INVALID_TOPIC_EXCEPTION
  if (!auth.onTopic(request, AclOperation.READ, topic)) return Errors.TOPIC_AUTHORIZATION_FAILED
  return metadata.image.topicsByName.has(topic) ? Errors.NONE : Errors.UNKNOWN_TOPIC_OR_PARTITION
}

function describe({ replicas }: ApiContext, topic: string, index: number): PartitionAnswer {
  const log = replicas.partition(topic, index)?.log
  if (log === undefined) return refusal(index, Errors.NOT_LEADER_OR_FOLLOWER)
  const activeProducers = [...log.producers.producers.values()].map((entry) => ({
    producerId: entry.producerId,
    producerEpoch: entry.producerEpoch,
    lastSequence: entry.lastSequence,
    lastTimestamp: entry.lastTimestamp,
    coordinatorEpoch: entry.coordinatorEpoch,
    currentTxnStartOffset: entry.currentTxnFirstOffset,
  }))
  return { partitionIndex: index, errorCode: Errors.NONE, errorMessage: null, activeProducers }
}

function refusal(partitionIndex: number, errorCode: ErrorCode): PartitionAnswer {
  return { partitionIndex, errorCode, errorMessage: null, activeProducers: [] }
}
