/**
 * What operators do: create-topic, add-partitions, delete-topic, reassign, elect-leaders, alter-config, delete-records, start, add-broker,
 * remove-broker, rolling-restart.
 *
 * Administration goes through the admin client, over the wire; its outcome (`ok` or Kafka's error name) stands in the trace.
 */

import { z } from 'zod'
import { partitionName, type NodeName } from '../kernel/names.js'
import { MICROS_PER_MS } from '../kernel/units.js'
import { brokerId, duration, partition, targets, topicName } from './arguments.js'
import type { OperationKind, StepContext } from './kind.js'
import { resolveTargets } from './resolve.js'
import type { Target } from './target.js'

const settings = z.record(z.string(), z.union([z.string(), z.number(), z.boolean()]))

interface CreateTopic {
  readonly name: string
  readonly partitions: number
  readonly 'replication-factor'?: number
  readonly replicas?: readonly (readonly number[])[]
  readonly config: Readonly<Record<string, string | number | boolean>>
}

const createTopic: OperationKind<CreateTopic> = {
  type: 'operation',
  doc: '{ name: events, partitions: 3, replication-factor: 3 }',
  schema: () =>
    z.strictObject({
      name: topicName,
      partitions: z.number().int().min(1).max(10_000).default(1),
      'replication-factor': z.number().int().min(1).optional(),
      replicas: z.array(z.array(brokerId).min(1)).min(1).optional(),
      config: settings.default({}),
    }),
  introduces: ({ name, partitions, replicas }) => ({
    partitions: Array.from({ length: replicas?.length ?? partitions }, (_, index) => partitionName(name, index)),
  }),
  start: ({ name, partitions, replicas, config, 'replication-factor': factor }, { cluster }, done) => {
    const configs = Object.fromEntries(Object.entries(config).map(([key, value]) => [key, String(value)]))
    const shape =
      replicas === undefined
        ? { partitions, replicationFactor: factor ?? Math.min(3, cluster.brokers.length) }
        : { assignments: replicas }
    cluster.admin.run((admin, answer) => admin.createTopics([{ name, configs, ...shape }], answer), done)
  },
}

const addPartitions: OperationKind<{ topic: string; to: number }> = {
  type: 'operation',
  doc: '{ topic: orders, to: 6 }',
  schema: () => z.strictObject({ topic: topicName, to: z.number().int().min(1) }),
  start: ({ topic, to }, { cluster }, done) =>
    cluster.admin.run((admin, answer) => admin.createPartitions({ [topic]: { count: to } }, answer), done),
}

const deleteTopic: OperationKind<string> = {
  type: 'operation',
  doc: 'deletes a topic: orders',
  schema: () => topicName,
  start: (topic, { cluster }, done) => cluster.admin.run((admin, answer) => admin.deleteTopics([topic], answer), done),
}

const reassign: OperationKind<{ partition: string; to: readonly number[] | 'cancel' }> = {
  type: 'operation',
  doc: 'moves a partition: { partition: orders-0, to: [b2, b3, b4] }, or { partition: orders-0, to: cancel }',
  schema: (names) =>
    z.strictObject({ partition: partition(names), to: z.union([z.literal('cancel'), z.array(brokerId).min(1)]) }),
  start: ({ partition: name, to }, { cluster }, done) =>
    cluster.admin.run(
      (admin, answer) => admin.alterPartitionReassignments({ [name]: to === 'cancel' ? null : to }, answer),
      done,
    ),
}

const electLeaders: OperationKind<{ type: 'preferred' | 'unclean'; partitions: readonly string[] }> = {
  type: 'operation',
  doc: '{ type: preferred, partitions: [orders-0] }',
  schema: (names) =>
    z.strictObject({
      type: z.enum(['preferred', 'unclean']).default('preferred'),
      partitions: z.array(partition(names)).min(1),
    }),
  start: ({ type, partitions }, { cluster }, done) =>
    cluster.admin.run((admin, answer) => admin.electLeaders(type, partitions, answer), done),
}

interface AlterConfig {
  readonly topic?: string
  readonly broker?: number | 'all'
  readonly set: Readonly<Record<string, string | number | boolean>>
  readonly remove: readonly string[]
}

const alterConfig: OperationKind<AlterConfig> = {
  type: 'operation',
  doc: '{ topic: orders, set: { min.insync.replicas: 1 } }, or { broker: b1, … }, or { broker: all, … }',
  schema: () =>
    z
      .strictObject({
        topic: topicName.optional(),
        broker: z.union([z.literal('all'), brokerId]).optional(),
        set: settings.default({}),
        remove: z.array(z.string()).default([]),
      })
      .refine(({ topic, broker }) => (topic === undefined) !== (broker === undefined), {
        message: 'name either a topic or a broker',
      })
      .refine(({ set, remove }) => Object.keys(set).length + remove.length > 0, {
        message: 'nothing is set or removed',
      }),
  start: ({ topic, broker, set, remove }, { cluster }, done) => {
    const resource =
      topic === undefined
        ? { type: 'broker' as const, name: broker === 'all' ? '' : String(broker) }
        : { type: 'topic' as const, name: topic }
    const changes = [
      ...Object.entries(set).map(([name, value]) => ({ name, op: 'set' as const, value: String(value) })),
      ...remove.map((name) => ({ name, op: 'delete' as const })),
    ]
    cluster.admin.run((admin, answer) => admin.incrementalAlterConfigs([{ ...resource, changes }], answer), done)
  },
}

const deleteRecords: OperationKind<{ partition: string; before: number }> = {
  type: 'operation',
  doc: '{ partition: orders-0, before: 100 }',
  schema: (names) => z.strictObject({ partition: partition(names), before: z.number().int().min(-1) }),
  start: ({ partition: name, before }, { cluster }, done) =>
    cluster.admin.run((admin, answer) => admin.deleteRecords({ [name]: before }, answer), done),
}

const start: OperationKind<readonly Target[]> = {
  type: 'operation',
  doc: 'starts nodes that are down',
  schema: targets,
  start: (chosen, context, done) => {
    const nodes = resolveTargets(chosen, context)
    if ('skipped' in nodes) return done(nodes.skipped)
    const down = nodes.filter((node) => !context.view.isUp(node))
    for (const node of down) context.cluster.start(node)
    done(down.length > 0 ? 'ok' : 'nobody was down')
  },
}

const addBroker: OperationKind<{ rack?: string | undefined }> = {
  type: 'operation',
  doc: 'adds the next broker, b4 after b3, on an empty disk: {}',
  schema: () => z.strictObject({ rack: z.string().optional() }),
  introduces: () => ({ brokers: 1 }),
  start: ({ rack }, { cluster }, done) => {
    cluster.addBroker(rack)
    done('ok')
  },
}

const removeBroker: OperationKind<readonly Target[]> = {
  type: 'operation',
  doc: 'stops brokers for good, by controlled shutdown; move their replicas away first',
  schema: targets,
  start: (chosen, context, done) => {
    const nodes = resolveTargets(chosen, context)
    if ('skipped' in nodes) return done(nodes.skipped)
    for (const node of nodes) context.cluster.stop(node)
    done('ok')
  },
}

interface RollingRestart {
  readonly on: readonly Target[]
  readonly pause: number
  readonly set: Readonly<Record<string, string | number | boolean>>
}

const rollingRestart: OperationKind<RollingRestart> = {
  type: 'operation',
  doc: 'stops and starts nodes one by one, each once the one before is back: { on: brokers, pause: 1s, set: { … } }',
  schema: (names) => z.strictObject({ on: targets(names), pause: duration.default(0), set: settings.default({}) }),
  start: ({ on, pause, set }, context, done) => {
    const nodes = resolveTargets(on, context)
    if ('skipped' in nodes) return done(nodes.skipped)
    new RollingRestartRun(nodes, pause, set, context, done).next()
  },
}

/** How often a rolling restart looks whether the node it waits for is down, or back. */
const LOOK_MICROS = 50 * MICROS_PER_MS

class RollingRestartRun {
  readonly #left: NodeName[]
  readonly #pause: number
  readonly #set: RollingRestart['set']
  readonly #context: StepContext
  readonly #done: (outcome: string) => void

  constructor(
    nodes: readonly NodeName[],
    pause: number,
    set: RollingRestart['set'],
    context: StepContext,
    done: (outcome: string) => void,
  ) {
    this.#left = [...nodes]
    this.#pause = pause
    this.#set = set
    this.#context = context
    this.#done = done
  }

  next(): void {
    const node = this.#left.shift()
    if (node === undefined) {
      this.#done('ok')
      return
    }
    const { cluster, view } = this.#context
    if (Object.keys(this.#set).length > 0) cluster.configure(node, this.#set)
    cluster.stop(node)
    this.#when(
      () => !view.isUp(node),
      () => {
        cluster.start(node)
        const isBroker = cluster.brokers.includes(node)
        this.#when(
          () => (isBroker ? view.isUnfenced(node) : view.isUp(node)),
          () => this.#after(this.#pause, () => this.next()),
        )
      },
    )
  }

  #when(condition: () => boolean, then: () => void): void {
    if (condition()) then()
    else this.#after(LOOK_MICROS, () => this.#when(condition, then))
  }

  #after(micros: number, then: () => void): void {
    const { engine } = this.#context.cluster
    engine.schedule(engine.now + micros, then, undefined)
  }
}

export const OPERATIONS = {
  'create-topic': createTopic,
  'add-partitions': addPartitions,
  'delete-topic': deleteTopic,
  reassign,
  'elect-leaders': electLeaders,
  'alter-config': alterConfig,
  'delete-records': deleteRecords,
  start,
  'add-broker': addBroker,
  'remove-broker': removeBroker,
  'rolling-restart': rollingRestart,
}
