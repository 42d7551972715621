/**
 * How fast weeks go by: one broker and one controller, a record a minute, segments of an hour that are deleted after half a day or
 * compacted. Nothing should tick that Kafka does not tick.
 */

import { readYaml } from '../../sim/scenario/load.js'
import { runScenario } from '../../sim/scenario/run.js'
import { busySeconds, median, type Figure } from './measure.js'

const WEEK_DAYS = 7

const yaml = (config: string, idle: string): string => `
version: 1
name: retention
cluster:
  brokers: 1
  controllers: 1
  config: { ${idle} }
  topics: { orders: { replicas: [[b1]], config: { segment.ms: 3600000, ${config} } } }
clients:
  p1: { produce: orders, acks: all, every: 60s, keys: 10 }
run: { until: 24h }
`
/** The quorum writes a no-op record every half second; here it does not. */
const QUIET = 'metadata.max.idle.interval.ms: 0'

function weeksPerSecond(text: string): number {
  const scenario = readYaml(text, 'retention.yaml')
  const seconds = median(3, () => busySeconds(() => void runScenario(scenario, { seed: 1 })))
  return 1 / WEEK_DAYS / seconds
}

export function retentionBench(): Figure[] {
  const unit = 'weeks/s'
  return [
    { name: 'retention: a quiet broker', value: weeksPerSecond(yaml('retention.ms: 43200000', QUIET)), unit },
    { name: 'retention: compacted', value: weeksPerSecond(yaml('cleanup.policy: compact', QUIET)), unit },
    { name: "retention: with Kafka's no-op records", value: weeksPerSecond(yaml('retention.ms: 43200000', '')), unit },
  ]
}
