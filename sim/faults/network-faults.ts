/**
 * Faults of the network: partition, isolate, one-way, latency, loss, bandwidth, stall, reset, drop, delay.
 *
 * Each is a rule put on the simulated network and taken off at its end. Partitions concern only the nodes that they name; TCP
 * retransmits what was sent meanwhile, so healing delivers it late rather than never.
 */

import { z } from 'zod'
import type { NodeName } from '../kernel/names.js'
import type { MessageMatch } from '../world/fault-rule.js'
import { API_NAMES, messageOf } from '../cluster/message-of.js'
import { nearest } from '../kernel/config-def.js'
import { duration, share, size, targets } from './arguments.js'
import type { FaultKind, StepContext } from './kind.js'
import { resolveSides, resolveTargets } from './resolve.js'
import type { Target, TargetNames } from './target.js'

type Sides = readonly (readonly Target[])[]

const partition: FaultKind<Sides> = {
  type: 'fault',
  doc: 'silence between the sides: [[b3], [b1, b2, c1, c2, c3]]; with one side, between it and all other brokers and controllers',
  lasts: 'always',
  schema: (names) => z.array(targets(names)).min(1, 'a partition needs sides, such as [[b3], [b1, b2]]'),
  plan: (sides, context) => {
    const rest: Sides = [[{ type: 'set', set: 'rest' }]]
    const groups = resolveSides(sides.length === 1 ? [...sides, ...rest] : sides, context)
    if ('skipped' in groups) return groups
    return { targets: groups[0] as readonly NodeName[], act: () => ending(context.cluster.network.partition(groups)) }
  },
}

const isolate: FaultKind<readonly Target[]> = {
  type: 'fault',
  doc: 'silence between these nodes and everybody else, clients included',
  lasts: 'always',
  schema: targets,
  plan: (chosen, context) => {
    const nodes = resolveTargets(chosen, context)
    if ('skipped' in nodes) return nodes
    return { targets: nodes, act: () => ending(context.cluster.network.isolate(nodes)) }
  },
}

interface Direction {
  readonly from: readonly Target[]
  readonly to: readonly Target[]
}

const oneWay: FaultKind<Direction> = {
  type: 'fault',
  doc: 'what one side sends to the other is lost, not the reverse: { from: b1, to: [b2, b3] }',
  lasts: 'always',
  schema: (names) => z.strictObject({ from: targets(names), to: targets(names) }),
  plan: ({ from, to }, context) => {
    const sides = resolveSides([from, to], context)
    if ('skipped' in sides) return sides
    const [sources, destinations] = sides as [readonly NodeName[], readonly NodeName[]]
    return { targets: sources, act: () => ending(context.cluster.network.oneWay(sources, destinations)) }
  },
}

interface On {
  readonly on: readonly Target[]
}

const latency: FaultKind<On & { add: number; jitter: number }> = {
  type: 'fault',
  doc: 'everything to and from these nodes takes longer: { on: b1, add: 50ms, jitter: 20ms }',
  lasts: 'always',
  schema: (names) => z.strictObject({ on: targets(names), add: duration, jitter: duration.default(0) }),
  plan: ({ on, add, jitter }, context) =>
    onLinks(on, context, (between) =>
      context.cluster.network.latency({ fixedMicros: add, ...(jitter > 0 && { extraMicros: [0, jitter] }) }, between),
    ),
}

const loss: FaultKind<On & { rate: number }> = {
  type: 'fault',
  doc: 'packets to and from these nodes are lost, and retransmitted: { on: b1, rate: 5% }',
  lasts: 'always',
  schema: (names) => z.strictObject({ on: targets(names), rate: share }),
  plan: ({ on, rate }, context) => onLinks(on, context, (between) => context.cluster.network.loss(rate, between)),
}

const bandwidth: FaultKind<On & { limit: number }> = {
  type: 'fault',
  doc: 'links to and from these nodes carry this much a second: { on: b1, limit: 1MB }',
  lasts: 'always',
  schema: (names) =>
    z.strictObject({
      on: targets(names),
      limit: size.refine((bytes) => bytes > 0, 'a limit of nothing is a partition'),
    }),
  plan: ({ on, limit }, context) =>
    onLinks(on, context, (between) => context.cluster.network.bandwidth(limit, between)),
}

const stall: FaultKind<readonly Target[]> = {
  type: 'fault',
  doc: 'connections of these nodes stay open, and nothing moves on them',
  lasts: 'always',
  schema: targets,
  plan: (on, context) => onLinks(on, context, (between) => context.cluster.network.stall(between)),
}

const reset: FaultKind<readonly Target[]> = {
  type: 'fault',
  doc: 'all connections of these nodes are reset',
  lasts: 'never',
  schema: targets,
  plan: (chosen, context) => {
    const nodes = resolveTargets(chosen, context)
    if ('skipped' in nodes) return nodes
    return {
      targets: nodes,
      act: () => {
        context.cluster.network.reset(nodes, 'all')
        return undefined
      },
    }
  },
}

interface MessageArgument {
  readonly request?: string
  readonly response?: string
  readonly from?: readonly Target[]
  readonly to?: readonly Target[]
  readonly times?: number
}

const drop: FaultKind<MessageArgument> = {
  type: 'fault',
  doc: 'messages, and what follows them on their connection, never arrive: { request: Fetch, from: b2, to: b1, times: 1 }',
  lasts: 'always',
  schema: (names) => messageSchema(names, {}),
  plan: (argument, context) =>
    onMessages(argument, context, (match, limit) => context.cluster.network.dropMessages(match, limit)),
}

const delay: FaultKind<MessageArgument & { by: number }> = {
  type: 'fault',
  doc: 'messages, and what follows them on their connection, come late: { request: AlterPartition, by: 2s }',
  lasts: 'always',
  schema: (names) => messageSchema(names, { by: duration }) as unknown as z.ZodType<MessageArgument & { by: number }>,
  plan: (argument, context) =>
    onMessages(argument, context, (match, limit) => context.cluster.network.delayMessages(match, argument.by, limit)),
}

export const NETWORK_FAULTS = {
  partition,
  isolate,
  'one-way': oneWay,
  latency,
  loss,
  bandwidth,
  stall,
  reset,
  drop,
  delay,
}

interface Handle {
  remove(): void
}

type Between = { readonly from?: readonly NodeName[]; readonly to?: readonly NodeName[] }

function ending(handle: Handle): () => void {
  return () => handle.remove()
}

/** A rule on both directions of every link of these nodes. */
function onLinks(on: readonly Target[], context: StepContext, put: (between: Between) => Handle) {
  const nodes = resolveTargets(on, context)
  if ('skipped' in nodes) return nodes
  return {
    targets: nodes,
    act: () => {
      const inward = put({ to: nodes })
      const outward = put({ from: nodes })
      return () => {
        inward.remove()
        outward.remove()
      }
    },
  }
}

function messageSchema(names: TargetNames, more: Readonly<Record<string, z.ZodType>>): z.ZodType<MessageArgument> {
  const api = z.string().superRefine((name, context) => {
    if (API_NAMES.includes(name)) return
    const near = nearest(name, API_NAMES)
    context.addIssue({
      code: 'custom',
      message: `unknown API ${name}`,
      params: { mend: near ? `did you mean ${near}?` : `known are ${API_NAMES.join(', ')}` },
    })
  })
  return z
    .strictObject({
      request: api.optional(),
      response: api.optional(),
      from: targets(names).optional(),
      to: targets(names).optional(),
      times: z.number().int().min(1).optional(),
      ...more,
    })
    .refine((argument) => (argument.request === undefined) !== (argument.response === undefined), {
      message: 'name either a request or a response, such as request: Fetch',
    }) as unknown as z.ZodType<MessageArgument>
}

function onMessages(
  { request, response, from, to, times }: MessageArgument,
  context: StepContext,
  put: (match: MessageMatch, limit: { times?: number }) => Handle,
) {
  const sources = from && resolveTargets(from, context)
  const destinations = to && resolveTargets(to, context)
  if (sources && 'skipped' in sources) return sources
  if (destinations && 'skipped' in destinations) return destinations
  const match: MessageMatch = (frame, sender, receiver) => {
    if (sources && !sources.includes(sender)) return false
    if (destinations && !destinations.includes(receiver)) return false
    const message = messageOf(frame)
    return (
      message !== undefined && message.api === (request ?? response) && message.isRequest === (request !== undefined)
    )
  }
  const nodes = [...(sources ?? []), ...(destinations ?? [])]
  return { targets: nodes, act: () => ending(put(match, times === undefined ? {} : { times })) }
}
