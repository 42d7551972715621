/**
 * The surface of a scenario file: every key that a user may write, with its shape.
 *
 * YAML and TypeScript files give the same plain object; this schema checks its shape only. What needs the whole scenario (targets,
 * topologies, times that contradict each other, Kafka settings) is checked in read-scenario.ts.
 */

import { z } from 'zod'
import { brokerId, duration, size } from '../faults/arguments.js'
import { strict } from './strict.js'

const scalar = z.union([z.string(), z.number(), z.boolean()])

/** Kafka settings under their own names. */
const rawConfig = z.record(z.string(), z.union([scalar, z.array(z.string())]))

const count = z.number().int().min(1)

const topic = strict({
  partitions: count.max(10_000).optional(),
  'replication-factor': count.max(100).optional(),
  replicas: z.array(z.array(brokerId).min(1)).min(1).optional(),
  config: rawConfig.default({}),
})

const cluster = strict({
  mode: z.enum(['kraft', 'zookeeper'], { error: 'expected kraft or zookeeper' }).default('kraft'),
  brokers: count.max(100).default(3),
  controllers: count.max(9).optional(),
  zookeeper: z
    .union([count.max(9), strict({ servers: count.max(9).default(3), config: rawConfig.default({}) })])
    .optional(),
  config: rawConfig.default({}),
  nodes: z.record(z.string(), rawConfig).default({}),
  racks: z.record(z.string(), z.string()).default({}),
  topics: z.record(z.string(), topic).default({}),
  features: z.record(z.string(), z.number().int().min(0)).default({}),
  network: strict({
    latency: z.union([duration, z.array(duration).length(2)]).optional(),
    bandwidth: size.optional(),
  }).default({}),
  acls: z.array(z.string()).default([]),
})

const principal = z.string().min(1).optional()

const producer = z.looseObject({
  produce: z.string(),
  partition: z.number().int().min(0).optional(),
  count: count.optional(),
  every: duration.default(10_000),
  keys: z.number().int().min(0).default(0),
  'tombstone-every': count.optional(),
  bytes: size.default(100),
  transaction: strict({
    records: count.default(10),
    'abort-every': count.optional(),
    pause: duration.default(0),
  }).optional(),
  start: duration.default(0),
  principal,
})

const consumer = z.looseObject({
  consume: z.string(),
  partitions: z.array(z.number().int().min(0)).min(1).optional(),
  pause: duration.default(0),
  start: duration.default(0),
  principal,
})

const group = z.looseObject({
  consume: z.union([z.string(), z.array(z.string()).min(1)]),
  group: z.string().min(1),
  members: count.max(1_000).default(1),
  static: z.boolean().default(false),
  work: duration.default(0),
  commit: z.enum(['auto', 'sync', 'async', 'none']).default('auto'),
  'hands-off': z.boolean().default(false),
  start: duration.default(0),
  principal,
})

const pipeline = z.looseObject({
  consume: z.union([z.string(), z.array(z.string()).min(1)]),
  group: z.string().min(1),
  produce: z.string(),
  'processing.guarantee': z.enum(['exactly_once_v2', 'at_least_once']).default('exactly_once_v2'),
  members: count.max(1_000).default(1),
  static: z.boolean().default(false),
  work: duration.default(0),
  bytes: size.default(100),
  start: duration.default(0),
  principal,
})

/** Keys of a client that are not Kafka settings. */
export const PRODUCER_KEYS = [
  'produce',
  'partition',
  'count',
  'every',
  'keys',
  'tombstone-every',
  'bytes',
  'transaction',
  'start',
  'principal',
]
export const CONSUMER_KEYS = ['consume', 'partitions', 'pause', 'start', 'principal']
export const GROUP_KEYS = ['consume', 'group', 'members', 'static', 'work', 'commit', 'hands-off', 'start', 'principal']
export const PIPELINE_KEYS = [
  'consume',
  'group',
  'produce',
  'processing.guarantee',
  'members',
  'static',
  'work',
  'bytes',
  'start',
  'principal',
]

const client = z.union([pipeline, producer, group, consumer], {
  error:
    'expected a client: { produce: TOPIC, … }, { consume: TOPIC, … }, { consume: TOPIC, group: GROUP, … } or { consume: TOPIC, group: GROUP, produce: TOPIC, … }',
})

/** Keys of a step that say when; the one that remains is its kind. */
export const TRIGGER_KEYS = ['at', 'between', 'every', 'from', 'times', 'when', 'after', 'for']

const step = z.looseObject({
  at: duration.optional(),
  between: z.tuple([duration, duration]).optional(),
  every: duration.optional(),
  from: duration.optional(),
  times: count.optional(),
  when: z.record(z.string(), scalar).optional(),
  after: duration.optional(),
  for: duration.optional(),
})

const measures = z.record(z.string(), z.union([scalar, z.array(z.string())]))
const eventual = z.looseObject({ within: duration })

const expectations = strict({
  always: z.array(z.string()).default([]),
  eventually: z.union([eventual, z.array(eventual)]).default([]),
  end: measures.default({}),
  sometimes: measures.default({}),
  violated: z.array(z.string()).default([]),
})

const run = strict({
  until: duration.default(30_000_000),
  seeds: count.max(1_000_000).default(1),
  seed: z.number().int().min(0).max(0xffff_ffff).optional(),
  wire: z.enum(['reference', 'bytes']).default('reference'),
  settle: duration.default(60_000_000),
  show: z.array(z.string()).default([]),
})

export const SCENARIO_SURFACE = strict({
  version: z.literal(1, { error: 'expected version: 1' }),
  name: z.string().min(1),
  description: z.string().optional(),
  cluster: cluster.prefault({}),
  clients: z.record(z.string(), client).default({}),
  steps: z.array(step).default([]),
  expect: expectations.prefault({}),
  run: run.prefault({}),
})

export type ScenarioSurface = z.infer<typeof SCENARIO_SURFACE>
