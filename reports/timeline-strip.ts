/**
 * The overview strip: time runs right; who leads, ISR, high watermark, faults and what clients were told.
 *
 *     ━ leads   ─ up   ┄ fenced   ‖ paused   blank: down   ✗ died   ▒ fault   ✓ acked   ! failed   · quiet
 */

import type { TraceEvent } from '../sim/kernel/events.js'
import { nodeName } from '../sim/kernel/names.js'
import { nodesOfSpec } from '../sim/scenario/client-nodes.js'
import { Row, clip } from './canvas.js'
import type { Look } from './reporter.js'
import type { Story } from './timeline-story.js'

const LABEL = 11
const FAULT_ROWS_MAX = 8
const CLIENT_ROWS_MAX = 12

interface Scale {
  readonly from: number
  readonly to: number
  readonly width: number
  column(time: number): number
}

export function stripOf(story: Story, look: Look): string[] {
  const width = look.width - LABEL
  const { from, to } = story
  const scale: Scale = {
    from,
    to,
    width,
    column: (time) => Math.max(0, Math.min(width - 1, Math.floor(((time - from) / Math.max(1, to - from)) * width))),
  }
  const rows: [string, Row][] = [
    ['', axis(scale, story.result.readyAt)],
    ...faultRows(story, scale),
    ...brokerRows(story, scale),
    ...controllerRow(story, scale),
    ...story.partitions.flatMap((partition) => partitionRows(story, partition, scale)),
    ...clientRows(story, scale),
  ]
  return rows.map(([label, row]) => {
    const line = new Row(look.width)
    line.put(0, clip(label, LABEL - 1))
    return line.toText(look).padEnd(LABEL) + row.toText(look)
  })
}

/** Seconds since ready, at round numbers. */
function axis(scale: Scale, readyAt: number): Row {
  const row = new Row(scale.width)
  const span = scale.to - scale.from
  const most = Math.max(1, Math.floor(scale.width / 9))
  const step =
    [1e4, 2e4, 5e4, 1e5, 2e5, 5e5, 1e6, 2e6, 5e6, 1e7, 2e7, 6e7, 3e8, 6e8, 3.6e9, 8.64e10].find(
      (size) => span / size <= most,
    ) ?? 6.048e11
  const digits = step >= 1e6 ? 0 : step >= 1e5 ? 1 : 2
  for (let time = Math.ceil((scale.from - readyAt) / step) * step; time + readyAt <= scale.to; time += step) {
    const column = scale.column(time + readyAt)
    const text = (time / 1e6).toFixed(digits)
    if (column + text.length < scale.width) row.put(column, text, 'dim')
  }
  row.put(scale.width - 1, 's', 'dim')
  return row
}

interface FaultSpan {
  readonly label: string
  readonly text: string
  readonly start: number
  end: number | undefined
}

function faultRows({ trace, result }: Story, scale: Scale): [string, Row][] {
  const spans: FaultSpan[] = []
  const open = new Map<number, FaultSpan>()
  for (const event of trace) {
    if (event.type === 'fault.start') {
      const { step, kind, text, targets } = event.data
      const span: FaultSpan = { label: kind, text: targets.join(' ') || text, start: event.time, end: undefined }
      spans.push(span)
      open.set(step, span)
    } else if (event.type === 'fault.end') {
      const span = open.get(event.data.step)
      if (span !== undefined) span.end = event.time
    }
  }
  const shown = spans.slice(0, FAULT_ROWS_MAX)
  return shown.map((span) => {
    const row = new Row(scale.width)
    const start = scale.column(span.start)
    const end = Math.max(start + 1, scale.column(span.end ?? (isInstant(span) ? span.start : result.endedAt)) + 1)
    row.fill(start, end, '▒', 'yellow')
    const text = ` ${span.text} `
    if (text.length + 2 <= end - start) row.put(start + 1, text, 'yellow')
    else if (end + text.length <= scale.width) row.put(end, text, 'yellow')
    else row.put(Math.max(0, start - text.length), text, 'yellow')
    return [span.label, row]
  })
}

function isInstant({ label }: FaultSpan): boolean {
  return label === 'clock-jump' || label === 'disk-corrupt' || label === 'reset'
}

type NodeState = 'down' | 'up' | 'leads' | 'fenced' | 'paused'

const STATE_CHARS: Readonly<Record<NodeState, string>> = { down: ' ', up: '─', leads: '━', fenced: '┄', paused: '‖' }

function brokerRows({ trace, partitions }: Story, scale: Scale): [string, Row][] {
  const brokers = [
    ...new Set(
      trace.filter((event) => event.type === 'node.start' && /^b[0-9]+$/.test(event.node)).map((event) => event.node),
    ),
  ]
  brokers.sort((a, b) => Number(a.slice(1)) - Number(b.slice(1)))
  return brokers.map((broker) => {
    const row = new Row(scale.width)
    const flags = { up: false, paused: false, fenced: false, leads: new Set<string>() }
    let since = scale.from
    const marks: [number, string][] = []
    const paintUntil = (time: number): void => {
      const state: NodeState = !flags.up
        ? 'down'
        : flags.paused
          ? 'paused'
          : flags.fenced
            ? 'fenced'
            : flags.leads.size > 0
              ? 'leads'
              : 'up'
      const style = state === 'leads' ? 'green' : state === 'paused' ? 'yellow' : undefined
      if (time > scale.from)
        row.fill(scale.column(since), time >= scale.to ? scale.width : scale.column(time), STATE_CHARS[state], style)
      since = Math.max(scale.from, time)
    }
    for (const event of trace) {
      if (!concerns(event, broker) || event.time > scale.to) continue
      paintUntil(event.time)
      const mark = change(event, broker, flags, partitions)
      if (mark !== undefined && event.time >= scale.from) marks.push([event.time, mark])
    }
    paintUntil(scale.to)
    for (const [time, mark] of marks) row.put(scale.column(time), mark, 'red')
    return [broker, row]
  })
}

interface Flags {
  up: boolean
  paused: boolean
  fenced: boolean
  readonly leads: Set<string>
}

function concerns(event: TraceEvent, broker: string): boolean {
  if (event.type === 'controller.broker') return nodeName(event.data.broker) === broker
  return (
    event.node === broker &&
    (event.type.startsWith('node.') || event.type === 'replica.leader' || event.type === 'replica.follower')
  )
}

/** Applies an event; returns the mark it leaves. */
function change(event: TraceEvent, broker: string, flags: Flags, partitions: readonly string[]): string | undefined {
  switch (event.type) {
    case 'node.start':
      flags.up = true
      // Until the controller has unfenced this incarnation it serves nobody.
      flags.fenced = true
      return undefined
    case 'node.down':
      flags.up = false
      flags.paused = false
      flags.leads.clear()
      return event.data.how === 'stop' ? '▼' : '✗'
    case 'node.pause':
      flags.paused = true
      return undefined
    case 'node.resume':
      flags.paused = false
      return undefined
    case 'controller.broker':
      flags.fenced = event.data.change !== 'unfenced' && event.data.change !== 'shutting-down'
      return undefined
    case 'replica.leader':
      if (partitions.includes(event.data.partition)) flags.leads.add(event.data.partition)
      return undefined
    case 'replica.follower':
      flags.leads.delete(event.data.partition)
      return undefined
    default:
      return undefined
  }
}

function controllerRow({ trace }: Story, scale: Scale): [string, Row][] {
  const row = new Row(scale.width)
  const changes: [number, string][] = []
  let active = ''
  for (const event of trace) {
    if (event.type === 'controller.active') changes.push([event.time, (active = event.node) + ` e${event.data.epoch}`])
    else if ((event.type === 'node.down' || event.type === 'controller.resigned') && event.node === active) {
      changes.push([event.time, '?'])
      // What happens to that node from now on is no news of the controller.
      active = ''
    }
  }
  putChanges(row, changes, scale)
  return [['controller', row]]
}

function partitionRows({ trace, result }: Story, partition: string, scale: Scale): [string, Row][] {
  const leaders: [number, string][] = []
  const isrs: [number, string][] = []
  const watermarks: [number, string][] = []
  let highest = -1
  for (const event of trace) {
    if (event.type === 'controller.partition' && event.data.partition === partition) {
      const { leader, leaderEpoch, unclean, isr } = event.data
      const text = leader < 0 ? '?' : `${nodeName(leader)} e${leaderEpoch}${unclean ? ' UNCLEAN' : ''}`
      if (leaders.at(-1)?.[1] !== text) leaders.push([event.time, text])
      isrs.push([event.time, isr.join(' ') || '-'])
    } else if (event.type === 'hw.advance' && event.data.role === 'leader' && event.data.partition === partition) {
      if (event.data.from < highest) watermarks.push([event.time, `${event.data.from} ▼ went back`])
      highest = event.data.to
      if (event.time >= result.readyAt) watermarks.push([event.time, String(event.data.to)])
    } else if (event.type === 'log.truncate' && event.data.partition === partition && event.time >= scale.from) {
      watermarks.push([event.time, `${event.data.from} ▼ ${event.data.to} on ${event.node}`])
    }
  }
  return [
    [partition, putChanges(new Row(scale.width), leaders, scale)],
    ['  isr', putChanges(new Row(scale.width), dedupe(isrs), scale)],
    ['  hw', putSparse(new Row(scale.width), watermarks, scale)],
  ]
}

function dedupe(changes: readonly [number, string][]): [number, string][] {
  return changes.filter(([, text], at) => changes[at - 1]?.[1] !== text)
}

/** Each change at its time; the state at the left edge first. A later text overwrites an earlier one that reaches into it. */
function putChanges(row: Row, changes: readonly [number, string][], scale: Scale): Row {
  const before = changes.findLast(([time]) => time <= scale.from)
  if (before !== undefined) row.put(0, before[1])
  for (const [time, text] of changes) {
    if (time <= scale.from || time > scale.to) continue
    const column = scale.column(time)
    row.fill(column - 1, scale.width, ' ')
    row.put(column, text, text.includes('UNCLEAN') || text === '?' ? 'red' : undefined)
  }
  return row
}

/** Numbers where there is room for them; what went back is always shown. */
function putSparse(row: Row, changes: readonly [number, string][], scale: Scale): Row {
  const important = changes.filter(([time, text]) => text.includes('▼') && time >= scale.from && time <= scale.to)
  const taken: [number, number][] = []
  for (const [time, text] of important) {
    const column = Math.min(scale.column(time), Math.max(0, scale.width - text.length))
    if (taken.some(([from, to]) => column <= to && column + text.length >= from)) continue
    row.put(column, text, 'red')
    taken.push([column - 1, column + text.length])
  }
  for (const [time, text] of changes) {
    if (time < scale.from || time > scale.to || text.includes('▼')) continue
    const column = scale.column(time)
    if (column + text.length > scale.width || taken.some(([from, to]) => column <= to && column + text.length >= from))
      continue
    row.put(column, text, 'dim')
    taken.push([column - 1, column + text.length + 4])
  }
  return row
}

function clientRows({ trace, result }: Story, scale: Scale): [string, Row][] {
  const lost = new Set(
    result.failures.filter(({ name }) => name === 'acked-records-survive').flatMap(({ evidence }) => evidence),
  )
  const rows = new Map<string, Row>()
  const clients = Object.entries(result.scenario.clients).flatMap(([name, spec]) => nodesOfSpec(name, spec))
  for (const name of clients.slice(0, CLIENT_ROWS_MAX)) {
    const row = new Row(scale.width)
    row.fill(0, scale.width, '·', 'dim')
    rows.set(name, row)
  }
  for (const event of trace) {
    const row = rows.get(event.node)
    if (row === undefined || event.time < scale.from || event.time > scale.to) continue
    const column = scale.column(event.time)
    if (event.type === 'produce.failed') row.put(column, '!', 'red')
    else if (event.type === 'produce.acked' && lost.has(event.seq)) row.put(column, '✗', 'red')
    else if (event.type === 'produce.acked' && row.at(column) === '·') row.put(column, '✓', 'green')
    else if (event.type === 'consume.polled' && row.at(column) === '·') row.put(column, '▪', 'cyan')
  }
  return [...rows].map(([name, row]) => [name, row])
}
