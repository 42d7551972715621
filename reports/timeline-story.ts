/**
 * What of a trace matters: the window of time, the partitions, and the events worth a line.
 *
 * The evidence of failures and the causes that lead to it come first; then faults, elections, ISR changes and truncations.
 * What is left out is counted, so that the diagram can say how much it folded.
 */

import type { EventOf, TraceEvent } from '../sim/kernel/events.js'
import type { RunResult } from '../sim/scenario/result.js'

export interface Story {
  readonly result: RunResult
  readonly trace: readonly TraceEvent[]
  /** Absolute times between which something happened. */
  readonly from: number
  readonly to: number
  /** One or two partitions that matter most. */
  readonly partitions: readonly string[]
  /** In order of time. */
  readonly lines: readonly StoryLine[]
}

export type StoryLine =
  | { readonly kind: 'event'; readonly event: TraceEvent; readonly decisive: boolean }
  | { readonly kind: 'message'; readonly message: Message; readonly decisive: boolean }

/** One request or response, from its sending to its arrival. */
export interface Message {
  readonly send: EventOf<'request.send'> | EventOf<'response.send'>
  readonly from: string
  readonly to: string
  readonly isResponse: boolean
  /** Missing when it never arrived. */
  readonly receivedAt?: number
}

const LINES_MAX = 36
const CAUSES_MAX = 40
const PARTITIONS_MAX = 2
const MARGIN = 0.08
/** The picture is not zoomed in further than this. */
const SHORTEST_WINDOW = 500_000

/** Routine on a chain of causes: it leads on, and says nothing. */
const SILENT = new Set<string>([
  'net.connect',
  'net.open',
  'net.close',
  'net.held',
  'disk.synced',
  'log.flush',
  'metadata.replay',
  'quorum.hw',
  'produce.invoked',
  'produce.assigned',
  'broker.state',
])

export function storyOf(result: RunResult): Story {
  const trace = result.trace ?? []
  const partitions = focusOf(result, trace)
  const evidence = new Set(result.failures.flatMap((failure) => failure.evidence))
  const chosen = new Map<number, number>()
  const raise = (seq: number, weight: number): void => {
    if ((chosen.get(seq) ?? 0) < weight) chosen.set(seq, weight)
  }
  for (const failure of result.failures.slice(0, 2)) {
    for (const seq of failure.evidence) {
      raise(seq, 100)
      causesOf(trace, seq).forEach((cause, depth) => raise(cause, 90 - depth))
    }
  }
  for (const event of trace) {
    if (event.time < result.readyAt) continue
    const weight = weightOf(event, partitions)
    if (weight > 0) raise(event.seq, weight)
  }
  const lines = linesOf(trace, chosen, evidence)
  const times = lines.map((line) => (line.kind === 'event' ? line.event.time : line.message.send.time))
  return { result, trace, partitions, lines, ...windowOf(result, times) }
}

function windowOf({ readyAt, endedAt }: RunResult, times: readonly number[]): { from: number; to: number } {
  const first = times[0] ?? readyAt
  const last = times.at(-1) ?? endedAt
  const margin = Math.max((last - first) * MARGIN, (SHORTEST_WINDOW - (last - first)) / 2, 0)
  return { from: Math.max(readyAt, first - margin), to: Math.min(endedAt, last + margin) }
}

/** Partitions that failures speak of, or those whose leadership changed, or the first. */
function focusOf({ failures, readyAt }: RunResult, trace: readonly TraceEvent[]): string[] {
  const named = failures.flatMap(({ message }) => message.match(/[a-zA-Z0-9._]+-[0-9]+(?=[@: ]|$)/g) ?? [])
  const decided = trace.filter(
    (event): event is EventOf<'controller.partition'> => event.type === 'controller.partition',
  )
  const known = new Set(decided.map((event) => event.data.partition))
  const changed = decided.filter((event) => event.time >= readyAt).map((event) => event.data.partition)
  const ordered = [...named.filter((name) => known.has(name)), ...changed, ...known]
  // Kafka's own topics only where nothing else is.
  const own = ordered.filter((name) => !name.startsWith('__'))
  return [...new Set(own.length > 0 ? own : ordered)].slice(0, PARTITIONS_MAX)
}

/** Sequences that led to `seq`, nearest first. */
function causesOf(trace: readonly TraceEvent[], seq: number): number[] {
  const causes: number[] = []
  let event = trace[seq - 1]
  while (event !== undefined && event.cause > 0 && causes.length < CAUSES_MAX) {
    event = trace[event.cause - 1]
    if (event !== undefined) causes.push(event.seq)
  }
  return causes
}

function weightOf(event: TraceEvent, partitions: readonly string[]): number {
  switch (event.type) {
    case 'fault.start':
    case 'operation.start':
      return 80
    case 'fault.end':
    case 'operation.end':
    case 'fault.skipped':
      return 60
    case 'node.down':
      return 78
    case 'node.start':
    case 'node.pause':
    case 'node.resume':
    case 'disk.corrupted':
    case 'disk.power-loss':
    case 'disk.error':
    case 'log.corrupt':
      return 64
    case 'fetch.stopped':
      return event.data.reason === 'fenced' ? 10 : 64
    case 'controller.active':
      return 70
    case 'controller.broker':
      return event.data.change === 'fenced' ? 50 : 30
    case 'controller.partition':
      return partitions.includes(event.data.partition) ? 75 : event.data.partition.startsWith('__') ? 5 : 20
    case 'replica.leader':
      return partitions.includes(event.data.partition) ? 72 : 0
    case 'log.truncate':
      return partitions.includes(event.data.partition) ? 74 : 10
    case 'log.cleaned':
    case 'log.segment-deleted':
      return partitions.includes(event.data.partition) ? 42 : 0
    case 'log.uncleanable':
      return 64
    case 'group.state':
      return event.data.to === 'Stable' || event.data.to === 'Empty' ? 55 : 28
    case 'consumer.assigned':
    case 'consumer.revoked':
      return 45
    case 'group.loaded':
      return event.data.groups > 0 ? 48 : 0
    case 'consumer.committed':
      return event.data.outcome === 'ok' ? 0 : 46
    case 'isr.rejected':
      return 40
    case 'hw.set':
      return 0
    case 'acl.denied':
      return 24
    case 'consume.failed':
      return event.data.error.endsWith('AUTHORIZATION_FAILED') ? 44 : 0
    case 'produce.failed':
      return 25
    case 'consume.position':
      return event.data.reason === 'truncated' || event.data.reason === 'reset' ? 40 : 0
    default:
      return 0
  }
}

/** The heaviest events as lines, in order; a message's four events become at most two lines. */
function linesOf(
  trace: readonly TraceEvent[],
  chosen: ReadonlyMap<number, number>,
  evidence: ReadonlySet<number>,
): StoryLine[] {
  const ranked = [...chosen].sort((a, b) => b[1] - a[1] || a[0] - b[0])
  const kept = new Map<number, StoryLine>()
  for (const [seq] of ranked) {
    if (kept.size >= LINES_MAX) break
    const event = trace[seq - 1]
    if (event === undefined || SILENT.has(event.type)) continue
    const decisive = evidence.has(seq)
    const message = messageOf(event, trace)
    if (message === undefined) kept.set(seq, { kind: 'event', event, decisive })
    else kept.set(message.send.seq, { kind: 'message', message, decisive })
  }
  return [...kept].sort((a, b) => a[0] - b[0]).map(([, line]) => line)
}

function messageOf(event: TraceEvent, trace: readonly TraceEvent[]): Message | undefined {
  if (event.type === 'request.send' || event.type === 'response.send') {
    const isResponse = event.type === 'response.send'
    const wanted = isResponse ? 'response.receive' : 'request.receive'
    const receive = find(trace, event.seq, 1, (other) => other.type === wanted && other.data.id === event.data.id)
    return {
      send: event,
      from: event.node,
      to: event.data.to,
      isResponse,
      ...(receive && { receivedAt: receive.time }),
    }
  }
  if (event.type === 'request.receive' || event.type === 'response.receive') {
    const isResponse = event.type === 'response.receive'
    const wanted = isResponse ? 'response.send' : 'request.send'
    const send = find(trace, event.seq, -1, (other) => other.type === wanted && other.data.id === event.data.id)
    if (send?.type !== 'request.send' && send?.type !== 'response.send') return undefined
    return { send, from: send.node, to: event.node, isResponse, receivedAt: event.time }
  }
  return undefined
}

const SEARCH_MAX = 50_000

function find(
  trace: readonly TraceEvent[],
  seq: number,
  step: 1 | -1,
  matches: (event: TraceEvent) => boolean,
): TraceEvent | undefined {
  for (let at = seq - 1 + step, left = SEARCH_MAX; left > 0; at += step, left--) {
    const event = trace[at]
    if (event === undefined) return undefined
    if (matches(event)) return event
  }
  return undefined
}
