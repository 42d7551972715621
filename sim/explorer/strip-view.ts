/**
 * The strip above the lanes: the whole run from left to right, with faults, who led, violations, and where the cursor stands.
 */

import type { TraceEvent } from '../kernel/events.js'
import type { Branch } from './branch.js'
import type { Explorer } from './explorer.js'
import { findingsOf } from './findings.js'
import type { Region } from './region.js'

const LABEL = 9

interface Digest {
  readonly upTo: number
  /** [start, end or undefined, kind] of each fault. */
  readonly faults: {
    readonly step: number
    readonly start: number
    end: number | undefined
    readonly isDown: boolean
  }[]
  /** Partition → [time, leader] of each change. */
  readonly leaders: Map<string, [time: number, leader: string][]>
}

/** What the strip is drawn from, kept for each branch as its recording grows. */
const digests = new WeakMap<Branch, Digest>()

export function drawStrip(explorer: Explorer, region: Region): void {
  const { branch, partition } = explorer
  const { readyAt, end, result } = branch.recording
  const width = region.width - LABEL
  const digest = digestOf(branch)
  const span = Math.max(1, end - readyAt)
  const column = (time: number): number =>
    Math.max(0, Math.min(width - 1, Math.floor(((time - readyAt) / span) * width)))
  region.put(0, 0, 'faults', 'dim')
  region.fill(0, LABEL, LABEL + width, '·', 'dim')
  for (const fault of digest.faults) {
    const from = column(fault.start)
    const to = Math.max(from + 1, column(fault.end ?? fault.start) + 1)
    region.fill(0, LABEL + from, LABEL + to, '▒', 'yellow')
    if (fault.isDown) region.put(0, LABEL + from, '✗', 'red')
  }
  region.put(1, 0, (partition ?? 'leader').slice(0, LABEL - 1), 'dim')
  drawLeaders(digest.leaders.get(partition ?? '') ?? [], column, width, region, branch)
  for (const { time, isLoss } of findingsOf(result)) {
    if (time !== undefined) region.put(2, LABEL + column(time), '!', isLoss ? 'yellow' : 'red')
  }
  const cursor = column(branch.time + readyAt)
  region.put(2, LABEL + cursor, '▲', 'bold')
  region.put(2, 0, explorer.isPlaying ? 'playing' : 'cursor', 'dim')
}

function drawLeaders(
  changes: readonly (readonly [number, string])[],
  column: (time: number) => number,
  width: number,
  region: Region,
  branch: Branch,
): void {
  const recorded = Math.min(width, column(branch.recording.now) + 1)
  changes.forEach(([time, leader], at) => {
    const next = changes[at + 1]
    const from = column(time)
    const to = next === undefined ? recorded : column(next[0])
    const sign = leader === 'none' ? '?' : leader.replace(/^b/, '')
    const style = leader === 'none' ? 'red' : at % 2 === 0 ? 'green' : 'cyan'
    if (sign.length === 1) region.fill(1, LABEL + from, LABEL + Math.max(to, from + 1), sign, style)
    else region.put(1, LABEL + from, sign, style)
  })
}

function digestOf(branch: Branch): Digest {
  const { events } = branch.recording
  const known = digests.get(branch)
  if (known?.upTo === events.length) return known
  const digest: Digest = {
    upTo: events.length,
    faults: known?.faults ?? [],
    leaders: known?.leaders ?? new Map<string, [number, string][]>(),
  }
  for (let at = known?.upTo ?? 0; at < events.length; at++) digestEvent(digest, events[at] as TraceEvent)
  digests.set(branch, digest)
  return digest
}

function digestEvent(digest: Digest, event: TraceEvent): void {
  switch (event.type) {
    case 'fault.start':
      digest.faults.push({
        step: event.data.step,
        start: event.time,
        end: undefined,
        isDown: ['kill', 'power-loss', 'stop', 'wipe'].includes(event.data.kind),
      })
      break
    case 'fault.end': {
      const fault = digest.faults.findLast(({ step }) => step === event.data.step)
      if (fault !== undefined) fault.end = event.time
      break
    }
    case 'controller.partition': {
      const { partition, leader } = event.data
      const changes = digest.leaders.get(partition) ?? []
      const name = leader < 0 ? 'none' : `b${leader}`
      if (changes.at(-1)?.[1] !== name) changes.push([event.time, name])
      digest.leaders.set(partition, changes)
      break
    }
    default:
      break
  }
}
