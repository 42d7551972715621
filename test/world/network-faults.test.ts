import { describe, expect, it } from 'vitest'
import type { MessageMatch } from '../../sim/world/fault-rule.js'
import { at, connected, frame, makeLab } from './lab.js'

const FIXED = [100, 100]

describe('loss', () => {
  it('delays frames by retransmission and never takes one', () => {
    const { lab, connection } = connected('5')
    const loss = lab.world.network.loss(0.3, { from: ['p1'] })
    const sent = Array.from({ length: 100 }, (_, i) => `m${i}`)
    sent.forEach((body, i) => at(lab, 20 + i * 100, () => connection.send(frame(body))))
    lab.until(20_000)
    loss.remove()
    lab.until(400_000)
    expect(lab.news()).toEqual(sent.map((body) => `b1 got ${body} from p1`))
    const held = lab.trace('net.held')
    expect(held.length).toBeGreaterThan(5)
    expect(new Set(held)).toEqual(new Set(['p1 net.held 1 b1 loss']))
    const delays = sent.map((body, i) => (lab.when(`b1 got ${body} from p1`) as number) - (20 + i * 100))
    expect(delays.filter((delay) => delay > 200).length).toBeGreaterThan(5)
    expect(delays.filter((delay) => delay < 2).length).toBeGreaterThan(20)
  })

  it('delays connects', () => {
    const opened = new Set<number>()
    for (let seed = 0; seed < 30; seed++) {
      const lab = makeLab(String(seed))
      lab.server('b1')
      lab.add('p1')
      lab.world.network.loss(0.5)
      lab.connect('p1', 'b1')
      lab.until(130_000)
      const when = lab.when('p1 open to b1')
      if (when !== undefined) opened.add(Math.floor(when / 1_000))
    }
    for (const second of [0, 1, 3]) expect(opened).toContain(second)
    expect([...opened].every((second) => [0, 1, 3, 7, 15, 31, 63].includes(second))).toBe(true)
  })

  it('that is certain is silence', () => {
    const { lab, connection } = connected()
    lab.world.network.loss(1)
    connection.send(frame('one'))
    lab.until(1_000_000)
    expect(lab.news()).toEqual(['p1 lost b1: timeout'])
  })

  it('of independent causes adds up', () => {
    const share = (...losses: number[]): number => {
      const { lab, connection } = connected('9')
      for (const p of losses) lab.world.network.loss(p)
      for (let i = 0; i < 400; i++) at(lab, 1_000 + i * 60_000, () => connection.send(frame('m')))
      lab.until(400 * 60_000 + 60_000)
      return lab.trace('net.held').length / 400
    }
    expect(Math.abs(share(0.2) - 0.2)).toBeLessThan(0.06)
    expect(Math.abs(share(0.2, 0.5) - 0.6)).toBeLessThan(0.08)
  })
})

describe('latency and bandwidth', () => {
  it('add up over rules', () => {
    const { lab, connection } = connected()
    lab.world.network.latency({ fixedMicros: 100_000 })
    const second = lab.world.network.latency(
      { fixedMicros: 50_000, extraMicros: [1_000, 2_000] },
      { from: ['p1'], to: ['b1'] },
    )
    connection.send(frame('one'))
    lab.accepted('b1', 'p1').send(frame('back'))
    lab.until(1_000)
    expect(lab.when('b1 got one from p1')).toBeGreaterThan(161)
    expect(lab.when('b1 got one from p1')).toBeLessThan(164)
    expect(Math.floor(lab.when('p1 got back from b1') as number)).toBe(110)
    second.remove()
    connection.send(frame('two'))
    lab.until(2_000)
    expect(Math.floor(lab.when('b1 got two from p1') as number)).toBe(1_100)
  })

  it('of a link is shared by its connections, and the narrowest rule counts', () => {
    const lab = makeLab('1', { network: { latencyMicros: FIXED } })
    lab.server('b1')
    lab.add('p1')
    const one = lab.connect('p1', 'b1')
    const two = lab.connect('p1', 'b1')
    lab.until(10)
    lab.world.network.bandwidth(1_000_000)
    lab.world.network.bandwidth(1_000, { to: ['b1'] })
    one.send({ body: 'x', byteSize: () => 100 })
    two.send({ body: 'y', byteSize: () => 50 })
    lab.until(1_000)
    expect(lab.when('b1 got x from p1')).toBe(10 + 100 + 0.1)
    expect(lab.when('b1 got y from p1')).toBe(10 + 150 + 0.1)
  })

  it('asks no frame for its size where bandwidth is unlimited', () => {
    const { lab, connection } = connected()
    lab.world.network.latency({ fixedMicros: 10 })
    const shy = { body: 'shy', byteSize: () => expect.fail('asked') }
    connection.send(shy)
    lab.until(20)
    expect(lab.news()).toEqual(['b1 got shy from p1'])
  })

  it('can be limited for good', () => {
    const lab = makeLab('1', { network: { latencyMicros: FIXED, bytesPerSecond: 1_000 } })
    lab.server('b1')
    lab.add('p1')
    lab.connect('p1', 'b1').send(frame('0123456789'))
    lab.until(100)
    expect(lab.when('b1 got 0123456789 from p1')).toBeCloseTo(10.3, 6)
  })
})

describe('a stall', () => {
  it('takes everything, delivers nothing, times nothing out, and ends at once', () => {
    const { lab, connection } = connected()
    const stall = lab.world.network.stall({ from: ['p1'], to: ['b1'] })
    connection.send(frame('one'))
    at(lab, 20, () => connection.send(frame('two')))
    at(lab, 30, () => lab.accepted('b1', 'p1').send(frame('back')))
    at(lab, 40, () => lab.connect('p1', 'b1'))
    lab.until(5_000_000)
    expect(lab.news()).toEqual(['p1 got back from b1', 'p1 open to b1', 'b1 accepted p1'])
    stall.remove()
    lab.until(5_000_010)
    expect(lab.news()).toEqual(['b1 got one from p1', 'b1 got two from p1'])
    expect(lab.trace('net.held')).toEqual(['p1 net.held 1 b1 stall'])
  })

  it('that another one outlasts goes on', () => {
    const { lab, connection } = connected()
    const first = lab.world.network.stall()
    const second = lab.world.network.stall({ to: ['b1'] })
    connection.send(frame('one'))
    first.remove()
    lab.until(1_000)
    expect(lab.news()).toEqual([])
    second.remove()
    lab.until(1_010)
    expect(lab.news()).toEqual(['b1 got one from p1'])
  })

  it('within a partition leaves the rest to retransmission', () => {
    const { lab, connection } = connected()
    const stall = lab.world.network.stall()
    connection.send(frame('one'))
    const partition = lab.world.network.partition([['p1'], ['b1']])
    lab.until(1_000)
    stall.remove()
    lab.until(2_000)
    partition.remove()
    lab.until(10_000)
    expect(lab.news()).toEqual(['b1 got one from p1'])
  })
})

describe('a reset', () => {
  it('ends the connections between two sets on both sides at once, and no others', () => {
    const lab = makeLab()
    for (const node of ['b1', 'b2', 'b3']) lab.server(node)
    lab.connect('b1', 'b2')
    lab.connect('b2', 'b1')
    lab.connect('b1', 'b3')
    lab.until(10)
    lab.news()
    expect(lab.world.network.reset(['b1'], ['b2'])).toBe(2)
    lab.until(10)
    expect(lab.news().toSorted()).toEqual([
      'b1 lost b2: reset',
      'b1 lost b2: reset',
      'b2 lost b1: reset',
      'b2 lost b1: reset',
    ])
    expect(lab.world.network.reset('all', 'all')).toBe(1)
  })
})

describe('message rules', () => {
  const matching =
    (text: string): MessageMatch =>
    ({ body }) =>
      String(body).startsWith(text)

  it('take a matching message away with all data behind it: TCP hands over nothing behind a gap', () => {
    const { lab, connection } = connected('1', true)
    const drop = lab.world.network.dropMessages(matching('Fetch'))
    for (const body of ['Vote 1', 'Fetch 1', 'Vote 2', 'Fetch 2']) connection.send(frame(body))
    lab.until(50)
    expect(lab.news()).toEqual(['b1 got Vote 1 from p1', 'p1 got re: Vote 1 from b1'])
    expect(drop.matches).toBe(1)
    expect(lab.trace('net.held')).toEqual(['p1 net.held 1 b1 drop'])
    drop.remove()
    connection.send(frame('Vote 3'))
    lab.accepted('b1', 'p1').send(frame('back'))
    lab.until(100)
    expect(lab.news()).toEqual(['p1 got back from b1'])
    connection.close()
    lab.until(150)
    expect(lab.news()).toEqual(['b1 lost p1: closed'])
  })

  it('leave other connections alone', () => {
    const { lab, connection } = connected()
    lab.world.network.dropMessages(matching('Fetch'))
    const other = lab.connect('p1', 'b1')
    connection.send(frame('Fetch'))
    other.send(frame('Vote'))
    lab.until(50)
    expect(lab.news()).toContain('b1 got Vote from p1')
  })

  it('see the direction, and end by themselves after some matches', () => {
    const { lab, connection } = connected('1', true)
    const rule = lab.world.network.dropMessages((_frame, from, to) => from === 'b1' && to === 'p1', { times: 1 })
    connection.send(frame('a'))
    lab.until(50)
    connection.close()
    lab.connect('p1', 'b1').send(frame('b'))
    lab.until(100)
    const seen = lab.news()
    expect(seen.filter((line) => line.includes('re: '))).toEqual(['p1 got re: b from b1'])
    expect(seen).toContain('b1 got a from p1')
    expect(rule.matches).toBe(1)
  })

  it('delay a message and all behind it on its connection, not those of others', () => {
    const { lab, connection } = connected()
    const other = lab.connect('p1', 'b1')
    lab.until(20)
    lab.news()
    const rule = lab.world.network.delayMessages(matching('slow'), 100_000, { times: 1 })
    for (const body of ['first', 'slow', 'behind']) connection.send(frame(body))
    other.send(frame('other'))
    lab.until(500)
    const seen = lab.news()
    expect(seen.slice(0, 2).toSorted()).toEqual(['b1 got first from p1', 'b1 got other from p1'])
    expect(seen.slice(2)).toEqual(['b1 got slow from p1', 'b1 got behind from p1'])
    expect(Math.floor(lab.when('b1 got slow from p1') as number)).toBe(120)
    expect(lab.when('b1 got behind from p1')).toBe(lab.when('b1 got slow from p1'))
    rule.remove()
    connection.send(frame('slow again'))
    lab.until(510)
    expect(lab.news()).toEqual(['b1 got slow again from p1'])
  })

  it('add up their delays, and delay also what a partition holds', () => {
    const { lab, connection } = connected()
    for (const delay of [100_000, 50_000]) lab.world.network.delayMessages(matching('slow'), delay)
    connection.send(frame('slow 1'))
    lab.until(400)
    expect(Math.floor(lab.when('b1 got slow 1 from p1') as number)).toBe(160)
    const partition = lab.world.network.partition([['b1'], ['p1']])
    connection.send(frame('slow 2'))
    partition.remove()
    lab.until(1_000)
    expect(lab.when('b1 got slow 2 from p1')).toBeGreaterThan(550)
  })
})

describe('what nobody disturbs', () => {
  it('is the same to the event before a fault begins', () => {
    const hashAt = (fault: boolean): string => {
      const { lab, connection } = connected('4', true)
      for (let i = 0; i < 50; i++) at(lab, 20 + i, () => connection.send(frame(`m${i}`)))
      if (fault) at(lab, 60, () => lab.world.network.loss(0.5))
      lab.until(59)
      return lab.times.join() + lab.engine.trace.hash
    }
    expect(hashAt(true)).toBe(hashAt(false))
  })

  it('keeps its latencies while faults are elsewhere', () => {
    const timesWith = (fault: boolean): string => {
      const { lab, connection } = connected('4', true)
      lab.server('b2')
      if (fault) lab.world.network.isolate(['b2'])
      for (let i = 0; i < 50; i++) at(lab, 20 + i, () => connection.send(frame(`m${i}`)))
      lab.until(100)
      return lab.times.join()
    }
    expect(timesWith(true)).toBe(timesWith(false))
  })
})
