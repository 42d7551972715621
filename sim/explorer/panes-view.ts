/**
 * The panes: the event, the node, the log around the cursor, the oracles, the branches; and the story of why and what changed.
 */

import type { ZooKeeperView } from '../zookeeper/zookeeper-server.js'
import type { TraceEvent } from '../kernel/events.js'
import { describeEvent } from '../../reports/describe-event.js'
import type { Branch } from './branch.js'
import { findingsOf } from './findings.js'
import type { Explorer, Pane } from './explorer.js'
import { seconds, wordsOf } from './lanes-view.js'
import { logAt } from './log-at.js'
import type { Region, Span } from './region.js'
import type { Change, Facts } from './state-at.js'

export type Line = readonly Span[]

const TITLES: Readonly<Record<Pane, (explorer: Explorer) => string>> = {
  event: ({ branch }) => `event #${branch.cursor}`,
  node: ({ node }) => `node ${node ?? ''}`,
  log: ({ partition, node }) => `log of ${partition ?? '?'} on ${logNode(node)}`,
  oracles: () => 'oracles',
  branches: () => 'branches',
}

const LINES: Readonly<Record<Pane, (explorer: Explorer, height: number) => readonly Line[]>> = {
  event: eventLines,
  node: nodeLines,
  log: logLines,
  oracles: oracleLines,
  branches: branchLines,
}

export function drawPane(explorer: Explorer, pane: Pane, region: Region): void {
  const isActive = explorer.pane === pane
  region.rule(0, `${isActive ? '▸ ' : ''}${TITLES[pane](explorer)}`)
  const lines = LINES[pane](explorer, region.height - 1)
  const rows = region.height - 1
  const shown = lines.length > rows ? lines.slice(0, Math.max(0, rows - 1)) : lines
  shown.forEach((line, at) => region.line(at + 1, line, 1))
  if (shown.length < lines.length) region.put(region.height - 1, 1, `⋮ ${lines.length - shown.length} more`, 'dim')
}

// ── the event ─────────────────────────────────────────────────────────────────────────────────────────────────────────

/** The chain of causes, nearest first, as one line. */
export function whyLine(explorer: Explorer): Line {
  const { events, readyAt } = explorer.branch.recording
  const parts: string[] = []
  let event = explorer.event
  while (event !== undefined && parts.length < 6) {
    parts.push(`${seconds(event.time - readyAt).trim()} ${wordsOf(event)}`)
    event = event.cause > 0 ? events[event.cause - 1] : undefined
  }
  if (event !== undefined) parts.push('…')
  return [['why  ', 'bold'], parts.join(' ← ')]
}

/** What the event changed, as one line. */
export function diffLine(explorer: Explorer): Line {
  const changes = explorer.branch.states.changes(explorer.branch.cursor)
  const text = changes.map(changeText).join('   ')
  return [['diff ', 'bold'], text === '' ? 'nothing that is kept track of' : text]
}

function changeText({ fact, from, to }: Change): string {
  return `${nameOf(fact)}: ${from ?? 'none'}→${to ?? 'none'}`
}

/** `rep/orders-0/b1/hw` → `orders-0 b1 hw`. */
function nameOf(fact: string): string {
  return fact.replace(/^(rep|part|node|client|group|txn)\//, '').replaceAll('/', ' ')
}

function eventLines(explorer: Explorer): readonly Line[] {
  const { event } = explorer
  if (event === undefined) return [[['nothing has happened yet', 'dim']]]
  const { readyAt, events } = explorer.branch.recording
  const lines: Line[] = [
    [[event.type, 'bold'], `  on ${event.node} at ${seconds(event.time - readyAt).trim()} s`],
    [wordsOf(event)],
  ]
  for (const [name, value] of Object.entries(event.data)) {
    if (name === 'body' || name === 'batch' || name === 'batches') continue
    lines.push([[`${name}: `, 'dim'], valueText(value)])
  }
  if ('body' in event.data) lines.push(...bodyLines(event.data.body, ''))
  const changes = explorer.branch.states.changes(event.seq)
  if (changes.length > 0)
    lines.push([['changed', 'bold']], ...changes.map((change): Line => [`  ${changeText(change)}`]))
  lines.push([['led here by', 'bold']])
  let cause: TraceEvent | undefined = event.cause > 0 ? events[event.cause - 1] : undefined
  if (cause === undefined) lines.push(['  nothing: it begins here'])
  for (let depth = 0; cause !== undefined && depth < 12; depth++) {
    lines.push([`  ${seconds(cause.time - readyAt)} ${cause.node}: ${wordsOf(cause)}`])
    cause = cause.cause > 0 ? events[cause.cause - 1] : undefined
  }
  return lines
}

function valueText(value: unknown): string {
  if (Array.isArray(value))
    return value.length > 12 ? `${value.slice(0, 12).join(' ')} … (${value.length})` : value.join(' ')
  return String(value)
}

const BODY_LINES = 24

/** A message's fields by their names in Kafka; record batches in a word. */
function bodyLines(body: unknown, indent: string): Line[] {
  const lines: Line[] = []
  const walk = (value: unknown, name: string, depth: string): void => {
    if (lines.length >= BODY_LINES) return
    if (typeof value !== 'object' || value === null) lines.push([[`${depth}${name}: `, 'dim'], String(value)])
    else if (value instanceof Uint8Array) lines.push([[`${depth}${name}: `, 'dim'], `${value.length} bytes`])
    else if (Array.isArray(value)) value.slice(0, 4).forEach((item, at) => walk(item, `${name}[${at}]`, depth))
    else if ('sizeInBytes' in value && 'baseOffset' in value) {
      const { baseOffset, lastOffset } = value as { baseOffset: number; lastOffset?: number }
      lines.push([[`${depth}${name}: `, 'dim'], `records ${baseOffset} to ${lastOffset ?? baseOffset}`])
    } else {
      lines.push([[`${depth}${name}`, 'dim']])
      for (const [key, item] of Object.entries(value)) walk(item, key, `${depth}  `)
    }
  }
  walk(body, 'body', indent)
  return lines
}

// ── the node ──────────────────────────────────────────────────────────────────────────────────────────────────────────

function nodeLines(explorer: Explorer): readonly Line[] {
  const { node, branch } = explorer
  if (node === undefined) return []
  const facts = branch.states.at(branch.cursor)
  const lines: Line[] = []
  const state = facts.get(`node/${node}`) ?? 'not started'
  const quorum = facts.get(`quorum/${node}`)
  lines.push([
    [String(state), 'bold'],
    quorum === undefined ? '' : `   quorum: ${quorum}, HW ${facts.get(`quorum-hw/${node}`) ?? '?'}`,
  ])
  lines.push(...clientLines(facts, node), ...replicaLines(facts, node), ...coordinatorLines(facts, node))
  const session = facts.get(`zk-client/${node}`)
  if (session !== undefined) lines.push([['ZooKeeper: ', 'dim'], String(session)])
  const insight = branch.position.isThere ? branch.position.insight(node) : undefined
  if (insight === undefined) {
    lines.push([['looking inside …', 'dim']])
    return lines
  }
  const { node: view, connections, broker } = insight
  if (broker !== undefined) {
    lines.push([`${broker.state}, broker epoch ${broker.brokerEpoch}, metadata up to ${broker.metadataOffset}`])
  }
  if (insight.zookeeper !== undefined) lines.push(...zooKeeperLines(insight.zookeeper))
  if (view.clockOffsetMs !== 0 || view.driftPartsPerMillion !== 0) {
    lines.push([`clock ${view.clockOffsetMs} ms off, drift ${view.driftPartsPerMillion} ppm`])
  }
  lines.push([[`connections (${connections.length})`, 'bold']])
  for (const { peer, state: phase, initiator, unsent, held } of connections) {
    const waiting = unsent === 0 ? '' : `, ${unsent} frames on the way${held === 0 ? '' : `, ${held} held back`}`
    lines.push([`  ${initiator ? 'to' : 'from'} ${peer}: ${phase}${waiting}`])
  }
  const unsynced = view.files.reduce((sum, file) => sum + file.unsyncedBytes, 0)
  lines.push([[`disk: ${view.files.length} files, ${view.usedBytes} B, ${unsynced} B not synced`, 'bold']])
  for (const file of view.files) {
    lines.push([`  ${file.path}  ${file.size} B${file.unsyncedBytes > 0 ? `, ${file.unsyncedBytes} not synced` : ''}`])
  }
  return lines
}

function clientLines(facts: Facts, node: string): Line[] {
  const prefix = `client/${node}/`
  const lines: Line[] = []
  for (const [fact, value] of facts)
    if (fact.startsWith(prefix)) lines.push([[`${fact.slice(prefix.length)}: `, 'dim'], String(value)])
  return lines
}

function replicaLines(facts: Facts, node: string): Line[] {
  const rows: { partition: string; role: string; end: string }[] = []
  for (const [fact, value] of facts) {
    const match = /^rep\/(.+)\/([^/]+)\/leo$/.exec(fact)
    if (match === null || match[2] !== node || match[1] === '__cluster_metadata-0') continue
    const partition = match[1] as string
    const of = (name: string): string => String(facts.get(`rep/${partition}/${node}/${name}`) ?? '')
    const lso = of('lso') === '' ? '' : `, LSO ${of('lso')}`
    const pending = of('pending') === '' ? '' : `, proposes ISR ${of('pending')}`
    rows.push({
      partition,
      role: of('role') || 'not in use',
      end: `${of('start') || 0} to ${String(value)}, HW ${of('hw') || '?'}${lso}${pending}`,
    })
  }
  rows.sort((a, b) => a.partition.localeCompare(b.partition, 'en', { numeric: true }))
  return rows.map(({ partition, role, end }): Line => [
    `${partition}  `,
    [role, role.startsWith('leader') ? 'green' : 'dim'],
    `  ${end}`,
  ])
}

/** Groups and transactions: what is known of them, on whichever broker one looks. */
function coordinatorLines(facts: Facts, node: string): Line[] {
  if (!/^b[0-9]+$/.test(node)) return []
  const lines: Line[] = []
  for (const [fact, value] of facts) {
    const match = /^(group|txn)\/(.+)\/(.+)$/.exec(fact)
    if (match !== null)
      lines.push([
        [`${match[1] === 'group' ? 'group' : 'transaction'} ${match[2]} `, 'dim'],
        `${match[3] === 'state' ? '' : `${match[3]}: `}${value}`,
      ])
  }
  return lines
}

/** What a server of the ensemble has applied: one that is behind shows the past, as it would to its clients. */
function zooKeeperLines({ state, lastZxid, sessions, znodes }: ZooKeeperView): Line[] {
  const zxid = `${Math.floor(lastZxid / 0x1_0000_0000)}:${lastZxid % 0x1_0000_0000}`
  const lines: Line[] = [[`${state}, applied up to ${zxid}`], [[`sessions (${sessions.length})`, 'bold']]]
  for (const { session, timeoutMs } of sessions) lines.push([`  ${session}  ${timeoutMs} ms`])
  lines.push([[`znodes (${znodes.length})`, 'bold']])
  for (const { path, version, owner, dataBytes } of [...znodes].sort((a, b) => (a.path < b.path ? -1 : 1))) {
    const ephemeral = /^0x0+$/.test(owner) ? '' : `, of session ${owner}`
    lines.push([`  ${path === '' ? '/' : path}  `, [`v${version}, ${dataBytes} B${ephemeral}`, 'dim']])
  }
  return lines
}

// ── the log ───────────────────────────────────────────────────────────────────────────────────────────────────────────

function logNode(node: string | undefined): string {
  return node !== undefined && /^[bc][0-9]+$/.test(node) ? node : '?'
}

function logLines(explorer: Explorer, height: number): readonly Line[] {
  const { branch, partition, node } = explorer
  if (partition === undefined || node === undefined) return []
  const isController = /^c[0-9]+$/.test(node)
  const name = isController ? '__cluster_metadata-0' : partition
  const log = logAt(branch.recording.events, branch.cursor, name, node)
  if (log === undefined)
    return [[[`${node} has no log of ${name}; , and . look at other nodes, [ and ] at other partitions`, 'dim']]]
  const facts = branch.states.at(branch.cursor)
  const highWatermark = Number(facts.get(`rep/${name}/${node}/hw`) ?? facts.get(`quorum-hw/${node}`) ?? 0)
  const lines: Line[] = [[`${log.start} to ${log.end}, HW ${highWatermark}`]]
  const wanted = focusOffset(explorer.event, name) ?? log.end
  const at = log.batches.findIndex(({ lastOffset }) => lastOffset >= wanted)
  const middle = at < 0 ? log.batches.length : at
  const room = Math.max(1, height - 1)
  const first = Math.max(0, Math.min(middle - Math.floor(room / 2), log.batches.length - room))
  for (const batch of log.batches.slice(first, first + room)) {
    const { baseOffset, lastOffset, epoch, view } = batch
    const isFocus = baseOffset <= wanted && wanted <= lastOffset
    const producer =
      view.producerId < 0 ? '' : `  producer ${view.producerId}/${view.producerEpoch} seq ${view.baseSequence}`
    const kind = view.isControl ? '  control' : view.isTransactional ? '  in a transaction' : ''
    const mark = lastOffset < highWatermark ? '' : '  above HW'
    lines.push([
      [isFocus ? '▸' : ' ', 'bold'],
      `@${baseOffset === lastOffset ? baseOffset : `${baseOffset}–${lastOffset}`}`.padEnd(12),
      `e${epoch}  ${view.count} records  ${view.sizeInBytes} B${producer}${kind}`,
      [mark, 'yellow'],
    ])
  }
  if (log.batches.length === 0) lines.push([['no batches', 'dim']])
  return lines
}

/** The offset that an event is about. */
function focusOffset(event: TraceEvent | undefined, partition: string): number | undefined {
  if (event === undefined || !('partition' in event.data) || event.data.partition !== partition) return undefined
  const { data } = event as {
    data: { baseOffset?: number; offset?: number; to?: number; from?: number; offsets?: readonly number[] }
  }
  const to = typeof data.to === 'number' ? data.to - 1 : undefined
  return data.baseOffset ?? data.offset ?? to ?? data.offsets?.[0]
}

// ── oracles ───────────────────────────────────────────────────────────────────────────────────────────────────────────

/** One line for a screen that has no room for more. */
export function verdictLine(explorer: Explorer): Line {
  const { recording } = explorer.branch
  const { result } = recording
  if (result === undefined) {
    const done = (recording.now - recording.readyAt) / 1e6
    return [[recording.isLive ? `live, ${done.toFixed(1)} s recorded` : `recording … ${done.toFixed(1)} s`, 'dim']]
  }
  const losses = findingsOf(result).filter(({ isLoss }) => isLoss)
  if (result.failures.length === 0) {
    const rest =
      losses.length === 0
        ? ''
        : `, with ${losses.length} kind${losses.length > 1 ? 's' : ''} of loss that nobody promised against`
    return [['✓ as expected', 'green'], rest]
  }
  return result.failures.flatMap(({ name, time }, at): Span[] => [
    at === 0 ? '' : '  ',
    [`✗ ${name}${time === undefined ? '' : ` @${seconds(time - result.readyAt).trim()}`}`, 'red'],
  ])
}

function oracleLines(explorer: Explorer): readonly Line[] {
  const { result } = explorer.branch.recording
  if (result === undefined) return [verdictLine(explorer), [['oracles judge when the run has ended', 'dim']]]
  const lines: Line[] = []
  for (const { name, message, time } of result.failures) {
    lines.push([[`✗ ${name}`, 'red'], time === undefined ? '' : ` @${seconds(time - result.readyAt).trim()}`])
    lines.push([`  ${message}`])
  }
  for (const report of result.oracles) {
    if (result.failures.some(({ name }) => name === report.name)) continue
    const sign = report.verdict === 'pass' ? '✓' : report.verdict === 'fail' ? '✗' : '?'
    lines.push([
      [sign, report.verdict === 'pass' ? 'green' : 'yellow'],
      ` ${report.name}`,
      [`  ${report.checks} checks`, 'dim'],
    ])
    for (const { reason, count } of report.losses) lines.push([`    not promised: ${count} × ${reason}`])
  }
  return lines
}

// ── branches ──────────────────────────────────────────────────────────────────────────────────────────────────────────

export function branchLine(explorer: Explorer): Line {
  const { branch, branches } = explorer
  const where = branch.fork === undefined ? 'recorded' : `from ${branch.fork.from.name}`
  return [
    ['branch: ', 'bold'],
    `${branch.name} (${where})`,
    branches.length > 1 ? `, ${branches.length} in all` : '',
    ['    b injects a fault here and forks', 'dim'],
  ]
}

function branchLines(explorer: Explorer): readonly Line[] {
  return explorer.branches.flatMap((branch): Line[] => {
    const { result } = branch.recording
    const verdict = result === undefined ? '…' : result.failures.length === 0 ? '✓' : `✗ ${result.failures[0]?.name}`
    const head: Line = [
      [branch === explorer.branch ? '▸ ' : '  ', 'bold'],
      branch.name,
      [`  ${verdict}`, result?.failures.length === 0 ? 'green' : 'yellow'],
    ]
    if (branch.fork === undefined) return [head]
    return [
      head,
      [[`    ${branch.fork.from.name} @${seconds(branch.fork.at).trim()}: ${branch.fork.step}`, 'dim']],
      ...saved(branch),
    ]
  })
}

function saved(branch: Branch): Line[] {
  return branch.savedAs === undefined ? [] : [[[`    saved as ${branch.savedAs}`, 'dim']]]
}

export function treeLines(explorer: Explorer): readonly Line[] {
  const { branch } = explorer
  const { scenario, events } = branch.recording
  const facts = branch.states.at(branch.cursor)
  const partitions = [...facts.keys()].flatMap((fact) => /^part\/(.+)\/leader$/.exec(fact)?.[1] ?? [])
  const lines: Line[] = [[['scenario', 'bold']], [`  ${scenario.name}`], [['steps', 'bold']]]
  for (const event of events) {
    if (event.type !== 'fault.start' && event.type !== 'operation.start') continue
    const isPast = event.seq <= branch.cursor
    lines.push([
      [
        `${isPast ? '●' : '○'} ${seconds(event.time - branch.recording.readyAt)} ${describeEvent(event).replace(/^fault: /, '')}`,
        isPast ? 'yellow' : 'dim',
      ],
    ])
  }
  lines.push([['partitions', 'bold']])
  for (const partition of partitions) {
    const leader = facts.get(`part/${partition}/leader`)
    const mark = partition === explorer.partition ? '▸' : ' '
    lines.push([
      `${mark} ${partition}  `,
      [`${leader} e${facts.get(`part/${partition}/epoch`)}`, leader === 'none' ? 'red' : 'green'],
      `  ${facts.get(`part/${partition}/isr`)}`,
    ])
  }
  lines.push([['nodes', 'bold']])
  for (const [fact, value] of facts) {
    if (!fact.startsWith('node/')) continue
    const name = fact.slice('node/'.length)
    if (name === 'admin') continue
    lines.push([
      `${name === explorer.node ? '▸' : ' '} ${name}  `,
      [String(value), value === 'up' ? 'green' : 'yellow'],
    ])
  }
  return lines
}
