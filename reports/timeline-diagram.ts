/**
 * The space-time diagram: time runs down, one lane a node; arrows are messages, the column on the right says what it means.
 */

import type { TraceEvent } from '../sim/kernel/events.js'
import { nodeId, nodeName } from '../sim/kernel/names.js'
import { Row, clip, toAscii } from './canvas.js'
import { describeEvent, describeMessage } from './describe-event.js'
import type { Style } from './paint.js'
import type { Look } from './reporter.js'
import type { Story, StoryLine } from './timeline-story.js'

const TIME = 9
const WHAT_MIN = 30
const LANE_MIN = 7
const LANE_MAX = 10

interface Lanes {
  readonly names: readonly string[]
  readonly gap: number
  /** Column where the words begin. */
  readonly what: number
  column(name: string): number | undefined
}

export function diagramOf(story: Story, look: Look): string[] {
  if (story.lines.length === 0) return []
  const lanes = lanesOf(story, look.width)
  const alive = new Liveness(story.trace)
  const lines = [header(lanes, look)]
  let last: StoryLine | undefined
  for (const line of story.lines) {
    const folded = last === undefined ? undefined : foldText(last, line)
    if (folded !== undefined) lines.push(fold(folded, lanes, alive, timeOf(line), look))
    lines.push(draw(line, lanes, alive, story, look))
    last = line
  }
  return lines
}

function header(lanes: Lanes, look: Look): string {
  const row = new Row(look.width)
  row.put(0, 't(s)', 'dim')
  for (const name of lanes.names) row.put((lanes.column(name) ?? 0) - Math.floor((name.length - 1) / 2), name, 'bold')
  row.put(lanes.what, 'what', 'dim')
  return row.toText(look)
}

/** The nodes that the lines speak of: those named most, in the order controllers, brokers, clients. */
function lanesOf(story: Story, width: number): Lanes {
  const weights = new Map<string, number>()
  const count = (name: string, weight: number): void => void weights.set(name, (weights.get(name) ?? 0) + weight)
  for (const line of story.lines) {
    const weight = line.decisive ? 100 : 1
    for (const name of nodesOf(line)) count(name, weight)
  }
  weights.delete('scenario')
  weights.delete('admin')
  const room = Math.max(2, Math.floor((width - TIME - WHAT_MIN) / LANE_MIN))
  const names = [...weights]
    .sort((a, b) => b[1] - a[1] || (a[0] < b[0] ? -1 : 1))
    .slice(0, room)
    .map(([name]) => name)
    .sort(byKind)
  const gap = Math.min(LANE_MAX, Math.floor((width - TIME - WHAT_MIN) / Math.max(1, names.length)))
  return {
    names,
    gap,
    what: TIME + names.length * gap,
    column: (name) => {
      const at = names.indexOf(name)
      return at < 0 ? undefined : TIME + at * gap + Math.floor(gap / 2) - 1
    },
  }
}

function byKind(a: string, b: string): number {
  const rank = (name: string): number => (/^c[0-9]+$/.test(name) ? 0 : /^b[0-9]+$/.test(name) ? 1 : 2)
  return rank(a) - rank(b) || (nodeId(a) ?? 0) - (nodeId(b) ?? 0) || (a < b ? -1 : a > b ? 1 : 0)
}

function nodesOf(line: StoryLine): string[] {
  if (line.kind === 'message') return [line.message.from, line.message.to]
  const { event } = line
  if (event.type === 'controller.partition' && event.data.leader >= 0) return [event.node, nodeName(event.data.leader)]
  if (event.type === 'controller.broker') return [event.node, nodeName(event.data.broker)]
  if (event.type === 'fault.start' || event.type === 'fault.end') return [...event.data.targets]
  return [event.node]
}

/** Which processes run at a time. */
class Liveness {
  readonly #changes = new Map<string, { time: number; up: boolean }[]>()

  constructor(trace: readonly TraceEvent[]) {
    for (const event of trace) {
      if (event.type !== 'node.start' && event.type !== 'node.down') continue
      const list = this.#changes.get(event.node)
      const change = { time: event.time, up: event.type === 'node.start' }
      if (list === undefined) this.#changes.set(event.node, [change])
      else list.push(change)
    }
  }

  isUp(name: string, time: number): boolean {
    return this.#changes.get(name)?.findLast((change) => change.time <= time)?.up ?? false
  }
}

function timeOf(line: StoryLine): number {
  return line.kind === 'event' ? line.event.time : line.message.send.time
}

function seqOf(line: StoryLine): number {
  return line.kind === 'event' ? line.event.seq : line.message.send.seq
}

const FOLD_FROM_EVENTS = 3

function foldText(last: StoryLine, line: StoryLine): string | undefined {
  const events = seqOf(line) - seqOf(last) - 1
  if (events < FOLD_FROM_EVENTS) return undefined
  const ms = (timeOf(line) - timeOf(last)) / 1_000
  const took = ms >= 10_000 ? `${(ms / 1_000).toFixed(1)} s` : ms >= 10 ? `${ms.toFixed(0)} ms` : `${ms.toFixed(1)} ms`
  return `${events} events, ${took}`
}

function base(lanes: Lanes, alive: Liveness, time: number, look: Look): Row {
  const row = new Row(look.width)
  for (const name of lanes.names) if (alive.isUp(name, time)) row.put(lanes.column(name) ?? 0, '│', 'dim')
  return row
}

function fold(text: string, lanes: Lanes, alive: Liveness, time: number, look: Look): string {
  const row = base(lanes, alive, time, look)
  row.put(2, '⋮', 'dim')
  row.put(lanes.what, clip(`⋮ ${text}`, look.width - lanes.what), 'dim')
  return row.toText(look)
}

function draw(line: StoryLine, lanes: Lanes, alive: Liveness, story: Story, look: Look): string {
  const time = timeOf(line)
  const row = base(lanes, alive, time, look)
  row.put(
    0,
    `${line.decisive ? '▸' : ' '}${((time - story.result.readyAt) / 1e6).toFixed(3)}`,
    line.decisive ? 'bold' : 'dim',
  )
  const words = line.kind === 'message' ? drawMessage(row, line.message, lanes) : drawEvent(row, line.event, lanes)
  row.put(
    lanes.what,
    clip(look.ascii ? toAscii(words.text) : words.text, look.width - lanes.what),
    line.decisive ? 'bold' : words.style,
  )
  return row.toText(look)
}

interface Words {
  readonly text: string
  readonly style?: Style
}

function drawMessage(row: Row, message: Extract<StoryLine, { kind: 'message' }>['message'], lanes: Lanes): Words {
  const { send, from, to, isResponse, receivedAt } = message
  const error = send.type === 'response.send' ? send.data.error : ''
  const label = isResponse ? (error === '' ? 'ok' : 'error') : send.data.api
  const start = lanes.column(from)
  const end = lanes.column(to)
  const lost = receivedAt === undefined
  if (start !== undefined && end !== undefined && start !== end) arrow(row, start, end, label, lost)
  else if (start !== undefined) row.put(start, '●')
  else if (end !== undefined) row.put(end, '●')
  const what = describeMessage(send.data.api, send.data.body, error)
  const direction = `${what}${isResponse ? ' answered' : ''}`
  if (lost) return { text: `${direction}, never arrives`, style: 'red' }
  return {
    text: `${direction}, ${((receivedAt - send.time) / 1_000).toFixed(1)} ms`,
    ...(error !== '' && { style: 'red' as const }),
  }
}

function arrow(row: Row, start: number, end: number, label: string, lost: boolean): void {
  const [low, high] = start < end ? [start, end] : [end, start]
  row.fill(low + 1, high, lost ? '┄' : '─')
  row.put(start, '●')
  row.put(end, lost ? '✗' : start < end ? '►' : '◄', lost ? 'red' : undefined)
  const room = high - low - 3
  const text = clip(label, Math.max(0, room))
  if (text.length > 1) row.put(low + 1 + Math.floor((high - low - 1 - text.length) / 2), text)
}

const SIGNS: Readonly<Partial<Record<TraceEvent['type'], readonly [string, Style | undefined]>>> = {
  'node.down': ['✗', 'red'],
  'node.start': ['●', 'green'],
  'node.pause': ['‖', 'yellow'],
  'log.truncate': ['▼', 'red'],
  'produce.acked': ['✓', 'green'],
  'produce.failed': ['!', 'red'],
  'disk.error': ['✗', 'red'],
}

function drawEvent(row: Row, event: TraceEvent, lanes: Lanes): Words {
  const text = describeEvent(event)
  if (event.type === 'fault.start' || event.type === 'fault.end') {
    for (const target of event.data.targets)
      row.put(lanes.column(target) ?? -1, event.type === 'fault.start' ? '▒' : '│', 'yellow')
    return { text, style: 'yellow' }
  }
  const at = lanes.column(event.node)
  if (event.type === 'controller.partition') {
    const leader = event.data.leader < 0 ? undefined : lanes.column(nodeName(event.data.leader))
    if (at !== undefined && leader !== undefined) arrow(row, at, leader, 'leader', false)
    else row.put(at ?? -1, '●')
    return { text, ...(event.data.unclean || event.data.leader < 0 ? { style: 'red' as const } : {}) }
  }
  const [sign, style] = SIGNS[event.type] ?? ['●', undefined]
  row.put(at ?? -1, sign, style)
  const named =
    at === undefined && !text.startsWith(event.node) && event.node !== 'scenario' ? `${event.node}: ${text}` : text
  return { text: named, ...(style === 'red' && { style }) }
}
