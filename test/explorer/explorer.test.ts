/** What each key does, and that forks, saves and rewinds are true to the run. */

import { describe, expect, it } from 'vitest'
import { KEY_GROUPS } from '../../sim/explorer/keys.js'
import { readYaml } from '../../sim/scenario/load.js'
import { runScenario } from '../../sim/scenario/run.js'
import { open } from './session.js'

const KILL = '"kill leader(orders-0) for 2s"'

describe('through time', () => {
  it('begins where the cluster is ready', () => {
    const { explorer } = open()
    expect(explorer.event?.type).toBe('run.ready')
    expect(explorer.branch.time).toBe(0)
  })

  it('goes from row to row and back', () => {
    const session = open()
    const start = session.explorer.branch.cursor
    session.press('l', 'l', 'right')
    expect(session.explorer.branch.cursor).toBeGreaterThan(start)
    session.press('h', 'left', 'h')
    expect(session.explorer.branch.cursor).toBe(start)
  })

  it('stays in the lane, or with the kind', () => {
    const { explorer, press } = open().press('n')
    const { node, type } = explorer.event ?? {}
    press('L')
    expect(explorer.event?.node).toBe(node)
    press('H', 't')
    expect(explorer.event?.type).toBe(type)
  })

  it('jumps to violations, faults and new leaders, and says when there is no more', () => {
    const { explorer, press } = open().press('f')
    expect(explorer.event?.type).toBe('fault.start')
    press('e')
    expect(['replica.leader', 'quorum.state', 'controller.active']).toContain(explorer.event?.type)
    press('g', 'n')
    expect(explorer.message).toMatch(/^acked-records-survive: orders-0@/)
    press('G', 'n')
    expect(explorer.message).toBe('no violation after this')
  })

  it('walks to the cause and back', () => {
    const { explorer, press } = open().press('n')
    const { seq, cause } = explorer.event ?? { seq: 0, cause: 0 }
    press('w')
    expect(explorer.branch.cursor).toBe(cause)
    press('w', 'W', 'W')
    expect(explorer.branch.cursor).toBe(seq)
    press('W')
    expect(explorer.message).toBe('w was not pressed yet')
  })

  it('goes to a time, a distance or an event, and refuses what is none', () => {
    const { explorer, press } = open().press(':', '"2.5"', 'return')
    expect(explorer.branch.time).toBeLessThanOrEqual(2_500_000)
    expect(explorer.branch.time).toBeGreaterThan(2_200_000)
    press(':', '"#77"', 'return')
    expect(explorer.branch.cursor).toBe(77)
    press(':', '"soon"', 'return')
    expect(explorer.input?.wrong).toBe('write 2.64, 150ms, +50ms or #1207')
    press('ctrl+u', '"9999"', 'return')
    expect(explorer.input?.wrong).toMatch(/^recorded up to/)
    press('escape')
    expect(explorer.input).toBeUndefined()
  })

  it('searches in what events say', () => {
    const { explorer, press } = open().press('/', '"truncated"', 'return')
    expect(explorer.event?.type).toBe('log.truncate')
    press('/', '"no such words"', 'return')
    expect(explorer.message).toBe('no event after this says no such words')
  })

  it('plays by virtual time, and stops at the end', () => {
    const { explorer, press } = open().press('+', '+', 'space')
    expect(explorer.speed).toBe(1)
    explorer.tick(500)
    expect(explorer.branch.time).toBeGreaterThan(400_000)
    expect(explorer.branch.time).toBeLessThanOrEqual(500_000)
    explorer.tick(1e9)
    expect(explorer.isPlaying).toBe(false)
    expect(explorer.branch.cursor).toBe(explorer.branch.recording.events.length)
    press('g')
    expect(explorer.branch.cursor).toBeGreaterThan(0)
  })

  it('knows any moment of 100,000 events within 200 ms', () => {
    const { explorer, press } = open('scenarios/operations/rolling-restart.yaml').press('n')
    const { events } = explorer.branch.recording
    expect(events.length).toBeGreaterThan(100_000)
    press('tab')
    explorer.branch.cursor = events.length
    explorer.work(() => false)
    const began = performance.now()
    explorer.branch.cursor = Math.floor(events.length / 2)
    while (explorer.work(() => false));
    expect(explorer.branch.states.at(explorer.branch.cursor).size).toBeGreaterThan(10)
    expect(explorer.branch.position.isThere).toBe(true)
    // A quiet machine takes a fifth of a second for all of a run of this size; the bound leaves room for a busy one.
    expect(performance.now() - began).toBeLessThan(1_000)
  })
})

describe('hands on', () => {
  it('forks: the same run up to the step, another one after it', () => {
    const { explorer } = open().press('n', 'b', KILL, 'return')
    const [main, branch] = explorer.branches
    const at = main?.cursor ?? 0
    expect(branch?.name).toBe('try-1')
    expect(explorer.branch).toBe(branch)
    expect(branch?.recording.events.slice(0, at).map(({ time, type, node }) => [time, type, node])).toEqual(
      main?.recording.events.slice(0, at).map(({ time, type, node }) => [time, type, node]),
    )
    expect(branch?.recording.result?.hash).not.toBe(main?.recording.result?.hash)
  })

  it('saves a branch as a file that gives the same run', () => {
    const session = open().press('n', 'b', KILL, 'return', 's', 'return')
    const [[path, text] = ['', '']] = session.saved
    expect(path).toBe('.samsa/explorer/leader-crash-acks-1-try-1.yaml')
    const result = runScenario(readYaml(text, path), { seed: 1 })
    expect(result.hash).toBe(session.explorer.branch.recording.result?.hash)
    expect(session.explorer.message).toBe(`saved; samsa replay ${path}`)
  })

  it('records the main branch as it would have run alone', () => {
    const { explorer } = open()
    const { scenario, result } = explorer.branch.recording
    expect(result?.hash).toBe(runScenario(scenario, { seed: 1 }).hash)
  })

  it.each([
    ['"explode b1"', /unknown/],
    ['"kill b7"', /unknown target/],
    ['"kill b1 for ever"', /duration|time/i],
    ['"partition [[b1]"', /./],
  ])('says what is wrong with %s and forks nothing', (text, wrong) => {
    const { explorer } = open().press('b', text, 'return')
    expect(explorer.input?.wrong).toMatch(wrong)
    expect(explorer.branches).toHaveLength(1)
  })

  it('completes kinds and targets', () => {
    const { explorer, press } = open().press('b', '"pau"', 'tab')
    expect(explorer.input?.text).toBe('pause')
    press('space', '"lead"', 'tab')
    expect(explorer.input?.text).toBe('pause leader(orders-0)')
  })

  it('says why a file cannot be written, and loses nothing', () => {
    const { explorer } = open(undefined, { isWriteBroken: true }).press('s', 'return')
    expect(explorer.input?.wrong).toMatch(/the folder is gone and cannot be made$/)
    expect(explorer.branch.savedAs).toBeUndefined()
  })

  it('renames branches, each by its own name', () => {
    const { explorer, press } = open().press('b', KILL, 'return', 'r', 'ctrl+u', '"main"', 'return')
    expect(explorer.input?.wrong).toBe('another branch is called main')
    press('ctrl+u', '"second crash"', 'return')
    expect(explorer.branch.name).toBe('second crash')
    press('B')
    expect(explorer.branch.name).toBe('main')
  })

  it('copies the command that replays', () => {
    expect(open().press('y').copied).toEqual(['samsa replay s1-token-1'])
  })

  it('forks a live run too, which goes on without an end', () => {
    const { explorer } = open(undefined, { live: true }).press(':', '"1"', 'return', 'b', '"kill b2"', 'return')
    const { recording } = explorer.branch
    explorer.branch.advance(() => false, recording.readyAt + 90_000_000)
    expect(recording.isEnded).toBe(false)
    expect(recording.now - recording.readyAt).toBe(90_000_000)
    expect(recording.events.some(({ type, node }) => type === 'node.down' && node === 'b2')).toBe(true)
  })
})

describe('keys', () => {
  it('do one thing each', () => {
    const keys = KEY_GROUPS.flatMap(({ bindings }) => bindings.flatMap((binding) => binding.keys))
    expect(new Set(keys).size).toBe(keys.length)
  })

  it('are all shown by ?', () => {
    const session = open().press('?')
    let shown = ''
    for (let top = 0; top < 60; top++) {
      shown += session.screen('80x24')
      session.explorer.key('down')
    }
    for (const { bindings } of KEY_GROUPS) for (const { doc } of bindings) expect(shown).toContain(doc)
  })

  it('that mean nothing say so', () => {
    const { explorer, press, quits } = open().press('x')
    expect(explorer.message).toBe('x does nothing; ? shows what does')
    press('q')
    expect(quits()).toBe(1)
  })
})

describe('a cluster in ZooKeeper mode', () => {
  it('shows what a server of the ensemble has: its place, sessions and znodes', () => {
    // To the fault; then from the first broker, which is looked at to begin with, back to z3.
    const session = open('scenarios/zookeeper/leader-crash.yaml').press('f', 'tab', ',')
    expect(session.explorer.node).toBe('z3')
    const screen = session.screen('200x60')
    expect(screen).toMatch(/(leading|following), applied up to 1:[0-9]+/)
    expect(screen).toMatch(/sessions \([0-9]+\)/)
    expect(screen).toMatch(/\/brokers\/ids\/1 {2}v1, [0-9]+ B, of session 0x[0-9a-f]{16}/)
  })
})
