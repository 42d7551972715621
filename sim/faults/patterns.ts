/**
 * What a step can wait for: `when: { appended: orders-0, by: p1, seq: 250 }`.
 *
 * A pattern names a kind of trace event, has one subject (a partition, client, node or API) and optional conditions. Matchers read trace
 * events only. `nth` waits for the nth match and is understood by every pattern.
 */

import type { EventType, TraceEvent } from '../kernel/events.js'
import { nodeName } from '../kernel/names.js'
import { recordIdsOf } from '../cluster/record-ids.js'

export type ConditionValue = string | number | boolean
export type Conditions = Readonly<Record<string, ConditionValue>>

export interface Pattern {
  readonly doc: string
  readonly subject: 'partition' | 'client' | 'node' | 'broker' | 'api' | 'any'
  readonly conditions: readonly string[]
  readonly watches: readonly EventType[]
  matches(event: TraceEvent, subject: string, conditions: Conditions): boolean
}

export const PATTERNS: Readonly<Record<string, Pattern>> = {
  appended: {
    doc: 'the leader appended a batch; with by and seq, the one that holds this record of the client',
    subject: 'partition',
    conditions: ['by', 'seq', 'offset'],
    watches: ['log.append'],
    matches: (event, partition, { by, seq, offset }) => {
      if (event.type !== 'log.append' || event.data.role !== 'leader' || event.data.partition !== partition)
        return false
      if (offset !== undefined && event.data.lastOffset < Number(offset)) return false
      if (by === undefined && seq === undefined) return true
      return recordIdsOf(event.data.batch).some((id) => isRecord(id, by, seq))
    },
  },
  replicated: {
    doc: 'a follower appended a batch',
    subject: 'partition',
    conditions: ['on', 'offset'],
    watches: ['log.append'],
    matches: (event, partition, { on, offset }) =>
      event.type === 'log.append' &&
      event.data.role === 'follower' &&
      event.data.partition === partition &&
      (on === undefined || event.node === on) &&
      (offset === undefined || event.data.lastOffset >= Number(offset)),
  },
  compacted: {
    doc: 'a replica put compacted segments in the place of old ones',
    subject: 'partition',
    conditions: ['on'],
    watches: ['log.cleaned'],
    matches: (event, partition, { on }) =>
      event.type === 'log.cleaned' && event.data.partition === partition && (on === undefined || event.node === on),
  },
  'segment-deleted': {
    doc: 'a replica deleted a segment by retention, or below the log start',
    subject: 'partition',
    conditions: ['on'],
    watches: ['log.segment-deleted'],
    matches: (event, partition, { on }) =>
      event.type === 'log.segment-deleted' &&
      event.data.partition === partition &&
      (on === undefined || event.node === on),
  },
  sent: {
    doc: 'the client handed a record to its producer',
    subject: 'client',
    conditions: ['seq'],
    watches: ['produce.invoked'],
    matches: (event, client, { seq }) =>
      event.type === 'produce.invoked' && event.node === client && isRecord(event.data.id, client, seq),
  },
  acked: {
    doc: 'the client was told that a record is written',
    subject: 'client',
    conditions: ['seq'],
    watches: ['produce.acked'],
    matches: (event, client, { seq }) =>
      event.type === 'produce.acked' && event.node === client && isRecord(event.data.id, client, seq),
  },
  failed: {
    doc: 'the client was told that a record is not written',
    subject: 'client',
    conditions: ['seq', 'error'],
    watches: ['produce.failed'],
    matches: (event, client, { seq, error }) =>
      event.type === 'produce.failed' &&
      event.node === client &&
      isRecord(event.data.id, client, seq) &&
      (error === undefined || event.data.error === error),
  },
  denied: {
    doc: 'a broker or controller refused something to the client',
    subject: 'client',
    conditions: ['operation', 'resource', 'api'],
    watches: ['acl.denied'],
    matches: (event, client, { operation, resource, api }) =>
      event.type === 'acl.denied' &&
      event.data.from === client &&
      (operation === undefined || event.data.operation === operation) &&
      (resource === undefined || event.data.resource === resource) &&
      (api === undefined || event.data.api === api),
  },
  read: {
    doc: 'the client read records; with offset, one at or after it',
    subject: 'client',
    conditions: ['offset', 'partition'],
    watches: ['consume.polled'],
    matches: (event, client, { offset, partition }) =>
      event.type === 'consume.polled' &&
      event.node === client &&
      (partition === undefined || event.data.partition === partition) &&
      (offset === undefined || (event.data.offsets.at(-1) ?? -1) >= Number(offset)),
  },
  elected: {
    doc: 'the controller committed another leader of the partition',
    subject: 'partition',
    conditions: ['leader', 'epoch', 'unclean'],
    watches: ['controller.partition'],
    matches: (event, partition, { leader, epoch, unclean }) =>
      event.type === 'controller.partition' &&
      event.data.partition === partition &&
      event.data.leader >= 0 &&
      (leader === undefined || nodeName(event.data.leader) === leader) &&
      (epoch === undefined || event.data.leaderEpoch >= Number(epoch)) &&
      (unclean === undefined || event.data.unclean === unclean),
  },
  leaderless: {
    doc: 'the partition has no leader',
    subject: 'partition',
    conditions: [],
    watches: ['controller.partition'],
    matches: (event, partition) =>
      event.type === 'controller.partition' && event.data.partition === partition && event.data.leader < 0,
  },
  leading: {
    doc: 'a broker took up leadership of the partition',
    subject: 'partition',
    conditions: ['leader'],
    watches: ['replica.leader'],
    matches: (event, partition, { leader }) =>
      event.type === 'replica.leader' &&
      event.data.partition === partition &&
      (leader === undefined || event.node === leader),
  },
  isr: {
    doc: 'the committed ISR has this size',
    subject: 'partition',
    conditions: ['size', 'without', 'with'],
    watches: ['controller.partition'],
    matches: (event, partition, conditions) => {
      if (event.type !== 'controller.partition' || event.data.partition !== partition) return false
      const isr = event.data.isr.map(nodeName)
      const { size, without, with: member } = conditions
      return (
        (size === undefined || isr.length === size) &&
        (without === undefined || !isr.includes(String(without))) &&
        (member === undefined || isr.includes(String(member)))
      )
    },
  },
  'high-watermark': {
    doc: 'the leader advanced the high watermark to this offset or beyond',
    subject: 'partition',
    conditions: ['offset'],
    watches: ['hw.advance'],
    matches: (event, partition, { offset }) =>
      event.type === 'hw.advance' &&
      event.data.role === 'leader' &&
      event.data.partition === partition &&
      (offset === undefined || event.data.to >= Number(offset)),
  },
  truncated: {
    doc: 'a replica truncated its log',
    subject: 'partition',
    conditions: ['on'],
    watches: ['log.truncate'],
    matches: (event, partition, { on }) =>
      event.type === 'log.truncate' && event.data.partition === partition && (on === undefined || event.node === on),
  },
  'controller-elected': {
    doc: 'a controller became active (subject: its name, or any)',
    subject: 'any',
    conditions: ['epoch'],
    watches: ['controller.active'],
    matches: (event, subject, { epoch }) =>
      event.type === 'controller.active' &&
      (subject === 'any' || event.node === subject) &&
      (epoch === undefined || event.data.epoch >= Number(epoch)),
  },
  fenced: {
    doc: 'the controller fenced a broker',
    subject: 'broker',
    conditions: [],
    watches: ['controller.broker'],
    matches: (event, broker) =>
      event.type === 'controller.broker' && event.data.change === 'fenced' && nodeName(event.data.broker) === broker,
  },
  unfenced: {
    doc: 'the controller unfenced a broker',
    subject: 'broker',
    conditions: [],
    watches: ['controller.broker'],
    matches: (event, broker) =>
      event.type === 'controller.broker' && event.data.change === 'unfenced' && nodeName(event.data.broker) === broker,
  },
  down: {
    doc: 'a process ended',
    subject: 'node',
    conditions: ['how'],
    watches: ['node.down'],
    matches: (event, node, { how }) =>
      event.type === 'node.down' && event.node === node && (how === undefined || event.data.how === how),
  },
  started: {
    doc: 'a process started',
    subject: 'node',
    conditions: [],
    watches: ['node.start'],
    matches: (event, node) => event.type === 'node.start' && event.node === node,
  },
  request: {
    doc: 'a request of this API was sent',
    subject: 'api',
    conditions: ['from', 'to'],
    watches: ['request.send'],
    matches: (event, api, { from, to }) =>
      event.type === 'request.send' &&
      event.data.api === api &&
      (from === undefined || event.node === from) &&
      (to === undefined || event.data.to === to),
  },
  response: {
    doc: 'a response of this API was sent',
    subject: 'api',
    conditions: ['from', 'to', 'error'],
    watches: ['response.send'],
    matches: (event, api, { from, to, error }) =>
      event.type === 'response.send' &&
      event.data.api === api &&
      (from === undefined || event.node === from) &&
      (to === undefined || event.data.to === to) &&
      (error === undefined || event.data.error === error),
  },
  'fault-ended': {
    doc: 'the fault of the step with this number (from 1) ended',
    subject: 'any',
    conditions: [],
    watches: ['fault.end'],
    matches: (event, step) => event.type === 'fault.end' && event.data.step === Number(step),
  },
}

function isRecord(id: string, by: ConditionValue | undefined, seq: ConditionValue | undefined): boolean {
  const slash = id.lastIndexOf('/')
  return (
    (by === undefined || id.slice(0, slash) === by) &&
    (seq === undefined || Number(id.slice(slash + 1)) === Number(seq))
  )
}
