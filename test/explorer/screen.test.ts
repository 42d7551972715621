/** Screens as a person sees them, at three sizes, kept as text (UPDATE=1 rewrites); and how long a frame takes. */

import { existsSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { open, openText } from './session.js'

const SIZES = ['80x24', '120x40', '200x60']
const KILL = '"kill leader(orders-0) for 2s"'

function golden(name: string, text: string): void {
  const file = join(import.meta.dirname, 'golden', `${name}.txt`)
  const whole = `${text.replace(/[ ]+$/gm, '')}\n`
  if (process.env['UPDATE'] === '1') writeFileSync(file, whole)
  expect(existsSync(file), `${name}: run once with UPDATE=1`).toBe(true)
  expect(whole).toBe(readFileSync(file, 'utf8'))
}

const STORIES: Readonly<Record<string, readonly string[]>> = {
  violation: ['n'],
  cause: ['n', 'w', 'w', 'w'],
  node: ['n', 'tab'],
  log: ['n', 'tab', 'tab'],
  oracles: ['n', 'tab', 'tab', 'tab'],
  story: ['f', 'z', 'z'],
  branch: ['n', 'b', KILL, 'return', 'shift+tab'],
  compare: ['n', 'b', KILL, 'return', 'c'],
  help: ['?'],
  inject: ['n', 'b', '"kill b9"', 'return'],
}

describe.each(SIZES)('at %s', (size) => {
  const [width = 0, height = 0] = size.split('x').map(Number)

  it.each(Object.entries(STORIES))('the screen after %s', (name, keys) => {
    const screen = open()
      .press(...keys)
      .screen(size)
    const rows = screen.split('\n')
    expect(rows).toHaveLength(height - 1)
    expect(Math.max(...rows.map((row) => row.length))).toBeLessThanOrEqual(width)
    golden(`${name}-${size}`, screen)
  })
})

describe('a screen', () => {
  it('can be plain ASCII', () => {
    const screen = open().press('n').screen('80x24', true)
    expect(screen).toMatch(/^[\x20-\x7e\n]+$/)
    golden('ascii-80x24', screen)
  })

  it('says so when it is too small', () => {
    expect(open().screen('40x10')).toBe('40×9 is too small: samsa explore needs …')
    expect(open().screen('20x24')).toHaveLength(20)
  })

  it('is drawn within 40 ms at 200x60 of a run of 100,000 events that plays', () => {
    const session = open('scenarios/operations/rolling-restart.yaml').press('space')
    expect(session.explorer.branch.recording.events.length).toBeGreaterThan(100_000)
    const times: number[] = []
    for (let frame = 0; frame < 60; frame++) {
      const began = performance.now()
      session.explorer.tick(66)
      session.screen('200x60')
      times.push(performance.now() - began)
    }
    times.sort((a, b) => a - b)
    expect(times[30]).toBeLessThan(40)
  })

  it('shows a cluster that never gets ready', () => {
    const session = openText(`
version: 1
name: no quorum
cluster: { topics: { orders: { partitions: 1 } } }
steps: [{ kill: b1, at: 1s }]
run: { until: 2s }
`)
    expect(session.screen('80x24')).toContain('no quorum')
  })
})
