import { describe, expect, it } from 'vitest'
import { ExponentialBackoff } from '../../sim/client/exponential-backoff.js'
import { encode, idOf } from '../../sim/client/workload-record.js'
import { Random } from '../../sim/kernel/random.js'

describe('exponential backoff', () => {
  it('doubles from the first wait to the longest, give or take a fifth', () => {
    // ExponentialBackoffTest: initial 100, maximum 2000.
    const backoff = new ExponentialBackoff(100, 2_000, new Random('b'))
    for (let attempts = 0; attempts <= 10; attempts++) {
      const expected = Math.min(100 * 2 ** attempts, 2_000)
      for (let i = 0; i < 50; i++) {
        const wait = backoff.backoff(attempts)
        expect(wait).toBeGreaterThanOrEqual(Math.floor(expected * 0.8))
        expect(wait).toBeLessThanOrEqual(Math.min(expected * 1.2, 2_000))
      }
    }
  })

  it('neither grows nor varies when the longest wait is not above the first', () => {
    const backoff = new ExponentialBackoff(500, 500, new Random('b'))
    expect([0, 1, 9].map((attempts) => backoff.backoff(attempts))).toEqual([500, 500, 500])
    expect(new ExponentialBackoff(500, 100, new Random('b')).backoff(3)).toBe(100)
  })
})

describe("a workload record's value", () => {
  it('carries its id, whatever its size', () => {
    expect(idOf(encode('p1/41'))).toBe('p1/41')
    expect(idOf(encode('p1/41', 3))).toBe('p1/41')
    const padded = encode('p1/41', 100)
    expect(padded).toHaveLength(100)
    expect(idOf(padded)).toBe('p1/41')
  })

  it('written by somebody else has no id', () => {
    for (const text of ['', 'hello world', 'p1/', '/3', 'p1/3x', 'p1/3\u0001']) {
      expect(idOf(new TextEncoder().encode(text))).toBe('')
    }
    expect(idOf(null)).toBe('')
  })
})
