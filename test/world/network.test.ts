import { describe, expect, it } from 'vitest'
import { RETRANSMISSIONS_MAX, retransmissionTimeout } from '../../sim/world/stream.js'
import { at, connected, frame, makeLab } from './lab.js'

const FIXED = [100, 100]

describe('a connection', () => {
  it('opens after one round trip, and is accepted half a round trip later', () => {
    const lab = makeLab('1', { network: { latencyMicros: FIXED } })
    lab.server('b1')
    lab.add('p1')
    const connection = lab.connect('p1', 'b1')
    connection.send(frame('early'))
    lab.until(10)
    expect(lab.seen).toEqual(['p1 open to b1', 'b1 accepted p1', 'b1 got early from p1'])
    expect(lab.times).toEqual([200, 300, 300])
    expect([connection.peer, lab.accepted('b1', 'p1').peer]).toEqual(['b1', 'p1'])
    expect(lab.accepted('b1', 'p1').id).toBe(connection.id)
    expect(lab.trace('net.connect', 'net.open')).toEqual(['p1 net.connect 1 b1', 'p1 net.open 1 b1'])
  })

  it('is refused after one round trip where the host is up and nobody listens', () => {
    const lab = makeLab('1', { network: { latencyMicros: FIXED } })
    lab.add('p1')
    lab.add('b1')
    lab.world.addNode('b2', () => ({ stop: () => {} }))
    lab.server('b3')
    lab.world.kill('b3')
    for (const node of ['b1', 'b2', 'b3', 'nowhere']) lab.connect('p1', node)
    lab.until(10)
    expect(lab.seen.toSorted()).toEqual([
      'p1 lost b1: refused',
      'p1 lost b2: refused',
      'p1 lost b3: refused',
      'p1 lost nowhere: refused',
    ])
    expect(lab.when('p1 lost b1: refused')).toBe(0.2)
  })

  it('hands over the very frame that was sent', () => {
    const lab = makeLab()
    const sent = frame('hello')
    let got: unknown
    lab.add('b1', (env) => env.network.listen(() => ({ onFrame: (one) => (got = one), onClose: () => {} })))
    lab.add('p1')
    lab.connect('p1', 'b1').send(sent)
    lab.until(10)
    expect(got).toBe(sent)
  })

  it('keeps the order of frames in both directions, whatever the latency of each', () => {
    const { lab, connection } = connected('3', true)
    lab.world.network.latency({ extraMicros: [0, 5_000] })
    const sent = Array.from({ length: 200 }, (_, i) => `m${i}`)
    sent.forEach((body, i) => at(lab, 10 + i * 0.1, () => connection.send(frame(body))))
    lab.until(200)
    const seen = lab.news()
    expect(seen.filter((line) => line.startsWith('b1'))).toEqual(sent.map((body) => `b1 got ${body} from p1`))
    expect(seen.filter((line) => line.startsWith('p1'))).toEqual(sent.map((body) => `p1 got re: ${body} from b1`))
  })

  it('delivers what was sent before a close, then says closed, once and only to the peer', () => {
    const { lab, connection } = connected()
    connection.send(frame('last words'))
    connection.close()
    connection.send(frame('too late'))
    lab.until(50)
    expect(lab.news()).toEqual(['b1 got last words from p1', 'b1 lost p1: closed'])
    expect(lab.world.describe().connections).toEqual([])
  })

  it('that is closed while it opens is never seen by the listener', () => {
    const lab = makeLab()
    lab.server('b1')
    lab.add('p1')
    lab.connect('p1', 'b1').close()
    lab.until(50)
    expect(lab.seen).toEqual([])
    expect(lab.world.describe().connections).toEqual([])
  })

  it('to the own host goes through the loopback, which no fault touches', () => {
    const lab = makeLab()
    lab.server('b1')
    lab.world.network.isolate(['b1'])
    lab.world.network.oneWay('all', 'all')
    lab.world.network.loss(1)
    lab.connect('b1', 'b1')
    lab.until(1)
    expect(lab.seen).toEqual(['b1 open to b1', 'b1 accepted b1'])
  })

  it('takes the latency of its racks, or that of its pair', () => {
    const lab = makeLab('1', { network: { latencyMicros: FIXED, rackLatencyMicros: [1_000, 1_000] } })
    const idle = { stop: (): void => {} }
    for (const [node, rack] of [
      ['b1', 'a'],
      ['b2', 'b'],
      ['b3', 'a'],
    ] as const) {
      lab.world.addNode(
        node,
        (env) => {
          env.network.listen(() => ({ onFrame: () => {}, onClose: () => {} }))
          return idle
        },
        { rack },
      )
      lab.world.start(node)
    }
    lab.connect('b1', 'b2')
    lab.connect('b1', 'b3')
    lab.until(10)
    lab.world.network.setLatency('b1', 'b3', [5_000, 5_000])
    lab.connect('b1', 'b3')
    lab.until(20)
    expect(lab.times).toEqual([200, 2_000, 15_100])
  })
})

describe('the end of a process', () => {
  it('resets its connections', () => {
    const { lab } = connected()
    lab.world.kill('b1')
    lab.until(20)
    expect(lab.news()).toEqual(['p1 lost b1: reset'])
    expect(lab.trace('net.close')).toEqual(['p1 net.close 1 b1 reset'])
    expect(lab.world.describe().connections).toEqual([])
  })

  it('in order closes them, and delivers what was sent', () => {
    const { lab } = connected()
    lab.accepted('b1', 'p1').send(frame('bye'))
    lab.world.stop('b1')
    lab.until(20)
    expect(lab.news()).toEqual(['p1 got bye from b1', 'p1 lost b1: closed'])
  })

  it('by a halt in need resets them', () => {
    const { lab } = connected()
    lab.env('b1').soon(() => lab.env('b1').halt('fault'))
    lab.until(20)
    expect(lab.news()).toEqual(['p1 lost b1: reset'])
  })

  it('lets of what was in flight a first part arrive, which the seed decides', () => {
    for (const how of ['kill', 'powerLoss'] as const) {
      const arrived = new Set<number>()
      for (let seed = 0; seed < 60; seed++) {
        const { lab, connection } = connected(String(seed))
        for (let i = 0; i < 4; i++) connection.send(frame(`m${i}`))
        lab.world[how]('p1')
        lab.until(1_000)
        const got = lab.news()
        const frames = got.filter((line) => line.includes(' got '))
        expect(frames).toEqual([0, 1, 2, 3].slice(0, frames.length).map((i) => `b1 got m${i} from p1`))
        // A reset comes behind them; from a host without power comes nothing.
        expect(got.slice(frames.length)).toEqual(how === 'kill' ? ['b1 lost p1: reset'] : [])
        arrived.add(frames.length)
      }
      expect([...arrived].toSorted()).toEqual([0, 1, 2, 3, 4])
    }
  })

  it('behind a partition goes unnoticed, until what the peer sends is answered by a reset', () => {
    const { lab, connection } = connected()
    const partition = lab.world.network.partition([['b1'], ['p1']])
    lab.world.kill('b1')
    lab.until(100)
    partition.remove()
    lab.until(1_000)
    expect(lab.news()).toEqual([])
    connection.send(frame('hello?'))
    lab.until(1_010)
    expect(lab.news()).toEqual(['p1 lost b1: reset'])
  })
})

describe('a host without power', () => {
  it('answers no connect: the kernel gives up 127 s after the first attempt', () => {
    const { lab } = connected()
    lab.world.powerLoss('b1')
    lab.connect('p1', 'b1')
    lab.until(126_000)
    expect(lab.news()).toEqual([])
    lab.until(200_000)
    expect(lab.news()).toEqual(['p1 lost b1: timeout'])
    expect(lab.when('p1 lost b1: timeout')).toBeCloseTo(127_010, 0)
  })

  it('is silent: a peer with nothing to send never learns of it', () => {
    const { lab } = connected()
    lab.world.powerLoss('b1')
    lab.until(10_000_000)
    expect(lab.news()).toEqual([])
  })

  it('times a peer out that has unacknowledged data, after 924.6 s of retransmissions', () => {
    const { lab, connection } = connected()
    lab.world.powerLoss('b1')
    connection.send(frame('hello?'))
    lab.until(10_000_000)
    expect(lab.news()).toEqual(['p1 lost b1: timeout'])
    expect(lab.when('p1 lost b1: timeout')).toBeGreaterThan(924_610)
    expect(lab.when('p1 lost b1: timeout')).toBeLessThan(924_613)
    expect(lab.trace('net.held')).toEqual(['p1 net.held 1 b1 unreachable'])
  })

  it('answers old connections with a reset once it is up again', () => {
    const { lab, connection } = connected()
    lab.world.powerLoss('b1')
    connection.send(frame('hello?'))
    lab.until(5_000)
    lab.world.start('b1')
    lab.until(60_000)
    expect(lab.news()).toEqual(['p1 lost b1: reset'])
    // Retransmissions 0.2, 0.6, 1.4, 3.0 and 6.2 s after the loss: the last one finds it up.
    expect(lab.when('p1 lost b1: reset')).toBeGreaterThan(6_210)
    expect(lab.when('p1 lost b1: reset')).toBeLessThan(6_220)
    expect(lab.connect('p1', 'b1').id).toBe(2)
    lab.until(61_000)
    expect(lab.news()).toEqual(['p1 open to b1', 'b1 accepted p1'])
  })

  it('takes along what a stopped process left to its kernel', () => {
    const { lab } = connected()
    const partition = lab.world.network.partition([['b1'], ['p1']])
    lab.accepted('b1', 'p1').send(frame('bye'))
    lab.world.stop('b1')
    lab.until(50)
    expect(lab.world.describe().connections.map((view) => [view.node, view.state, view.held])).toEqual([
      ['b1', 'closing', 2],
      ['p1', 'established', 0],
    ])
    lab.world.powerLoss('b1')
    partition.remove()
    lab.until(100_000)
    expect(lab.news()).toEqual([])
  })

  it('is switched on by a start, also when it never ran', () => {
    const lab = makeLab()
    lab.add('p1')
    lab.world.addNode('b1', () => ({ stop: () => {} }))
    lab.world.powerLoss('b1')
    lab.connect('p1', 'b1')
    lab.until(500)
    expect(lab.news()).toEqual([])
    lab.world.start('b1')
    lab.until(1_100)
    expect(lab.news()).toEqual(['p1 lost b1: refused'])
  })
})

describe('retransmission', () => {
  it('waits 200 ms, then twice as long each time up to 120 s, and gives up after 924.6 s', () => {
    const waits = Array.from({ length: RETRANSMISSIONS_MAX + 1 }, (_, i) => retransmissionTimeout(i + 1) / 1_000_000)
    expect(waits.slice(0, 12)).toEqual([0.2, 0.4, 0.8, 1.6, 3.2, 6.4, 12.8, 25.6, 51.2, 102.4, 120, 120])
    expect(waits.reduce((sum, wait) => sum + wait, 0)).toBeCloseTo(924.6, 6)
  })
})

describe('a partition', () => {
  it('holds frames of both directions, and delivers them in order at the retransmission after it healed', () => {
    const { lab, connection } = connected()
    const partition = lab.world.network.partition([['b1', 'b2'], ['p1']])
    connection.send(frame('one'))
    at(lab, 500, () => connection.send(frame('two')))
    at(lab, 600, () => lab.accepted('b1', 'p1').send(frame('back')))
    at(lab, 1_000, () => partition.remove())
    at(lab, 1_100, () => connection.send(frame('three')))
    lab.until(10_000)
    expect(lab.news()).toEqual([
      'p1 got back from b1',
      'b1 got one from p1',
      'b1 got two from p1',
      'b1 got three from p1',
    ])
    // Sent at 10 and at 600 ms: tried again 0.2, 0.6 and 1.4 s later.
    expect(Math.floor(lab.when('p1 got back from b1') as number)).toBe(1_200)
    expect(Math.floor(lab.when('b1 got one from p1') as number)).toBe(1_410)
    expect(lab.trace('net.held')).toEqual(['p1 net.held 1 b1 partition', 'b1 net.held 1 p1 partition'])
    expect(lab.world.describe().connections.every((view) => view.unsent === 0)).toBe(true)
  })

  it('lets through what is neither between its groups nor of any', () => {
    const lab = makeLab()
    for (const node of ['b1', 'b2', 'b3', 'b4']) lab.server(node)
    lab.world.network.partition([['b1', 'b2'], ['b3']])
    for (const to of ['b2', 'b3', 'b4']) lab.connect('b1', to)
    lab.connect('b4', 'b3')
    lab.until(10)
    expect(
      lab
        .news()
        .filter((line) => line.includes('accepted'))
        .toSorted(),
    ).toEqual(['b2 accepted b1', 'b3 accepted b4', 'b4 accepted b1'])
  })

  it('stops what is in flight when it begins', () => {
    const { lab, connection } = connected()
    connection.send(frame('one'))
    connection.send(frame('two'))
    const partition = lab.world.network.partition([['b1'], ['p1']])
    lab.until(100)
    expect(lab.news()).toEqual([])
    partition.remove()
    connection.send(frame('three'))
    lab.until(300)
    expect(lab.news()).toEqual(['b1 got one from p1', 'b1 got two from p1', 'b1 got three from p1'])
  })

  it('holds connects: SYN is sent again after 1, 3, 7 s', () => {
    const lab = makeLab()
    lab.server('b1')
    lab.add('p1')
    const isolated = lab.world.network.isolate(['b1'])
    lab.connect('p1', 'b1').send(frame('hello'))
    lab.until(2_500)
    isolated.remove()
    lab.until(10_000)
    expect(lab.news()).toEqual(['p1 open to b1', 'b1 accepted p1', 'b1 got hello from p1'])
    expect(Math.floor(lab.when('p1 open to b1') as number)).toBe(3_000)
    expect(lab.trace('net.held')).toEqual(['p1 net.held 1 b1 partition'])
  })

  it('times out what can not be sent for 924.6 s, on both sides that tried', () => {
    const { lab, connection } = connected()
    lab.world.network.isolate(['b1'])
    connection.send(frame('one'))
    at(lab, 1_000, () => lab.accepted('b1', 'p1').send(frame('two')))
    lab.until(1_000_000)
    expect(lab.news()).toEqual(['p1 lost b1: timeout', 'b1 lost p1: timeout'])
    expect(lab.when('p1 lost b1: timeout')).toBeCloseTo(924_610, 3)
    expect(lab.when('b1 lost p1: timeout')).toBeCloseTo(925_600, 3)
  })

  it('of several that overlap ends with the last', () => {
    const { lab, connection } = connected()
    const first = lab.world.network.partition([['b1'], ['p1']])
    const second = lab.world.network.isolate(['p1'])
    connection.send(frame('one'))
    first.remove()
    first.remove()
    lab.until(1_000)
    expect(lab.news()).toEqual([])
    second.remove()
    lab.until(2_000)
    expect(lab.news()).toEqual(['b1 got one from p1'])
  })

  it('in one direction lets data pass on the way that is open, until its acknowledgements are missed', () => {
    const { lab, connection } = connected()
    const silence = lab.world.network.oneWay(['b1'], ['p1'])
    connection.send(frame('one'))
    at(lab, 100, () => connection.send(frame('two')))
    at(lab, 300, () => connection.send(frame('three')))
    at(lab, 300, () => lab.accepted('b1', 'p1').send(frame('back')))
    lab.until(5_000)
    expect(lab.news()).toEqual(['b1 got one from p1', 'b1 got two from p1'])
    silence.remove()
    lab.until(60_000)
    expect(lab.news().toSorted()).toEqual(['b1 got three from p1', 'p1 got back from b1'])
  })

  it('in one direction keeps connections from opening either way', () => {
    const lab = makeLab()
    for (const node of ['b1', 'b2']) lab.server(node)
    lab.world.network.oneWay(['b1'], ['b2'])
    lab.connect('b1', 'b2')
    lab.connect('b2', 'b1')
    lab.until(200_000)
    expect(lab.news()).toEqual(['b1 lost b2: timeout', 'b2 lost b1: timeout'])
  })
})
