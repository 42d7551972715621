import { describe, expect, it } from 'vitest'
import { Engine } from '../../sim/kernel/engine.js'
import { Random } from '../../sim/kernel/random.js'
import { HostClock, UPTIME_MS, WALL_EPOCH_MS } from '../../sim/world/clock.js'
import { makeLab } from './lab.js'

const HOUR_MS = 3_600_000

describe('the clocks of a host', () => {
  it('begin with 2026 and after some uptime', () => {
    const clock = new HostClock(new Engine('1'), 'b1')
    expect(new Date(clock.wallMs()).toISOString()).toBe('2026-01-01T00:00:00.000Z')
    expect(clock.monotonicMs()).toBe(UPTIME_MS)
  })

  it('show whole milliseconds of virtual time', () => {
    const engine = new Engine('1')
    const clock = new HostClock(engine, 'b1')
    engine.run(1_999)
    expect([clock.wallMs() - WALL_EPOCH_MS, clock.monotonicMs() - UPTIME_MS]).toEqual([1, 1])
  })

  it('jump: the wall clock alone, either way', () => {
    const engine = new Engine('1')
    const clock = new HostClock(engine, 'b1')
    engine.run(5_000_000)
    clock.jump(-60_000)
    expect([clock.wallMs() - WALL_EPOCH_MS, clock.monotonicMs() - UPTIME_MS]).toEqual([-55_000, 5_000])
    clock.jump(90_000)
    expect(clock.offsetMs).toBe(30_000)
    engine.run(6_000_000)
    expect(clock.offsetMs).toBe(30_000)
  })

  it('are skewed by a constant, and set right again', () => {
    const engine = new Engine('1')
    const clock = new HostClock(engine, 'b1')
    clock.skew(250)
    clock.skew(100)
    engine.run(1_000_000)
    expect([clock.offsetMs, clock.wallMs()]).toEqual([100, WALL_EPOCH_MS + 1_100])
    clock.skew(0)
    expect(clock.offsetMs).toBe(0)
  })

  it('drift both, exactly, over days', () => {
    const engine = new Engine('1')
    const clock = new HostClock(engine, 'b1')
    clock.drift(100)
    engine.run(240 * HOUR_MS * 1_000)
    // 240 hours at 100 parts per million: 86.4 s.
    expect(clock.offsetMs).toBe(86_400)
    expect(clock.monotonicMs()).toBe(UPTIME_MS + 240 * HOUR_MS + 86_400)
    clock.drift(-100)
    engine.run(480 * HOUR_MS * 1_000)
    expect(clock.offsetMs).toBe(0)
  })

  it('never go backwards by drift, and know exactly when they will show a reading', () => {
    const random = new Random('1')
    const engine = new Engine('1')
    const clock = new HostClock(engine, 'b1')
    let last = clock.monotonicMicros()
    for (let i = 0; i < 500; i++) {
      clock.drift(random.between(-500_000, 500_000))
      const reading = clock.monotonicMicros() + random.int(5_000_000)
      const at = clock.whenMonotonic(reading)
      if (at > engine.now) {
        engine.run(at - 1)
        expect(clock.monotonicMicros()).toBeLessThan(reading)
      }
      engine.run(at)
      expect(clock.monotonicMicros()).toBeGreaterThanOrEqual(reading)
      engine.run(engine.now + random.int(1_000_000))
      expect(clock.monotonicMicros()).toBeGreaterThanOrEqual(last)
      last = clock.monotonicMicros()
    }
  })

  it('write down every change', () => {
    const lab = makeLab()
    lab.add('b1')
    lab.world.node('b1').clock.jump(5)
    lab.world.node('b1').clock.drift(-7)
    expect(lab.trace('clock.change')).toEqual(['b1 clock.change 5 0', 'b1 clock.change 0 -7'])
  })

  it('outlive processes and the power', () => {
    const lab = makeLab()
    lab.add('b1')
    lab.world.node('b1').clock.jump(5_000)
    lab.world.powerLoss('b1')
    lab.until(1_000)
    lab.world.start('b1')
    expect(lab.env('b1').clock.wallMs()).toBe(WALL_EPOCH_MS + 6_000)
  })
})

describe('timers', () => {
  it('fire in order of their instants, then of their making', () => {
    const lab = makeLab()
    lab.add('b1', (env) => {
      env.after(2, () => lab.note('2'))
      env.after(1.5, () => lab.note('1.5'))
      env.after(0, () => lab.note('0'))
      env.soon(() => lab.note('soon'))
      env.after(-3, () => lab.note('-3'))
      env.after(2, () => lab.note('2 again'))
      env.after(Number.MAX_SAFE_INTEGER, () => lab.note('never'))
      env.atWall(Number.MAX_SAFE_INTEGER, () => lab.note('never'))
    })
    lab.until(1e9)
    expect(lab.seen).toEqual(['0', 'soon', '-3', '1.5', '2', '2 again'])
    expect(lab.times).toEqual([0, 0, 0, 1_500, 2_000, 2_000])
  })

  it('are cancelled before they fire, and not after', () => {
    const lab = makeLab()
    lab.add('b1', (env) => {
      const kept = env.after(1, () => {
        kept.cancel()
        gone.cancel()
        gone.cancel()
        lab.note('kept')
      })
      const gone = env.after(2, () => lab.note('gone'))
    })
    lab.until(10)
    expect(lab.seen).toEqual(['kept'])
    expect(lab.world.node('b1').env?.timers.pending).toBe(0)
  })

  it('follow the drift of the clock, also when it changes while they wait', () => {
    const lab = makeLab()
    lab.add('b1', (env) => {
      env.after(1_000, () => lab.note('first'))
      env.after(3_000, () => lab.note('second'))
    })
    const { clock } = lab.world.node('b1')
    clock.drift(250_000)
    lab.until(1_600)
    clock.drift(0)
    lab.until(10_000)
    // 1.25 times as fast for 1.6 s: 2 s of the clock are over by then.
    expect([lab.when('first'), lab.when('second')]).toEqual([800, 2_600])
  })

  it('do not follow jumps of the wall clock', () => {
    const lab = makeLab()
    lab.add('b1', (env) => env.after(1_000, () => lab.note('fired')))
    lab.world.node('b1').clock.jump(500)
    lab.until(2_000)
    expect(lab.when('fired')).toBe(1_000)
  })

  it('at a wall time fire at once when the clock jumps beyond it, and later when it jumps back', () => {
    const lab = makeLab()
    const { clock } = (lab.add('b1'), lab.world.node('b1'))
    const env = lab.env('b1')
    env.atWall(WALL_EPOCH_MS + 1_000, () => lab.note('early'))
    env.atWall(WALL_EPOCH_MS + 5_000, () => lab.note('late'))
    env.atWall(WALL_EPOCH_MS - 1, () => lab.note('past'))
    lab.until(100)
    clock.jump(2_000)
    lab.until(200)
    clock.jump(-3_000)
    lab.until(100_000)
    expect(lab.seen).toEqual(['past', 'early', 'late'])
    expect([lab.when('past'), lab.when('early'), lab.when('late')]).toEqual([0, 100, 6_000])
  })

  it('at a wall time come of the jump that brought it', () => {
    const lab = makeLab()
    lab.add('b1', (env) =>
      env.atWall(WALL_EPOCH_MS + 1_000, () => env.emit('log.roll', { partition: 'a-0', baseOffset: 0 })),
    )
    lab.world.node('b1').clock.jump(2_000)
    lab.until(1)
    const [change, roll] = lab.events.slice(-2)
    expect([change?.type, roll?.type, roll?.cause]).toEqual(['clock.change', 'log.roll', change?.seq])
  })
})
