/**
 * Faults of disks: disk-slow, disk-hang, disk-fail, disk-full, disk-corrupt, disk-lie.
 *
 * A broker with one log directory ends when its disk fails or is full, as Kafka does; slow and hung disks hold up whoever
 * writes, and nothing else notices.
 */

import { z } from 'zod'
import { partitionFolder } from '../cluster/cluster.js'
import { duration, partition, targets } from './arguments.js'
import type { FaultKind, StepContext } from './kind.js'
import { resolveTargets } from './resolve.js'
import type { Target } from './target.js'

interface SlowArgument {
  readonly on: readonly Target[]
  readonly by: number
}

const slow: FaultKind<SlowArgument> = {
  type: 'fault',
  doc: 'every write and fsync takes longer: { on: b1, by: 50ms }',
  lasts: 'always',
  schema: (names) => z.strictObject({ on: targets(names), by: duration }),
  plan: ({ on, by }, context) => onDisks(on, context, (node) => context.cluster.disk(node).slow({ addedMicros: by })),
}

const hang: FaultKind<readonly Target[]> = {
  type: 'fault',
  doc: 'writes and fsyncs wait until the fault ends',
  lasts: 'always',
  schema: targets,
  plan: (on, context) => onDisks(on, context, (node) => context.cluster.disk(node).hang()),
}

const fail: FaultKind<readonly Target[]> = {
  type: 'fault',
  doc: 'every call gives an input/output error',
  lasts: 'always',
  schema: targets,
  plan: (on, context) => onDisks(on, context, (node) => context.cluster.disk(node).fail()),
}

const full: FaultKind<readonly Target[]> = {
  type: 'fault',
  doc: 'no space is left for new bytes',
  lasts: 'always',
  schema: targets,
  plan: (on, context) => onDisks(on, context, (node) => context.cluster.disk(node).full()),
}

const lie: FaultKind<readonly Target[]> = {
  type: 'fault',
  doc: 'fsync says that it is done, and is not: a later power loss takes what it was told to keep',
  lasts: 'always',
  schema: targets,
  plan: (on, context) => onDisks(on, context, (node) => context.cluster.disk(node).lie()),
}

interface CorruptArgument {
  readonly on: readonly Target[]
  readonly partition: string
  readonly where: 'head' | 'middle' | 'tail'
  readonly bytes: number
}

const corrupt: FaultKind<CorruptArgument> = {
  type: 'fault',
  doc: "bytes of a partition's newest segment rot: { on: b2, partition: orders-0, where: tail }",
  lasts: 'never',
  schema: (names) =>
    z.strictObject({
      on: targets(names),
      partition: partition(names),
      where: z.enum(['head', 'middle', 'tail']).default('tail'),
      bytes: z.number().int().min(1).max(4096).default(1),
    }),
  plan: ({ on, partition: name, where, bytes }, context) => {
    const nodes = resolveTargets(on, context)
    if ('skipped' in nodes) return nodes
    const files = nodes.flatMap((node) => {
      const disk = context.cluster.disk(node)
      const path = disk.list(`${partitionFolder(name)}/`).findLast((candidate) => candidate.endsWith('.log'))
      const size = path === undefined ? 0 : (disk.view().find((file) => file.path === path)?.size ?? 0)
      return path === undefined || size === 0 ? [] : [{ node, path, size }]
    })
    if (files.length === 0) return { skipped: `${name} has no bytes on ${nodes.join(' ')}` }
    return {
      targets: files.map((file) => file.node),
      act: () => {
        for (const { node, path, size } of files) {
          const part = { head: 0, middle: Math.floor(size / 2), tail: Math.max(0, size - 1 - bytes) }[where]
          context.cluster.disk(node).corrupt((candidate) => candidate === path, Math.min(part, size - 1), bytes)
        }
        return undefined
      },
    }
  },
}

export const DISK_FAULTS = {
  'disk-slow': slow,
  'disk-hang': hang,
  'disk-fail': fail,
  'disk-full': full,
  'disk-corrupt': corrupt,
  'disk-lie': lie,
}

function onDisks(on: readonly Target[], context: StepContext, put: (node: string) => { remove(): void }) {
  const nodes = resolveTargets(on, context)
  if ('skipped' in nodes) return nodes
  return {
    targets: nodes,
    act: () => {
      const handles = nodes.map(put)
      return () => {
        for (const handle of handles) handle.remove()
      }
    },
  }
}
