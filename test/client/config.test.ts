import { describe, expect, it } from 'vitest'
import { parseAdminConfig } from '../../sim/client/admin-config.js'
import { parseConsumerConfig } from '../../sim/client/consumer-config.js'
import { parseProducerConfig } from '../../sim/client/producer-config.js'
import { UsageError } from '../../sim/kernel/errors.js'

function mistakes(parse: () => unknown): string[] {
  try {
    parse()
  } catch (error) {
    if (error instanceof UsageError) return error.problems.map((problem) => problem.message)
    throw error
  }
  return []
}

describe('a producer without settings', () => {
  it('has the defaults of Kafka 4', () => {
    expect(parseProducerConfig()).toMatchObject({
      acks: 'all',
      'enable.idempotence': true,
      'linger.ms': 5,
      'batch.size': 16_384,
      'buffer.memory': 33_554_432,
      'max.in.flight.requests.per.connection': 5,
      'delivery.timeout.ms': 120_000,
      'request.timeout.ms': 30_000,
      'retry.backoff.ms': 100,
      'retry.backoff.max.ms': 1_000,
      retries: 2_147_483_647,
      'max.block.ms': 60_000,
      'max.request.size': 1_048_576,
    })
  })
})

describe('idempotence', () => {
  it('gives way to acks, when only acks was asked for', () => {
    expect(parseProducerConfig({ acks: '1' })['enable.idempotence']).toBe(false)
    expect(parseProducerConfig({ acks: 0 })['enable.idempotence']).toBe(false)
    expect(parseProducerConfig({ retries: 0 })['enable.idempotence']).toBe(false)
  })

  it('does not give way when it was asked for', () => {
    expect(mistakes(() => parseProducerConfig({ 'enable.idempotence': true, acks: 1 }))).toEqual([
      'enable.idempotence needs acks: all',
    ])
    expect(mistakes(() => parseProducerConfig({ 'enable.idempotence': true, retries: 0 }))).toEqual([
      'enable.idempotence needs retries above 0',
    ])
  })

  it('never goes with more than five requests in flight', () => {
    expect(mistakes(() => parseProducerConfig({ 'max.in.flight.requests.per.connection': 6 }))).toHaveLength(1)
    expect(
      mistakes(() => parseProducerConfig({ 'max.in.flight.requests.per.connection': 6, 'enable.idempotence': false })),
    ).toEqual([])
  })
})

describe('a transactional id', () => {
  it('needs idempotence, whoever turned it off', () => {
    for (const given of [{ acks: '1' }, { retries: 0 }, { 'enable.idempotence': false }]) {
      expect(mistakes(() => parseProducerConfig({ ...given, 'transactional.id': 'tx' }))).toEqual([
        'transactional.id needs idempotence',
      ])
    }
  })

  it('comes with a minute for each transaction', () => {
    const config = parseProducerConfig({ 'transactional.id': 'tx' })
    expect([config['enable.idempotence'], config['transaction.timeout.ms']]).toEqual([true, 60_000])
  })
})

describe('the delivery timeout', () => {
  it('is raised to linger plus request timeout when it was left alone', () => {
    expect(parseProducerConfig({ 'linger.ms': 1_000, 'request.timeout.ms': 150_000 })['delivery.timeout.ms']).toBe(
      151_000,
    )
  })

  it('must cover linger plus request timeout when it was given', () => {
    expect(
      mistakes(() =>
        parseProducerConfig({ 'delivery.timeout.ms': 1_000, 'request.timeout.ms': 1_000, 'linger.ms': 1 }),
      ),
    ).toEqual(['delivery.timeout.ms must be at least linger.ms + request.timeout.ms, which is 1001'])
  })
})

describe('mistakes', () => {
  it('are told all at once, with a suggestion for a name', () => {
    const found = mistakes(() => parseProducerConfig({ ack: 'all', 'batch.size': -1 }))
    expect(found).toHaveLength(2)
    expect(found[0]).toBe('unknown setting ack')
  })

  it('are not what Kafka knows and what changes nothing here', () => {
    const pasted = { 'bootstrap.servers': 'kafka:9092', 'sasl.jaas.config': 'x', 'interceptor.classes': 'y' }
    expect(parseProducerConfig({ ...pasted, 'key.serializer': 'z' })).toEqual(parseProducerConfig())
    expect(parseConsumerConfig({ ...pasted, 'key.deserializer': 'z' })).toEqual(parseConsumerConfig())
    expect(mistakes(() => parseProducerConfig({ 'partitioner.class': 'z' }))).toEqual([
      'unknown setting partitioner.class',
    ])
  })

  it('include a codec that Kafka has not', () => {
    expect(mistakes(() => parseProducerConfig({ 'compression.type': 'lzma' }))).toHaveLength(1)
    expect(parseProducerConfig({ 'compression.type': 'lz4' })['compression.type']).toBe('lz4')
  })
})

describe('a reconnect backoff given alone', () => {
  it('is also the longest one', () => {
    expect(parseConsumerConfig({ 'reconnect.backoff.ms': 700 })['reconnect.backoff.max.ms']).toBe(700)
    expect(
      parseConsumerConfig({ 'reconnect.backoff.ms': 700, 'reconnect.backoff.max.ms': 900 })['reconnect.backoff.max.ms'],
    ).toBe(900)
  })
})

describe("an admin client's API timeout", () => {
  it('follows a longer request timeout unless it was given', () => {
    expect(parseAdminConfig({ 'request.timeout.ms': 90_000 })['default.api.timeout.ms']).toBe(90_000)
    expect(
      mistakes(() => parseAdminConfig({ 'request.timeout.ms': 90_000, 'default.api.timeout.ms': 60_000 })),
    ).toHaveLength(1)
  })
})
