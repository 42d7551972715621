/**
 * What producers and consumers make of a refusal, on a real broker with an authorizer. After Kafka's AuthorizerIntegrationTest.
 *
 * Outcomes of sends are Kafka's error names, or `ok`; those of polls are the records' values, or `! ERROR`.
 */

import { beforeEach, describe, expect, it } from 'vitest'
import { Consumer } from '../../sim/client/consumer.js'
import { parseConsumerConfig } from '../../sim/client/consumer-config.js'
import { Producer } from '../../sim/client/producer.js'
import { parseProducerConfig } from '../../sim/client/producer-config.js'
import { RecordBatch } from '../../sim/wire/record-batch.js'
import { AuthorizerLab } from '../broker/authorizer-lab.js'

const BROKERS = ['b1']
const TOPIC = 'TOPIC_AUTHORIZATION_FAILED'
const GROUP = 'GROUP_AUTHORIZATION_FAILED'
const TXN = 'TRANSACTIONAL_ID_AUTHORIZATION_FAILED'

let lab: AuthorizerLab
let clients: number

beforeEach(() => {
  lab = new AuthorizerLab()
  clients = 0
})

/** An application with a producer, who is alice. */
class Sender {
  readonly producer: Producer
  readonly outcomes: string[] = []
  #sent = 0

  constructor(config: Record<string, string | number | boolean> = {}) {
    const name = `p${++clients}`
    this.producer = lab.client(name, 'User:alice', (env) => new Producer(env, parseProducerConfig(config), BROKERS))
  }

  send(topic = 'orders'): this {
    const id = `p/${this.#sent++}`
    const at = this.outcomes.push('') - 1
    this.producer.send({ topic, id, value: new TextEncoder().encode(id) }, (outcome) => {
      this.outcomes[at] = outcome.ok ? 'ok' : outcome.error
    })
    return this
  }

  /** What the next sends came to. */
  sent(...topics: string[]): string[] {
    const from = this.outcomes.length
    for (const topic of topics) this.send(topic)
    lab.run(3_000)
    return this.outcomes.slice(from)
  }

  /** Runs one call until it is answered: its error with its kind, or `ok`. */
  call(begin: (producer: Producer, done: (error: string | undefined, kind?: string) => void) => void): string {
    let outcome: string | undefined
    begin(this.producer, (error, kind) => (outcome = error === undefined ? 'ok' : `${error} (${kind ?? ''})`))
    lab.until(() => outcome !== undefined)
    return outcome ?? ''
  }
}

/** An application with a consumer, who is alice; it polls on, whatever happens, a second after each error. */
class Reader {
  readonly consumer: Consumer
  readonly got: string[] = []
  #isClosed = false

  constructor(config: Record<string, string | number | boolean>, begin: (consumer: Consumer) => void) {
    const all = { 'auto.offset.reset': 'earliest', ...config }
    this.consumer = lab.client(`r${++clients}`, 'User:alice', (env) => {
      const consumer = new Consumer(env, parseConsumerConfig(all), BROKERS)
      begin(consumer)
      const poll = (): void => {
        if (this.#isClosed) return
        consumer.poll(({ records, error }) => {
          for (const { value } of records) this.got.push(new TextDecoder().decode(value ?? new Uint8Array()))
          if (error !== undefined) this.got.push(`! ${error.error}`)
          if (error === undefined) poll()
          else env.after(1_000, poll)
        }, 500)
      }
      poll()
      return consumer
    })
  }

  static assigned(config: Record<string, string | number | boolean> = {}): Reader {
    return new Reader(config, (consumer) => consumer.assign([{ topic: 'orders', index: 0 }]))
  }

  static member(config: Record<string, string | number | boolean> = {}): Reader {
    return new Reader({ 'group.id': 'g', ...config }, (consumer) => consumer.subscribe(['orders']))
  }

  /** What came until now, doubles left out. */
  after(ms: number): string[] {
    lab.run(ms)
    return [...new Set(this.got.splice(0))]
  }

  commit(): string {
    let outcome: string | undefined
    const offsets = new Map([['orders-0', { offset: 1 }]])
    this.consumer.commitSync(offsets, (error) => (outcome = error ?? 'ok'))
    lab.until(() => outcome !== undefined)
    return outcome ?? ''
  }

  close(): void {
    let isClosed = false
    this.#isClosed = true
    this.consumer.close(() => (isClosed = true))
    lab.until(() => isClosed)
  }
}

/** Puts records a, b, … into `orders`. */
function fill(...values: string[]): void {
  const records = values.map((value) => ({ timestamp: 1, key: null, value: new TextEncoder().encode(value) }))
  const topicId = lab.topicIds.get('orders') ?? ''
  const partitionData = [{ index: 0, records: [RecordBatch.build({}, records)] }]
  const topicData = [{ name: '', topicId, partitionData }]
  expect(lab.errorOf('Produce', { acks: -1, timeoutMs: 1_000, topicData }, { from: 'root' })).toBe('NONE')
}

describe('a producer', () => {
  const PLAIN = { 'enable.idempotence': false }

  it.each([
    ['without any permission', []],
    ['that may describe the topic only', ['allow alice describe topic orders']],
    ['that may read it only', ['allow alice read topic orders']],
  ])('%s fails at once, record by record', (_, acls) => {
    if (acls.length > 0) lab.acls(...acls)
    const app = new Sender(PLAIN)
    expect(app.sent('orders', 'orders')).toEqual([TOPIC, TOPIC])
  })

  it('goes on when it is given the permission, and stops when it is taken away', () => {
    const app = new Sender(PLAIN)
    expect(app.sent('orders')).toEqual([TOPIC])
    lab.acls('allow alice write topic orders')
    expect(app.sent('orders', 'orders')).toEqual(['ok', 'ok'])
    lab.acls('deny alice write topic orders')
    expect(app.sent('orders')).toEqual([TOPIC])
    lab.revoke('deny alice any topic orders')
    expect(app.sent('orders')).toEqual(['ok'])
  })

  it('fails for one topic and works for another', () => {
    lab.acls('allow alice write topic logs', 'allow alice describe topic orders')
    expect(new Sender(PLAIN).sent('orders', 'logs', 'orders')).toEqual([TOPIC, 'ok', TOPIC])
  })
})

describe('an idempotent producer', () => {
  it('that may write nothing is refused its identity: CLUSTER_AUTHORIZATION_FAILED', () => {
    lab.acls('allow alice read topic orders')
    expect(new Sender().sent('orders')).toEqual(['CLUSTER_AUTHORIZATION_FAILED'])
  })

  it('may have one with IDEMPOTENT_WRITE, and then fails for the topic', () => {
    lab.acls('allow alice read topic orders', 'allow alice idempotent-write cluster')
    expect(new Sender().sent('orders')).toEqual([TOPIC])
  })

  it('needs nothing but WRITE on some topic', () => {
    lab.acls('allow alice write topic orders')
    expect(new Sender().sent('orders', 'orders')).toEqual(['ok', 'ok'])
  })

  it('goes on when it is given the permission', () => {
    lab.acls('allow alice describe topic orders')
    const app = new Sender()
    expect(app.sent('orders')).toEqual(['CLUSTER_AUTHORIZATION_FAILED'])
    lab.acls('allow alice write topic orders')
    expect(app.sent('orders')).toEqual(['ok'])
  })
})

describe('a transactional producer', () => {
  const CONFIG = { 'transactional.id': 't', 'max.block.ms': 5_000 }
  const init = (app: Sender) => app.call((producer, done) => producer.initTransactions(done))
  const commit = (app: Sender) => app.call((producer, done) => producer.commitTransaction(done))
  const abort = (app: Sender) => app.call((producer, done) => producer.abortTransaction(done))

  it('that may not even describe its id finds no coordinator, for good', () => {
    expect(init(new Sender(CONFIG))).toBe(`${TXN} (fatal)`)
  })

  it('may try again once it has the permission', () => {
    lab.acls('allow alice describe transactional-id t')
    const app = new Sender(CONFIG)
    expect(init(app)).toBe(`${TXN} (retriable)`)
    lab.acls('allow alice write transactional-id t', 'allow alice write topic orders')
    expect(init(app)).toBe('ok')
    app.producer.beginTransaction()
    expect(app.sent('orders')).toEqual(['ok'])
    expect(commit(app)).toBe('ok')
  })

  it('that may not write to a topic can abort, and go on with another', () => {
    lab.acls(
      'allow alice write transactional-id t',
      'allow alice describe topic orders',
      'allow alice write topic logs',
    )
    const app = new Sender(CONFIG)
    expect(init(app)).toBe('ok')
    expect(app.producer.beginTransaction()).toBeUndefined()
    expect(app.sent('orders')).toEqual([TOPIC])
    expect(commit(app)).toBe(`${TOPIC} (abortable)`)
    expect(abort(app)).toBe('ok')
    expect(app.producer.beginTransaction()).toBeUndefined()
    expect(app.sent('logs')).toEqual(['ok'])
    expect(commit(app)).toBe('ok')
  })

  it('that loses its id in the middle can do no more', () => {
    lab.acls('allow alice write transactional-id t', 'allow alice write topic orders')
    const app = new Sender(CONFIG)
    expect(init(app)).toBe('ok')
    app.producer.beginTransaction()
    lab.revoke('alice any transactional-id t')
    expect(app.sent('orders')).toEqual([TXN])
    expect(commit(app)).toContain(TXN)
  })

  it('that loses its id before the end is told at the end', () => {
    lab.acls('allow alice write transactional-id t', 'allow alice write topic orders')
    const app = new Sender(CONFIG)
    expect(init(app)).toBe('ok')
    app.producer.beginTransaction()
    expect(app.sent('orders')).toEqual(['ok'])
    lab.revoke('alice any transactional-id t')
    expect(commit(app)).toContain(TXN)
  })

  it('cannot commit offsets of a group that it may not read', () => {
    lab.acls('allow alice write transactional-id t', 'allow alice write topic orders', 'allow alice describe group g')
    const app = new Sender(CONFIG)
    expect(init(app)).toBe('ok')
    app.producer.beginTransaction()
    const group = { groupId: 'g', memberId: '', generation: -1, groupInstanceId: null }
    const offsets = new Map([['orders-0', { offset: 1 }]])
    const sent = app.call((producer, done) => producer.sendOffsetsToTransaction(offsets, group, done))
    expect(sent).toBe(`${GROUP} (abortable)`)
    expect(abort(app)).toBe('ok')
  })
})

describe('a consumer of assigned partitions', () => {
  it('without any permission is told so by each poll', () => {
    fill('a')
    expect(Reader.assigned().after(5_000)).toEqual([`! ${TOPIC}`])
  })

  it('that may only describe the topic is told when it fetches', () => {
    fill('a')
    lab.acls('allow alice describe topic orders')
    expect(Reader.assigned().after(5_000)).toEqual([`! ${TOPIC}`])
  })

  it('that may only write to it is told the same', () => {
    fill('a')
    lab.acls('allow alice write topic orders')
    expect(Reader.assigned().after(5_000)).toEqual([`! ${TOPIC}`])
  })

  it('needs no group to read from where its policy says', () => {
    fill('a', 'b')
    lab.acls('allow alice read topic orders')
    expect(Reader.assigned().after(2_000)).toEqual(['a', 'b'])
  })

  it('that has to look its position up needs the group', () => {
    fill('a')
    lab.acls('allow alice read topic orders')
    expect(Reader.assigned({ 'group.id': 'g' }).after(3_000)).toEqual([`! ${GROUP}`])
  })

  it('that seeks does not', () => {
    fill('a', 'b')
    lab.acls('allow alice read topic orders')
    const app = new Reader({ 'group.id': 'g', 'enable.auto.commit': false }, (consumer) => {
      consumer.assign([{ topic: 'orders', index: 0 }])
      consumer.seek('orders-0', 1)
    })
    expect(app.after(2_000)).toEqual(['b'])
  })

  it('stops when the permission is taken away, and goes on where it stood when it is back', () => {
    fill('a')
    lab.acls('allow alice read topic orders')
    const app = Reader.assigned()
    expect(app.after(2_000)).toEqual(['a'])
    lab.revoke('alice any topic orders')
    // A fetch that came before waits for half a second, and would be served.
    lab.run(1_000)
    fill('b')
    expect(app.after(3_000)).toEqual([`! ${TOPIC}`])
    lab.acls('allow alice read topic orders')
    expect(app.after(3_000).filter((what) => what !== `! ${TOPIC}`)).toEqual(['b'])
  })
})

describe('a member of a group', () => {
  const config = { 'group.protocol': 'classic' }

  it('needs the group', () => {
    lab.acls('allow alice read topic orders')
    expect(Reader.member(config).after(4_000)).toEqual([`! ${GROUP}`])
  })

  it('that may describe the group only, cannot join', () => {
    lab.acls('allow alice read topic orders', 'allow alice describe group g')
    expect(Reader.member(config).after(4_000)).toEqual([`! ${GROUP}`])
  })

  it('needs the topic', () => {
    fill('a')
    lab.acls('allow alice read group g')
    expect(Reader.member(config).after(6_000)).toEqual([`! ${TOPIC}`])
  })

  it('reads and commits with both', () => {
    fill('a', 'b')
    lab.acls('allow alice read group g', 'allow alice read topic orders')
    const app = Reader.member(config)
    expect(app.after(6_000)).toEqual(['a', 'b'])
    expect(app.commit()).toBe('ok')
    app.close()
  })

  it('that may join without the topic joins when it is allowed the topic', () => {
    fill('a')
    lab.acls('allow alice read group g')
    const app = Reader.member({ ...config, 'metadata.max.age.ms': 2_000 })
    expect(app.after(5_000)).toEqual([`! ${TOPIC}`])
    lab.acls('allow alice read topic orders')
    expect(app.after(15_000).filter((what) => what !== `! ${TOPIC}`)).toEqual(['a'])
  })

  it.each([
    ['nothing', [], GROUP],
    ['the topic only', ['allow alice read topic orders'], GROUP],
    ['the group only', ['allow alice read group g'], TOPIC],
    ['the group, and to write to the topic', ['allow alice read group g', 'allow alice write topic orders'], TOPIC],
    ['the group, and to describe the topic', ['allow alice read group g', 'allow alice describe topic orders'], TOPIC],
  ])('commits nothing with %s', (_, acls, error) => {
    if (acls.length > 0) lab.acls(...acls)
    const app = new Reader({ ...config, 'group.id': 'g', 'enable.auto.commit': false }, (consumer) => {
      consumer.assign([{ topic: 'orders', index: 0 }])
      consumer.seek('orders-0', 1)
    })
    lab.run(1_000)
    expect(app.commit()).toBe(error)
  })

  it('closes, whatever it may do', () => {
    const app = Reader.member(config)
    lab.run(2_000)
    app.close()
    expect(app.got).toContain(`! ${TOPIC}`)
  })

  it('with a pattern is given the topics that it may describe', () => {
    fill('a')
    lab.acls('allow alice read group g', 'allow alice read topic orders')
    const app = new Reader({ ...config, 'group.id': 'g' }, (consumer) => consumer.subscribe({ pattern: '.*' }))
    expect(app.after(6_000)).toEqual(['a'])
    expect(lab.denied).toEqual([])
  })
})
