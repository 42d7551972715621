/** Two branches side by side: where they part, how each ended, and what differs in what they leave. */

import type { Branch } from './branch.js'
import type { Explorer } from './explorer.js'
import { seconds, wordsOf } from './lanes-view.js'
import type { Region, Span } from './region.js'

export function drawComparison(explorer: Explorer, region: Region): void {
  const right = explorer.branch
  const left = right.fork?.from ?? (explorer.branches.find((branch) => branch !== right) as Branch)
  const half = Math.floor((region.width - 3) / 2)
  region.rule(0, `${left.name} and ${right.name}`)
  const parted = firstDifference(left, right)
  region.line(1, [parted === undefined ? 'the same so far, event by event' : `they part at event #${parted}`], 1)
  const sides = [linesOf(left, right, parted), linesOf(right, left, parted)] as const
  region.part(half + 1, 2, 1, region.height - 2).column(0, '│')
  sides.forEach((lines, side) => {
    const part = region.part(side * (half + 2), 2, half, region.height - 2)
    lines.forEach((line, at) => part.line(at, line, 1))
  })
}

/** Sequence of the first event that is not the same in both; undefined when one is the beginning of the other. */
export function firstDifference(left: Branch, right: Branch): number | undefined {
  const a = left.recording.events
  const b = right.recording.events
  for (let at = 0; at < Math.min(a.length, b.length); at++) {
    const [one, other] = [a[at], b[at]]
    if (one?.type !== other?.type || one?.time !== other?.time || one?.node !== other?.node) return at + 1
    if (one !== undefined && other !== undefined && wordsOf(one) !== wordsOf(other)) return at + 1
  }
  return undefined
}

function linesOf(branch: Branch, other: Branch, parted: number | undefined): readonly (readonly Span[])[] {
  const { result, readyAt, events, now } = branch.recording
  const lines: (readonly Span[])[] = [[[branch.name, 'bold'], branch.fork === undefined ? '' : `  ${branch.fork.step}`]]
  const first = parted === undefined ? undefined : events[parted - 1]
  if (first !== undefined) lines.push([`${seconds(first.time - readyAt)} ${first.node}: ${wordsOf(first)}`])
  if (result === undefined) {
    lines.push([[`recording … ${seconds(now - readyAt).trim()} s`, 'dim']])
    return lines
  }
  const isPass = result.failures.length === 0
  lines.push([
    [isPass ? '✓ pass' : `✗ ${result.verdict}`, isPass ? 'green' : 'red'],
    `  ${result.events} events  ${result.hash}`,
  ])
  for (const { name, message } of result.failures) lines.push([[`✗ ${name}: `, 'red'], message])
  const theirs = other.recording.result
  for (const [measure, value] of Object.entries(result.measures)) {
    const text = textOf(value)
    const isOther = theirs !== undefined && textOf(theirs.measures[measure] ?? '') !== text
    lines.push([[`${measure}: `, 'dim'], isOther ? [text, 'yellow'] : text, isOther ? '  *' : ''])
  }
  lines.push([''], [['leaders', 'bold']])
  for (const event of events) {
    if (event.type !== 'replica.leader' || event.time < readyAt) continue
    lines.push([`${seconds(event.time - readyAt)} ${event.data.partition}: ${event.node} e${event.data.leaderEpoch}`])
  }
  return lines
}

function textOf(value: number | string | boolean | readonly string[]): string {
  return typeof value === 'object' ? value.join(' ') : String(value)
}
