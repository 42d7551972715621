/**
 * DescribeLogDirs: the replicas on this broker's disk and their sizes (`ReplicaManager.describeLogDirs`).
 * A broker here has one log directory, and the size of its volume is not known.
 */

import { assert } from '../kernel/errors.js'
import { parsePartition, partitionName } from '../kernel/names.js'
import { AclOperation } from '../kraft/metadata/acl.js'
import type { Apis } from '../wire/apis.js'
import { Errors } from '../wire/errors.js'
import type { ApiContext, ApiHandlers } from './api-context.js'

/** Kafka's default of `log.dir`. */
const LOG_DIR = '/tmp/kafka-logs'
const UNKNOWN_BYTES = -1

type LogDirTopic = Apis['DescribeLogDirs']['response']['results'][number]['topics'][number]

export function logDirHandlers(context: ApiContext): ApiHandlers {
  return {
    DescribeLogDirs: (request) => {
      if (!context.auth.onCluster(request, AclOperation.DESCRIBE)) {
        return request.respond({ throttleTimeMs: 0, errorCode: Errors.CLUSTER_AUTHORIZATION_FAILED, results: [] })
      }
      const { topics } = request.body
      const wanted =
        topics === null
          ? undefined
          : new Set(topics.flatMap(({ topic, partitions }) => partitions.map((index) => partitionName(topic, index))))
      const result = {
        errorCode: Errors.NONE,
        logDir: LOG_DIR,
        topics: logsByTopic(context, wanted),
        totalBytes: UNKNOWN_BYTES,
        usableBytes: UNKNOWN_BYTES,
      }
      request.respond({ throttleTimeMs: 0, errorCode: Errors.NONE, results: [result] })
    },
  }
}

function logsByTopic(context: ApiContext, wanted: ReadonlySet<string> | undefined): readonly LogDirTopic[] {
  const topics = new Map<string, LogDirTopic['partitions'][number][]>()
  for (const log of context.logs.logs) {
    if (wanted !== undefined && !wanted.has(log.partition)) continue
    const name = parsePartition(log.partition)
    assert(name !== undefined, 'describe log dirs: partition', { partition: log.partition })
    const partitions = topics.get(name.topic) ?? []
    if (partitions.length === 0) topics.set(name.topic, partitions)
    partitions.push({
      partitionIndex: name.index,
      partitionSize: log.sizeInBytes,
      offsetLag: Math.max(log.highWatermark - log.logEndOffset, 0),
      isFutureKey: false,
    })
  }
  return [...topics].map(([name, partitions]) => ({ name, partitions }))
}
