/**
 * The cluster and the clients of a scenario, checked: topologies that cannot be, and settings that Kafka does not know.
 */

import { parseAcl } from '../cluster/acl-text.js'
import type { ClusterSpec, EnsembleSpec, TopicSpec } from '../cluster/cluster-spec.js'
import { checkEnsembleConfig, checkServerConfig, checkTopicConfig } from '../cluster/cluster-config.js'
import { isClientSettingWithoutEffect } from '../client/client-known-settings.js'
import { CONSUMER_CONFIG, parseConsumerConfig } from '../client/consumer-config.js'
import { PRODUCER_CONFIG, parseProducerConfig } from '../client/producer-config.js'
import { ZOOKEEPER_CONSUMER_CONFIG } from '../client/zookeeper-consumer/zookeeper-consumer-config.js'
import { ACL_OPERATIONS } from '../faults/acl-operations.js'
import { nearest } from '../kernel/config-def.js'
import { UsageError, type Problem } from '../kernel/errors.js'
import { ACL_AUTHORIZER, STANDARD_AUTHORIZER } from '../kraft/metadata/authorizer-config.js'
import { checkOldGroup, isOldConsumer, takeOldSettings } from './old-consumer.js'
import type { ClientSpec, PipelineSpec } from './scenario.js'
import { CONSUMER_KEYS, GROUP_KEYS, PIPELINE_KEYS, PRODUCER_KEYS, type ScenarioSurface } from './schema.js'
import type { ScenarioProblem } from './strict.js'

type Clients = ScenarioSurface['clients']

/** Controllers of KRaft mode and servers of ZooKeeper mode, with what the file leaves out filled in. */
export function serversOf({ mode, controllers, zookeeper }: ScenarioSurface['cluster']): {
  readonly controllers: number
  readonly zookeeper: EnsembleSpec
} {
  if (mode === 'kraft') return { controllers: controllers ?? DEFAULT_SERVERS, zookeeper: { servers: 0, config: {} } }
  const ensemble = typeof zookeeper === 'object' ? zookeeper : { servers: zookeeper ?? DEFAULT_SERVERS, config: {} }
  return { controllers: 0, zookeeper: ensemble }
}

const DEFAULT_SERVERS = 3

/** Keys that belong to the other mode. */
function checkMode({ cluster }: ScenarioSurface, problems: ScenarioProblem[]): void {
  const wrong = (key: string, message: string, mend: string): void => {
    problems.push({ path: ['cluster', key], message, mend, atKey: true })
  }
  if (cluster.mode === 'zookeeper') {
    if (cluster.controllers !== undefined) {
      wrong(
        'controllers',
        'in ZooKeeper mode one of the brokers is the controller',
        'write zookeeper: 3 for the ensemble',
      )
    }
    if (Object.keys(cluster.features).length > 0) {
      wrong('features', 'feature levels belong to KRaft mode', 'set inter.broker.protocol.version in cluster.config')
    }
  } else if (cluster.zookeeper !== undefined) {
    wrong('zookeeper', 'an ensemble belongs to ZooKeeper mode', 'set mode: zookeeper, or leave it out')
  }
}

/** Checks and resolves `cluster`. */
export function readCluster(surface: ScenarioSurface, problems: ScenarioProblem[]): ClusterSpec {
  const { cluster } = surface
  const { controllers, zookeeper } = serversOf(cluster)
  const servers = names('z', zookeeper.servers)
  const nodes = [...names('b', cluster.brokers), ...names('c', controllers), ...servers]
  checkMode(surface, problems)
  addAt(['cluster', 'config'], checkServerConfig(cluster.config, cluster.mode), problems)
  addAt(['cluster', 'zookeeper', 'config'], checkEnsembleConfig(zookeeper.config), problems)
  for (const [node, config] of Object.entries(cluster.nodes)) {
    if (!nodes.includes(node)) problems.push(stranger(['cluster', 'nodes', node], node, nodes))
    const found = servers.includes(node)
      ? checkEnsembleConfig({ ...zookeeper.config, ...config })
      : checkServerConfig({ ...cluster.config, ...config }, cluster.mode)
    addAt(['cluster', 'nodes', node], found, problems, config)
  }
  for (const node of Object.keys(cluster.racks)) {
    if (!nodes.includes(node)) problems.push(stranger(['cluster', 'racks', node], node, nodes))
  }
  const topics: Record<string, TopicSpec> = {}
  for (const [name, topic] of Object.entries(cluster.topics)) {
    topics[name] = readTopic(name, topic, cluster.brokers, problems)
  }
  const latency = cluster.network.latency
  const [from, to] = Array.isArray(latency) ? (latency as [number, number]) : [latency, latency]
  if (from !== undefined && to !== undefined && from > to) {
    problems.push({ path: ['cluster', 'network', 'latency'], message: 'the range ends before it begins' })
  }
  readAcls(surface, problems)
  return {
    mode: cluster.mode,
    brokers: cluster.brokers,
    controllers,
    zookeeper,
    config: cluster.config,
    nodes: cluster.nodes,
    racks: cluster.racks,
    topics,
    features: cluster.features,
    network: {
      ...(from !== undefined && to !== undefined && { latency: { from, to } }),
      ...(cluster.network.bandwidth !== undefined && { bandwidth: cluster.network.bandwidth }),
    },
    ...(cluster.acls.length > 0 && { acls: cluster.acls }),
  }
}

function readAcls({ cluster, steps }: ScenarioSurface, problems: ScenarioProblem[]): void {
  cluster.acls.forEach((text, index) => {
    const parsed = parseAcl(text)
    if ('bindings' in parsed) return
    const { wrong, mend } = parsed
    problems.push({ path: ['cluster', 'acls', index], message: wrong, ...(mend !== undefined && { mend }) })
  })
  if ((cluster.config['authorizer.class.name'] ?? '') !== '') return
  const authorizer = cluster.mode === 'zookeeper' ? ACL_AUTHORIZER : STANDARD_AUTHORIZER
  const mend = `add authorizer.class.name: ${authorizer} to cluster.config`
  if (cluster.acls.length > 0) {
    problems.push({ path: ['cluster', 'acls'], message: 'ACLs need an authorizer', mend, atKey: true })
  }
  steps.forEach((step, index) => {
    const kind = Object.keys(ACL_OPERATIONS).find((name) => name in step)
    if (kind === undefined) return
    problems.push({ path: ['steps', index, kind], message: 'ACLs need an authorizer', mend, atKey: true })
  })
}

function readTopic(
  name: string,
  topic: ScenarioSurface['cluster']['topics'][string],
  brokers: number,
  problems: ScenarioProblem[],
): TopicSpec {
  const path = ['cluster', 'topics', name]
  if (!/^[a-zA-Z0-9._-]{1,249}$/.test(name) || name === '.' || name === '..') {
    problems.push({
      path,
      message: `${name} is no topic name`,
      mend: 'use up to 249 of a-z A-Z 0-9 . _ -',
      atKey: true,
    })
  }
  const { replicas, partitions } = topic
  const factor = topic['replication-factor']
  if (replicas !== undefined && (partitions !== undefined || factor !== undefined)) {
    problems.push({
      path: [...path, 'replicas'],
      message: 'replicas say already how many partitions and replicas there are',
      mend: 'leave partitions and replication-factor out',
    })
  }
  if (factor !== undefined && factor > brokers) {
    problems.push({
      path: [...path, 'replication-factor'],
      message: `replication factor ${factor} needs ${factor} brokers, there are ${brokers}`,
    })
  }
  replicas?.forEach((list, index) => {
    for (const id of list) {
      if (id > brokers)
        problems.push({
          path: [...path, 'replicas', index],
          message: `no such broker b${id}`,
          mend: `brokers are b1 to b${brokers}`,
        })
    }
    if (new Set(list).size < list.length)
      problems.push({ path: [...path, 'replicas', index], message: 'a broker holds one replica of a partition' })
    if (list.length !== replicas[0]?.length)
      problems.push({
        path: [...path, 'replicas', index],
        message: 'all partitions of a topic have the same number of replicas',
      })
  })
  addAt([...path, 'config'], checkTopicConfig(topic.config), problems)
  return {
    config: topic.config,
    ...(replicas !== undefined && { replicas }),
    ...(partitions !== undefined && { partitions }),
    ...(factor !== undefined && { replicationFactor: factor }),
  }
}

/** Checks and resolves `clients`. Kafka settings stand next to a client's own keys. */
export function readClients(surface: ScenarioSurface, problems: ScenarioProblem[]): Record<string, ClientSpec> {
  const clients: Record<string, ClientSpec> = {}
  for (const [name, client] of Object.entries(surface.clients)) {
    const path = ['clients', name]
    if (!/^[a-zA-Z][a-zA-Z0-9_-]*$/.test(name) || /^[bcz][0-9]+$/.test(name) || name === 'admin') {
      problems.push({
        path,
        message: `${name} cannot be a client's name`,
        mend: 'use a letter and then letters, digits, - or _; b1, c1, z1 and admin are taken',
        atKey: true,
      })
    }
    clients[name] = isPipeline(client)
      ? readPipeline(client, path, surface, problems)
      : isProducer(client)
        ? readProducer(client, path, surface, problems)
        : isGroup(client)
          ? readGroup(client, path, surface, problems)
          : readConsumer(client, path, surface, problems)
  }
  return clients
}

type PipelineSurface = Extract<Clients[string], { group: string; produce: string }>
type ProducerSurface = Exclude<Extract<Clients[string], { produce: string }>, PipelineSurface>
type GroupSurface = Exclude<Extract<Clients[string], { group: string }>, PipelineSurface>
type ConsumerSurface = Exclude<Clients[string], PipelineSurface | ProducerSurface | GroupSurface>

function isPipeline(client: Clients[string]): client is PipelineSurface {
  return 'produce' in client && 'group' in client && 'consume' in client
}

function isProducer(client: Exclude<Clients[string], PipelineSurface>): client is ProducerSurface {
  return 'produce' in client
}

function isGroup(client: ConsumerSurface | GroupSurface): client is GroupSurface {
  return 'group' in client
}

function readPipeline(
  client: PipelineSurface,
  path: readonly string[],
  surface: ScenarioSurface,
  problems: ScenarioProblem[],
): PipelineSpec {
  const topics = [client.consume].flat()
  for (const topic of topics) checkTopic(topic, [...path, 'consume'], surface, problems)
  checkTopic(client.produce, [...path, 'produce'], surface, problems)
  if (topics.includes(client.produce)) {
    problems.push({ path: [...path, 'produce'], message: `${client.produce} would feed itself` })
  }
  const all = settings(client, PIPELINE_KEYS, { ...CONSUMER_CONFIG, ...PRODUCER_CONFIG }, path, problems)
  const given = takeOldSettings(all, path, problems)
  for (const name of ['group.id', 'group.instance.id', 'enable.auto.commit', 'transactional.id']) {
    if (name === 'group.id' && given[name] === client.group) continue
    if (name in given) problems.push({ path: [...path, name], message: `${name} comes from ${PIPELINE_WORDS[name]}` })
  }
  const { consumer, producer } = splitPipelineConfig(given)
  checkProtocol(consumer, path, surface, problems)
  const isExact = client['processing.guarantee'] === 'exactly_once_v2'
  const consumerConfig = { ...(isExact && { 'isolation.level': 'read_committed' }), ...consumer }
  const parsed = [
    ...problemsIn(() => parseConsumerConfig({ ...consumerConfig, 'group.id': client.group })),
    ...problemsIn(() => parseProducerConfig({ ...producer, ...(isExact && { 'transactional.id': 'any' }) })),
  ]
  addAt(path, parsed, problems, given)
  return {
    kind: 'pipeline',
    group: client.group,
    topics,
    to: client.produce,
    guarantee: client['processing.guarantee'],
    members: client.members,
    isStatic: client.static,
    work: client.work,
    bytes: client.bytes,
    start: client.start,
    ...principalKey(client),
    config: consumerConfig,
    producerConfig: producer,
  }
}

/** Settings of both clients: `consumer.…` and `producer.…` for one of them, a bare name for whoever knows it. */
function splitPipelineConfig(given: Readonly<Record<string, string | number | boolean>>): {
  consumer: Record<string, string | number | boolean>
  producer: Record<string, string | number | boolean>
} {
  const consumer: Record<string, string | number | boolean> = {}
  const producer: Record<string, string | number | boolean> = {}
  for (const [name, value] of Object.entries(given)) {
    const isProducers = Object.hasOwn(PRODUCER_CONFIG, name)
    if (name.startsWith('consumer.')) consumer[name.slice('consumer.'.length)] = value
    else if (name.startsWith('producer.')) producer[name.slice('producer.'.length)] = value
    else if (isProducers && !Object.hasOwn(CONSUMER_CONFIG, name)) producer[name] = value
    else {
      consumer[name] = value
      if (isProducers) producer[name] = value
    }
  }
  return { consumer, producer }
}

/** Settings that a pipeline has words of its own for. */
const PIPELINE_WORDS: Readonly<Record<string, string>> = {
  'group.id': 'group: NAME',
  'group.instance.id': 'static: true',
  'enable.auto.commit': 'processing.guarantee',
  'transactional.id': "the member's name",
}

function readGroup(
  client: GroupSurface,
  path: readonly string[],
  surface: ScenarioSurface,
  problems: ScenarioProblem[],
): ClientSpec {
  const topics = [client.consume].flat()
  for (const topic of topics) checkTopic(topic, [...path, 'consume'], surface, problems)
  const isOld = isOldConsumer(client)
  const known = isOld ? ZOOKEEPER_CONSUMER_CONFIG : CONSUMER_CONFIG
  const given = settings(client, GROUP_KEYS, known, path, problems)
  if (isOld) {
    const { mode } = surface.cluster
    const { servers } = serversOf(surface.cluster).zookeeper
    problems.push(...checkOldGroup(given, path, { ...client, mode, servers }))
  } else checkNewGroup(client, given, path, surface, problems)
  if (client['hands-off'] && client.commit === 'none') {
    problems.push({ path: [...path, 'hands-off'], message: 'hands-off is about what is committed, and commit is none' })
  }
  return {
    kind: 'group',
    group: client.group,
    topics,
    members: client.members,
    isStatic: client.static,
    work: client.work,
    commit: client.commit,
    handsOff: client['hands-off'],
    start: client.start,
    config: given,
    ...principalKey(client),
  }
}

function checkNewGroup(
  client: GroupSurface,
  given: Readonly<Record<string, string | number | boolean>>,
  path: readonly string[],
  surface: ScenarioSurface,
  problems: ScenarioProblem[],
): void {
  for (const name of ['group.id', 'group.instance.id', 'enable.auto.commit']) {
    if (name === 'group.id' && given[name] === client.group) continue
    if (name in given) problems.push({ path: [...path, name], message: `${name} comes from ${GROUP_WORDS[name]}` })
  }
  checkProtocol(given, path, surface, problems)
  const meant = takeOldSettings(given, path, problems)
  const config = { ...meant, 'group.id': client.group, 'enable.auto.commit': client.commit === 'auto' }
  addAt(
    path,
    problemsIn(() => parseConsumerConfig(config)),
    problems,
    given,
  )
}

/** The coordinators of ZooKeeper mode know classic groups only. */
function checkProtocol(
  config: Readonly<Record<string, unknown>>,
  path: readonly string[],
  { cluster }: ScenarioSurface,
  problems: ScenarioProblem[],
): void {
  if (cluster.mode !== 'zookeeper' || config['group.protocol'] !== 'consumer') return
  const mend = 'set group.protocol: classic, or cluster.mode: kraft'
  problems.push({ path: [...path, 'group.protocol'], message: 'KIP-848 groups belong to KRaft mode', mend })
}

/** Settings that a scenario has words of its own for. */
const GROUP_WORDS: Readonly<Record<string, string>> = {
  'group.id': 'group: NAME',
  'group.instance.id': 'static: true',
  'enable.auto.commit': 'commit: auto',
}

function readProducer(
  client: ProducerSurface,
  path: readonly string[],
  surface: ScenarioSurface,
  problems: ScenarioProblem[],
): ClientSpec {
  checkTopic(client.produce, [...path, 'produce'], surface, problems)
  checkPartitions(
    client.produce,
    client.partition === undefined ? [] : [client.partition],
    [...path, 'partition'],
    surface,
    problems,
  )
  const given = settings(client, PRODUCER_KEYS, PRODUCER_CONFIG, path, problems)
  const { transaction } = client
  const name = path[path.length - 1] as string
  const config = transaction === undefined ? given : { 'transactional.id': name, ...given }
  if (transaction === undefined && 'transactional.id' in given) {
    problems.push({
      path: [...path, 'transactional.id'],
      message: 'transactional.id without transactions',
      mend: 'say how records go into them: transaction: { records: 10 }',
    })
  }
  addAt(
    path,
    problemsIn(() => parseProducerConfig(config)),
    problems,
    config,
  )
  if (client.every === 0 && client.count === undefined) {
    problems.push({
      path: [...path, 'every'],
      message: 'records without end and without pause never stop',
      mend: 'give count, or every above 0',
    })
  }
  const tombstoneEvery = client['tombstone-every']
  if (tombstoneEvery !== undefined && client.keys === 0) {
    problems.push({
      path: [...path, 'tombstone-every'],
      message: 'a record without key and value says nothing',
      mend: 'give keys as well, such as keys: 10',
      atKey: true,
    })
  }
  return {
    kind: 'produce',
    topic: client.produce,
    every: client.every,
    keys: client.keys,
    bytes: client.bytes,
    start: client.start,
    config,
    ...principalKey(client),
    ...(client.count !== undefined && { count: client.count }),
    ...(tombstoneEvery !== undefined && { tombstoneEvery }),
    ...(client.partition !== undefined && { partition: client.partition }),
    ...(transaction !== undefined && {
      transaction: {
        records: transaction.records,
        pause: transaction.pause,
        ...(transaction['abort-every'] !== undefined && { abortEvery: transaction['abort-every'] }),
      },
    }),
  }
}

function readConsumer(
  client: ConsumerSurface,
  path: readonly string[],
  surface: ScenarioSurface,
  problems: ScenarioProblem[],
): ClientSpec {
  checkTopic(client.consume, [...path, 'consume'], surface, problems)
  checkPartitions(client.consume, client.partitions ?? [], [...path, 'partitions'], surface, problems)
  const config = settings(client, CONSUMER_KEYS, CONSUMER_CONFIG, path, problems)
  const meant = takeOldSettings(config, path, problems)
  addAt(
    path,
    problemsIn(() => parseConsumerConfig(meant)),
    problems,
    config,
  )
  return {
    kind: 'consume',
    topic: client.consume,
    pause: client.pause,
    start: client.start,
    config,
    ...principalKey(client),
    ...(client.partitions !== undefined && { partitions: client.partitions }),
  }
}

function principalKey({ principal }: { readonly principal?: string | undefined }): { readonly principal?: string } {
  return principal === undefined ? {} : { principal }
}

/** The Kafka settings among a client's keys. */
function settings(
  client: Readonly<Record<string, unknown>>,
  keys: readonly string[],
  known: Readonly<Record<string, unknown>>,
  path: readonly string[],
  problems: ScenarioProblem[],
): Record<string, string | number | boolean> {
  const config: Record<string, string | number | boolean> = {}
  for (const [key, value] of Object.entries(client)) {
    if (keys.includes(key)) continue
    if (typeof value === 'string' || typeof value === 'number' || typeof value === 'boolean') config[key] = value
    else problems.push({ path: [...path, key], message: `${key}: expected one value` })
    // parse…Config names unknown settings; a near miss of a key of ours is told here.
    const isKnown = Object.hasOwn(known, key) || isClientSettingWithoutEffect(key)
    const near = isKnown ? undefined : nearest(key, keys)
    if (near !== undefined) {
      delete config[key]
      problems.push({ path: [...path, key], message: `unknown key ${key}`, mend: `did you mean ${near}?`, atKey: true })
    }
  }
  return config
}

function checkTopic(
  topic: string,
  path: readonly PropertyKey[],
  surface: ScenarioSurface,
  problems: ScenarioProblem[],
): void {
  const known = [...Object.keys(surface.cluster.topics), ...createdTopics(surface)]
  if (!known.includes(topic)) problems.push(stranger(path, topic, known, 'topic'))
}

function checkPartitions(
  topic: string,
  partitions: readonly number[],
  path: readonly PropertyKey[],
  surface: ScenarioSurface,
  problems: ScenarioProblem[],
): void {
  const spec = surface.cluster.topics[topic]
  if (spec === undefined) return
  const count = spec.replicas?.length ?? spec.partitions ?? 1
  for (const partition of partitions) {
    if (partition >= count)
      problems.push({ path, message: `${topic} has partitions 0 to ${count - 1}, not ${partition}` })
  }
}

/** Topics that create-topic steps bring. */
function createdTopics(surface: ScenarioSurface): string[] {
  return surface.steps.flatMap((step) => {
    const argument = step['create-topic'] as { name?: unknown } | undefined
    return typeof argument?.name === 'string' ? [argument.name] : []
  })
}

function stranger(
  path: readonly PropertyKey[],
  name: string,
  known: readonly string[],
  what = 'node',
): ScenarioProblem {
  const near = nearest(name, known)
  return {
    path,
    message: `no such ${what} ${name}`,
    mend: near ? `did you mean ${near}?` : `known are ${known.join(', ') || 'none'}`,
    atKey: true,
  }
}

/** Puts problems of a table of settings at the setting's own key where it stands in the file. */
function addAt(
  path: readonly PropertyKey[],
  found: readonly Problem[],
  problems: ScenarioProblem[],
  own?: Readonly<Record<string, unknown>>,
): void {
  for (const problem of found) {
    const setting = /([a-z0-9]+(?:\.[a-z0-9]+)+|acks|retries)/.exec(problem.message)?.[1]
    const key = setting !== undefined && (own === undefined || setting in own) ? [setting] : []
    problems.push({
      path: [...path, ...key],
      message: problem.message,
      atKey: true,
      ...(problem.mend && { mend: problem.mend }),
    })
  }
}

function problemsIn(parse: () => unknown): readonly Problem[] {
  try {
    parse()
    return []
  } catch (error) {
    if (error instanceof UsageError) return error.problems
    throw error
  }
}

function names(letter: string, count: number): string[] {
  return Array.from({ length: count }, (_, i) => `${letter}${i + 1}`)
}
