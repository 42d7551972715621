/**
 * The space-time lanes around the cursor: time runs down, one lane a node; a row an event or message, folded where rows leave events out.
 */

import type { TraceEvent } from '../kernel/events.js'
import { nodeName, type NodeName } from '../kernel/names.js'
import { describeEvent, describeMessage } from '../../reports/describe-event.js'
import type { Style } from '../../reports/paint.js'
import type { Explorer } from './explorer.js'
import { findingsOf } from './findings.js'
import type { Region } from './region.js'
import type { Facts } from './state-at.js'
import { nodesOf } from './subjects.js'

const TIME = 9
const WHAT_MIN = 30
const LANE_MIN = 7
const LANE_MAX = 12

interface Lanes {
  readonly names: readonly NodeName[]
  readonly gap: number
  readonly what: number
  column(name: NodeName): number | undefined
}

/** Fewer events than this, in less time than that, are left out without a word. */
const FOLD_EVENTS = 12
const FOLD_MICROS = 10_000

/** One row: an event, or what is left out before the next one. */
type LaneRow =
  | { readonly is: 'event'; readonly event: TraceEvent }
  | { readonly is: 'fold'; readonly from: TraceEvent; readonly to: TraceEvent }

export function drawLanes(explorer: Explorer, region: Region): void {
  const { branch } = explorer
  const lanes = lanesOf(explorer, region.width)
  const facts = branch.states.at(branch.cursor)
  drawHeader(explorer, lanes, facts, region)
  const { rows, cursor } = rowsAround(explorer, region.height)
  const room = region.height - 2
  const first = Math.max(0, Math.min(cursor - Math.floor(room / 2), rows.length - room))
  const lives = new Lives(explorer)
  rows.slice(first, first + room).forEach((row, at) => {
    const line = at + 2
    lives.goTo((row.is === 'fold' ? row.from : row.event).seq)
    drawLifelines(lanes, lives, region, line)
    if (row.is === 'fold') drawFold(row.to, row.from, lanes, region, line)
    else drawRow(explorer, row.event, row.event.seq === branch.cursor, lanes, region, line)
  })
  if (rows.length === 0) region.put(3, 1, 'the cluster starts …', 'dim')
}

/** As many rows on either side of the cursor as could be shown. An event that has no row at this level gets one while the cursor is on it. */
function rowsAround({ branch, level }: Explorer, room: number): { rows: readonly LaneRow[]; cursor: number } {
  const { outline, recording } = branch
  const index = outline.indexOf(level, branch.cursor)
  const seqs: number[] = []
  for (let at = Math.max(0, index - room); at <= index + room; at++) {
    const seq = outline.seqAt(level, at)
    if (seq !== undefined) seqs.push(seq)
  }
  if (branch.cursor > 0 && !seqs.includes(branch.cursor)) seqs.push(branch.cursor)
  seqs.sort((a, b) => a - b)
  const rows: LaneRow[] = []
  let cursor = 0
  let last: TraceEvent | undefined
  for (const seq of seqs) {
    const event = recording.events[seq - 1] as TraceEvent
    if (last !== undefined && isFolded(last, event)) rows.push({ is: 'fold', from: last, to: event })
    if (seq === branch.cursor) cursor = rows.length
    rows.push({ is: 'event', event })
    last = event
  }
  return { rows, cursor }
}

function isFolded(from: TraceEvent, to: TraceEvent): boolean {
  const count = to.seq - from.seq - 1
  return count >= FOLD_EVENTS || (count > 0 && to.time - from.time >= FOLD_MICROS)
}

/** Who takes part: all if there is room, else those that the partition and the cursor are about. */
function lanesOf(explorer: Explorer, width: number): Lanes {
  const all = nodesOf(explorer.branch)
  const room = Math.max(2, Math.floor((width - TIME - WHAT_MIN) / LANE_MIN))
  const names = all.length <= room ? all : chosen(explorer, all, room)
  const gap = Math.max(LANE_MIN, Math.min(LANE_MAX, Math.floor((width - TIME - WHAT_MIN) / Math.max(1, names.length))))
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

function chosen(explorer: Explorer, all: readonly NodeName[], room: number): readonly NodeName[] {
  const facts = explorer.branch.states.at(explorer.branch.cursor)
  const { partition, event } = explorer
  const replicas = String(facts.get(`part/${partition}/replicas`) ?? '')
    .split(' ')
    .filter((id) => id !== '')
    .map((id) => nodeName(Number(id)))
  const controller = String(facts.get('controller') ?? '').split(' ')[0] ?? ''
  const clients = all.filter((name) => !/^[bc][0-9]+$/.test(name))
  const wanted = new Set<NodeName>([
    ...(event === undefined ? [] : [event.node, ...peersOf(event)]),
    ...replicas,
    controller,
    ...clients,
    ...all,
  ])
  const kept = new Set([...wanted].filter((name) => all.includes(name)).slice(0, room))
  return all.filter((name) => kept.has(name))
}

function peersOf(event: TraceEvent): NodeName[] {
  const peer = messagePeer(event)
  return peer === undefined ? [] : [peer]
}

function drawHeader(explorer: Explorer, lanes: Lanes, facts: Facts, region: Region): void {
  const { partition, branch } = explorer
  region.put(0, 0, 't(s)', 'dim')
  region.put(0, lanes.what, partition === undefined ? 'what' : `what   (${partition}: end/hw)`, 'dim')
  for (const name of lanes.names) {
    const column = lanes.column(name) ?? 0
    const isLeader = facts.get(`part/${partition}/leader`) === name
    const label = isLeader ? `*${name}` : name
    region.put(0, column - Math.floor((label.length - 1) / 2), label, 'bold')
    const end = facts.get(`rep/${partition}/${name}/leo`)
    const text =
      end === undefined ? stateText(facts, name) : `${end}/${facts.get(`rep/${partition}/${name}/hw`) ?? '?'}`
    region.put(1, column - Math.floor((text.length - 1) / 2), text, 'dim')
  }
  const isr = facts.get(`part/${partition}/isr`)
  const epoch = facts.get(`part/${partition}/epoch`)
  if (isr !== undefined) region.put(1, lanes.what, `e${epoch} ISR ${isr || 'empty'}   ${branch.name}`, 'dim')
}

function stateText(facts: Facts, name: NodeName): string {
  const quorum = facts.get(`quorum/${name}`)
  if (quorum !== undefined) return String(quorum).replace(/^(.{4})\w*/, '$1')
  const acked = facts.get(`client/${name}/acked`)
  const read = facts.get(`client/${name}/read`)
  return acked !== undefined ? `${acked} ok` : read !== undefined ? `${read} in` : ''
}

function drawRow(
  explorer: Explorer,
  event: TraceEvent,
  isCursor: boolean,
  lanes: Lanes,
  region: Region,
  line: number,
): void {
  const { readyAt, result } = explorer.branch.recording
  const isEvidence = findingsOf(result).some(({ evidence }) => evidence.includes(event.seq))
  const style: Style | undefined = isEvidence ? 'red' : styleOf(event)
  const peer = messagePeer(event)
  const from = lanes.column(event.node)
  const to = peer === undefined ? undefined : lanes.column(peer)
  if (from !== undefined && to !== undefined && from !== to) drawArrow(event, from, to, region, line, style)
  else if (from !== undefined) region.put(line, from, event.type === 'node.down' ? '✗' : '●', style)
  region.put(line, 0, isCursor ? '▸' : ' ', 'bold')
  region.put(line, 1, seconds(event.time - readyAt), isCursor ? 'bold' : undefined)
  const whither = peer !== undefined && to === undefined && event.type !== 'controller.partition' ? ` to ${peer}` : ''
  const who = from === undefined && event.node !== 'scenario' ? `${event.node}: ` : ''
  region.line(
    line,
    [`${isEvidence ? '✗ ' : ''}${who}${wordsOf(event)}${whither}`].map((text) => withStyle(text, style, isCursor)),
    lanes.what,
  )
}

function withStyle(text: string, style: Style | undefined, isCursor: boolean): readonly [string, Style] | string {
  const chosenStyle = isCursor ? 'inverse' : style
  return chosenStyle === undefined ? text : [text, chosenStyle]
}

function drawFold(next: TraceEvent, last: TraceEvent, lanes: Lanes, region: Region, line: number): void {
  region.put(line, 3, '⋮', 'dim')
  const millis = (next.time - last.time) / 1_000
  const span = millis >= 100 ? millis.toFixed(0) : millis.toFixed(1)
  region.line(
    line,
    [[`⋮ ${next.seq - last.seq - 1} event${next.seq - last.seq === 2 ? '' : 's'}, ${span} ms`, 'dim']],
    lanes.what,
  )
}

/** What each node was like at the rows, from top to bottom. */
class Lives {
  readonly #explorer: Explorer
  readonly #states = new Map<NodeName, string>()
  #seq = -1

  constructor(explorer: Explorer) {
    this.#explorer = explorer
  }

  of(node: NodeName): string | undefined {
    return this.#states.get(node)
  }

  goTo(seq: number): void {
    const { recording, states } = this.#explorer.branch
    if (this.#seq < 0) {
      for (const [fact, state] of states.at(seq)) {
        if (fact.startsWith('node/')) this.#states.set(fact.slice('node/'.length), String(state))
      }
      this.#seq = seq
    }
    for (; this.#seq < seq; this.#seq++) {
      const event = recording.events[this.#seq]
      if (event === undefined || !(event.type.startsWith('node.') || event.type === 'controller.broker')) continue
      for (const { fact, to } of states.changes(event.seq)) {
        if (fact.startsWith('node/') && to !== undefined) this.#states.set(fact.slice('node/'.length), String(to))
      }
    }
  }
}

function drawLifelines(lanes: Lanes, lives: Lives, region: Region, line: number): void {
  for (const name of lanes.names) {
    const state = lives.of(name)
    const char = state === 'down' ? ' ' : state === 'paused' ? '‖' : state === 'fenced' ? '┆' : '│'
    region.put(line, lanes.column(name) ?? 0, char, 'dim')
  }
}

function drawArrow(event: TraceEvent, from: number, to: number, region: Region, line: number, style?: Style): void {
  const isLost = event.type === 'request.failed'
  const shaft = isLost ? '┄' : '─'
  region.fill(line, Math.min(from, to) + 1, Math.max(from, to), shaft, style)
  region.put(line, from, '●', style)
  region.put(line, to, isLost ? '✗' : to > from ? '►' : '◄', style)
  const api = 'api' in event.data ? String(event.data.api) : ''
  const label = event.type === 'response.send' ? `${api} ok` : api
  const room = Math.abs(to - from) - 3
  if (label !== '' && room >= 4) {
    const text = label.slice(0, room)
    region.put(line, Math.min(from, to) + 1 + Math.floor((Math.abs(to - from) - 1 - text.length) / 2), text, style)
  }
}

/** Whom a message goes to. */
function messagePeer(event: TraceEvent): NodeName | undefined {
  switch (event.type) {
    case 'request.send':
    case 'response.send':
    case 'request.failed':
      return event.data.to
    case 'controller.partition':
      return event.data.leader < 0 ? undefined : nodeName(event.data.leader)
    default:
      return undefined
  }
}

export function wordsOf(event: TraceEvent): string {
  switch (event.type) {
    case 'request.send':
      return describeMessage(event.data.api, event.data.body, '')
    case 'request.receive':
      return `${event.data.api} arrives from ${event.data.from}`
    case 'response.send':
      return `answers ${describeMessage(event.data.api, event.data.body, event.data.error)}`
    case 'response.receive':
      return `${event.data.api} answered by ${event.data.from}${event.data.error === '' ? '' : `: ${event.data.error}`}`
    default:
      return describeEvent(event)
  }
}

function styleOf(event: TraceEvent): Style | undefined {
  switch (event.type) {
    case 'fault.start':
    case 'operation.start':
    case 'fault.end':
      return 'yellow'
    case 'node.down':
    case 'produce.failed':
    case 'log.truncate':
    case 'replica.offline':
      return 'red'
    case 'controller.partition':
    case 'replica.leader':
    case 'controller.active':
      return 'green'
    case 'request.send':
    case 'response.send':
      return 'dim'
    default:
      return undefined
  }
}

/** `2.640`, right-aligned in the column of times. */
export function seconds(micros: number): string {
  return (micros / 1e6).toFixed(3).padStart(7)
}
