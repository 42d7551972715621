/**
 * What a scenario's configuration promises, for the oracles: worked out from the specification alone.
 */

import { ANONYMOUS } from '../kernel/env.js'
import { partitionName } from '../kernel/names.js'
import { parseConfig, type Settings } from '../kernel/config-def.js'
import { AUTHORIZER_SETTINGS } from '../kraft/metadata/authorizer-config.js'
import { LOG_BROKER_SETTINGS, LOG_SETTINGS, logConfig, topicDefaults } from '../log/log-config.js'
import type {
  AccessPromises,
  GroupPromises,
  LogPromises,
  PipelinePromises,
  Promises,
  TopicPromises,
} from '../oracle/oracle.js'
import { principalOf } from '../cluster/acl-text.js'
import { CLUSTER_PRINCIPAL } from '../cluster/cluster.js'
import type { ClusterSpec, RawConfig, TopicSpec } from '../cluster/cluster-spec.js'
import { nodesOfSpec } from './client-nodes.js'
import { isOldConsumer } from './old-consumer.js'
import type { ClientSpec, Scenario } from './scenario.js'

/** How many partitions a topic of the specification has. */
export function partitionCount(topic: TopicSpec): number {
  return topic.replicas?.length ?? topic.partitions ?? 1
}

/** The partitions that a cluster begins with. */
export function initialPartitions(cluster: ClusterSpec): string[] {
  return Object.entries(cluster.topics).flatMap(([name, topic]) =>
    Array.from({ length: partitionCount(topic) }, (_, index) => partitionName(name, index)),
  )
}

/** How many replicas a topic of the specification has: its own number, or Kafka's default for topics made by hand here. */
export function replicationFactor(topic: TopicSpec, cluster: ClusterSpec): number {
  return topic.replicas?.[0]?.length ?? topic.replicationFactor ?? Math.min(3, cluster.brokers)
}

export function promisesOf(scenario: Scenario): Promises {
  const { cluster } = scenario
  const topics = new Map<string, TopicPromises>()
  for (const [name, topic] of Object.entries(cluster.topics)) {
    topics.set(name, {
      partitions: partitionCount(topic),
      replicationFactor: replicationFactor(topic, cluster),
      minInsyncReplicas: Number(setting('min.insync.replicas', topic, cluster) ?? 1),
      uncleanLeaderElection: isTrue(setting('unclean.leader.election.enable', topic, cluster)),
      log: logPromises(scenario, topic.config),
    })
  }
  const groups = new Map<string, GroupPromises>()
  for (const client of Object.values(scenario.clients)) {
    if (!('group' in client)) continue
    const topics = [...new Set([...(groups.get(client.group)?.topics ?? []), ...client.topics])]
    const excuse =
      client.kind === 'group' && client.handsOff
        ? `commit: ${client.commit} with hands-off`
        : groups.get(client.group)?.excuse
    const readCommitted =
      client.config['isolation.level'] === 'read_committed' && groups.get(client.group)?.readCommitted !== false
    const zookeeper = zookeeperOf(client, topics) ?? groups.get(client.group)?.zookeeper
    groups.set(client.group, {
      topics,
      readCommitted,
      ...(excuse !== undefined && { excuse }),
      ...(zookeeper !== undefined && { zookeeper }),
    })
  }
  const readCommitted = new Set<string>()
  let transactionTimeout = 0
  for (const [name, client] of Object.entries(scenario.clients)) {
    if (client.config['isolation.level'] === 'read_committed') {
      for (const node of nodesOfSpec(name, client)) readCommitted.add(node)
    }
    if (isTransactional(client)) {
      const { 'transaction.timeout.ms': given } = client.kind === 'pipeline' ? client.producerConfig : client.config
      const timeoutMs = Number(given ?? 60_000)
      transactionTimeout = Math.max(transactionTimeout, timeoutMs * 1_000)
    }
  }
  const access = accessOf(scenario)
  return {
    topics,
    logDefaults: logPromises(scenario, {}),
    readCommitted,
    pipelines: pipelinesOf(scenario),
    transactionTimeout,
    groups,
    brokers: Array.from({ length: cluster.brokers }, (_, i) => `b${i + 1}`),
    controllers: Array.from({ length: cluster.controllers }, (_, i) => `c${i + 1}`),
    ...(cluster.mode === 'zookeeper' && { believesReplicas: true }),
    settle: scenario.run.settle,
    ...(access !== undefined && { access }),
  }
}

/** Undefined without an authorizer, and where nodes are set differently. */
function accessOf({ cluster, clients, steps }: Scenario): AccessPromises | undefined {
  if ((cluster.config['authorizer.class.name'] ?? '') === '') return undefined
  const changed = [...Object.values(cluster.nodes), ...steps.map(({ argument }) => argument)]
  if (changed.some(setsAuthorizer)) return undefined
  const principals = Object.entries(clients).flatMap(([name, client]) =>
    nodesOfSpec(name, client).map((node): [string, string] => [
      node,
      client.principal === undefined ? ANONYMOUS : principalOf(client.principal),
    ]),
  )
  const superUsers = String(cluster.config['super.users'] ?? '')
    .split(';')
    .map((name) => name.trim())
  return {
    principals: new Map(principals),
    superUsers: new Set([CLUSTER_PRINCIPAL, ...superUsers]),
    everyoneWhereNone: isTrue(cluster.config['allow.everyone.if.no.acl.found']),
  }
}

/** Settings of a node, or a step that sets some, with one of the authorizer's among them. */
function setsAuthorizer(settings: unknown): boolean {
  const text = JSON.stringify(settings) ?? ''
  return Object.keys(AUTHORIZER_SETTINGS).some((name) => text.includes(`"${name}"`))
}

/** Old consumers commit what was handed over, wherever the application is with it. */
function zookeeperOf(client: ClientSpec, topics: readonly string[]): GroupPromises['zookeeper'] {
  if (client.kind !== 'group' || !isOldConsumer(client.config)) return undefined
  if (client.commit === 'auto')
    return { commitsInWork: 'auto.commit.enable of old consumers commits the record in work' }
  return topics.length > 1 ? { commitsInWork: 'commitOffsets of old consumers commits the records of all threads' } : {}
}

function isTransactional(client: ClientSpec): boolean {
  if (client.kind === 'pipeline') return client.guarantee === 'exactly_once_v2'
  return client.kind === 'produce' && client.transaction !== undefined
}

function pipelinesOf({ clients }: Scenario): PipelinePromises[] {
  return Object.entries(clients).flatMap(([name, client]): PipelinePromises[] => {
    if (client.kind !== 'pipeline') return []
    const { group, topics, to, guarantee } = client
    return [{ name, nodes: nodesOfSpec(name, client), group, topics, to, guarantee }]
  })
}

/** What brokers keep of a topic's log, by the weakest of the settings that they have or are given at a rolling restart. */
function logPromises({ cluster, steps }: Scenario, topic: RawConfig): LogPromises {
  const restarted = steps.flatMap(({ kind, argument }) => {
    const set = kind === 'rolling-restart' ? (argument as { set?: RawConfig }).set : undefined
    return set === undefined ? [] : [set]
  })
  const configs = [{}, ...Object.values(cluster.nodes), ...restarted].map((own) => {
    const broker = parseConfig(LOG_BROKER_SETTINGS, pick({ ...cluster.config, ...own }, LOG_BROKER_SETTINGS), [])
    return logConfig(topicDefaults(broker), pick(topic, LOG_SETTINGS))
  })
  return {
    policy: [...new Set(configs.flatMap((config) => config['cleanup.policy']))],
    retentionMs: least(configs.map((config) => config['retention.ms'])),
    retentionBytes: least(configs.map((config) => config['retention.bytes'])),
    deleteRetentionMs: least(configs.map((config) => config['delete.retention.ms'])),
  }
}

function pick(config: RawConfig, settings: Settings): RawConfig {
  return Object.fromEntries(Object.entries(config).filter(([name]) => Object.hasOwn(settings, name)))
}

/** The smallest limit; -1 when there is none. */
function least(limits: readonly number[]): number {
  const limited = limits.filter((limit) => limit >= 0)
  return limited.length === 0 ? -1 : Math.min(...limited)
}

function setting(name: string, topic: TopicSpec, cluster: ClusterSpec): unknown {
  return topic.config[name] ?? cluster.config[name]
}

function isTrue(value: unknown): boolean {
  return value === true || value === 'true'
}
