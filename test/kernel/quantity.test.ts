import { describe, expect, it } from 'vitest'
import { formatDuration, parseBytes, parseDuration } from '../../sim/kernel/quantity.js'

describe('durations', () => {
  it.each([
    ['50ms', 50_000],
    ['1.5s', 1_500_000],
    ['2 min', 120_000_000],
    ['2m', 120_000_000],
    ['7d', 604_800_000_000],
    ['10us', 10],
    ['0s', 0],
  ])('%s is %i microseconds', (text, micros) => {
    expect(parseDuration(text)).toBe(micros)
  })

  it('need a number and a unit that exists', () => {
    for (const text of ['', '5', 'ms', '5 apples', '-5s', '1e3s', '5constructor'])
      expect(parseDuration(text)).toBeUndefined()
  })

  it.each(['1050ms', '2s', '7d', '90s', '1h', '3us', '0s'])('%s is written as it is read', (text) => {
    expect(formatDuration(parseDuration(text) as number)).toBe(text)
  })
})

describe('sizes', () => {
  it.each([
    ['512', 512],
    ['512B', 512],
    ['64KiB', 65_536],
    ['10MB', 10_000_000],
    ['1.5 GiB', 1_610_612_736],
  ])('%s is %i bytes', (text, bytes) => {
    expect(parseBytes(text)).toBe(bytes)
  })

  it('need a unit that exists', () => {
    for (const text of ['', '10kb', 'MB', '-1', '5constructor']) expect(parseBytes(text)).toBeUndefined()
  })
})
