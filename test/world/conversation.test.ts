import { existsSync, readFileSync, writeFileSync } from 'node:fs'
import { describe, expect, it } from 'vitest'
import type { Connection } from '../../sim/kernel/env.js'
import type { FaultHandle } from '../../sim/world/fault-rule.js'
import { frame, makeLab, traceText, type Lab } from './lab.js'

/** A conversation with the world: commands, one a line with its time in ms, and the trace that they led to. */
function converse(name: string, commands: readonly (readonly [ms: number, command: string])[], until: number): void {
  const lab = makeLab('golden')
  lab.server('b1')
  lab.add('p1')
  for (const [ms, command] of commands) lab.engine.schedule(ms * 1_000, () => perform(lab, command), undefined)
  lab.until(until)
  const heading = commands.map(([ms, command]) => `> ${ms} ms: ${command}\n`).join('')
  const saw = lab.seen.map((line, i) => `${((lab.times[i] as number) / 1_000).toFixed(3)} ms: ${line}\n`).join('')
  const text = `${heading}\n${traceText(lab.events)}\n${saw}`
  const file = new URL(`golden/${name}.txt`, import.meta.url)
  if (process.env['UPDATE'] === '1') writeFileSync(file, text)
  expect(existsSync(file), `${name}: run once with UPDATE=1`).toBe(true)
  expect(text).toBe(readFileSync(file, 'utf8'))
}

const connections = new WeakMap<Lab, Connection>()
const partitions = new WeakMap<Lab, FaultHandle>()

function perform(lab: Lab, command: string): void {
  const [verb = '', ...words] = command.split(' ')
  const node = words[0] as string
  const verbs: Record<string, () => unknown> = {
    connect: () => connections.set(lab, lab.connect('p1', 'b1')),
    send: () => connections.get(lab)?.send(frame(words.join(' '))),
    partition: () => partitions.set(lab, lab.world.network.partition([['b1'], ['p1']])),
    heal: () => partitions.get(lab)?.remove(),
    kill: () => lab.world.kill(node),
    'power-loss': () => lab.world.powerLoss(node),
    start: () => lab.world.start(node),
    pause: () => lab.world.pause(node),
    resume: () => lab.world.resume(node),
  }
  const act = verbs[verb]
  if (act === undefined) throw new Error(`no such command: ${command}`)
  act()
}

describe('conversations with the world', () => {
  it('a partition holds a frame until the retransmission after it heals', () => {
    const commands = [
      [1, 'connect'],
      [5, 'send one'],
      [10, 'partition'],
      [12, 'send two'],
      [300, 'send three'],
      [500, 'heal'],
    ] as const
    converse('partition', commands, 2_000)
  })

  it('a killed process resets, also those who connect to nobody', () => {
    const commands = [
      [1, 'connect'],
      [5, 'kill b1'],
      [10, 'connect'],
      [20, 'start b1'],
      [30, 'connect'],
      [35, 'send hello'],
    ] as const
    converse('kill', commands, 100)
  })

  it('a host without power is silent until it is up again', () => {
    const commands = [
      [1, 'connect'],
      [5, 'power-loss b1'],
      [10, 'send hello?'],
      [2_000, 'start b1'],
    ] as const
    converse('power-loss', commands, 10_000)
  })

  it('a paused process catches up in order', () => {
    const commands = [
      [1, 'connect'],
      [5, 'pause b1'],
      [10, 'send one'],
      [20, 'send two'],
      [30, 'connect'],
      [40, 'resume b1'],
    ] as const
    converse('pause', commands, 100)
  })
})
