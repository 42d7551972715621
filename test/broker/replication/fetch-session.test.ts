import { describe, expect, it } from 'vitest'
import {
  type FetchContext,
  type FetchedPartition,
  FetchSessions,
  FINAL_EPOCH,
  INITIAL_EPOCH,
  INVALID_SESSION_ID,
  nextSessionEpoch,
} from '../../../sim/broker/fetch-session.js'
import { Engine } from '../../../sim/kernel/engine.js'
import type { Env } from '../../../sim/kernel/env.js'
import { INT_MAX, millis } from '../../../sim/kernel/units.js'
import { EMPTY_IMAGE, type MetadataImage } from '../../../sim/kraft/metadata/image.js'
import { type ErrorCode, Errors } from '../../../sim/wire/errors.js'
import type { FetchRequest } from '../../../sim/wire/messages/fetch.js'
import { ZERO_UUID } from '../../../sim/wire/uuid.js'
import { World } from '../../../sim/world/world.js'
import { batch } from './harness.js'

const FOO = 'fooooooooooooooooooooA'
const BAR = 'barrrrrrrrrrrrrrrrrrrA'
const ZAR = 'zarrrrrrrrrrrrrrrrrrrA'
const NAMES = new Map([
  [FOO, 'foo'],
  [BAR, 'bar'],
  [ZAR, 'zar'],
])

interface Asked {
  readonly topic: string
  readonly index: number
  readonly offset?: number
  readonly leaderEpoch?: number
  readonly lastFetchedEpoch?: number
}

const foo0: Asked = { topic: FOO, index: 0, offset: 0 }
const foo1: Asked = { topic: FOO, index: 1, offset: 10 }
const bar0: Asked = { topic: BAR, index: 0, offset: 15 }

class Lab {
  readonly engine = new Engine('1')
  readonly sessions: FetchSessions
  known: ReadonlyMap<string, string> = NAMES

  constructor(slots = 1_000) {
    const world = new World(this.engine)
    let env: Env | undefined
    world.addNode('b1', (given) => {
      env = given
      return { stop: (done) => done() }
    })
    world.start('b1')
    this.sessions = new FetchSessions(env as Env, slots, () => this.#image())
  }

  begin(
    [sessionId, sessionEpoch]: readonly [number, number],
    asked: readonly Asked[],
    options: { version?: number; forget?: readonly Asked[]; follower?: boolean } = {},
  ): FetchContext {
    const { version = 17, forget = [], follower = false } = options
    const named = version < 13
    const topicOf = (id: string): { topic: string; topicId: string } =>
      named ? { topic: NAMES.get(id) ?? id, topicId: ZERO_UUID } : { topic: '', topicId: id }
    const request = {
      sessionId,
      sessionEpoch,
      topics: asked.map(({ topic, index, offset = 0, leaderEpoch = -1, lastFetchedEpoch = -1 }) => ({
        ...topicOf(topic),
        partitions: [
          {
            partition: index,
            fetchOffset: offset,
            currentLeaderEpoch: leaderEpoch,
            lastFetchedEpoch,
            logStartOffset: -1,
            partitionMaxBytes: 100,
            replicaDirectoryId: ZERO_UUID,
            highWatermark: 0,
          },
        ],
      })),
      forgottenTopicsData: forget.map(({ topic, index }) => ({ ...topicOf(topic), partitions: [index] })),
    } as unknown as FetchRequest
    return this.sessions.begin(request, version, follower)
  }

  /** Starts a session with `asked`; gives its id. */
  open(asked: readonly Asked[], options: { version?: number; follower?: boolean } = {}): number {
    const context = this.begin([INVALID_SESSION_ID, INITIAL_EPOCH], asked, options)
    return this.answer(context).sessionId
  }

  /** Reads `results` (nothing new by default) and finishes; the partitions named in the response, as `foo-0`. */
  answer(
    context: FetchContext,
    results: Record<string, Result> = {},
  ): { error: ErrorCode; sessionId: number; named: string[] } {
    const answered = context.kind === 'error' ? [] : partitionsOf(context)
    for (const partition of answered) {
      const { read } = partition
      const result = results[nameOf(partition)] ?? {}
      read.reset()
      read.highWatermark = result.hw ?? 10
      read.logStartOffset = result.start ?? 0
      read.error = result.error ?? Errors.NONE
      read.divergingEpoch = result.diverging ?? -1
      if (result.records === true) {
        read.records = [batch(['x'])]
        read.sizeInBytes = 70
      }
      if (read.error !== Errors.NONE) read.highWatermark = -1
    }
    const outcome = this.sessions.finish(context, answered)
    return { error: outcome.error, sessionId: outcome.sessionId, named: outcome.partitions.map(nameOf) }
  }

  at(ms: number): this {
    this.engine.run(millis(ms))
    return this
  }

  #image(): MetadataImage {
    const topicsById = new Map([...this.known].map(([id, name]) => [id, { id, name, partitions: new Map() }]))
    return { ...EMPTY_IMAGE, topicsById }
  }
}

interface Result {
  readonly hw?: number
  readonly start?: number
  readonly error?: ErrorCode
  readonly diverging?: number
  readonly records?: boolean
}

function partitionsOf(context: FetchContext): FetchedPartition[] {
  const found: FetchedPartition[] = []
  if (context.kind === 'error') return found
  for (let at = context.partitions.first; at !== undefined; at = at.next) found.push(at)
  return found
}

function nameOf(partition: FetchedPartition): string {
  return `${partition.topic ?? NAMES.get(partition.topicId) ?? '?'}-${partition.index}`
}

// FetchSessionTest
describe('session epochs', () => {
  it('count from 1, wrap to 1, and never leave the final one', () => {
    expect(nextSessionEpoch(INITIAL_EPOCH)).toBe(1)
    expect(nextSessionEpoch(1)).toBe(2)
    expect(nextSessionEpoch(INT_MAX)).toBe(1)
    expect(nextSessionEpoch(FINAL_EPOCH)).toBe(FINAL_EPOCH)
  })
})

describe('a fetch session', () => {
  it('begins with a full request, and names only news from then on', () => {
    const lab = new Lab()
    const id = lab.open([foo0, foo1])
    expect(id).toBeGreaterThan(0)
    const second = lab.begin([id, 1], [])
    expect(partitionsOf(second).map(nameOf)).toEqual(['foo-0', 'foo-1'])
    expect(lab.answer(second)).toEqual({ error: 0, sessionId: id, named: [] })
    const third = lab.begin([id, 2], [])
    expect(lab.answer(third, { 'foo-1': { hw: 12 } }).named).toEqual(['foo-1'])
    const fourth = lab.begin([id, 3], [])
    expect(lab.answer(fourth, { 'foo-1': { hw: 12 } }).named).toEqual([])
  })

  it('takes new partitions and forgets others', () => {
    const lab = new Lab()
    const id = lab.open([foo0, foo1])
    const context = lab.begin([id, 1], [bar0], { forget: [foo0] })
    expect(partitionsOf(context).map(nameOf)).toEqual(['foo-1', 'bar-0'])
    expect(lab.answer(context).named).toEqual(['bar-0'])
  })

  it('remembers what was asked last: offset, leader epoch, last fetched epoch', () => {
    const lab = new Lab()
    const id = lab.open([{ ...foo0, leaderEpoch: 5, lastFetchedEpoch: 4 }])
    const implied = lab.begin([id, 1], [])
    expect(partitionsOf(implied)[0]).toMatchObject({ fetchOffset: 0, currentLeaderEpoch: 5, lastFetchedEpoch: 4 })
    const altered = lab.begin([id, 2], [{ ...foo0, offset: 7, leaderEpoch: 6 }])
    expect(partitionsOf(altered)[0]).toMatchObject({ fetchOffset: 7, currentLeaderEpoch: 6, lastFetchedEpoch: -1 })
  })

  it('is refused with another epoch than its next', () => {
    const lab = new Lab()
    const id = lab.open([foo0])
    expect(lab.begin([id, 2], [])).toEqual({ kind: 'error', error: Errors.INVALID_FETCH_SESSION_EPOCH })
    expect(lab.begin([id, 1], []).kind).toBe('incremental')
    expect(lab.begin([id, 1], [])).toEqual({ kind: 'error', error: Errors.INVALID_FETCH_SESSION_EPOCH })
  })

  it('is refused when it is not known', () => {
    const lab = new Lab()
    expect(lab.begin([4_711, 1], [])).toEqual({ kind: 'error', error: Errors.FETCH_SESSION_ID_NOT_FOUND })
    expect(lab.begin([INT_MAX, 1], [])).toEqual({ kind: 'error', error: Errors.FETCH_SESSION_ID_NOT_FOUND })
  })

  it('is closed by a full request, whether that starts another one or not', () => {
    const lab = new Lab()
    const id = lab.open([foo0])
    expect(lab.answer(lab.begin([id, INITIAL_EPOCH], [foo0])).sessionId).not.toBe(id)
    expect(lab.begin([id, 1], []).kind).toBe('error')
    const other = lab.open([foo0])
    expect(lab.answer(lab.begin([other, FINAL_EPOCH], [foo0]))).toEqual({ error: 0, sessionId: 0, named: ['foo-0'] })
    expect(lab.begin([other, 1], []).kind).toBe('error')
  })

  // testZeroSizeFetchSession
  it('is closed when nothing is left in it', () => {
    const lab = new Lab()
    const id = lab.open([foo0, foo1])
    const context = lab.begin([id, 1], [], { forget: [foo0, foo1] })
    expect(context.kind).toBe('sessionless')
    expect(lab.answer(context)).toEqual({ error: 0, sessionId: 0, named: [] })
    expect(lab.sessions.size).toBe(0)
  })

  it('knows its topics by id or by name, and not now this, now that', () => {
    const lab = new Lab()
    const byId = lab.open([foo0], { version: 13 })
    expect(lab.begin([byId, 1], [], { version: 12 })).toEqual({
      kind: 'error',
      error: Errors.FETCH_SESSION_TOPIC_ID_ERROR,
    })
    const byName = lab.open([foo0], { version: 12 })
    expect(lab.begin([byName, 1], [], { version: 13 })).toEqual({
      kind: 'error',
      error: Errors.FETCH_SESSION_TOPIC_ID_ERROR,
    })
  })

  it('holds a topic that metadata does not know yet', () => {
    const lab = new Lab()
    lab.known = new Map([[FOO, 'foo']])
    const context = lab.begin([0, INITIAL_EPOCH], [foo0, bar0])
    expect(partitionsOf(context).map((partition) => partition.topic)).toEqual(['foo', undefined])
  })

  // testUpdateAndGenerateResponseData, testDivergingEpoch
  it('always names errors and diverging epochs, and the partition again when the error is gone', () => {
    const lab = new Lab()
    const id = lab.open([foo0, foo1])
    lab.answer(lab.begin([id, 1], []))
    expect(lab.answer(lab.begin([id, 2], []), { 'foo-0': { error: 3 } }).named).toEqual(['foo-0'])
    expect(lab.answer(lab.begin([id, 3], []), { 'foo-0': { error: 3 } }).named).toEqual(['foo-0'])
    expect(lab.answer(lab.begin([id, 4], [])).named).toEqual(['foo-0'])
    expect(lab.answer(lab.begin([id, 5], [])).named).toEqual([])
    expect(lab.answer(lab.begin([id, 6], []), { 'foo-1': { diverging: 3 } }).named).toEqual(['foo-1'])
    expect(lab.answer(lab.begin([id, 7], []), { 'foo-1': { start: 2 } }).named).toEqual(['foo-1'])
  })

  // testDeprioritizesPartitionsWithRecordsOnly
  it('puts partitions that got records at the end of the order, and only those', () => {
    const lab = new Lab()
    const id = lab.open([foo0, foo1, bar0])
    lab.answer(lab.begin([id, 1], []), { 'foo-0': { records: true }, 'foo-1': { hw: 20 } })
    const context = lab.begin([id, 2], [])
    expect(partitionsOf(context).map(nameOf)).toEqual(['foo-1', 'bar-0', 'foo-0'])
  })

  it('says so when another request went on with the session in between', () => {
    const lab = new Lab()
    const id = lab.open([foo0])
    const first = lab.begin([id, 1], [])
    lab.begin([id, 2], [])
    expect(lab.answer(first)).toEqual({ error: Errors.INVALID_FETCH_SESSION_EPOCH, sessionId: id, named: [] })
  })
})

/** 16 slots are two for each of the 8 shards; every eighth session is of the same shard. */
function fill(lab: Lab, sessions: readonly { size: number; follower?: boolean }[]): number[] {
  return sessions.map(({ size, follower = false }) => {
    const asked = Array.from({ length: size }, (_, index) => ({ topic: FOO, index }))
    const id = lab.open(asked, { follower })
    for (let i = 1; i < 8; i++)
      lab.sessions.finish(lab.begin([0, INITIAL_EPOCH], [{ topic: ZAR, index: 9 }], { follower: true }), [])
    return id
  })
}

describe('the cache of fetch sessions', () => {
  it('gives ids of the shard in turn', () => {
    const lab = new Lab()
    const perShard = Math.floor(INT_MAX / 8)
    const shards = Array.from({ length: 9 }, () => Math.floor(lab.open([foo0]) / perShard))
    expect(shards).toEqual([0, 1, 2, 3, 4, 5, 6, 7, 0])
  })

  it('has no session for a newcomer that is worth less than all', () => {
    const lab = new Lab(16)
    const [, , third] = fill(lab, [{ size: 2 }, { size: 2 }, { size: 1 }])
    expect(third).toBe(INVALID_SESSION_ID)
  })

  // testPrivilegedSessionHandling
  it('lets a follower take the place of a consumer, however young that is, but no consumer that of a follower', () => {
    const lab = new Lab(16)
    const [first, second, third] = fill(lab, [{ size: 3 }, { size: 1 }, { size: 1, follower: true }])
    expect(third).toBeGreaterThan(0)
    expect(lab.begin([second as number, 1], []).kind).toBe('error')
    expect(lab.begin([first as number, 1], []).kind).toBe('incremental')
    const [fourth] = fill(lab, [{ size: 9 }])
    expect(fourth).toBe(INVALID_SESSION_ID)
  })

  // testFetchSessionExpiration
  it('evicts first what has not been used for two minutes', () => {
    const lab = new Lab(16)
    const [first, second] = fill(lab, [{ size: 5 }, { size: 5 }])
    lab.at(60_000)
    expect(lab.begin([second as number, 1], []).kind).toBe('incremental')
    lab.at(120_001)
    const [third] = fill(lab, [{ size: 1 }])
    expect(third).toBeGreaterThan(0)
    expect(lab.begin([first as number, 1], []).kind).toBe('error')
    expect(lab.begin([second as number, 2], []).kind).toBe('incremental')
  })

  it('lets a larger session of a consumer take the place of a smaller one that has grown old', () => {
    const lab = new Lab(16)
    const [first, second] = fill(lab, [{ size: 2 }, { size: 4 }])
    lab.at(100_000)
    for (const id of [first, second]) lab.answer(lab.begin([id as number, 1], []))
    lab.at(125_000)
    for (const id of [first, second]) lab.answer(lab.begin([id as number, 2], []))
    const [third] = fill(lab, [{ size: 3 }])
    expect(third).toBeGreaterThan(0)
    expect(lab.begin([first as number, 3], []).kind).toBe('error')
    expect(lab.begin([second as number, 3], []).kind).toBe('incremental')
  })
})
