/**
 * What an event says, in a few words for people who know Kafka.
 */

import type { TraceEvent } from '../sim/kernel/events.js'
import { nodeName } from '../sim/kernel/names.js'
import { describeAcls, describeZooKeeper } from './describe-zookeeper.js'

/** One line, without time and node. */
export function describeEvent(event: TraceEvent): string {
  switch (event.type) {
    case 'fault.start':
      return `fault: ${event.data.text}`
    case 'fault.end':
      return `ends: ${event.data.text}`
    case 'fault.skipped':
      return `step ${event.data.step} (${event.data.kind}) skipped: ${event.data.reason}`
    case 'operation.start':
      return event.data.text
    case 'operation.end':
      return `${event.data.kind}: ${event.data.outcome}`
    case 'node.start':
      return `${event.node} starts${event.data.incarnation > 1 ? ' again' : ''}`
    case 'node.down':
      return `${event.node} ${{ kill: 'killed', 'power-loss': 'loses power', stop: 'stopped', halt: 'halts' }[event.data.how]}${event.data.how === 'halt' ? `: ${event.data.reason}` : ''}`
    case 'node.pause':
      return `${event.node} pauses`
    case 'node.resume':
      return `${event.node} goes on`
    case 'node.stopping':
      return `${event.node} is asked to stop`
    case 'node.wiped':
      return `disk of ${event.node} emptied`
    case 'disk.power-loss':
      return `${event.data.lostBytes} B not synced are lost`
    case 'disk.corrupted':
      return `${event.data.bytes} B rot in ${event.data.path}`
    case 'disk.error':
      return `${event.data.kind === 'full' ? 'no space left' : 'I/O error'}: ${event.data.path}`
    case 'clock.change':
      return `clock ${event.data.byMs >= 0 ? '+' : ''}${event.data.byMs} ms, drift ${event.data.partsPerMillion} ppm`
    default:
      return describeReplication(event)
  }
}

function describeReplication(event: TraceEvent): string {
  switch (event.type) {
    case 'log.open':
      return `${event.data.partition} opened, ends at ${event.data.logEnd}${event.data.clean ? '' : ' after recovery'}`
    case 'log.append':
      return `${event.data.partition}@${range(event.data.baseOffset, event.data.lastOffset)} ${event.data.role === 'follower' ? 'replicated' : 'appended'}, e${event.data.leaderEpoch}`
    case 'log.truncate':
      return `${event.data.partition} truncated ${event.data.from} → ${event.data.to} (${event.data.reason})`
    case 'log.start-offset':
      return `${event.data.partition} starts at ${event.data.to} (${event.data.reason})`
    case 'log.segment-deleted':
      return `${event.data.partition}@${range(event.data.baseOffset, event.data.nextOffset - 1)} deleted, ${event.data.bytes} B (${event.data.reason})`
    case 'log.cleaned':
      return `${event.data.partition}@${range(event.data.from, event.data.to - 1)} compacted, ${event.data.bytesBefore} → ${event.data.bytesAfter} B`
    case 'log.uncleanable':
      return `${event.data.partition} can't be compacted: ${event.data.reason}`
    case 'log.corrupt':
      return `${event.data.partition}@${event.data.offset} corrupt, found in ${event.data.found}`
    case 'replica.leader':
      return `leads ${event.data.partition}, epoch ${event.data.leaderEpoch}, from ${event.data.startOffset}`
    case 'replica.follower':
      return `follows ${event.data.leader < 0 ? 'nobody' : nodeName(event.data.leader)} in ${event.data.partition}, ends at ${event.data.logEnd}`
    case 'replica.offline':
      return `${event.data.partition} offline: ${event.data.reason}`
    case 'hw.advance':
      return `${event.data.partition} HW ${event.data.from} → ${event.data.to}`
    case 'hw.set':
      return `${event.data.partition} HW set to ${event.data.to} (${event.data.reason})`
    case 'isr.proposed':
      return `${event.data.partition} proposes ISR ${event.data.to.join(' ')} (${event.data.reason})`
    case 'isr.committed':
      return `${event.data.partition} ISR ${event.data.isr.join(' ')}`
    case 'isr.rejected':
      return `${event.data.partition} ISR change refused: ${event.data.error}`
    case 'fetch.stopped':
      return `gives up following ${nodeName(event.data.leader)} in ${event.data.partition}: ${event.data.reason}`
    case 'fetch.diverging':
      return `${event.data.partition} logs part at ${event.data.endOffset}, e${event.data.epoch}`
    case 'fetch.served':
      return `${event.data.partition} ${range(event.data.from, event.data.upTo - 1)} to ${event.data.to}`
    default:
      return describeRest(event)
  }
}

function describeRest(event: TraceEvent): string {
  switch (event.type) {
    case 'quorum.state':
      return `quorum ${event.data.to}, epoch ${event.data.epoch}`
    case 'controller.active':
      return `active controller, epoch ${event.data.epoch}`
    case 'controller.resigned':
      return `controller no more (${event.data.reason})`
    case 'controller.partition': {
      const { partition, leader, leaderEpoch, isr, elr, unclean, reason } = event.data
      const who = leader < 0 ? 'no leader' : `${nodeName(leader)} e${leaderEpoch}${unclean ? ' UNCLEAN' : ''}`
      return `${partition}: ${who}, ISR ${isr.join(' ') || 'empty'}${elr.length > 0 ? `, ELR ${elr.join(' ')}` : ''} (${reason})`
    }
    case 'controller.broker':
      return `${nodeName(event.data.broker)} ${event.data.change}`
    case 'produce.acked':
      return `${event.data.partition}@${event.data.offset} acked (${event.data.id})`
    case 'produce.failed':
      return `${event.data.id} failed: ${event.data.error}`
    case 'consume.polled':
      return `read ${event.data.partition}@${range(event.data.offsets[0] ?? 0, event.data.offsets.at(-1) ?? 0)}`
    case 'consume.position':
      return `position of ${event.data.partition}: ${event.data.from} → ${event.data.to} (${event.data.reason})`
    case 'consume.failed':
      return `${event.data.partition === '' ? 'poll' : `read of ${event.data.partition}`}: ${event.data.error}`
    case 'acl.denied': {
      const { principal, from, operation, resource, api } = event.data
      return `refuses ${operation} on ${resource} to ${principal} on ${from} (${api})`
    }
    case 'acl.known':
      return describeAcls(event.data)
    case 'admin.completed':
      return `${event.data.operation}: ${event.data.outcome}`
    case 'request.failed':
      return `${event.data.api} to ${event.data.to}: ${event.data.reason}`
    case 'run.ready':
      return 'ready'
    case 'run.end':
      return 'end of the run'
    default:
      return describeGroups(event)
  }
}

function describeGroups(event: TraceEvent): string {
  switch (event.type) {
    case 'group.loaded':
      return `${event.data.partition} loaded: ${event.data.groups} groups, ${event.data.offsets} offsets`
    case 'group.unloaded':
      return `${event.data.partition} given up`
    case 'group.state':
      return `${event.data.group} ${event.data.to}, generation ${event.data.generation}, ${event.data.members} members (${event.data.reason})`
    case 'group.member':
      return `${event.data.group}: ${event.data.instance || event.data.member} ${event.data.change}`
    case 'group.offset':
      return `${event.data.group} committed ${event.data.partition}@${event.data.offset}`
    case 'group.offset-removed':
      return `${event.data.group} forgets ${event.data.partition}@${event.data.offset} (${event.data.reason})`
    case 'consumer.member':
      return `${event.data.group}: ${event.data.to}${inGeneration(event.data.generation)} (${event.data.reason})`
    case 'consumer.assigned':
      return `owns ${event.data.owned.join(' ') || 'nothing'}${inGeneration(event.data.generation)}`
    case 'consumer.revoked':
      return `${event.data.how === 'lost' ? 'has lost' : 'gives up'} ${event.data.partitions.join(' ')}`
    case 'consumer.commit':
      return `commits ${event.data.partitions.map((name, at) => `${name}@${event.data.offsets[at]}`).join(' ')} (${event.data.how})`
    case 'consumer.committed':
      return `commit ${event.data.outcome}`
    case 'consume.processed':
      return `done with ${event.data.partition}@${range(event.data.offsets[0] ?? 0, event.data.offsets.at(-1) ?? 0)}`
    default:
      return describeZooKeeper(event) ?? event.type
  }
}

/** Groups of old consumers have none. */
function inGeneration(generation: number): string {
  return generation < 0 ? '' : `, generation ${generation}`
}

/** `41` or `41–47`. */
function range(from: number, to: number): string {
  return from >= to ? String(from) : `${from}–${to}`
}

/** What a message carries: the partitions and offsets that matter. Bodies are read by Kafka's field names, defensively. */
export function describeMessage(api: string, body: unknown, error: string): string {
  const topics = listOf(body, 'topicData') ?? listOf(body, 'topics') ?? listOf(body, 'responses')
  const partition = topics?.map(
    (topic) =>
      listOf(topic, 'partitionData') ?? listOf(topic, 'partitions') ?? listOf(topic, 'partitionResponses') ?? [],
  )[0]?.[0]
  const offset = numberOf(partition, 'fetchOffset') ?? numberOf(partition, 'baseOffset')
  const text = offset === undefined || offset < 0 ? api : `${api} @${offset}`
  return error === '' ? text : `${text} ${error}`
}

function listOf(value: unknown, key: string): readonly unknown[] | undefined {
  const found = typeof value === 'object' && value !== null ? (value as Record<string, unknown>)[key] : undefined
  return Array.isArray(found) ? found : undefined
}

function numberOf(value: unknown, key: string): number | undefined {
  const found = typeof value === 'object' && value !== null ? (value as Record<string, unknown>)[key] : undefined
  return typeof found === 'number' ? found : undefined
}
