import { describe, expect, it } from 'vitest'
import { parseConfig } from '../../sim/kernel/config-def.js'
import type { Problem } from '../../sim/kernel/errors.js'
import { LONG_MAX } from '../../sim/kernel/units.js'
import {
  isCompacted,
  LOG_BROKER_SETTINGS,
  LOG_SETTINGS,
  logConfig,
  maxSegmentMs,
  segmentBytes,
  TOPIC_CONFIG_SYNONYMS,
  topicDefaults,
  type LogConfig,
} from '../../sim/log/log-config.js'

function defaults(broker: Record<string, unknown> = {}): LogConfig {
  const problems: Problem[] = []
  const config = topicDefaults(parseConfig(LOG_BROKER_SETTINGS, broker, problems))
  expect(problems).toEqual([])
  return config
}

describe('the configuration of logs', () => {
  it("has Kafka's defaults", () => {
    expect(defaults()).toMatchObject({
      'segment.bytes': 1_073_741_824,
      'segment.ms': 604_800_000,
      'segment.index.bytes': 10_485_760,
      'flush.messages': LONG_MAX,
      'flush.ms': LONG_MAX,
      'retention.bytes': -1,
      'retention.ms': 604_800_000,
      'max.message.bytes': 1_048_588,
      'index.interval.bytes': 4_096,
      'delete.retention.ms': 86_400_000,
      'file.delete.delay.ms': 60_000,
      'cleanup.policy': ['delete'],
      'min.insync.replicas': 1,
      'unclean.leader.election.enable': false,
      'message.timestamp.after.max.ms': 3_600_000,
    })
  })

  it('of a topic is the same by default as of a broker without settings', () => {
    const own = logConfig(defaults())
    for (const [name, setting] of Object.entries(LOG_SETTINGS))
      expect(own[name as keyof LogConfig]).toEqual(setting.default)
  })

  it('knows the broker setting behind every topic setting', () => {
    const topical = Object.keys(LOG_SETTINGS).filter((name) => name !== 'internal.segment.bytes')
    expect(Object.keys(TOPIC_CONFIG_SYNONYMS).sort()).toEqual(topical.sort())
    for (const names of Object.values(TOPIC_CONFIG_SYNONYMS)) {
      for (const name of names) expect(Object.keys(LOG_BROKER_SETTINGS)).toContain(name)
    }
  })

  it.each([
    [{}, 604_800_000],
    [{ 'log.retention.hours': 1 }, 3_600_000],
    [{ 'log.retention.minutes': 30 }, 1_800_000],
    [{ 'log.retention.ms': 1_800_000 }, 1_800_000],
    [{ 'log.retention.minutes': 30, 'log.retention.hours': 1 }, 1_800_000],
    [{ 'log.retention.ms': 1_800_000, 'log.retention.minutes': 1, 'log.retention.hours': 1 }, 1_800_000],
    [{ 'log.retention.ms': -1 }, -1],
    [{ 'log.retention.hours': -1 }, -1],
  ])('retention.ms with %j is %i', (broker, expected) => {
    expect(defaults(broker)['retention.ms']).toBe(expected)
  })

  it('takes segment.ms and flush.ms from the strongest broker setting', () => {
    expect(defaults({ 'log.roll.hours': 2 })['segment.ms']).toBe(7_200_000)
    expect(defaults({ 'log.roll.hours': 2, 'log.roll.ms': 5 })['segment.ms']).toBe(5)
    expect(defaults({ 'log.flush.scheduler.interval.ms': 9 })['flush.ms']).toBe(9)
    expect(defaults({ 'log.flush.scheduler.interval.ms': 9, 'log.flush.interval.ms': 4 })['flush.ms']).toBe(4)
  })

  it('puts what the topic says over what the broker says', () => {
    const config = logConfig(defaults({ 'log.retention.ms': 5, 'min.insync.replicas': 2 }), { 'retention.ms': '7' })
    expect([config['retention.ms'], config['min.insync.replicas']]).toEqual([7, 2])
  })

  it('collects every mistake', () => {
    const problems: Problem[] = []
    logConfig(
      defaults(),
      {
        'segment.bytes': 1_000,
        'retntion.ms': 1,
        'min.compaction.lag.ms': 9,
        'max.compaction.lag.ms': 8,
        'cleanup.policy': 'shred',
      },
      problems,
    )
    expect(problems.map((problem) => problem.message)).toEqual([
      'segment.bytes: must be between 1048576 and 2147483647, got 1000',
      'unknown setting retntion.ms',
      'cleanup.policy: expected a list of compact, delete, got "shred"',
      'min.compaction.lag.ms must not be above max.compaction.lag.ms',
    ])
    expect(problems[1]?.mend).toBe('did you mean retention.ms?')
  })

  it('closes segments of a compacted log by max.compaction.lag.ms', () => {
    const config = logConfig(defaults(), { 'cleanup.policy': 'compact,delete', 'max.compaction.lag.ms': 1_000 })
    expect([isCompacted(config), maxSegmentMs(config)]).toEqual([true, 1_000])
    expect(maxSegmentMs(logConfig(defaults(), { 'max.compaction.lag.ms': 1_000 }))).toBe(604_800_000)
    expect(segmentBytes(logConfig(defaults(), { 'internal.segment.bytes': 100 }))).toBe(100)
  })
})
