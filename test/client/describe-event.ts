/**
 * Trace events of clients as lines of a golden conversation:
 *
 *     0.0105 p1 → b1 Produce orders-0 pid 1000/0 seq 0-2
 *     0.0115 p1 ← b1 Produce NOT_LEADER_OR_FOLLOWER
 *     0.0115 p1   acked p1/0 orders-0@0
 */

import type { TraceEvent } from '../../sim/kernel/events.js'
import { partitionName } from '../../sim/kernel/names.js'
import type { Apis } from '../../sim/wire/apis.js'
import { errorName } from '../../sim/wire/errors.js'

export function describeEvent(event: TraceEvent, only?: readonly string[]): string | undefined {
  const at = `${(event.time / 1_000_000).toFixed(4)} ${event.node}`
  switch (event.type) {
    case 'request.send': {
      const { api, to, body } = event.data
      return isWanted(api, only) ? `${at} → ${to} ${api} ${describeRequest(api, body)}`.trimEnd() : undefined
    }
    case 'response.receive': {
      const { api, from, error, body } = event.data
      return isWanted(api, only)
        ? `${at} ← ${from} ${api} ${error === '' ? describeResponse(api, body) : error}`.trimEnd()
        : undefined
    }
    case 'request.failed':
      return isWanted(event.data.api, only)
        ? `${at} ✗ ${event.data.to} ${event.data.api} ${event.data.reason}`
        : undefined
    case 'produce.assigned':
      return `${at}   assigned ${event.data.id} ${event.data.partition} seq ${event.data.sequence}`
    case 'produce.acked':
      return `${at}   acked ${event.data.id} ${event.data.partition}@${event.data.offset}`
    case 'produce.failed':
      return `${at}   failed ${event.data.id} ${event.data.error}${event.data.certain ? '' : ', maybe written'}`
    case 'producer.identity':
      return `${at}   identity ${event.data.producerId}/${event.data.producerEpoch} ${event.data.reason}`
    case 'consume.polled':
      return `${at}   polled ${event.data.partition} ${event.data.offsets.map((o, i) => `${o}=${event.data.ids[i]}`).join(' ')}`
    case 'consume.position':
      return `${at}   position ${event.data.partition} ${event.data.from} to ${event.data.to} ${event.data.reason}`
    case 'consume.failed':
      return `${at}   failed ${event.data.partition} ${event.data.error}`
    case 'txn.begin':
      return `${at}   begin ${event.data.txn}`
    case 'txn.offsets':
      return `${at}   offsets ${event.data.txn} ${event.data.partitions.map((p, i) => `${p}@${event.data.offsets[i]}`).join(' ')}`
    case 'txn.ending':
      return `${at}   ${event.data.commit ? 'commit' : 'abort'} ${event.data.txn}`
    case 'txn.ended':
      return `${at}   ended ${event.data.txn} ${event.data.outcome}${event.data.certain ? '' : ', maybe committed'}`
    case 'admin.invoked':
      return `${at}   invoked ${event.data.operation}`
    case 'admin.completed':
      return `${at}   completed ${event.data.operation} ${event.data.outcome}`
    default:
      return undefined
  }
}

function isWanted(api: string, only: readonly string[] | undefined): boolean {
  return only === undefined ? api !== 'ApiVersions' : only.includes(api)
}

function describeRequest(api: string, body: unknown): string {
  if (api === 'Produce') {
    const { topicData } = body as Apis['Produce']['request']
    return topicData
      .flatMap(({ name, partitionData }) =>
        partitionData.map(({ index, records }) => {
          const batch = records?.[0]
          if (batch === undefined) return ''
          const sequence =
            batch.baseSequence < 0
              ? ''
              : ` pid ${batch.producerId}/${batch.producerEpoch} seq ${batch.baseSequence}-${batch.lastSequence}`
          return `${partitionName(name, index)}${sequence} ×${batch.count}`
        }),
      )
      .join(' ')
  }
  if (api === 'Metadata')
    return ((body as Apis['Metadata']['request']).topics ?? []).map((topic) => topic.name).join(' ')
  if (api === 'Fetch') {
    const { sessionId, sessionEpoch, topics, forgottenTopicsData } = body as Apis['Fetch']['request']
    const asked = topics.flatMap(({ topic, partitions }) =>
      partitions.map((p) => `${partitionName(topic, p.partition)}@${p.fetchOffset} e${p.currentLeaderEpoch}`),
    )
    const forgotten = forgottenTopicsData.flatMap(({ topic, partitions }) =>
      partitions.map((p) => `-${partitionName(topic, p)}`),
    )
    return [`session ${sessionId}.${sessionEpoch}`, ...asked, ...forgotten].join(' ')
  }
  if (api === 'OffsetForLeaderEpoch') {
    return (body as Apis['OffsetForLeaderEpoch']['request']).topics
      .flatMap(({ topic, partitions }) =>
        partitions.map(
          (p) => `${partitionName(topic, p.partition)} e${p.leaderEpoch} at leader e${p.currentLeaderEpoch}`,
        ),
      )
      .join(' ')
  }
  return describeTransactionRequest(api, body)
}

function describeTransactionRequest(api: string, body: unknown): string {
  switch (api) {
    case 'FindCoordinator': {
      const { keyType, coordinatorKeys } = body as Apis['FindCoordinator']['request']
      return `${keyType === 0 ? 'group' : 'transaction'} ${coordinatorKeys.join(',')}`
    }
    case 'InitProducerId': {
      const { transactionalId, producerId, producerEpoch } = body as Apis['InitProducerId']['request']
      return transactionalId === null ? '' : `${transactionalId} ${producerId}/${producerEpoch}`
    }
    case 'AddPartitionsToTxn': {
      const { v3AndBelowTopics: topics } = body as Apis['AddPartitionsToTxn']['request']
      return topics.flatMap(({ name, partitions }) => partitions.map((p) => partitionName(name, p))).join(' ')
    }
    case 'AddOffsetsToTxn':
      return (body as Apis['AddOffsetsToTxn']['request']).groupId
    case 'TxnOffsetCommit': {
      const { groupId, topics } = body as Apis['TxnOffsetCommit']['request']
      const offsets = topics.flatMap(({ name, partitions }) =>
        partitions.map((p) => `${partitionName(name, p.partitionIndex)}@${p.committedOffset}`),
      )
      return [groupId, ...offsets].join(' ')
    }
    case 'EndTxn': {
      const { committed, producerId, producerEpoch } = body as Apis['EndTxn']['request']
      return `${committed ? 'commit' : 'abort'} ${producerId}/${producerEpoch}`
    }
    default:
      return ''
  }
}

function describeResponse(api: string, body: unknown): string {
  if (api === 'Fetch') {
    const { sessionId, responses } = body as Apis['Fetch']['response']
    const news = responses.flatMap(({ topic, partitions }) =>
      partitions.map(
        (p) =>
          `${partitionName(topic, p.partitionIndex)}:${(p.records ?? []).reduce((n, batch) => n + batch.count, 0)}`,
      ),
    )
    return [`session ${sessionId}`, ...news].join(' ')
  }
  if (api === 'OffsetForLeaderEpoch') {
    return (body as Apis['OffsetForLeaderEpoch']['response']).topics
      .flatMap(({ topic, partitions }) =>
        partitions.map((p) => `${partitionName(topic, p.partition)} e${p.leaderEpoch} ends at ${p.endOffset}`),
      )
      .join(' ')
  }
  if (api === 'FindCoordinator') {
    const { coordinators } = body as Apis['FindCoordinator']['response']
    return coordinators.map(({ errorCode, host }) => (errorCode === 0 ? host : errorName(errorCode))).join(' ')
  }
  if (api === 'InitProducerId' || api === 'EndTxn') {
    const { producerId, producerEpoch } = body as Apis['EndTxn']['response']
    return producerId < 0 ? '' : `${producerId}/${producerEpoch}`
  }
  return ''
}
