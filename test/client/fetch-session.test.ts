/** Cases of Kafka's FetchSessionHandlerTest. */

import { describe, expect, it } from 'vitest'
import { FetchSession, type SessionPartition, type SessionRequest } from '../../sim/client/fetch-session.js'
import type { Apis } from '../../sim/wire/apis.js'
import { Errors } from '../../sim/wire/errors.js'
import { fetchAnswer, must } from './lab.js'

type Response = Apis['Fetch']['response']

const IDS: Record<string, string> = { foo: 'AAAAAAAAAAAAAAAAAAAAAw', bar: 'AAAAAAAAAAAAAAAAAAAABA' }

function asked(topic: string, index: number, fetchOffset = 0, topicId = must(IDS[topic])): SessionPartition {
  return { topic, index, name: `${topic}-${index}`, topicId, fetchOffset, currentLeaderEpoch: 1, maxBytes: 10 }
}

function answer(sessionId: number, partitions: readonly SessionPartition[], errorCode = 0): Response {
  return {
    throttleTimeMs: 0,
    errorCode,
    sessionId,
    responses: partitions.map(({ topic, topicId, index }) => ({
      topic,
      topicId,
      partitions: [fetchAnswer(index, {})],
    })),
    nodeEndpoints: [],
  }
}

const sent = ({ topics }: SessionRequest): string[] =>
  topics.flatMap(({ topic, partitions }) => partitions.map((p) => `${topic}-${p.partition}@${p.fetchOffset}`))
const forgotten = ({ forgottenTopicsData }: SessionRequest): string[] =>
  forgottenTopicsData.flatMap(({ topic, partitions }) => partitions.map((index) => `${topic}-${index}`))
const at = ({ sessionId, sessionEpoch }: SessionRequest): string => `${sessionId}.${sessionEpoch}`

/** A session 123 of foo-0 and foo-1. */
function established(): FetchSession {
  const session = new FetchSession()
  const wanted = [asked('foo', 0), asked('foo', 1, 10)]
  session.next(wanted)
  expect(session.answered(answer(123, wanted))).toBe(true)
  return session
}

describe('a fetch session', () => {
  it('begins with a full request', () => {
    const request = new FetchSession().next([asked('foo', 0), asked('foo', 1, 10)])
    expect([at(request), sent(request)]).toEqual(['0.0', ['foo-0@0', 'foo-1@10']])
  })

  it('stays full while the broker gives no session', () => {
    const session = new FetchSession()
    const wanted = [asked('foo', 0)]
    session.next(wanted)
    expect(session.answered(answer(0, wanted))).toBe(true)
    const request = session.next([asked('foo', 0, 5)])
    expect([at(request), sent(request)]).toEqual(['0.0', ['foo-0@5']])
  })

  it('sends only what changed, and what is new', () => {
    const session = established()
    const request = session.next([asked('foo', 0), asked('foo', 1, 20), asked('bar', 0, 3)])
    expect([at(request), sent(request), forgotten(request)]).toEqual(['123.1', ['foo-1@20', 'bar-0@3'], []])
    session.answered(answer(123, [asked('foo', 1)]))
    const next = session.next([asked('foo', 0), asked('foo', 1, 20), asked('bar', 0, 3)])
    expect([at(next), sent(next)]).toEqual(['123.2', []])
  })

  it('has the broker forget what is not wanted any more', () => {
    const session = established()
    const request = session.next([asked('foo', 1, 10)])
    expect([sent(request), forgotten(request)]).toEqual([[], ['foo-0']])
    expect([...session.partitions.keys()]).toEqual(['foo-1'])
  })

  it('replaces a topic that was created anew', () => {
    const session = established()
    const request = session.next([asked('foo', 0, 0, IDS['bar']), asked('foo', 1, 10)])
    expect([sent(request), forgotten(request)]).toEqual([['foo-0@0'], ['foo-0']])
    expect(must(request.forgottenTopicsData[0]).topicId).toBe(IDS['foo'])
    expect(must(request.topics[0]).topicId).toBe(IDS['bar'])
  })

  it('starts anew when the broker does not know it', () => {
    const session = established()
    session.next([asked('foo', 0), asked('foo', 1, 10)])
    expect(session.answered(answer(0, [], Errors.FETCH_SESSION_ID_NOT_FOUND))).toBe(false)
    const request = session.next([asked('foo', 0), asked('foo', 1, 10)])
    expect([at(request), sent(request)]).toEqual(['0.0', ['foo-0@0', 'foo-1@10']])
  })

  it('is closed and asked for again after any other error, or no answer', () => {
    for (const spoil of [
      (session: FetchSession) => session.answered(answer(0, [], Errors.INVALID_FETCH_SESSION_EPOCH)),
      (session: FetchSession) => session.failed(),
    ]) {
      const session = established()
      session.next([asked('foo', 0), asked('foo', 1, 10)])
      spoil(session)
      const request = session.next([asked('foo', 0), asked('foo', 1, 10)])
      expect([at(request), sent(request)]).toEqual(['123.0', ['foo-0@0', 'foo-1@10']])
    }
  })

  it('does not take a full answer that leaves a partition out', () => {
    const session = new FetchSession()
    session.next([asked('foo', 0), asked('foo', 1)])
    expect(session.answered(answer(123, [asked('foo', 0)]))).toBe(false)
    expect(at(session.next([asked('foo', 0)]))).toBe('0.0')
  })

  it('does not take an incremental answer about something else', () => {
    const session = established()
    session.next([asked('foo', 0), asked('foo', 1, 10)])
    expect(session.answered(answer(123, [asked('bar', 0)]))).toBe(false)
    expect(at(session.next([asked('foo', 0)]))).toBe('123.0')
  })

  it('that the broker closed begins anew, with the answer still good', () => {
    const session = established()
    session.next([asked('foo', 0), asked('foo', 1, 10)])
    expect(session.answered(answer(0, [asked('foo', 0)]))).toBe(true)
    expect(at(session.next([asked('foo', 0)]))).toBe('0.0')
  })

  it('is closed by epoch -1, if there is one', () => {
    expect(new FetchSession().closing()).toBeUndefined()
    expect(at(must(established().closing()))).toBe('123.-1')
  })
})
