/**
 * Faults of processes and clocks: kill, power-loss, pause, stop, wipe, clock-skew, clock-drift, clock-jump, client-stall.
 *
 * With `for`, what a fault brought down is started again at its end.
 */

import { z } from 'zod'
import { MICROS_PER_MS } from '../kernel/units.js'
import { signedDuration, targets } from './arguments.js'
import type { FaultKind } from './kind.js'
import { resolveTargets } from './resolve.js'
import type { Target } from './target.js'

const kill: FaultKind<readonly Target[]> = {
  type: 'fault',
  doc: 'the process dies at once (kill -9); what it wrote stays in the page cache',
  lasts: 'restart',
  schema: targets,
  plan: (chosen, context) => down(chosen, context, (node) => context.cluster.kill(node)),
}

const powerLoss: FaultKind<readonly Target[]> = {
  type: 'fault',
  doc: 'the machine loses power: unsynced pages are lost or torn, connections fall silent',
  lasts: 'restart',
  schema: targets,
  plan: (chosen, context) => down(chosen, context, (node) => context.cluster.powerLoss(node)),
}

const stop: FaultKind<readonly Target[]> = {
  type: 'fault',
  doc: 'controlled shutdown (SIGTERM)',
  lasts: 'restart',
  schema: targets,
  plan: (chosen, context) => down(chosen, context, (node) => context.cluster.stop(node)),
}

const pause: FaultKind<readonly Target[]> = {
  type: 'fault',
  doc: 'the process stands still (SIGSTOP, a long GC pause, a frozen VM)',
  lasts: 'always',
  schema: targets,
  plan: (chosen, context) => {
    const nodes = resolveTargets(chosen, context)
    if ('skipped' in nodes) return nodes
    const running = nodes.filter((node) => context.view.isUp(node))
    if (running.length === 0) return { skipped: `${nodes.join(' ')} not running` }
    return {
      targets: running,
      act: () => {
        for (const node of running) context.cluster.pause(node)
        return () => {
          for (const node of running) context.cluster.resume(node)
        }
      },
    }
  },
}

const wipe: FaultKind<readonly Target[]> = {
  type: 'fault',
  doc: 'the process is killed and its disk emptied; it is formatted anew when it starts',
  lasts: 'restart',
  schema: targets,
  plan: (chosen, context) => down(chosen, context, (node) => context.cluster.wipe(node), true),
}

interface ClockArgument {
  readonly on: readonly Target[]
  readonly by: number
}

const clockJump: FaultKind<ClockArgument> = {
  type: 'fault',
  doc: 'the wall clock jumps, and stays: { on: b1, by: -3s }',
  lasts: 'never',
  schema: (names) => z.strictObject({ on: targets(names), by: signedDuration }),
  plan: ({ on, by }, context) => {
    const nodes = resolveTargets(on, context)
    if ('skipped' in nodes) return nodes
    return {
      targets: nodes,
      act: () => {
        for (const node of nodes) context.cluster.clock(node).jump(Math.round(by / MICROS_PER_MS))
        return undefined
      },
    }
  },
}

const clockSkew: FaultKind<ClockArgument> = {
  type: 'fault',
  doc: 'the wall clock is off by this much, until the fault ends: { on: b1, by: 30s }',
  lasts: 'always',
  schema: (names) => z.strictObject({ on: targets(names), by: signedDuration }),
  plan: ({ on, by }, context) => {
    const nodes = resolveTargets(on, context)
    if ('skipped' in nodes) return nodes
    const ms = Math.round(by / MICROS_PER_MS)
    return {
      targets: nodes,
      act: () => {
        for (const node of nodes) context.cluster.clock(node).jump(ms)
        return () => {
          for (const node of nodes) context.cluster.clock(node).jump(-ms)
        }
      },
    }
  },
}

const clockDrift: FaultKind<{ on: readonly Target[]; ppm: number }> = {
  type: 'fault',
  doc: 'both clocks run fast or slow, in parts per million: { on: b1, ppm: 5000 }',
  lasts: 'always',
  schema: (names) => z.strictObject({ on: targets(names), ppm: z.number().int().min(-500_000).max(500_000) }),
  plan: ({ on, ppm }, context) => {
    const nodes = resolveTargets(on, context)
    if ('skipped' in nodes) return nodes
    return {
      targets: nodes,
      act: () => {
        for (const node of nodes) context.cluster.clock(node).drift(ppm)
        return () => {
          for (const node of nodes) context.cluster.clock(node).drift(0)
        }
      },
    }
  },
}

export const PROCESS_FAULTS = {
  kill,
  'power-loss': powerLoss,
  stop,
  pause,
  wipe,
  'clock-jump': clockJump,
  'clock-skew': clockSkew,
  'clock-drift': clockDrift,
}

function down(
  chosen: readonly Target[],
  context: Parameters<typeof resolveTargets>[1],
  act: (node: string) => void,
  evenDown = false,
) {
  const nodes = resolveTargets(chosen, context)
  if ('skipped' in nodes) return nodes
  const up = evenDown ? nodes : nodes.filter((node) => context.view.isUp(node))
  if (up.length === 0) return { skipped: `${nodes.join(' ')} ${nodes.length > 1 ? 'are' : 'is'} down already` }
  return {
    targets: up,
    act: () => {
      for (const node of up) act(node)
      return () => {
        for (const node of up) context.cluster.startOnceDown(node)
      }
    },
  }
}
