import { describe, expect, it } from 'vitest'
import { isKnownBrokerSetting, parseBrokerConfig } from '../../../sim/broker/broker-config.js'
import { BrokerDynamicConfig, ConfigSource } from '../../../sim/broker/broker-dynamic-config.js'
import { EMPTY_IMAGE, type MetadataImage } from '../../../sim/kraft/metadata/image.js'

/** The file that comes with Kafka 4.1 as config/broker.properties. */
const BROKER_PROPERTIES = {
  'process.roles': 'broker',
  'node.id': '2',
  'controller.quorum.bootstrap.servers': 'localhost:9093',
  listeners: 'PLAINTEXT://localhost:9092',
  'inter.broker.listener.name': 'PLAINTEXT',
  'advertised.listeners': 'PLAINTEXT://localhost:9092',
  'controller.listener.names': 'CONTROLLER',
  'listener.security.protocol.map': 'CONTROLLER:PLAINTEXT,PLAINTEXT:PLAINTEXT,SSL:SSL',
  'num.network.threads': '3',
  'num.io.threads': '8',
  'socket.send.buffer.bytes': '102400',
  'socket.receive.buffer.bytes': '102400',
  'socket.request.max.bytes': '104857600',
  'log.dirs': '/tmp/kraft-broker-logs',
  'num.partitions': '3',
  'num.recovery.threads.per.data.dir': '1',
  'offsets.topic.replication.factor': '1',
  'share.coordinator.state.topic.replication.factor': '1',
  'share.coordinator.state.topic.min.isr': '1',
  'transaction.state.log.replication.factor': '1',
  'transaction.state.log.min.isr': '1',
  'log.retention.hours': '168',
  'log.segment.bytes': '1073741824',
  'log.retention.check.interval.ms': '300000',
}

function imageWith(configs: Record<string, Record<string, string>>): MetadataImage {
  const map = new Map(Object.entries(configs).map(([key, values]) => [key, new Map(Object.entries(values))]))
  return { ...EMPTY_IMAGE, configs: map }
}

function running(given: Record<string, unknown> = {}): BrokerDynamicConfig {
  return new BrokerDynamicConfig(1, parseBrokerConfig(given))
}

describe('the configuration of a broker', () => {
  it('has the defaults of Kafka 4.1', () => {
    const { config, problems, ignored } = parseBrokerConfig({})
    expect(problems).toEqual([])
    expect(ignored).toEqual([])
    expect(config['broker.heartbeat.interval.ms']).toBe(2_000)
    expect(config['initial.broker.registration.timeout.ms']).toBe(60_000)
    expect(config['auto.create.topics.enable']).toBe(true)
    expect(config['num.partitions']).toBe(1)
    expect(config['default.replication.factor']).toBe(1)
    expect(config['min.insync.replicas']).toBe(1)
    expect(config['message.max.bytes']).toBe(1_048_588)
    expect(config['replica.lag.time.max.ms']).toBe(30_000)
    expect(config['controller.quorum.fetch.timeout.ms']).toBe(2_000)
    expect(config['unclean.leader.election.enable']).toBe(false)
  })

  it('reads the file that comes with Kafka, and says what of it has no effect', () => {
    const { config, problems, ignored, given } = parseBrokerConfig(BROKER_PROPERTIES)
    expect(problems).toEqual([])
    expect(config['num.partitions']).toBe(3)
    expect([...given.keys()]).toEqual([
      'num.partitions',
      'offsets.topic.replication.factor',
      'transaction.state.log.replication.factor',
      'transaction.state.log.min.isr',
      'log.retention.hours',
      'log.segment.bytes',
      'log.retention.check.interval.ms',
    ])
    expect(ignored).toContain('num.io.threads')
    expect(ignored).toContain('listeners')
    expect(ignored).toHaveLength(Object.keys(BROKER_PROPERTIES).length - given.size)
  })

  it('refuses a name that Kafka does not know, with a suggestion', () => {
    const { problems } = parseBrokerConfig({ 'num.partition': 3 })
    expect(problems).toEqual([{ message: 'unknown setting num.partition', mend: 'did you mean num.partitions?' }])
  })

  it('refuses values of the wrong kind and rules that are broken', () => {
    const { problems } = parseBrokerConfig({ 'num.partitions': 'many', 'replica.lag.time.max.ms': 100 })
    expect(problems.map((problem) => problem.message)).toEqual([
      'num.partitions: expected a whole number, got "many"',
      'replica.fetch.wait.max.ms should always be at most replica.lag.time.max.ms',
    ])
  })

  it.each([
    'ssl.keystore.location',
    'listener.name.external.ssl.keystore.type',
    'broker.session.timeout.ms',
    'super.users',
  ])('knows %s', (name) => expect(isKnownBrokerSetting(name)).toBe(true))
})

describe('dynamic configuration', () => {
  it('takes the setting of the broker before the cluster-wide one, that before the file, that before the default', () => {
    const config = running({ 'min.insync.replicas': 2 })
    expect(config.current['min.insync.replicas']).toBe(2)
    config.apply(imageWith({ 'broker:': { 'min.insync.replicas': '3' } }))
    expect(config.current['min.insync.replicas']).toBe(3)
    config.apply(imageWith({ 'broker:': { 'min.insync.replicas': '3' }, 'broker:1': { 'min.insync.replicas': '4' } }))
    expect(config.current['min.insync.replicas']).toBe(4)
    expect(config.synonyms('min.insync.replicas')).toEqual([
      { name: 'min.insync.replicas', value: '4', source: ConfigSource.DYNAMIC_BROKER_CONFIG },
      { name: 'min.insync.replicas', value: '3', source: ConfigSource.DYNAMIC_DEFAULT_BROKER_CONFIG },
      { name: 'min.insync.replicas', value: '2', source: ConfigSource.STATIC_BROKER_CONFIG },
      { name: 'min.insync.replicas', value: '1', source: ConfigSource.DEFAULT_CONFIG },
    ])
    expect(config.apply(EMPTY_IMAGE)).toBe(true)
    expect(config.current['min.insync.replicas']).toBe(2)
  })

  it('is not touched by settings of other brokers', () => {
    const config = running()
    expect(config.apply(imageWith({ 'broker:2': { 'min.insync.replicas': '3' } }))).toBe(false)
    expect(config.current['min.insync.replicas']).toBe(1)
  })

  it('replaces the synonyms of what it sets', () => {
    const config = running({ 'log.retention.ms': 1_000 })
    config.apply(imageWith({ 'broker:': { 'log.retention.ms': '5000' } }))
    expect(config.topicDefaults['retention.ms']).toBe(5_000)
  })

  it('leaves out what cannot be changed while the broker runs, and values that do not parse', () => {
    const config = running()
    config.apply(imageWith({ 'broker:': { 'num.partitions': '8', 'log.segment.bytes': 'big' } }))
    expect(config.current['num.partitions']).toBe(1)
    expect(config.current['log.segment.bytes']).toBe(1_073_741_824)
  })

  it('gives topics their defaults under their own settings', () => {
    const config = running({ 'min.insync.replicas': 2 })
    config.apply(imageWith({ 'topic:orders': { 'min.insync.replicas': '3' } }))
    expect(config.topicConfig('orders')['min.insync.replicas']).toBe(3)
    expect(config.topicConfig('payments')['min.insync.replicas']).toBe(2)
    config.apply(imageWith({ 'broker:': { 'min.insync.replicas': '1' }, 'topic:orders': { 'retention.ms': '9' } }))
    expect(config.topicConfig('orders')['min.insync.replicas']).toBe(1)
    expect(config.topicConfig('orders')['retention.ms']).toBe(9)
    expect(config.topicConfig('payments')['min.insync.replicas']).toBe(1)
  })

  it('is refused for settings that are fixed, or when a value is wrong', () => {
    const config = running()
    expect(config.validate(new Map([['num.partitions', '2']]), true)).toMatch(/^can't be changed while the broker runs/)
    expect(config.validate(new Map([['log.segment.bytes', 'x']]), true)).toMatch(
      /^log.segment.bytes: expected a whole number/,
    )
    expect(config.validate(new Map([['num.replica.fetchers', '3']]), true)).toBe(
      'num.replica.fetchers can be halved or doubled at most',
    )
    expect(config.validate(new Map([['num.replica.fetchers', '2']]), true)).toBeUndefined()
    expect(config.validate(new Map([['my.own.setting', 'x']]), true)).toBeUndefined()
  })
})
