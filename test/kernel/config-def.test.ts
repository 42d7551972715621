import { describe, expect, it } from 'vitest'
import {
  bool,
  defaultsOf,
  double,
  int,
  list,
  long,
  nearest,
  oneOf,
  parseConfig,
  text,
} from '../../sim/kernel/config-def.js'
import type { Problem } from '../../sim/kernel/errors.js'
import { LONG_MAX } from '../../sim/kernel/units.js'

const SETTINGS = {
  'min.insync.replicas': int(1, 'In-sync replicas that acks=all needs.', 1),
  'replica.lag.time.max.ms': long(30_000, 'How long a follower may lag.'),
  'flush.messages': long(LONG_MAX, 'Messages until a flush.', 1),
  'unclean.leader.election.enable': bool(false, 'Whether a replica outside the ISR may lead.'),
  'min.cleanable.dirty.ratio': double(0.5, 'Dirty share that makes a log worth cleaning.'),
  'cleanup.policy': list(['delete'], 'What happens to old segments.', ['delete', 'compact']),
  'compression.type': oneOf('producer', ['producer', 'none', 'gzip'], 'Codec of the log.'),
  'client.id': text('', 'Name in the broker log.'),
}

function parse(given: Record<string, unknown>): {
  problems: Problem[]
  config: ReturnType<typeof defaultsOf<typeof SETTINGS>>
} {
  const problems: Problem[] = []
  return { config: parseConfig(SETTINGS, given, problems), problems }
}

describe('a table of settings', () => {
  it('fills in defaults', () => {
    const { config, problems } = parse({ 'min.insync.replicas': 2 })
    expect(problems).toEqual([])
    expect(config['min.insync.replicas']).toBe(2)
    expect(config['replica.lag.time.max.ms']).toBe(30_000)
    expect(defaultsOf(SETTINGS)['cleanup.policy']).toEqual(['delete'])
  })

  it('reads values as server.properties writes them', () => {
    const { config, problems } = parse({
      'min.insync.replicas': '2',
      'unclean.leader.election.enable': 'true',
      'min.cleanable.dirty.ratio': '0.1',
      'cleanup.policy': 'delete, compact',
      'flush.messages': '9223372036854775807',
      'client.id': 7,
    })
    expect(problems).toEqual([])
    expect(config).toMatchObject({
      'min.insync.replicas': 2,
      'unclean.leader.election.enable': true,
      'min.cleanable.dirty.ratio': 0.1,
      'cleanup.policy': ['delete', 'compact'],
      'flush.messages': LONG_MAX,
      'client.id': '7',
    })
  })

  it('collects every mistake', () => {
    const { problems, config } = parse({
      'min.insync.replica': 2,
      'min.insync.replicas': 0,
      'replica.lag.time.max.ms': 1.5,
      'unclean.leader.election.enable': 'yes',
      'min.cleanable.dirty.ratio': 2,
      'cleanup.policy': ['shred'],
      'compression.type': 'zip',
      'client.id': [],
    })
    expect(problems.map((problem) => problem.message)).toEqual([
      'unknown setting min.insync.replica',
      'min.insync.replicas: must be between 1 and 2147483647, got 0',
      'replica.lag.time.max.ms: expected a whole number, got 1.5',
      'unclean.leader.election.enable: expected true or false, got "yes"',
      'min.cleanable.dirty.ratio: must be between 0 and 1, got 2',
      'cleanup.policy: expected a list of delete, compact, got ["shred"]',
      'compression.type: expected one of producer, none, gzip, got "zip"',
      'client.id: expected text, got []',
    ])
    expect(config).toEqual(defaultsOf(SETTINGS))
  })

  it('suggests the name that was meant, and none when nothing is near', () => {
    expect(parse({ 'min.insync.replica': 2 }).problems[0]?.mend).toBe('did you mean min.insync.replicas?')
    expect(parse({ 'replica.lag.time.ms': 2 }).problems[0]?.mend).toBe('did you mean replica.lag.time.max.ms?')
    expect(parse({ banana: 2 }).problems[0]?.mend).toBeUndefined()
  })

  it('takes no inherited name for a setting', () => {
    expect(parse({ constructor: 1 }).problems).toHaveLength(1)
    expect(parse({ toString: 1 }).problems).toHaveLength(1)
  })
})

describe('the nearest name', () => {
  it('is the first of those with the fewest edits', () => {
    expect(nearest('brokr', ['broken', 'broker', 'brake'])).toBe('broker')
    expect(nearest('kil', ['kill', 'fill'])).toBe('kill')
    expect(nearest('partition', [])).toBeUndefined()
  })
})
