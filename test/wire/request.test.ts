import { describe, expect, it } from 'vitest'
import type { EventOf, EventType } from '../../sim/kernel/events.js'
import { API_TABLE } from '../../sim/wire/apis.js'
import { Errors } from '../../sim/wire/errors.js'
import { BytesFrame, openRequest, RequestFrame, type WireMode } from '../../sim/wire/frame.js'
import type { FetchResponse } from '../../sim/wire/messages/fetch.js'
import type { MetadataResponse } from '../../sim/wire/messages/metadata.js'
import { RecordBatch } from '../../sim/wire/record-batch.js'
import { RequestClient, type RequestClientOptions } from '../../sim/wire/request-client.js'
import { serve, type IncomingRequest } from '../../sim/wire/request-server.js'
import { FakeNetwork } from './fake-network.js'

const METADATA = API_TABLE.Metadata.request.defaults
const METADATA_ANSWER: MetadataResponse = { ...API_TABLE.Metadata.response.defaults, clusterId: 'samsa' }
const HEARTBEAT = API_TABLE.BrokerHeartbeat.request.defaults

/** One client `c` and one server `b1` that keeps what it is asked until the test answers. */
class Pair {
  readonly network = new FakeNetwork()
  readonly asked: IncomingRequest[] = []
  readonly log: string[] = []
  readonly client: RequestClient
  readonly server

  constructor(options: Partial<RequestClientOptions> = {}, wire: WireMode = 'reference') {
    this.server = serve(this.network.env('b1'), (request) => void this.asked.push(request), { wire })
    this.client = new RequestClient(this.network.env('c'), {
      clientId: 'test',
      requestTimeoutMs: 1_000,
      wire,
      ...options,
    })
  }

  /** Sends a Metadata request; logs `name ok` or `name reason at ms`. */
  ask(name: string, timeoutMs?: number): void {
    this.client.send(
      'b1',
      'Metadata',
      METADATA,
      (result) =>
        this.log.push(result.ok ? `${name} ok` : `${name} ${result.reason} at ${Math.floor(this.network.nowMs)}`),
      timeoutMs === undefined ? undefined : { timeoutMs },
    )
  }

  answer(): void {
    const request = this.asked.shift()
    expect(request?.api).toBe('Metadata')
    if (request?.api === 'Metadata') request.respond(METADATA_ANSWER)
  }

  watch<K extends EventType>(...types: K[]): EventOf<K>[] {
    const events: EventOf<K>[] = []
    this.network.engine.trace.watch(types, (event) => void events.push(event as EventOf<K>))
    return events
  }
}

describe('a request and its response', () => {
  it('arrive with the message that was sent, and are four events of one exchange', () => {
    const pair = new Pair()
    const events = pair.watch('request.send', 'request.receive', 'response.send', 'response.receive')
    pair.ask('first')
    pair.network.run(10)
    expect(pair.asked[0]).toMatchObject({ version: 13, clientId: 'test', from: 'c', correlationId: 0 })
    expect(pair.asked[0]?.body).toBe(METADATA)
    pair.answer()
    pair.network.run(10)
    expect(pair.log).toEqual(['first ok'])
    expect(events.map((event) => `${event.node} ${event.type}`)).toEqual([
      'c request.send',
      'b1 request.receive',
      'b1 response.send',
      'c response.receive',
    ])
    expect(new Set(events.map((event) => event.data.id)).size).toBe(1)
  })

  it('name the first error of the response', () => {
    const pair = new Pair()
    const events = pair.watch('response.send')
    pair.ask('x')
    pair.network.run(10)
    const request = pair.asked[0]
    if (request?.api !== 'Metadata') throw new Error('not asked')
    const topic = API_TABLE.Metadata.response.decode(
      13,
      API_TABLE.Metadata.response.encode(13, {
        ...METADATA_ANSWER,
        topics: [0, Errors.LEADER_NOT_AVAILABLE].map((errorCode) => ({
          errorCode: 0,
          name: 'orders',
          topicId: 'AAAAAAAAAAAAAAAAAAAAAA',
          isInternal: false,
          topicAuthorizedOperations: 0,
          partitions: [
            {
              errorCode,
              partitionIndex: 0,
              leaderId: -1,
              leaderEpoch: 0,
              replicaNodes: [],
              isrNodes: [],
              offlineReplicas: [],
            },
          ],
        })),
        errorCode: Errors.REBOOTSTRAP_REQUIRED,
      }),
    )
    request.respond(topic)
    expect(events[0]?.data.error).toBe('LEADER_NOT_AVAILABLE')
  })

  it('keep ids apart over two connections with the same correlation ids', () => {
    const pair = new Pair()
    const other = new RequestClient(pair.network.env('d'), { clientId: 'other', requestTimeoutMs: 1_000 })
    const events = pair.watch('request.send')
    pair.ask('x')
    other.send('b1', 'Metadata', METADATA, () => undefined)
    pair.network.run(10)
    expect(events.map((event) => event.data.correlation)).toEqual([0, 0])
    expect(new Set(events.map((event) => event.data.id)).size).toBe(2)
  })

  it('need no answer where none is expected', () => {
    const pair = new Pair()
    const results: unknown[] = []
    pair.client.send(
      'b1',
      'Produce',
      { ...API_TABLE.Produce.request.defaults, acks: 0 },
      (result) => results.push(result),
      {
        expectResponse: false,
      },
    )
    pair.ask('second')
    expect(results).toEqual([])
    pair.network.run(10)
    expect(results).toEqual([{ ok: true, response: API_TABLE.Produce.response.defaults }])
    expect(pair.asked.map((request) => request.api)).toEqual(['Produce'])
    pair.asked.shift()?.respondNothing()
    pair.network.run(10)
    pair.answer()
    pair.network.run(10)
    expect(pair.log).toEqual(['second ok'])
    expect(pair.client.inFlight('b1')).toBe(0)
  })
})

describe('the server', () => {
  it('mutes a connection until its request is answered, and answers in order', () => {
    const pair = new Pair()
    const events = pair.watch('request.receive')
    for (const name of ['1', '2', '3']) pair.ask(name)
    pair.network.run(20)
    expect(pair.client.inFlight('b1')).toBe(3)
    expect(pair.asked).toHaveLength(1)
    pair.answer()
    expect(pair.asked).toHaveLength(0)
    pair.network.run(20)
    expect(pair.asked).toHaveLength(1)
    expect(pair.log).toEqual(['1 ok'])
    pair.answer()
    pair.network.run(20)
    pair.answer()
    pair.network.run(20)
    expect(pair.log).toEqual(['1 ok', '2 ok', '3 ok'])
    expect(events.map((event) => event.data.correlation)).toEqual([0, 1, 2])
  })

  it('serves another connection while one is muted', () => {
    const pair = new Pair()
    const other = new RequestClient(pair.network.env('d'), { clientId: 'other', requestTimeoutMs: 1_000 })
    pair.ask('1')
    other.send('b1', 'Metadata', METADATA, () => pair.log.push('other ok'))
    pair.network.run(20)
    expect(pair.asked.map((request) => request.from)).toEqual(['c', 'd'])
    expect(pair.server.connections).toBe(2)
  })

  it('drops what a dead connection left waiting, and answers to it', () => {
    const pair = new Pair()
    const ended: number[] = []
    pair.server.onDisconnect((id) => ended.push(id))
    const events = pair.watch('response.send')
    pair.ask('1')
    pair.ask('2')
    pair.network.run(20)
    const first = pair.asked.shift()
    pair.network.kill('c')
    pair.network.run(20)
    expect(ended).toEqual([first?.connectionId])
    expect(first?.connected).toBe(false)
    if (first?.api === 'Metadata') first.respond(METADATA_ANSWER)
    pair.network.run(20)
    expect(pair.asked).toEqual([])
    expect(events).toEqual([])
  })

  it('can end a connection instead of answering', () => {
    const pair = new Pair()
    pair.ask('1')
    pair.network.run(20)
    pair.asked[0]?.closeConnection()
    pair.network.run(20)
    expect(pair.log).toEqual(['1 disconnected at 21'])
  })

  it('closes a connection that sends no request of Kafka', () => {
    const pair = new Pair({}, 'bytes')
    let closed = ''
    const connection = pair.network.env('x').network.connect('b1', {
      onFrame: () => undefined,
      onClose: (reason) => (closed = reason),
    })
    connection.send(new BytesFrame(Uint8Array.of(0x7f, 0xff, 0, 0)))
    pair.network.run(20)
    expect(closed).toBe('closed')
    expect(pair.asked).toEqual([])
  })
})

describe('a request timeout', () => {
  it('closes the connection and fails all that is in flight there as timed out', () => {
    const pair = new Pair({ requestTimeoutMs: 10_000 })
    const events = pair.watch('request.failed')
    pair.ask('slow', 300)
    pair.ask('patient')
    pair.network.run(1_000)
    expect(pair.log).toEqual(['slow timeout at 302', 'patient timeout at 302'])
    expect(events.map((event) => event.data.reason)).toEqual(['timeout', 'timeout'])
    expect(pair.server.connections).toBe(0)
  })

  it('counts from when the request was sent', () => {
    const pair = new Pair({ maxInFlight: 1 })
    pair.ask('1')
    pair.ask('2')
    pair.network.run(600)
    pair.answer()
    pair.network.run(600)
    expect(pair.log).toEqual(['1 ok'])
    pair.network.run(1_000)
    expect(pair.log).toEqual(['1 ok', '2 timeout at 1601'])
  })

  it('takes a request that was not sent in time, and leaves the connection alone', () => {
    const pair = new Pair({ maxInFlight: 1 })
    pair.ask('1')
    pair.ask('2', 100)
    pair.network.run(500)
    expect(pair.log).toEqual(['2 disconnected at 100'])
    pair.answer()
    pair.network.run(500)
    expect(pair.log).toEqual(['2 disconnected at 100', '1 ok'])
  })

  it('leaves nothing scheduled once everything is answered', () => {
    const pair = new Pair()
    for (let i = 0; i < 3; i++) {
      pair.ask(`${i}`)
      pair.network.run(10)
      pair.answer()
      pair.network.run(10)
    }
    pair.network.run(20_000)
    expect(pair.network.engine.pending).toBe(0)
  })
})

describe('a lost connection', () => {
  it('fails what is in flight and what waits, in order, as disconnected', () => {
    const pair = new Pair({ maxInFlight: 1 })
    pair.ask('1')
    pair.ask('2')
    pair.network.run(50)
    pair.network.kill('b1')
    pair.network.run(50)
    expect(pair.log).toEqual(['1 disconnected at 51', '2 disconnected at 51'])
    expect(pair.client.connectionFailed('b1')).toBe(true)
  })

  it('is not tried again before the backoff is over: requests fail at once', () => {
    const pair = new Pair()
    pair.network.kill('b1')
    pair.ask('1')
    pair.network.run(10)
    expect(pair.log).toEqual(['1 disconnected at 2'])
    pair.ask('2')
    expect(pair.log).toHaveLength(1)
    pair.network.run(1)
    expect(pair.log).toEqual(['1 disconnected at 2', '2 disconnected at 10'])
    expect(pair.network.connects).toHaveLength(1)
    const delay = pair.client.connectionDelayMs('b1')
    expect(delay).toBeGreaterThan(20)
    expect(delay).toBeLessThanOrEqual(51)
    pair.network.run(delay)
    pair.ask('3')
    expect(pair.network.connects).toHaveLength(2)
  })

  it('is tried at doubling intervals up to the maximum, within a fifth', () => {
    const pair = new Pair()
    pair.network.kill('b1')
    for (let i = 0; i < 9; i++) {
      while (!pair.client.ready('b1') && pair.network.connects.length <= i) pair.network.run(1)
    }
    const at = pair.network.connects.map((connect) => connect.at)
    const gaps = at.slice(1).map((time, i) => time - (at[i] as number) - 2)
    expect(gaps).toHaveLength(8)
    for (const [i, expected] of [50, 100, 200, 400, 800, 1000, 1000, 1000].entries()) {
      expect(gaps[i]).toBeGreaterThanOrEqual(Math.floor(expected * 0.8))
      expect(gaps[i]).toBeLessThanOrEqual(Math.min(expected * 1.2, 1_000) + 1)
    }
    expect(new Set(gaps.slice(5)).size).toBeGreaterThan(1)
  })

  it('forgets its failures once a connection opens', () => {
    const pair = new Pair()
    const asked = pair.network.env('b2')
    for (let i = 0; i < 400; i++) {
      pair.client.ready('b2')
      pair.network.run(10)
    }
    serve(asked, () => undefined)
    while (!pair.client.isConnected('b2')) {
      pair.client.ready('b2')
      pair.network.run(10)
    }
    pair.network.kill('b2')
    pair.network.run(2)
    expect(pair.client.connectionDelayMs('b2')).toBeLessThanOrEqual(60)
  })

  it('that takes too long to set up is given up after 10 seconds, within a fifth', () => {
    const states: string[] = []
    const pair = new Pair({ requestTimeoutMs: 60_000, onConnection: (to, state) => states.push(`${to} ${state}`) })
    pair.network.silent.add('b1')
    pair.ask('1')
    pair.network.run(7_900)
    expect(pair.log).toEqual([])
    pair.network.run(4_200)
    expect(pair.log).toHaveLength(1)
    expect(pair.log[0]).toMatch(/^1 disconnected/)
    expect(states).toEqual(['b1 disconnected'])
  })

  it('by disconnect() fails what is in flight by a later event', () => {
    const pair = new Pair()
    pair.ask('1')
    pair.network.run(50)
    pair.client.disconnect('b1')
    expect(pair.log).toEqual([])
    expect(pair.client.isConnected('b1')).toBe(false)
    pair.network.run(1)
    expect(pair.log).toEqual(['1 disconnected at 50'])
  })

  it('calls nobody after close()', () => {
    const pair = new Pair()
    pair.ask('1')
    pair.network.run(50)
    pair.ask('2')
    pair.client.close()
    pair.ask('3')
    pair.network.run(5_000)
    expect(pair.log).toEqual([])
    expect(pair.server.connections).toBe(0)
  })
})

describe('wire mode', () => {
  const encoder = new TextEncoder()

  /** Heartbeats, fetches with batches, an error, a timeout. Returns the hash and the frames. */
  function conversation(wire: WireMode) {
    const network = new FakeNetwork()
    const batch = RecordBatch.build({}, [{ timestamp: 5, key: encoder.encode('k'), value: encoder.encode('größe') }])
    const answer: FetchResponse = {
      ...API_TABLE.Fetch.response.defaults,
      responses: [
        {
          topic: '',
          topicId: 'AQEBAQEBAQEBAQEBAQEBAQ',
          partitions: [
            {
              partitionIndex: 1,
              errorCode: Errors.NOT_LEADER_OR_FOLLOWER,
              highWatermark: 3,
              lastStableOffset: 3,
              logStartOffset: 0,
              divergingEpoch: { epoch: 2, endOffset: 1 },
              currentLeader: { leaderId: 2, leaderEpoch: 7 },
              snapshotId: { endOffset: -1, epoch: -1 },
              abortedTransactions: null,
              preferredReadReplica: -1,
              records: [batch.withOffsets(10, 4)],
            },
          ],
        },
      ],
    }
    let received: FetchResponse | undefined
    let heartbeats = 0
    serve(
      network.env('b1'),
      (request) => {
        if (request.api === 'Fetch') request.respond(answer)
        else if (request.api === 'BrokerHeartbeat' && heartbeats++ < 2) {
          request.respond({ ...API_TABLE.BrokerHeartbeat.response.defaults, isFenced: false })
        }
      },
      { wire },
    )
    const client = new RequestClient(network.env('c'), { clientId: 'b2-fetcher', requestTimeoutMs: 100, wire })
    const fetch = () =>
      client.send('b1', 'Fetch', API_TABLE.Fetch.request.defaults, (result) => {
        if (result.ok) received = result.response
      })
    const heartbeat = () => client.send('b1', 'BrokerHeartbeat', HEARTBEAT, () => undefined)
    for (let i = 0; i < 4; i++) {
      fetch()
      heartbeat()
      network.run(60)
    }
    network.run(500)
    return { hash: network.engine.trace.hash, frames: network.frames, received, events: network.engine.trace.sequence }
  }

  it('bytes gives the trace of reference, and frames of the same size', () => {
    const reference = conversation('reference')
    const bytes = conversation('bytes')
    expect(reference.events).toBeGreaterThan(20)
    expect(bytes.hash).toBe(reference.hash)
    expect(reference.frames.every((frame) => !frame.bytes)).toBe(true)
    expect(bytes.frames.every((frame) => frame.bytes)).toBe(true)
    expect(bytes.frames.map((frame) => frame.size)).toEqual(reference.frames.map((frame) => frame.size))
    const [before, after] = [reference, bytes].map((run) => run.received?.responses[0]?.partitions[0])
    expect(after).not.toBe(before)
    expect({
      ...after,
      records: after?.records?.map((batch) => [batch.crc, batch.baseOffset, batch.records()]),
    }).toEqual({
      ...before,
      records: before?.records?.map((batch) => [batch.crc, batch.baseOffset, batch.records()]),
    })
  })

  it('bytes writes the header that Kafka defines', () => {
    const message = { clientSoftwareName: 'samsa', clientSoftwareVersion: '1' }
    const frame = new RequestFrame('ApiVersions', 3, 7, 'c1', message)
    const hex = '0012' + '0003' + '00000007' + '0002' + '6331' + '00' + '0673616d7361' + '0231' + '00'
    expect(Buffer.from(frame.encode()).toString('hex')).toBe(hex)
    expect(frame.byteSize()).toBe(4 + hex.length / 2)
    expect(openRequest(new BytesFrame(frame.encode()))).toMatchObject({ api: 'ApiVersions', correlationId: 7, message })
  })
})
