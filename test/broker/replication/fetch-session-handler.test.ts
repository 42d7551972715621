import { describe, expect, it } from 'vitest'
import { FetchSessionHandler, type SessionRequest } from '../../../sim/broker/fetch-session-handler.js'
import { type ErrorCode, Errors } from '../../../sim/wire/errors.js'
import type { FetchResponse } from '../../../sim/wire/messages/fetch.js'

const FOO = 'fooooooooooooooooooooA'
const FOO_AGAIN = 'fooooooooooooooooooooQ'
const BAR = 'barrrrrrrrrrrrrrrrrrrA'

interface Wanted {
  readonly topic: string
  readonly id: string
  readonly index: number
  readonly offset: number
}

const foo0: Wanted = { topic: 'foo', id: FOO, index: 0, offset: 0 }
const foo1: Wanted = { topic: 'foo', id: FOO, index: 1, offset: 10 }
const bar0: Wanted = { topic: 'bar', id: BAR, index: 0, offset: 20 }

function build(handler: FetchSessionHandler, ...wanted: Wanted[]): SessionRequest {
  handler.begin()
  for (const { topic, id, index, offset } of wanted) {
    handler.add(`${topic}-${index}`, topic, id, index, offset, 0, 100, 5, 4)
  }
  return handler.build()
}

function asked(request: SessionRequest): string[] {
  return request.topics.flatMap(({ topic, partitions }) =>
    partitions.map((p) => `${topic}-${p.partition}@${p.fetchOffset}`),
  )
}

function forgotten(request: SessionRequest): string[] {
  return request.forgottenTopicsData.flatMap(({ topicId, partitions }) =>
    partitions.map((index) => `${topicId}/${index}`),
  )
}

function answer(
  handler: FetchSessionHandler,
  sessionId: number,
  partitions: readonly Wanted[],
  error: ErrorCode = Errors.NONE,
): string[] | string {
  const responses = partitions.map(({ id, index }) => ({
    topic: '',
    topicId: id,
    partitions: [{ partitionIndex: index }],
  }))
  const verdict = handler.handleResponse({ errorCode: error, sessionId, responses } as unknown as FetchResponse)
  return typeof verdict === 'string' ? verdict : verdict.map((one) => one.asked.name)
}

/** A handler in session 123 with these partitions. */
function inSession(...partitions: Wanted[]): FetchSessionHandler {
  const handler = new FetchSessionHandler()
  build(handler, ...partitions)
  answer(handler, 123, partitions)
  return handler
}

// FetchSessionHandlerTest
describe('the fetcher’s side of a fetch session', () => {
  it('goes on with full requests when the broker gives no session', () => {
    const handler = new FetchSessionHandler()
    const first = build(handler, foo0, foo1)
    expect([first.sessionId, first.sessionEpoch]).toEqual([0, 0])
    expect(asked(first)).toEqual(['foo-0@0', 'foo-1@10'])
    expect(answer(handler, 0, [foo0, foo1])).toEqual(['foo-0', 'foo-1'])
    const second = build(handler, foo0, foo1)
    expect([second.sessionId, second.sessionEpoch]).toEqual([0, 0])
    expect(asked(second)).toEqual(['foo-0@0', 'foo-1@10'])
  })

  it('asks in a session only for what is new or different, and forgets the rest', () => {
    const handler = inSession(foo0, foo1)
    const second = build(handler, foo0, { ...foo1, offset: 11 }, bar0)
    expect([second.sessionId, second.sessionEpoch, second.size]).toEqual([123, 1, 3])
    expect(asked(second)).toEqual(['bar-0@20', 'foo-1@11'])
    expect(forgotten(second)).toEqual([])
    expect(answer(handler, 123, [bar0])).toEqual(['bar-0'])
    const third = build(handler, foo0, bar0)
    expect([third.sessionId, third.sessionEpoch]).toEqual([123, 2])
    expect(asked(third)).toEqual([])
    expect(forgotten(third)).toEqual([`${FOO}/1`])
  })

  it('starts over without a session when the broker does not know it any more', () => {
    const handler = inSession(foo0)
    build(handler, foo0)
    expect(answer(handler, 0, [], Errors.FETCH_SESSION_ID_NOT_FOUND)).toBe('nothing')
    const request = build(handler, foo0)
    expect([request.sessionId, request.sessionEpoch]).toEqual([0, 0])
    expect(asked(request)).toEqual(['foo-0@0'])
  })

  it.each(['INVALID_FETCH_SESSION_EPOCH', 'UNKNOWN_SERVER_ERROR'] as const)('closes the session after %s', (error) => {
    const handler = inSession(foo0)
    build(handler, foo0)
    expect(answer(handler, 0, [], Errors[error])).toBe('nothing')
    const request = build(handler, foo0)
    expect([request.sessionId, request.sessionEpoch]).toEqual([123, 0])
    expect(asked(request)).toEqual(['foo-0@0'])
  })

  it('closes the session when no answer came', () => {
    const handler = inSession(foo0)
    build(handler, foo0)
    handler.handleError()
    const request = build(handler, foo0)
    expect([request.sessionId, request.sessionEpoch]).toEqual([123, 0])
  })

  it('tells a disagreement on topic ids from other errors', () => {
    const handler = inSession(foo0)
    build(handler, foo0)
    expect(answer(handler, 0, [], Errors.FETCH_SESSION_TOPIC_ID_ERROR)).toBe('topic-ids')
  })

  it('is without a session once the broker closes it', () => {
    const handler = inSession(foo0)
    build(handler, foo0)
    expect(answer(handler, 0, [foo0])).toEqual(['foo-0'])
    const request = build(handler, foo0)
    expect([request.sessionId, request.sessionEpoch]).toEqual([0, 0])
  })

  // testVerifyFullFetchResponsePartitions
  it('takes a full answer only with exactly the partitions asked for', () => {
    const handler = new FetchSessionHandler()
    build(handler, foo0, foo1)
    expect(answer(handler, 123, [foo0])).toBe('nothing')
    build(handler, foo0, foo1)
    expect(answer(handler, 123, [foo0, foo1, bar0])).toBe('nothing')
    const request = build(handler, foo0, foo1)
    expect([request.sessionId, request.sessionEpoch]).toEqual([0, 0])
  })

  it('takes an incremental answer only with partitions of the session', () => {
    const handler = inSession(foo0)
    build(handler, foo0)
    expect(answer(handler, 123, [bar0])).toBe('nothing')
    const request = build(handler, foo0)
    expect([request.sessionId, request.sessionEpoch]).toEqual([123, 0])
  })

  // testTopicIdReplaced
  it('forgets the old id when a topic was made anew', () => {
    const handler = inSession(foo0)
    const anew = { ...foo0, id: FOO_AGAIN }
    const request = build(handler, anew)
    expect(asked(request)).toEqual(['foo-0@0'])
    expect(request.topics[0]?.topicId).toBe(FOO_AGAIN)
    expect(forgotten(request)).toEqual([`${FOO}/0`])
    expect(answer(handler, 123, [anew])).toEqual(['foo-0'])
    build(handler, anew)
    expect(answer(handler, 123, [foo0])).toBe('nothing')
  })
})
