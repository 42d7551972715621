/**
 * Random scenarios from seeds: the swarm.
 *
 * Swarm testing (Groce et al., 2012): each scenario draws first which kinds of faults it may use at all, then uses those, so that rare
 * combinations come up that an even mix would drown. The `safe` profile stays within what Kafka promises to survive: replication
 * factor 3, acks=all, min.insync.replicas 2, no unclean election, and at most one broker whose disk may lose what it accepted. There any
 * violation is a defect of the code. Some topics are compacted, or kept for seconds only. Every scenario ends with a calm long enough to judge recovery.
 */

import { assert } from '../kernel/errors.js'
import { formatDuration } from '../kernel/quantity.js'
import { Random } from '../kernel/random.js'
import { millis, seconds, type Micros } from '../kernel/units.js'
import { readScenario } from '../scenario/read-scenario.js'
import type { Scenario } from '../scenario/scenario.js'

type Plain = Record<string, unknown>

interface Draw {
  readonly random: Random
  readonly brokers: readonly string[]
  readonly controllers: readonly string[]
  readonly partitions: readonly string[]
  /** The one broker whose disk may lose data. */
  readonly lossy: string
}

/** Faults begin within this time after ready. */
const STORM: Micros = seconds(40)
const LONGEST_FAULT: Micros = seconds(15)
/** From the end of the last fault to the end of the run. */
const CALM: Micros = seconds(75)

/** The scenario of one seed, within what the configuration promises. */
export function safeSwarm(seed: number): Scenario {
  return swarm(`swarm ${seed}`, new Random(`swarm/${seed}`), PLAIN)
}

/** The same with groups of consumers, whose members fail, too. */
export function groupSwarm(seed: number): Scenario {
  return swarm(`group swarm ${seed}`, new Random(`group-swarm/${seed}`), GROUPS)
}

/** The first, in ZooKeeper mode: the ensemble stands in the place of the controllers. */
export function zookeeperSwarm(seed: number): Scenario {
  return swarm(`zookeeper swarm ${seed}`, new Random(`zookeeper-swarm/${seed}`), ZOOKEEPER)
}

/** What a swarm has beside brokers, producers and their faults. */
interface Profile {
  config(random: Random): Plain
  clients(random: Random): Plain
  readonly faults: readonly FaultOf[]
  readonly mode?: 'zookeeper'
  /** Topics besides orders. */
  readonly topics: readonly string[]
  /** More clients, with steps that act on them; drawn from a stream of its own. */
  readonly guests?: (random: Random) => { readonly clients: Plain; readonly steps: readonly Plain[] }
}

function swarm(name: string, random: Random, profile: Profile): Scenario {
  const brokers = names(
    'b',
    random.weighted([
      [6, 3],
      [2, 4],
      [2, 5],
    ]),
  )
  const isZooKeeper = profile.mode === 'zookeeper'
  const controllers = names(
    isZooKeeper ? 'z' : 'c',
    random.weighted([
      [7, 3],
      [2, 1],
      [2, 5],
    ]),
  )
  const partitionCount = random.between(1, 3)
  const partitions = Array.from({ length: partitionCount }, (_, i) => `orders-${i}`)
  const draw: Draw = { random, brokers, controllers, partitions, lossy: random.pick(brokers) }
  const faults = [...FAULTS, ...profile.faults]
  const kinds = faults.filter(() => random.chance(0.45))
  const chosen = kinds.length > 0 ? kinds : [random.pick(faults)]
  const steps = Array.from({ length: random.between(1, 10) }, () => stepOf(random.pick(chosen), draw))
  const cleaning = cleaningOf(random.fork('cleaning'))
  const guests = profile.guests?.(random.fork('guests')) ?? { clients: {}, steps: [] }
  const surface = {
    version: 1,
    name,
    cluster: {
      brokers: brokers.length,
      ...(isZooKeeper ? { mode: 'zookeeper', zookeeper: controllers.length } : { controllers: controllers.length }),
      config: { ...serverConfig(random, isZooKeeper), ...profile.config(random), ...cleaning.server },
      topics: Object.fromEntries(
        ['orders', ...profile.topics].map((topic) => [
          topic,
          {
            partitions: partitionCount,
            'replication-factor': 3,
            ...(topic === 'orders' && { config: cleaning.topic }),
          },
        ]),
      ),
    },
    clients: cleaning.clients({ ...clients(random), ...profile.clients(random), ...guests.clients }),
    steps: [...steps, ...guests.steps],
    run: {
      until: formatDuration(STORM + LONGEST_FAULT + CALM),
      settle: '60s',
      wire: random.chance(0.1) ? 'bytes' : 'reference',
    },
  }
  const read = readScenario(surface)
  assert('scenario' in read, 'swarm: invalid scenario', { surface, problems: 'problems' in read ? read.problems : [] })
  return read.scenario
}

interface CleaningDraw {
  readonly server: Plain
  readonly topic: Plain
  /** The same clients, writing what the topic takes. */
  clients(all: Plain): Plain
}

const CLEANERS: Plain = { 'log.retention.check.interval.ms': 2_000, 'log.initial.task.delay.ms': 1_000 }

/** How the log is cleaned: not within a run, as Kafka does by default, or by short retention, compaction, or both. */
function cleaningOf(random: Random): CleaningDraw {
  const policy = random.weighted<string | undefined>([
    [6, undefined],
    [1, 'delete'],
    [3, 'compact'],
    [1, 'compact,delete'],
  ])
  if (policy === undefined) return { server: {}, topic: {}, clients: (all) => all }
  const isCompacted = policy !== 'delete'
  const topic = {
    'cleanup.policy': policy,
    'segment.ms': random.pick([500, 2_000, 10_000]),
    'file.delete.delay.ms': random.pick([0, 1_000, 60_000]),
    ...(policy !== 'compact' && { 'retention.ms': random.pick([10_000, 30_000]) }),
    ...(isCompacted && {
      'min.cleanable.dirty.ratio': random.pick([0.01, 0.2, 0.5]),
      'delete.retention.ms': random.pick([0, 1_000, 15_000]),
      ...(random.chance(0.3) && { 'min.compaction.lag.ms': random.pick([500, 5_000]) }),
      ...(random.chance(0.3) && { 'max.compaction.lag.ms': random.pick([6_000, 20_000]) }),
    }),
  }
  const keyed = (client: unknown): unknown => {
    // What a pipeline writes has the keys of what it reads.
    if (!isCompacted || !Object.hasOwn(client as Plain, 'produce') || Object.hasOwn(client as Plain, 'group'))
      return client
    const tombstones = random.chance(0.6) ? { 'tombstone-every': random.between(2, 12) } : {}
    return { ...(client as Plain), keys: random.between(1, 20), ...tombstones }
  }
  return {
    server: { ...CLEANERS, 'log.cleaner.backoff.ms': random.pick([200, 2_000]) },
    topic,
    clients: (all) => Object.fromEntries(Object.entries(all).map(([name, client]) => [name, keyed(client)])),
  }
}

function serverConfig(random: Random, isZooKeeper: boolean): Plain {
  return {
    'min.insync.replicas': 2,
    'unclean.leader.election.enable': false,
    'replica.lag.time.max.ms': random.pick([500, 2_000, 10_000, 30_000]),
    ...(random.chance(0.4) && { 'log.segment.bytes': 1_048_576 }),
    ...(random.chance(0.3) && sessionConfig(random, isZooKeeper)),
    ...(random.chance(0.2) && { 'log.flush.interval.messages': random.pick([1, 10, 100]) }),
    ...(random.chance(0.3) && { 'num.replica.fetchers': random.pick([1, 2, 4]) }),
  }
}

function sessionConfig(random: Random, isZooKeeper: boolean): Plain {
  if (isZooKeeper) return { 'zookeeper.session.timeout.ms': random.pick([4_000, 6_000, 12_000]) }
  return { 'broker.session.timeout.ms': random.pick([3_000, 6_000, 18_000]), 'broker.heartbeat.interval.ms': 1_000 }
}

function clients(random: Random): Plain {
  const all: Plain = {}
  const producers = random.between(1, 3)
  for (let i = 1; i <= producers; i++) {
    all[`p${i}`] = {
      produce: 'orders',
      acks: 'all',
      every: formatDuration(millis(random.pick([5, 20, 50, 200]))),
      ...(random.chance(0.5) && { keys: random.between(1, 20) }),
      ...(random.chance(0.3) && { 'linger.ms': random.pick([0, 20, 100]) }),
      ...TIMEOUTS[random.int(TIMEOUTS.length)],
      ...(random.chance(0.3) && { bytes: random.pick([10, 500, 2_000]) }),
    }
  }
  const consumers = random.between(0, 2)
  for (let i = 1; i <= consumers; i++) {
    all[`r${i}`] = {
      consume: 'orders',
      'auto.offset.reset': 'earliest',
      ...(random.chance(0.3) && { pause: formatDuration(millis(random.pick([10, 100]))) }),
    }
  }
  return all
}

/**
 * Shorter than Kafka's defaults: a retry of what was appended long ago is refused until its delivery.timeout.ms (OUT_OF_ORDER_SEQUENCE_NUMBER),
 * and holds up its partition for so long. Within the calm it must be over.
 */
const TIMEOUTS: readonly Plain[] = [
  { 'delivery.timeout.ms': 5_000, 'request.timeout.ms': 1_000 },
  { 'delivery.timeout.ms': 15_000, 'request.timeout.ms': 3_000 },
  { 'delivery.timeout.ms': 30_000, 'request.timeout.ms': 10_000 },
]

type FaultOf = (draw: Draw) => { readonly step: Plain; readonly lasts: boolean }

const FAULTS: readonly FaultOf[] = [
  ({ random, brokers, controllers }) => ({ step: { kill: anyNode(random, brokers, controllers) }, lasts: true }),
  ({ partitions, random }) => ({ step: { kill: `leader(${random.pick(partitions)})` }, lasts: true }),
  () => ({ step: { kill: 'controller' }, lasts: true }),
  ({ lossy }) => ({ step: { 'power-loss': lossy }, lasts: true }),
  // Controllers sync before anything counts: they may lose power together.
  ({ random, controllers }) => ({
    step: { 'power-loss': random.sample(controllers, random.between(1, controllers.length)) },
    lasts: true,
  }),
  ({ random, brokers, controllers }) => ({ step: { pause: anyNode(random, brokers, controllers) }, lasts: true }),
  ({ random, brokers, controllers }) => ({ step: { stop: anyNode(random, brokers, controllers) }, lasts: true }),
  ({ lossy }) => ({ step: { wipe: lossy }, lasts: true }),
  ({ random, brokers, controllers }) => ({
    step: { partition: twoSides(random, [...brokers, ...controllers]) },
    lasts: true,
  }),
  ({ random, brokers, controllers }) => ({ step: { isolate: anyNode(random, brokers, controllers) }, lasts: true }),
  ({ random, brokers, controllers }) => {
    const [from, to] = twoSides(random, [...brokers, ...controllers])
    return { step: { 'one-way': { from, to } }, lasts: true }
  },
  ({ random, brokers, controllers }) => ({
    step: {
      latency: {
        on: anyNode(random, brokers, controllers),
        add: `${random.pick([5, 50, 500, 3_000])}ms`,
        jitter: `${random.pick([0, 10, 100])}ms`,
      },
    },
    lasts: true,
  }),
  ({ random, brokers, controllers }) => ({
    step: { loss: { on: anyNode(random, brokers, controllers), rate: random.pick(['1%', '10%', '40%']) } },
    lasts: true,
  }),
  ({ random, brokers, controllers }) => ({
    step: { bandwidth: { on: anyNode(random, brokers, controllers), limit: random.pick(['20KB', '1MB']) } },
    lasts: true,
  }),
  ({ random, brokers, controllers }) => ({ step: { stall: anyNode(random, brokers, controllers) }, lasts: true }),
  ({ random, brokers, controllers }) => ({ step: { reset: anyNode(random, brokers, controllers) }, lasts: false }),
  ({ random, brokers }) => ({
    step: { drop: { ...message(random), from: random.pick(brokers), times: random.between(1, 5) } },
    lasts: true,
  }),
  ({ random }) => ({
    step: { delay: { ...message(random), by: `${random.pick([50, 500, 5_000])}ms`, times: random.between(1, 20) } },
    lasts: true,
  }),
  ({ random, brokers, controllers }) => ({
    step: { 'disk-slow': { on: anyNode(random, brokers, controllers), by: `${random.pick([5, 50, 500])}ms` } },
    lasts: true,
  }),
  ({ random, brokers, controllers }) => ({ step: { 'disk-hang': anyNode(random, brokers, controllers) }, lasts: true }),
  ({ lossy }) => ({ step: { 'disk-lie': lossy }, lasts: true }),
  ({ lossy, random, partitions }) => ({
    step: {
      'disk-corrupt': {
        on: lossy,
        partition: random.pick(partitions),
        where: random.pick(['head', 'middle', 'tail']),
        bytes: random.between(1, 64),
      },
    },
    lasts: false,
  }),
  ({ random, brokers, controllers }) => ({
    step: {
      'clock-jump': {
        on: anyNode(random, brokers, controllers),
        by: random.pick(['-10s', '-1s', '1s', '10s', '600s']),
      },
    },
    lasts: false,
  }),
  ({ random, brokers, controllers }) => ({
    step: {
      'clock-drift': { on: anyNode(random, brokers, controllers), ppm: random.pick([-50_000, -500, 500, 50_000]) },
    },
    lasts: true,
  }),
  ({ random, brokers, controllers }) => ({
    step: { 'clock-skew': { on: anyNode(random, brokers, controllers), by: `${random.pick([-20, 20])}s` } },
    lasts: true,
  }),
]

const PLAIN: Profile = { config: () => ({}), clients: () => ({}), faults: [], topics: [] }

const ZOOKEEPER: Profile = {
  mode: 'zookeeper',
  topics: [],
  guests: oldConsumers,
  config: (random) => (random.chance(0.2) ? { 'inter.broker.protocol.version': '2.6' } : {}),
  clients: () => ({}),
  faults: [
    () => ({ step: { kill: 'controller' }, lasts: true }),
    () => ({ step: { pause: 'controller' }, lasts: true }),
    () => ({ step: { stop: 'controller' }, lasts: true }),
    () => ({ step: { isolate: 'controller' }, lasts: true }),
    () => ({ step: { kill: 'leader(zookeeper)' }, lasts: true }),
    () => ({ step: { isolate: 'leader(zookeeper)' }, lasts: true }),
    ({ random }) => ({
      step: { drop: { ...controlMessage(random), times: random.between(1, 5) } },
      lasts: true,
    }),
    ({ random }) => ({
      step: {
        delay: { ...controlMessage(random), by: `${random.pick([50, 500, 5_000])}ms`, times: random.between(1, 20) },
      },
      lasts: true,
    }),
  ],
}

/** In some seeds, a group of old consumers, whose members fail, too. */
function oldConsumers(random: Random): { clients: Plain; steps: readonly Plain[] } {
  if (!random.chance(0.4)) return { clients: {}, steps: [] }
  const members = random.between(2, MEMBERS_MAX)
  const g1 = {
    consume: 'orders',
    group: 'old-shop',
    members,
    'zookeeper.connect': 'zookeeper',
    commit: random.pick(['auto', 'auto', 'sync']),
    'auto.offset.reset': 'smallest',
    'auto.commit.interval.ms': random.pick([500, 5_000, 60_000]),
    'zookeeper.session.timeout.ms': random.pick([4_000, 6_000, 12_000]),
    ...(random.chance(0.5) && { 'partition.assignment.strategy': 'roundrobin' }),
    ...(random.chance(0.3) && { 'rebalance.backoff.ms': random.pick([200, 5_000]) }),
    ...(random.chance(0.3) && { 'num.consumer.fetchers': 2 }),
    ...(random.chance(0.4) && { work: `${random.pick([100, 500, 2_000])}us` }),
  }
  const one = (): string => `g1-${random.between(1, 2)}`
  const faults: readonly (() => Plain)[] = [
    () => ({ kill: one() }),
    () => ({ pause: one() }),
    () => ({ stop: one() }),
    () => ({ isolate: one() }),
    () => ({ partition: [[one()], ['leader(zookeeper)']] }),
    () => ({ delay: { request: 'Fetch', from: one(), by: `${random.pick([50, 5_000])}ms`, times: 20 } }),
  ]
  const steps = Array.from({ length: random.between(0, 4) }, () => {
    const longest = random.pick([seconds(2), seconds(8), LONGEST_FAULT])
    return {
      ...random.pick(faults)(),
      at: formatDuration(millis(random.between(0, STORM / 1_000))),
      for: formatDuration(millis(random.between(50, longest / 1_000))),
    }
  })
  return { clients: { g1 }, steps }
}

function controlMessage(random: Random): Plain {
  const api = random.pick(['LeaderAndIsr', 'StopReplica', 'UpdateMetadata', 'AlterPartition', 'ControlledShutdown'])
  return random.chance(0.5) ? { request: api } : { response: api }
}

const MEMBERS_MAX = 4

const GROUPS: Profile = {
  config: (random) => ({
    'offsets.topic.num.partitions': random.pick([1, 2, 5]),
    'group.initial.rebalance.delay.ms': random.pick([0, 500, 3_000]),
    ...consumerProtocolConfig(random),
    'transaction.state.log.num.partitions': random.pick([1, 3]),
  }),
  clients: (random) => {
    const all: Plain = {}
    if (random.chance(0.6)) {
      all['x1'] = {
        produce: 'orders',
        every: `${random.pick([5, 20])}ms`,
        transaction: {
          records: random.between(1, 20),
          ...(random.chance(0.5) && { 'abort-every': random.between(2, 5) }),
        },
        'transaction.timeout.ms': 10_000,
        ...TIMEOUTS[random.int(2)],
      }
      all['r9'] = { consume: 'orders', 'isolation.level': 'read_committed', 'auto.offset.reset': 'earliest' }
    }
    for (let i = 1; i <= random.between(1, 2); i++) all[`g${i}`] = group(random, `shop-${i}`)
    if (random.chance(0.4)) {
      all['t1'] = {
        consume: 'orders',
        group: 'copy',
        produce: 'copies',
        members: random.between(1, 2),
        'auto.offset.reset': 'earliest',
        'session.timeout.ms': 6_000,
        'max.poll.records': random.pick([1, 20, 500]),
        'transaction.timeout.ms': 10_000,
        ...(random.chance(0.3) && { 'processing.guarantee': 'at_least_once' }),
        ...(random.chance(0.4) && { work: `${random.pick([100, 500])}us` }),
      }
    }
    return all
  },
  topics: ['copies'],
  faults: [
    ({ random }) => ({ step: { kill: member(random) }, lasts: true }),
    ({ random }) => ({ step: { pause: member(random) }, lasts: true }),
    ({ random }) => ({ step: { stop: member(random) }, lasts: true }),
    ({ random }) => ({ step: { isolate: member(random) }, lasts: true }),
    ({ random }) => ({ step: { reset: member(random) }, lasts: false }),
    () => ({ step: { kill: 'coordinator(shop-1)' }, lasts: true }),
    ({ random, brokers }) => ({
      step: { drop: { ...groupMessage(random), from: random.pick(brokers), times: random.between(1, 5) } },
      lasts: true,
    }),
    ({ random }) => ({
      step: {
        delay: { ...groupMessage(random), by: `${random.pick([50, 500, 5_000])}ms`, times: random.between(1, 20) },
      },
      lasts: true,
    }),
  ],
}

/** What the coordinator decides for members of KIP-848 groups. */
function consumerProtocolConfig(random: Random): Plain {
  const interval = random.pick([500, 2_000])
  const session = random.pick([6_000, 10_000])
  return {
    'group.consumer.min.heartbeat.interval.ms': interval,
    'group.consumer.heartbeat.interval.ms': interval,
    'group.consumer.min.session.timeout.ms': session,
    'group.consumer.session.timeout.ms': session,
  }
}

function group(random: Random, name: string): Plain {
  return {
    consume: 'orders',
    group: name,
    members: random.between(2, MEMBERS_MAX),
    commit: random.pick(['auto', 'sync', 'async']),
    'auto.offset.reset': 'earliest',
    'max.poll.interval.ms': random.pick([10_000, 30_000]),
    ...(random.chance(0.5) && { 'auto.commit.interval.ms': random.pick([100, 1_000]) }),
    ...(random.chance(0.3) && { static: true }),
    ...(random.chance(0.4) && { work: `${random.pick([100, 500, 2_000])}us` }),
    ...(random.chance(0.5)
      ? {
          'group.protocol': 'consumer',
          ...(random.chance(0.5) && { 'group.remote.assignor': random.pick(['uniform', 'range']) }),
        }
      : {
          'session.timeout.ms': random.pick([6_000, 10_000]),
          'heartbeat.interval.ms': random.pick([500, 2_000]),
          'partition.assignment.strategy': random.pick(['range', 'roundrobin', 'sticky', 'cooperative-sticky']),
        }),
  }
}

/** Every group has two members at least. */
function member(random: Random): string {
  return `g1-${random.between(1, 2)}`
}

function groupMessage(random: Random): Plain {
  const api = random.pick([
    'JoinGroup',
    'SyncGroup',
    'Heartbeat',
    'ConsumerGroupHeartbeat',
    'OffsetCommit',
    'OffsetFetch',
    'FindCoordinator',
  ])
  return random.chance(0.5) ? { request: api } : { response: api }
}

function stepOf(fault: FaultOf, draw: Draw): Plain {
  const { random } = draw
  const { step, lasts } = fault(draw)
  const at = { at: formatDuration(millis(random.between(0, STORM / 1_000))) }
  if (!lasts) return { ...step, ...at }
  const longest = random.pick([millis(200), seconds(2), seconds(8), LONGEST_FAULT])
  return { ...step, ...at, for: formatDuration(millis(random.between(50, longest / 1_000))) }
}

function anyNode(random: Random, brokers: readonly string[], controllers: readonly string[]): string {
  return random.pick(random.chance(0.65) ? brokers : controllers)
}

function twoSides(random: Random, nodes: readonly string[]): [string[], string[]] {
  const cut = random.between(1, nodes.length - 1)
  const mixed = random.shuffle(nodes)
  return [mixed.slice(0, cut), mixed.slice(cut)]
}

function message(random: Random): Plain {
  const api = random.pick([
    'Fetch',
    'Fetch',
    'Produce',
    'AlterPartition',
    'BrokerHeartbeat',
    'BrokerRegistration',
    'Vote',
    'Metadata',
    'InitProducerId',
    'BeginQuorumEpoch',
  ])
  return random.chance(0.5) ? { request: api } : { response: api }
}

function names(letter: string, count: number): string[] {
  return Array.from({ length: count }, (_, i) => `${letter}${i + 1}`)
}
