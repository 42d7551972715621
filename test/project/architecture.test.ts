/** The house rules that the linter cannot hold: no promises in the simulation, contracts at the top, lengths. */
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { VERSION } from '../../sim/cli/version.js'

const root = join(import.meta.dirname, '../..')

function files(folder: string): string[] {
  return readdirSync(join(root, folder), { recursive: true, encoding: 'utf8' })
    .filter((name) => /\.tsx?$/.test(name) && !name.endsWith('.d.ts'))
    .map((name) => join(folder, name))
    .sort((a, b) => (a < b ? -1 : 1))
}

const text = (file: string): string => readFileSync(join(root, file), 'utf8')
const code = (file: string): string =>
  text(file)
    .replace(/\/\*[\s\S]*?\*\//g, '')
    .replace(/\/\/.*$/gm, '')
const SIMULATION = [
  'kernel',
  'world',
  'wire',
  'log',
  'kraft',
  'controller',
  'broker',
  'client',
  'oracle',
  'cluster',
  'faults',
]
const simulation = SIMULATION.flatMap((room) => files(`sim/${room}`))

describe('the simulation', () => {
  it('has files', () => expect(simulation.length).toBeGreaterThan(100))

  it.each([
    ['async functions', /(?<!')\basync\b(?!')/],
    ['await', /^\s*await /m],
    ['promises', /\bPromise\b/],
    ['the real clock', /\bDate\.|\bnew Date\b|performance\.now/],
    ['unseeded randomness', /Math\.random|randomUUID|getRandomValues/],
    ['timers of the host', /\bset(Timeout|Interval|Immediate)\b|queueMicrotask|nextTick/],
    ['the locale', /localeCompare|toLocale|Intl\./],
    ['the environment', /\bprocess\.(env|argv|hrtime|cwd)/],
    ['Node modules', /from 'node:/],
  ])('uses no %s', (_what, pattern) => {
    expect(simulation.filter((file) => pattern.test(code(file)))).toEqual([])
  })
})

describe('every file', () => {
  const all = [...files('sim'), ...files('reports')]

  it('opens with its contract', () => {
    const opens = (file: string): boolean => /^(#!.*\n)?\/\*\*/.test(text(file))
    expect(all.filter((file) => !opens(file))).toEqual([])
  })

  it('has 600 lines at most', () => {
    expect(all.filter((file) => text(file).split('\n').length > 601)).toEqual([])
  })

  it('is no barrel', () => {
    expect(all.filter((file) => /(^|\/)index\.ts$/.test(file) && file !== 'sim/scenario/index.ts')).toEqual([])
  })
})

it('the version on the command line is that of the package', () => {
  expect(VERSION).toBe((JSON.parse(text('package.json')) as { version: string }).version)
})
