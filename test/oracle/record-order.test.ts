import { describe, expect, it } from 'vitest'
import { safeSwarm } from '../../sim/search/swarm.js'
import { runScenario } from '../../sim/scenario/run.js'
import { led, type Story } from './story.js'

const ACROSS_RESTART = /^earlier batches of a producer are forgotten by a restarted leader \(b1\)/

/** p1/0 and p1/1 are committed; b1 is killed, comes back and leads on. */
function restarted(): Story {
  return led()
    .commits('p1/0')
    .commits('p1/1')
    .dies('b1')
    .reopens('b1', 2)
    .serves('b1', 2)
    .leads('b1', 1, ['b1', 'b2', 'b3'])
}

function again(story: Story, producerEpoch: number): Story {
  return story.appends('b1', ['p1/0'], { epoch: 1, producerEpoch }).replicates('b2', 'b3').highWatermark('b1', 2, 3, 1)
}

describe('a record that is in the log twice', () => {
  it('is a violation where nothing was forgotten', () => {
    const story = led().commits('p1/0').commits('p1/1').appends('b1', ['p1/0'], { producerEpoch: 1 })
    const report = story.replicates('b2', 'b3').highWatermark('b1', 2, 3).report('no-duplicates')
    expect(report).toMatchObject({ verdict: 'fail', violationCount: 1, losses: [] })
  })

  it('is a violation after a restart too, within one producer epoch', () => {
    expect(again(restarted(), 0).report('no-duplicates')).toMatchObject({ verdict: 'fail', violationCount: 1 })
  })

  it('is told as a loss when a restarted leader made the producer begin a new epoch', () => {
    const report = again(restarted(), 1).report('no-duplicates')
    expect(report.verdict).toBe('pass')
    expect(report.losses).toHaveLength(1)
    expect(report.losses[0]?.reason).toMatch(ACROSS_RESTART)
  })

  it('is told as a loss when its producer gave up one before it, and numbered it anew', () => {
    const twice = (isGivenUp: boolean): Story => {
      const story = led().commits('p1/0').commits('p1/1')
      const data = { id: 'p1/7', partition: 'orders-0', error: 'REQUEST_TIMED_OUT', certain: false }
      if (isGivenUp) story.emit('p1', 'produce.failed', data)
      return story.appends('b1', ['p1/1'], { producerEpoch: 1 }).replicates('b2', 'b3').highWatermark('b1', 2, 3)
    }
    expect(twice(false).report('no-duplicates').violationCount).toBe(1)
    expect(twice(true).report('no-duplicates')).toMatchObject({
      verdict: 'pass',
      losses: [{ reason: expect.stringMatching(/^p1 gave up a batch/) as string }],
    })
  })

  it('is found like that by swarm seed 479', () => {
    const report = runScenario(safeSwarm(479), { seed: 479 }).oracles.find(({ name }) => name === 'no-duplicates')
    expect(report?.verdict).toBe('pass')
    expect(report?.losses[0]?.reason).toMatch(ACROSS_RESTART)
  })
})
