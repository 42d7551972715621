/**
 * A scenario written back as a file: what failures are saved as, and what the shrinker gives.
 *
 * Reading the text again gives the same scenario (a test holds this), so a saved failure survives changes to whatever generated it.
 */

import { stringify } from 'yaml'
import { formatDuration } from '../kernel/quantity.js'
import type { ClusterSpec, TopicSpec } from '../cluster/cluster-spec.js'
import type {
  ClientSpec,
  Comparison,
  EventualExpectation,
  GroupSpec,
  MeasureExpectation,
  PipelineSpec,
  Scenario,
  Step,
  TransactionSpec,
  Trigger,
} from './scenario.js'

type Plain = Record<string, unknown>

/** The scenario as YAML text; `remarks` become its first comment, in front of the description. */
export function writeYaml(scenario: Scenario, remarks: readonly string[] = []): string {
  const comment = [...remarks, ...(scenario.description === '' ? [] : scenario.description.split('\n'))]
  const head = comment.map((line) => `# ${line}`.trimEnd())
  return [...head, ...(head.length > 0 ? [''] : []), stringify(plainOf(scenario), { lineWidth: 120 })].join('\n')
}

/** The plain object that `readScenario` takes. */
export function plainOf(scenario: Scenario): Plain {
  const { clients, steps, expect, run } = scenario
  return {
    version: 1,
    name: scenario.name,
    cluster: plainCluster(scenario.cluster),
    ...(Object.keys(clients).length > 0 && { clients: mapValues(clients, plainClient) }),
    ...(steps.length > 0 && { steps: steps.map(plainStep) }),
    expect: {
      ...(expect.always.length > 0 && { always: expect.always }),
      ...(expect.violated.length > 0 && { violated: expect.violated }),
      ...(expect.eventually.length > 0 && { eventually: expect.eventually.map(plainEventual) }),
      ...(expect.end.length > 0 && { end: plainMeasures(expect.end) }),
      ...(expect.sometimes.length > 0 && { sometimes: plainMeasures(expect.sometimes) }),
    },
    run: {
      until: formatDuration(run.until),
      ...(run.seed === undefined ? { seeds: run.seeds } : { seed: run.seed }),
      ...(run.wire !== 'reference' && { wire: run.wire }),
      settle: formatDuration(run.settle),
      ...(run.show.length > 0 && { show: run.show }),
    },
  }
}

function plainCluster(cluster: ClusterSpec): Plain {
  const { network } = cluster
  const latency = network.latency && [formatDuration(network.latency.from), formatDuration(network.latency.to)]
  return {
    mode: cluster.mode,
    brokers: cluster.brokers,
    ...(cluster.mode === 'kraft'
      ? { controllers: cluster.controllers }
      : { zookeeper: { servers: cluster.zookeeper.servers, ...filled('config', cluster.zookeeper.config) } }),
    ...filled('config', cluster.config),
    ...filled('nodes', cluster.nodes),
    ...filled('racks', cluster.racks),
    ...filled('topics', mapValues(cluster.topics, plainTopic)),
    ...filled('features', cluster.features),
    ...filled('network', {
      ...(latency && { latency }),
      ...(network.bandwidth !== undefined && { bandwidth: network.bandwidth }),
    }),
    ...(cluster.acls !== undefined && { acls: cluster.acls }),
  }
}

function plainTopic(topic: TopicSpec): Plain {
  return {
    ...(topic.replicas && { replicas: topic.replicas.map((ids) => ids.map((id) => `b${id}`)) }),
    ...(topic.partitions !== undefined && { partitions: topic.partitions }),
    ...(topic.replicationFactor !== undefined && { 'replication-factor': topic.replicationFactor }),
    ...filled('config', topic.config),
  }
}

function plainClient(client: ClientSpec): Plain {
  const start = {
    ...(client.start > 0 && { start: formatDuration(client.start) }),
    ...(client.principal !== undefined && { principal: client.principal }),
  }
  if (client.kind === 'pipeline') {
    const producer = Object.entries(client.producerConfig).map(([name, value]) => [`producer.${name}`, value])
    const consumer = Object.entries(client.config).map(([name, value]) => [`consumer.${name}`, value])
    return {
      ...plainMembers(client),
      produce: client.to,
      'processing.guarantee': client.guarantee,
      bytes: client.bytes,
      ...start,
      ...Object.fromEntries([...consumer, ...producer]),
    }
  }
  if (client.kind === 'group') {
    return {
      ...plainMembers(client),
      ...(client.commit !== 'auto' && { commit: client.commit }),
      ...(client.handsOff && { 'hands-off': true }),
      ...start,
      ...client.config,
    }
  }
  if (client.kind === 'consume') {
    return {
      consume: client.topic,
      ...(client.partitions && { partitions: client.partitions }),
      ...(client.pause > 0 && { pause: formatDuration(client.pause) }),
      ...start,
      ...client.config,
    }
  }
  return {
    produce: client.topic,
    ...(client.partition !== undefined && { partition: client.partition }),
    ...(client.count !== undefined && { count: client.count }),
    every: formatDuration(client.every),
    ...(client.keys > 0 && { keys: client.keys }),
    ...(client.tombstoneEvery !== undefined && { 'tombstone-every': client.tombstoneEvery }),
    bytes: client.bytes,
    ...(client.transaction !== undefined && { transaction: plainTransaction(client.transaction) }),
    ...start,
    ...client.config,
  }
}

function plainMembers({ topics, group, members, isStatic, work }: GroupSpec | PipelineSpec): Plain {
  return {
    consume: topics.length === 1 ? topics[0] : topics,
    group,
    ...(members > 1 && { members }),
    ...(isStatic && { static: true }),
    ...(work > 0 && { work: formatDuration(work) }),
  }
}

function plainTransaction({ records, abortEvery, pause }: TransactionSpec): Plain {
  return {
    records,
    ...(abortEvery !== undefined && { 'abort-every': abortEvery }),
    ...(pause > 0 && { pause: formatDuration(pause) }),
  }
}

function plainStep(step: Step): Plain {
  return {
    [step.kind]: step.argument,
    ...plainTrigger(step.trigger),
    ...(step.lasts !== undefined && { for: formatDuration(step.lasts) }),
  }
}

function plainTrigger(trigger: Trigger): Plain {
  switch (trigger.type) {
    case 'at':
      return { at: formatDuration(trigger.time) }
    case 'between':
      return { between: [formatDuration(trigger.from), formatDuration(trigger.to)] }
    case 'every':
      return {
        every: formatDuration(trigger.period),
        from: formatDuration(trigger.from),
        ...(trigger.times !== undefined && { times: trigger.times }),
      }
    case 'when': {
      const { name, subject, conditions } = trigger.pattern
      return {
        when: { [name]: subject, ...conditions },
        ...(trigger.after > 0 && { after: formatDuration(trigger.after) }),
      }
    }
  }
}

function plainEventual({ measure, comparison, within }: EventualExpectation): Plain {
  return { [measure]: plainComparison(comparison), within: formatDuration(within) }
}

function plainMeasures(expectations: readonly MeasureExpectation[]): Plain {
  return Object.fromEntries(expectations.map(({ measure, comparison }) => [measure, plainComparison(comparison)]))
}

function plainComparison({ operator, value }: Comparison): unknown {
  return operator === '=' ? value : `${operator} ${String(value)}`
}

function filled(key: string, value: Plain | Readonly<Record<string, unknown>>): Plain {
  return Object.keys(value).length > 0 ? { [key]: value } : {}
}

function mapValues<T>(values: Readonly<Record<string, T>>, map: (value: T) => unknown): Plain {
  return Object.fromEntries(Object.entries(values).map(([key, value]) => [key, map(value)]))
}
