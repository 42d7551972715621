import { describe, expect, it } from 'vitest'
import type { Program } from '../../sim/kernel/env.js'
import type { NodeState } from '../../sim/world/process.js'
import type { World } from '../../sim/world/world.js'
import { IDLE, frame, makeLab, type Lab } from './lab.js'

/** A program that never finishes its controlled shutdown by itself. */
const STUBBORN: Program = { stop: () => {} }

/** Brings a fresh node b1 into each state. */
const REACH: Record<string, (world: World) => void> = {
  'never-started': () => {},
  running: (world) => world.start('b1'),
  stopping: (world) => [world.start('b1'), world.stop('b1')],
  'paused, was running': (world) => [world.start('b1'), world.pause('b1')],
  'paused, was stopping': (world) => [world.start('b1'), world.stop('b1'), world.pause('b1')],
  'paused, asked to stop': (world) => [world.start('b1'), world.pause('b1'), world.stop('b1')],
  down: (world) => [world.start('b1'), world.kill('b1')],
  'down, host off': (world) => [world.start('b1'), world.powerLoss('b1')],
}

type Operation = 'start' | 'kill' | 'powerLoss' | 'pause' | 'resume' | 'stop' | 'wipe'

/** What each operation leads to; undefined where it is refused. */
const EXPECTED: Record<string, Partial<Record<Operation, NodeState>>> = {
  'never-started': { start: 'running', powerLoss: 'never-started', wipe: 'never-started' },
  running: { kill: 'down', powerLoss: 'down', pause: 'paused', stop: 'stopping' },
  stopping: { kill: 'down', powerLoss: 'down', pause: 'paused' },
  'paused, was running': { kill: 'down', powerLoss: 'down', resume: 'running', stop: 'paused' },
  'paused, was stopping': { kill: 'down', powerLoss: 'down', resume: 'stopping' },
  'paused, asked to stop': { kill: 'down', powerLoss: 'down', resume: 'stopping' },
  down: { start: 'running', powerLoss: 'down', wipe: 'down' },
  'down, host off': { start: 'running', powerLoss: 'down', wipe: 'down' },
}

const OPERATIONS: Operation[] = ['start', 'kill', 'powerLoss', 'pause', 'resume', 'stop', 'wipe']
const ROWS = Object.keys(REACH).flatMap((state) => OPERATIONS.map((operation) => [state, operation] as const))

describe('the life of a node', () => {
  it.each(ROWS)('when %s: %s', (state, operation) => {
    const lab = makeLab()
    lab.world.addNode('b1', () => STUBBORN)
    REACH[state]?.(lab.world)
    const node = lab.world.node('b1')
    const before = { state: node.state, events: lab.events.length }
    const outcome = lab.world[operation]('b1')
    const expected = EXPECTED[state]?.[operation]
    expect(outcome.ok).toBe(expected !== undefined)
    expect(node.state).toBe(expected ?? before.state)
    if (!outcome.ok) {
      expect(outcome.reason).toMatch(/^b1 is /)
      expect(lab.events.length).toBe(before.events)
    }
  })

  it('refuses operations on strangers', () => {
    expect(makeLab().world.kill('b9')).toEqual({ ok: false, reason: 'there is no node b9' })
  })

  it('counts incarnations, and writes down how each ended', () => {
    const lab = makeLab()
    lab.add('b1')
    lab.world.kill('b1', 'step 2')
    lab.world.start('b1')
    lab.world.stop('b1')
    lab.world.start('b1')
    lab.world.powerLoss('b1')
    expect(lab.trace('node.start', 'node.down', 'node.stopping')).toEqual([
      'b1 node.start 1',
      'b1 node.down kill step 2',
      'b1 node.start 2',
      'b1 node.stopping',
      'b1 node.down stop ',
      'b1 node.start 3',
      'b1 node.down power-loss power-loss',
    ])
  })

  it('gives another program at the next start', () => {
    const lab = makeLab()
    lab.add('b1', () => lab.note('old'))
    lab.world.setBoot('b1', () => {
      lab.note('new')
      return IDLE
    })
    lab.world.kill('b1')
    lab.world.start('b1')
    expect(lab.seen).toEqual(['old', 'new'])
  })

  it('waits in controlled shutdown until the program is done', () => {
    const lab = makeLab()
    lab.add('b1', undefined, { stop: (done) => void lab.env('b1').after(50, done) })
    lab.world.onNodeDown((node, how) => lab.note(`${node} ${how}`))
    lab.world.stop('b1')
    lab.until(49)
    expect(lab.world.node('b1').state).toBe('stopping')
    lab.until(51)
    expect(lab.seen).toEqual(['b1 stop'])
    expect(lab.when('b1 stop')).toBe(50)
  })

  it('has no use for a shutdown that ends after the process was killed', () => {
    const lab = makeLab()
    let finish = (): void => {}
    lab.add('b1', undefined, { stop: (done) => void (finish = done) })
    lab.world.stop('b1')
    lab.world.kill('b1')
    finish()
    lab.world.start('b1')
    finish()
    expect(lab.world.node('b1').state).toBe('running')
  })
})

describe('a process', () => {
  it('takes its timers, tasks, connections and disk callbacks with it', () => {
    const lab = makeLab()
    lab.server('b2')
    lab.add('b1', (env) => {
      env.after(10, () => lab.note('timer'))
      env.atWall(env.clock.wallMs() + 10, () => lab.note('wall timer'))
      env.soon(() => lab.note('soon'))
      env.disk.open('a').sync(() => lab.note('synced'))
    })
    lab.connect('b1', 'b2')
    lab.world.kill('b1')
    const pending = lab.engine.pending
    lab.until(1_000)
    expect(lab.seen).toEqual([])
    expect(lab.world.node('b1').env?.timers.pending).toBe(0)
    // Its timers left the queue at once: a dead node costs nothing.
    expect(pending).toBeLessThanOrEqual(3)
  })

  it('ends in the middle of a handler when it halts', () => {
    const lab = makeLab()
    lab.add('b1', (env) => {
      const file = env.disk.open('a')
      env.after(1, () => {
        file.append(new Uint8Array(10))
        env.halt('no more log dirs')
        file.append(new Uint8Array(10))
        lab.note('went on')
      })
      env.after(2, () => lab.note('later'))
    })
    lab.until(10)
    expect(lab.seen).toEqual([])
    expect(lab.trace('node.down')).toEqual(['b1 node.down halt no more log dirs'])
    expect(lab.world.node('b1').mount().open('a').size).toBe(10)
  })

  it('may halt while it boots, and be started again', () => {
    const lab = makeLab()
    lab.add('b1', (env) => env.halt('bad configuration'))
    expect(lab.world.node('b1').state).toBe('down')
    expect(lab.world.start('b1').ok).toBe(true)
    expect(lab.trace('node.down')).toHaveLength(2)
  })

  it('ends when a disk error escapes a handler, as Kafka does with its only log directory', () => {
    const lab = makeLab()
    lab.add('b1', (env) => env.after(1, () => env.disk.open('orders-0/0.log')))
    lab.world.node('b1').disk.fail()
    lab.until(10)
    expect(lab.trace('node.down', 'disk.error')).toEqual([
      'b1 disk.error orders-0/0.log io',
      'b1 node.down halt disk error: input/output error: orders-0/0.log',
    ])
  })

  it('lets every other exception through: a defect must stop the run', () => {
    const lab = makeLab()
    lab.add('b1', (env) => {
      env.after(1, () => {
        throw new TypeError('a defect')
      })
    })
    expect(() => lab.until(10)).toThrow('a defect')
  })

  it('gets other random numbers than its predecessor, and the same in every run', () => {
    const draw = (): number[] => {
      const drawn: number[] = []
      const lab = makeLab()
      lab.add('b1', (env) => drawn.push(env.random.float()))
      lab.world.kill('b1')
      lab.world.start('b1')
      return drawn
    }
    const [first, second] = draw()
    expect(first).not.toBe(second)
    expect(draw()).toEqual([first, second])
  })

  it('may not use its disk after its end', () => {
    const lab = makeLab()
    lab.add('b1')
    const env = lab.env('b1')
    lab.world.kill('b1')
    expect(() => env.disk.open('a')).toThrow('dead process')
    expect(env.emit('node.wiped', { files: 0 })).toBe(0)
    env.after(1, () => lab.note('fired')).cancel()
    lab.until(10)
    expect(lab.seen).toEqual([])
  })
})

describe('a paused process', () => {
  function pausedLab(): Lab {
    const lab = makeLab()
    lab.server('b1')
    lab.add('p1')
    const connection = lab.connect('p1', 'b1')
    lab.until(10)
    lab.news()
    lab.world.pause('b1')
    const env = lab.env('b1')
    env.after(1, () => lab.note('timer 1'))
    env.after(3, () => lab.note('timer 3'))
    lab.engine.schedule(12_000, () => connection.send(frame('two')), undefined)
    return lab
  }

  it('sees everything that came meanwhile at resume, in the order in which it came', () => {
    const lab = pausedLab()
    lab.until(100)
    expect(lab.news()).toEqual([])
    expect(lab.world.node('b1').process?.waiting).toBe(3)
    lab.world.resume('b1')
    lab.until(100)
    expect(lab.news()).toEqual(['timer 1', 'b1 got two from p1', 'timer 3'])
  })

  it('lets nothing that comes at the instant of resume overtake what waited', () => {
    const lab = makeLab()
    lab.add('b1')
    lab.world.pause('b1')
    lab.engine.schedule(1_000, () => lab.world.resume('b1'), undefined)
    const env = lab.env('b1')
    env.after(0.5, () => {
      lab.note('waited 1')
      env.soon(() => lab.note('soon'))
    })
    env.after(0.6, () => lab.note('waited 2'))
    env.after(1, () => lab.note('at resume'))
    lab.until(10)
    expect(lab.seen).toEqual(['waited 1', 'waited 2', 'at resume', 'soon'])
  })

  it('may cancel at resume what came due while it was paused', () => {
    const lab = makeLab()
    lab.add('b1')
    const env = lab.env('b1')
    lab.world.pause('b1')
    env.after(1, () => late.cancel())
    const late = env.after(2, () => lab.note('fired'))
    lab.until(10)
    lab.world.resume('b1')
    lab.until(20)
    expect(lab.seen).toEqual([])
  })

  it('goes on waiting when it is paused again', () => {
    const lab = pausedLab()
    lab.until(100)
    lab.world.resume('b1')
    lab.world.pause('b1')
    lab.until(200)
    expect(lab.news()).toEqual([])
    lab.world.resume('b1')
    lab.until(200)
    expect(lab.news()).toEqual(['timer 1', 'b1 got two from p1', 'timer 3'])
  })

  it('loses what waited when it is killed', () => {
    const lab = pausedLab()
    lab.until(100)
    lab.world.kill('b1')
    lab.until(200)
    expect(lab.news()).toEqual(['p1 lost b1: reset'])
  })

  it('learns in its turn that it shall stop', () => {
    const lab = makeLab()
    lab.add('b1', undefined, {
      stop: (done) => {
        lab.note('stop')
        done()
      },
    })
    const env = lab.env('b1')
    lab.world.pause('b1')
    env.after(1, () => lab.note('before'))
    lab.until(5)
    lab.world.stop('b1')
    lab.until(10)
    expect(lab.seen).toEqual([])
    lab.world.resume('b1')
    lab.until(20)
    expect(lab.seen).toEqual(['before', 'stop'])
    expect(lab.world.node('b1').state).toBe('down')
  })

  it('still accepts connections by its kernel, and learns of them at resume', () => {
    const lab = makeLab()
    lab.server('b1')
    lab.add('p1')
    lab.world.pause('b1')
    lab.connect('p1', 'b1').send(frame('hello'))
    lab.until(50)
    expect(lab.news()).toEqual(['p1 open to b1'])
    lab.world.resume('b1')
    lab.until(50)
    expect(lab.news()).toEqual(['b1 accepted p1', 'b1 got hello from p1'])
  })

  it('learns what waited with the cause that it had', () => {
    const lab = makeLab()
    lab.add('b1')
    const env = lab.env('b1')
    const trace = lab.engine.trace
    trace.cause = 41
    env.after(1, () => env.emit('log.roll', { partition: 'a-0', baseOffset: 0 }))
    trace.cause = 42
    env.after(2, () => env.emit('log.roll', { partition: 'b-0', baseOffset: 0 }))
    trace.cause = 0
    lab.world.pause('b1')
    lab.until(5)
    lab.world.resume('b1')
    lab.until(10)
    const rolls = lab.events.filter((event) => event.type === 'log.roll')
    expect(rolls.map((event) => event.cause)).toEqual([41, 42])
  })
})

describe('causes', () => {
  it('lead from event to event within a handler and through the network, past sends that go elsewhere', () => {
    const lab = makeLab()
    const request = { id: 1, api: 'Fetch', version: 17, correlation: 1, body: undefined }
    lab.add('b1', (env) =>
      env.network.listen(() => ({
        onFrame: () => env.emit('request.receive', { ...request, from: 'p1' }),
        onClose: () => {},
      })),
    )
    lab.add('p1')
    const env = lab.env('p1')
    const connection = lab.connect('p1', 'b1')
    lab.until(10)
    env.soon(() => {
      env.emit('log.roll', { partition: 'a-0', baseOffset: 0 })
      env.emit('request.send', { ...request, to: 'b1' })
      connection.send(frame('fetch'))
      env.emit('log.roll', { partition: 'b-0', baseOffset: 0 })
    })
    lab.until(20)
    const [first, send, second, receive] = lab.events.slice(-4)
    expect([first?.type, send?.type, second?.type, receive?.type]).toEqual([
      'log.roll',
      'request.send',
      'log.roll',
      'request.receive',
    ])
    expect([send?.cause, second?.cause, receive?.cause]).toEqual([first?.seq, first?.seq, send?.seq])
  })

  it('stay with frames that wait for the connection to open', () => {
    const lab = makeLab()
    lab.add('b1', (env) =>
      env.network.listen(() => ({
        onFrame: ({ body }) => env.emit('log.roll', { partition: String(body), baseOffset: 0 }),
        onClose: () => {},
      })),
    )
    lab.add('p1')
    const connection = lab.connect('p1', 'b1')
    lab.engine.trace.cause = 77
    connection.send(frame('a-0'))
    lab.engine.trace.cause = 0
    lab.until(20)
    expect(lab.events.find((event) => event.type === 'log.roll')?.cause).toBe(77)
  })
})

describe('a description of the world', () => {
  it('shows nodes, clocks, files and connections', () => {
    const lab = makeLab()
    lab.server('b1')
    lab.add('p1', (env) => {
      env.disk.open('a').append(new Uint8Array(10))
      env.after(1_000, () => {})
    })
    const connection = lab.connect('p1', 'b1')
    lab.until(10)
    lab.world.node('p1').clock.jump(250)
    lab.world.network.isolate(['b1'])
    connection.send(frame('held'))
    lab.world.powerLoss('b1')
    const { nodes, connections } = lab.world.describe()
    expect(nodes[1]).toEqual({
      name: 'p1',
      state: 'running',
      incarnation: 1,
      powered: true,
      timers: 1,
      waiting: 0,
      clockOffsetMs: 250,
      driftPartsPerMillion: 0,
      usedBytes: 10,
      files: [{ path: 'a', size: 10, unsyncedBytes: 10 }],
    })
    expect(nodes[0]).toMatchObject({ name: 'b1', state: 'down', powered: false })
    expect(connections).toEqual([
      { id: 1, node: 'p1', peer: 'b1', initiator: true, state: 'established', unsent: 1, held: 1 },
    ])
  })
})
