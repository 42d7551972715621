import { describe, expect, it } from 'vitest'
import { Random } from '../../sim/kernel/random.js'

const draws = (random: Random, n = 20): number[] => Array.from({ length: n }, () => random.float())

describe('random streams', () => {
  it('are the same for the same seed and label', () => {
    expect(draws(new Random('7').fork('net/b1->b2'))).toEqual(draws(new Random('7').fork('net/b1->b2')))
  })

  it('differ by seed and by label', () => {
    const streams = [new Random('7').fork('a'), new Random('8').fork('a'), new Random('7').fork('b'), new Random('7')]
    expect(new Set(streams.map((stream) => draws(stream).join())).size).toBe(4)
  })

  it('are not moved by draws elsewhere', () => {
    const quiet = new Random('7')
    const busy = new Random('7')
    draws(busy, 1_000)
    draws(busy.fork('elsewhere'), 1_000)
    expect(draws(busy.fork('a').fork('b'))).toEqual(draws(quiet.fork('a').fork('b')))
  })

  it('stay within their bounds and reach them', () => {
    const random = new Random('1')
    const ints = Array.from({ length: 2_000 }, () => random.int(5))
    expect([...new Set(ints)].sort()).toEqual([0, 1, 2, 3, 4])
    const between = Array.from({ length: 2_000 }, () => random.between(-1, 1))
    expect([...new Set(between)].sort((a, b) => a - b)).toEqual([-1, 0, 1])
    expect([random.chance(0), random.chance(1)]).toEqual([false, true])
  })

  it('pick each item by its weight', () => {
    const random = new Random('1')
    const counts = { often: 0, seldom: 0, never: 0 }
    for (let i = 0; i < 4_000; i++)
      counts[
        random.weighted([
          [3, 'often'],
          [0, 'never'],
          [1, 'seldom'],
        ] as const)
      ]++
    expect(counts.never).toBe(0)
    expect(counts.often / counts.seldom).toBeGreaterThan(2.6)
    expect(counts.often / counts.seldom).toBeLessThan(3.4)
  })

  it('shuffle and sample without loss, and leave the original alone', () => {
    const random = new Random('1')
    const items = [1, 2, 3, 4, 5, 6, 7, 8]
    expect(random.shuffle(items).sort()).toEqual(items)
    expect(new Set(random.sample(items, 3)).size).toBe(3)
    expect(items).toEqual([1, 2, 3, 4, 5, 6, 7, 8])
    expect(() => random.sample(items, 9)).toThrow('sample')
  })

  it('draw from a quantile table between its points', () => {
    const random = new Random('1')
    const values = Array.from({ length: 4_000 }, () => random.quantile([0, 10, 100]))
    expect(Math.min(...values)).toBeGreaterThanOrEqual(0)
    expect(Math.max(...values)).toBeLessThanOrEqual(100)
    const below = values.filter((value) => value < 10).length / values.length
    expect(below).toBeGreaterThan(0.46)
    expect(below).toBeLessThan(0.54)
    expect(random.quantile([42])).toBe(42)
  })

  it('make uuids of the 22 characters that Kafka writes, all distinct', () => {
    const random = new Random('1')
    const uuids = Array.from({ length: 100 }, () => random.uuid())
    expect(new Set(uuids).size).toBe(100)
    for (const uuid of uuids) {
      expect(uuid).toMatch(/^[A-Za-z0-9_-]{22}$/)
      expect(Buffer.from(uuid, 'base64url').toString('base64url')).toBe(uuid)
      expect(Buffer.from(uuid, 'base64url').length).toBe(16)
    }
  })
})
