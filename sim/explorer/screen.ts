/**
 * The whole screen as rows of text: a pure function of the explorer and the size.
 *
 *     80 columns     header, strip, lanes, why and diff, the pane, branch and keys
 *     120 and more   … with the event and the pane in a column on the right
 *     180 and more   … and a tree of steps, partitions and nodes on the left
 */

import { clip } from '../../reports/canvas.js'
import type { Look } from '../../reports/reporter.js'
import { drawComparison } from './compare-view.js'
import type { Explorer } from './explorer.js'
import { KEY_GROUPS } from './keys.js'
import { drawLanes, seconds } from './lanes-view.js'
import { branchLine, diffLine, drawPane, treeLines, verdictLine, whyLine, type Line } from './panes-view.js'
import { Region } from './region.js'
import { drawStrip } from './strip-view.js'

export const NARROWEST = 60
export const LOWEST = 16
const WIDE = 120
const WIDER = 180
const TREE = 34
const STRIP = 3

/** `height` rows, none longer than the width. */
export function screenOf(explorer: Explorer, look: Look, height: number): string[] {
  const { width } = look
  if (width < NARROWEST || height < LOWEST) {
    const words = `${width}×${height} is too small: samsa explore needs ${NARROWEST}×${LOWEST}. q leaves.`
    return [clip(words, width)]
  }
  const { rows, region } = Region.screen(width, height)
  drawHeader(explorer, region)
  const body = region.part(0, 1, width, height - 3)
  if (explorer.isHelp) drawHelp(explorer, body)
  else if (explorer.isComparing) drawComparison(explorer, body)
  else if (width >= WIDE) drawWide(explorer, body)
  else drawNarrow(explorer, body)
  drawFooter(explorer, region.part(0, height - 2, width, 2))
  return rows.map((row) => row.toText(look))
}

function drawHeader(explorer: Explorer, region: Region): void {
  const { branch, isPlaying } = explorer
  const { recording } = branch
  const { events, scenario, options, isLive } = recording
  const failures = recording.result?.failures.length
  const verdict =
    failures === undefined
      ? isLive
        ? 'live'
        : '…'
      : failures === 0
        ? '✓'
        : `✗ ${failures} violation${failures > 1 ? 's' : ''}`
  const time = `${isPlaying ? `▶ ${explorer.speed}×` : '⏸'} ${seconds(branch.time).trim()}s`
  const right = `${time}  ev ${branch.cursor}/${events.length}  ${verdict}`
  region.put(0, 0, clip(`${scenario.name}  seed ${options.seed}`, region.width - right.length - 2), 'bold')
  region.put(0, region.width - right.length, right)
}

function drawNarrow(explorer: Explorer, region: Region): void {
  const pane = Math.max(4, Math.floor((region.height - STRIP) / 3) - 1)
  drawStrip(explorer, region.part(0, 0, region.width, STRIP))
  const lanes = region.height - STRIP - pane - 3
  drawLanes(explorer, region.part(0, STRIP, region.width, lanes))
  const below = STRIP + lanes
  region.rule(below)
  region.line(below + 1, whyLine(explorer))
  region.line(below + 2, diffLine(explorer))
  drawPane(explorer, explorer.pane, region.part(0, below + 3, region.width, pane))
}

function drawWide(explorer: Explorer, region: Region): void {
  const tree = region.width >= WIDER ? TREE : 0
  const side = Math.min(64, Math.floor((region.width - tree) * 0.38))
  const middle = region.width - tree - side - 1
  if (tree > 0) {
    const part = region.part(0, 0, tree - 1, region.height)
    drawLines(treeLines(explorer), part)
    region.part(tree - 1, 0, 1, region.height).column(0, '│')
  }
  drawStrip(explorer, region.part(tree, 0, region.width - tree, STRIP))
  const height = region.height - STRIP
  drawLanes(explorer, region.part(tree, STRIP, middle, height - 3))
  const below = region.part(tree, region.height - 3, middle, 3)
  below.rule(0)
  below.line(1, whyLine(explorer))
  below.line(2, diffLine(explorer))
  region.part(tree + middle, STRIP, 1, height).column(0, '│')
  const right = region.part(tree + middle + 1, STRIP, side, height)
  if (explorer.pane === 'event') drawPane(explorer, 'event', right)
  else {
    const half = Math.floor(height / 2)
    drawPane(explorer, 'event', right.part(0, 0, side, half))
    drawPane(explorer, explorer.pane, right.part(0, half, side, height - half))
  }
}

function drawLines(lines: readonly Line[], region: Region): void {
  const fits = lines.length <= region.height ? lines : lines.slice(0, region.height - 1)
  fits.forEach((line, at) => region.line(at, line))
  if (fits.length < lines.length) region.put(region.height - 1, 1, `⋮ ${lines.length - fits.length} more`, 'dim')
}

function drawFooter(explorer: Explorer, region: Region): void {
  const { input, message } = explorer
  if (input !== undefined) {
    const hint =
      input.purpose === 'step'
        ? 'such as: kill leader(orders-0) for 2s    Tab completes, Esc leaves'
        : 'Enter takes it, Esc leaves'
    region.line(0, [[`${input.label} `, 'bold'], input.text, ['█', 'dim']])
    region.line(1, [input.wrong === undefined ? [hint, 'dim'] : [`✗ ${input.wrong}`, 'red']])
    return
  }
  const first =
    explorer.pane === 'branches' || explorer.branches.length > 1 ? branchLine(explorer) : verdictLine(explorer)
  region.line(0, message === '' ? first : [[message, 'yellow']])
  region.line(1, [
    [
      'h/l event  n violation  f fault  e leader  w why  space play  / search  z detail  tab pane  b inject  ? all  q leave',
      'dim',
    ],
  ])
}

function drawHelp(explorer: Explorer, region: Region): void {
  const lines: Line[] = [
    [
      ['Keys', 'bold'],
      ['   ? or any other key leaves this help; up and down scroll it', 'dim'],
    ],
  ]
  for (const { title, bindings } of KEY_GROUPS) {
    lines.push([''], [[title, 'bold']])
    for (const { keys, doc } of bindings) lines.push([[`  ${keys.join(' ').padEnd(18)}`, 'cyan'], doc])
  }
  lines.push([''], [['Signs', 'bold']])
  lines.push(['  * leads the partition looked at   12/10 log end/high watermark   ✗ down, or what shows a violation'])
  lines.push(['  ● something happens   ──► a message   ⋮ events left out   ┆ fenced   ‖ paused   ▒ a fault acts'])
  const top = Math.min(explorer.helpTop, Math.max(0, lines.length - region.height))
  explorer.helpTop = top
  lines.slice(top, top + region.height).forEach((line, at) => region.line(at, line, 1))
}
