/** Connections as the raft thread sees them. Cases of Kafka's RequestManagerTest. */

import { describe, expect, it } from 'vitest'
import { Random } from '../../sim/kernel/random.js'
import { RequestManager } from '../../sim/kraft/request-manager.js'

const ONE = { id: 1, node: 'c1' }
const TWO = { id: 2, node: 'c2' }

function manager(): RequestManager {
  return new RequestManager(['c1', 'c2', 'c3'], 20, 2_000, new Random('manager'))
}

describe('the request manager', () => {
  it('sends one request at a time to a peer', () => {
    const requests = manager()
    expect(requests.isReady(ONE, 0)).toBe(true)
    requests.onSent(ONE, 7, 0)
    expect(requests.isReady(ONE, 1)).toBe(false)
    expect(requests.isReady(TWO, 1)).toBe(true)
    expect(requests.remainingRequestMs(ONE, 500)).toBe(1_500)
    requests.onResult(ONE, 7, true, 600)
    expect(requests.isReady(ONE, 600)).toBe(true)
  })

  it('backs off after a failure', () => {
    const requests = manager()
    requests.onSent(ONE, 7, 0)
    requests.onResult(ONE, 7, false, 100)
    expect(requests.isBackingOff(ONE, 119)).toBe(true)
    expect(requests.remainingBackoffMs(ONE, 105)).toBe(15)
    expect(requests.isBackingOff(ONE, 120)).toBe(false)
    expect(requests.isReady(ONE, 120)).toBe(true)
  })

  it('is ready again after the request timeout, but still takes the answer', () => {
    const requests = manager()
    requests.onSent(ONE, 7, 0)
    expect(requests.hasTimedOut(ONE, 1_999)).toBe(false)
    expect(requests.hasTimedOut(ONE, 2_000)).toBe(true)
    expect(requests.isExpected(ONE, 7)).toBe(true)
    expect(requests.isReady(ONE, 2_000)).toBe(true)
    expect(requests.isExpected(ONE, 7)).toBe(false)
  })

  it('expects no answer but the latest, and none after a reset', () => {
    const requests = manager()
    requests.onSent(ONE, 7, 0)
    expect(requests.isExpected(ONE, 6)).toBe(false)
    requests.resetAll()
    expect(requests.isExpected(ONE, 7)).toBe(false)
  })

  it('asks no bootstrap server while anything is in flight', () => {
    const requests = manager()
    requests.onSent(ONE, 7, 0)
    expect(requests.readyBootstrap(1)).toBeUndefined()
    expect(requests.backoffBeforeBootstrap(1)).toBe(1_999)
    expect(requests.readyBootstrap(2_000)).toBeDefined()
  })

  it('asks the bootstrap servers that do not back off, and knows when the first may be asked', () => {
    const requests = manager()
    const seen = new Set<string>()
    for (const at of [0, 1, 2]) {
      const peer = requests.readyBootstrap(at)
      if (peer === undefined) throw new Error('none ready')
      seen.add(peer.node)
      expect(peer.id).toBeLessThan(-1)
      requests.onSent(peer, at, at)
      requests.onResult(peer, at, false, at)
    }
    expect([...seen].sort()).toEqual(['c1', 'c2', 'c3'])
    expect(requests.readyBootstrap(3)).toBeUndefined()
    expect(requests.backoffBeforeBootstrap(3)).toBe(17)
    expect(requests.readyBootstrap(20)).toBeDefined()
    expect(requests.backoffBeforeBootstrap(20)).toBe(0)
  })

  it('keeps a bootstrap server apart from the voter on the same host', () => {
    const requests = manager()
    requests.onSent(ONE, 7, 0)
    requests.onResult(ONE, 7, false, 0)
    const hosts = new Set(Array.from({ length: 30 }, () => requests.readyBootstrap(1)?.node))
    expect(hosts.has('c1')).toBe(true)
  })
})
