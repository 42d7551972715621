/**
 * The explorer in a real terminal, driven by tmux where there is one: opens the flagship failure, finds the violation, walks to its cause,
 * rewinds, injects a fault, compares, saves, leaves; the saved file replays to the same hash. Needs the build.
 */

import { execFileSync, spawnSync } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, describe, expect, it } from 'vitest'

const ROOT = join(import.meta.dirname, '../..')
const SAMSA = join(ROOT, 'dist/sim/cli/main.js')
const STORY = join(ROOT, 'scenarios/replication/leader-crash-acks-1.yaml')
const HAS_TMUX = spawnSync('tmux', ['-V']).status === 0
const folder = mkdtempSync(join(tmpdir(), 'samsa-explore-'))
const socket = join(folder, 'tmux')

afterAll(() => {
  spawnSync('tmux', ['-S', socket, 'kill-server'])
  rmSync(folder, { recursive: true, force: true })
})

function tmux(...args: readonly string[]): string {
  return execFileSync('tmux', ['-S', socket, ...args], { encoding: 'utf8' })
}

function shown(name: string): string {
  return tmux('capture-pane', '-p', '-t', name)
}

/** Waits until the screen says `wanted`. */
function until(name: string, wanted: RegExp): string {
  const deadline = performance.now() + 20_000
  for (;;) {
    const screen = shown(name)
    if (wanted.test(screen)) return screen
    if (performance.now() > deadline) throw new Error(`${name} never showed ${wanted}:\n${screen}`)
    Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 30)
  }
}

function press(name: string, ...keys: readonly string[]): void {
  for (const key of keys) tmux('send-keys', '-t', name, ...(key.length > 8 ? ['-l', key] : [key]))
}

function start(name: string, size: string, args: string, environment = ''): void {
  const [width = '80', height = '24'] = size.split('x')
  const command = `echo before; ${environment} node ${SAMSA} ${args}; echo "left with $?"; sleep 60`
  tmux('-f', '/dev/null', 'new-session', '-d', '-s', name, '-x', width, '-y', height, '-c', folder, command)
}

describe.skipIf(!HAS_TMUX)('in a real terminal', () => {
  it.each(['80x24', '120x40', '200x60'])(
    'a session at %s, from failure to saved branch',
    (size) => {
      const name = `s${size}`
      start(name, size, `explore ${STORY}`)
      until(name, /ev \d+\/18140 +✓/)
      press(name, 'n')
      until(name, /▸ +10\.585.*leads orders-0/)
      press(name, 'w', 'w', 'h', 'W', 'W', 'b', 'kill leader(orders-0) for 2s', 'Enter')
      until(name, /try-1 forks at 10\.585 s/)
      press(name, 'c')
      const compared = until(name, /main and try-1[\s\S]*✗ fail/)
      const hash = /✗ fail +(\d+) events/.exec(compared)
      expect(hash).not.toBeNull()
      press(name, 'Escape', 's', 'C-u', `${size}-branch.yaml`, 'Enter')
      until(name, /saved; samsa replay/)
      press(name, 'q')
      // The screen from before is back, and nothing of the explorer is left on it.
      expect(until(name, /left with 0/)).toMatch(/^before\nleft with 0\n/)
      const replay = spawnSync('node', [SAMSA, 'replay', `${size}-branch.yaml`], { cwd: folder, encoding: 'utf8' })
      expect(replay.stdout).toMatch(new RegExp(`the same run twice: [0-9a-f]{16}, ${hash?.[1]} events`))
    },
    60_000,
  )

  it('follows the size of the terminal, in a CI too', () => {
    start('resize', '80x24', `explore ${STORY}`, 'CI=true')
    until('resize', /ev \d+\/18140/)
    tmux('resize-window', '-t', 'resize', '-x', '40', '-y', '12')
    until('resize', /is too small/)
    tmux('resize-window', '-t', 'resize', '-x', '120', '-y', '40')
    until('resize', /── .*event #/)
    press('resize', 'C-c')
    expect(until('resize', /left with 0/)).toMatch(/before/)
  }, 30_000)
})

describe('without what it needs', () => {
  const run = (args: readonly string[]): { status: number | null; stderr: string } =>
    spawnSync('node', [SAMSA, 'explore', ...args], { cwd: folder, encoding: 'utf8', stdio: ['ignore', 'pipe', 'pipe'] })

  it('says that there is no terminal', () => {
    const { status, stderr } = run([STORY])
    expect(status).toBe(2)
    expect(stderr).toMatch(/needs a terminal[\s\S]*samsa replay/)
  })

  it.each([
    [['nowhere.yaml'], /neither a token nor a file/],
    [[join(ROOT, 'scenarios')], /is a folder/],
    [['s1-zzzzz-7'], /no scenario has this fingerprint/],
    [[join(ROOT, 'package.json')], /package\.json/],
  ])('says what is wrong with %s', (args, wrong) => {
    const { status, stderr } = run(args)
    expect(status).toBe(2)
    expect(stderr).toMatch(wrong)
    expect(stderr).not.toMatch(/\n +at /)
  })
})
