/** The commands as a user calls them: exit codes, streams, bad input. Runs the built program. */
import { spawn, spawnSync } from 'node:child_process'
import { mkdtempSync, readFileSync, readdirSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { beforeAll, describe, expect, it } from 'vitest'

const main = join(import.meta.dirname, '../../dist/sim/cli/main.js')
let folder = ''

const PASSING = `version: 1
name: quiet
cluster: { brokers: 1, controllers: 1, topics: { orders: {} } }
clients: { p1: { produce: orders, count: 5 } }
expect: { end: { p1.acked: 5 } }
run: { until: 3s, settle: 1s }
`
const FAILING = PASSING.replace('quiet', 'wrong').replace('p1.acked: 5', 'p1.acked: 6')

beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'samsa-'))
  writeFileSync(join(folder, 'quiet.yaml'), PASSING)
  writeFileSync(join(folder, 'wrong.yaml'), FAILING)
  writeFileSync(join(folder, 'broken.yaml'), 'version: 1\nnaem: x\n')
  writeFileSync(join(folder, 'throws.ts'), "throw new Error('no')\n")
  writeFileSync(
    join(folder, 'undecided.yaml'),
    PASSING.replace('expect: {', 'steps: [{ kill: b1, at: 1s }]\nexpect: { always: [recovers],'),
  )
  writeFileSync(join(folder, 'long.yaml'), PASSING.replace('until: 3s', 'until: 7d'))
})

function samsa(...args: string[]): { code: number | null; out: string; err: string } {
  const env = { ...process.env, NO_COLOR: '1', CI: '1' }
  const { status, stdout, stderr } = spawnSync(process.execPath, [main, ...args], {
    cwd: folder,
    encoding: 'utf8',
    env,
  })
  return { code: status, out: stdout, err: stderr }
}

describe('samsa', () => {
  it('tells its version', () =>
    expect(samsa('--version')).toMatchObject({ code: 0, out: expect.stringMatching(/^\d+\.\d+\.\d+\n$/) }))

  it('suggests a command', () => {
    const { code, err } = samsa('rnu')
    expect(code).toBe(2)
    expect(err).toContain('Did you mean run?')
  })

  it('refuses an option that does not parse', () => expect(samsa('run', '--seed', 'x')).toMatchObject({ code: 2 }))
})

describe('samsa run', () => {
  it('passes with 0', () => {
    const { code, out } = samsa('run', 'quiet.yaml')
    expect(code).toBe(0)
    expect(out).toMatch(/✓ quiet {3}s1-\w{5}-1/)
    expect(out).toContain('1 passed')
  })

  it('fails with 1, says why, shows the timeline, saves the failure', () => {
    const { code, out } = samsa('run', 'wrong.yaml', '--seed', '3')
    expect(code).toBe(1)
    expect(out).toContain('p1.acked: expected p1.acked = 6, it is 5')
    const token = /s1-\w{5}-3/.exec(out)?.[0] ?? ''
    expect(out).toContain(`replay: samsa replay ${token}`)
    expect(readdirSync(join(folder, '.samsa/failures'))).toContain(`${token}.yaml`)
    expect(samsa('run', '--last-failed').code).toBe(1)
    const replay = samsa('replay', token)
    expect(replay).toMatchObject({ code: 1, out: expect.stringContaining('the same run twice') })
    expect(samsa('replay', join('.samsa/failures', `${token}.yaml`)).out).toContain('the same run twice')
  })

  it('is undecided with 5', () => expect(samsa('run', 'undecided.yaml').code).toBe(5))

  it('spreads seeds over threads and gives the same results as without', () => {
    const results = (...args: string[]): string[] =>
      samsa('run', 'quiet.yaml', '--json', ...args)
        .out.trim()
        .split('\n')
        .map((line) => JSON.parse(line) as { type: string; seed: number; hash: string })
        .filter(({ type }) => type === 'result')
        .map(({ seed, hash }) => `${seed} ${hash}`)
    const together = results('--seeds', '6')
    expect(together).toHaveLength(6)
    expect([1, 2, 3].flatMap((seed) => results('--seed', String(seed)))).toEqual(together.slice(0, 3))
    expect([...results('--seeds', '6', '--shard', '1/2'), ...results('--seeds', '6', '--shard', '2/2')].sort()).toEqual(
      [...together].sort(),
    )
  })

  it('runs everything twice on demand', () => {
    const { code, err } = samsa('run', 'quiet.yaml', '--seeds', '2', '--verify-determinism')
    expect(code).toBe(0)
    expect(err).toContain('every run gave the same hash twice')
  })

  it('writes JUnit XML', () => {
    samsa('run', 'quiet.yaml', 'wrong.yaml', '--reporter', 'junit:out.xml')
    const xml = readFileSync(join(folder, 'out.xml'), 'utf8')
    expect(xml).toContain('<testsuites name="samsa" tests="2" failures="1"')
    expect(xml).toMatch(/<testcase classname="wrong" name="wrong \(seed 1\)" file="wrong.yaml" time="[0-9.]+">/)
    expect(xml).toContain('<property name="seed" value="1"/>')
    expect(xml).toContain('<system-out>')
  })

  it.each([
    ['a missing file', ['run', 'nowhere.yaml'], 2, 'no such file or folder: nowhere.yaml'],
    ['a broken file', ['run', 'broken.yaml'], 2, 'unknown key naem'],
    ['a scenario that throws', ['run', 'throws.ts'], 2, 'the scenario throws when loaded: no'],
    ['an unknown reporter', ['run', 'quiet.yaml', '--reporter', 'xml'], 2, 'unknown reporter xml'],
    ['a pattern that is none', ['run', 'quiet.yaml', '-g', '('], 2, 'is no regular expression'],
    ['nothing that matches', ['run', 'quiet.yaml', '-g', 'zzz'], 4, 'nothing matched'],
    ['an unknown token', ['replay', 's1-zzzzz-1'], 2, 'no scenario has this fingerprint'],
    ['what is no token', ['replay', 'what'], 2, 'neither a token nor a file'],
  ])('says what is wrong with %s', (_what, args, code, message) => {
    const result = samsa(...args)
    expect(result.err).toContain(message)
    expect(result.err).not.toContain('    at ')
    expect(result).toMatchObject({ code, out: '' })
  })

  it('keeps and tells what was done when interrupted', async () => {
    const child = spawn(process.execPath, [main, 'run', 'quiet.yaml', 'long.yaml', '--seeds', '4', '-j', '2'], {
      cwd: folder,
      env: { ...process.env, NO_COLOR: '1' },
    })
    let out = ''
    let err = ''
    child.stdout.on('data', (chunk: Buffer) => (out += chunk.toString()))
    child.stderr.on('data', (chunk: Buffer) => (err += chunk.toString()))
    setTimeout(() => child.kill('SIGINT'), 4_000)
    const code = await new Promise((resolve) => child.on('exit', resolve))
    expect(code).toBe(130)
    expect(out).toContain('4 passed')
    expect(out).toContain('4 not run')
    expect(err).toContain('interrupted: 4 of 8 runs were done')
  }, 30_000)
})

describe('samsa check and list', () => {
  it('check names what is valid', () =>
    expect(samsa('check', 'quiet.yaml')).toMatchObject({ code: 0, out: 'quiet.yaml  ok  quiet\n' }))

  it('check tells what has no effect', () => {
    const given = 'config: { num.io.threads: 8, compression.type: producer, log.preallocate: true }'
    const topics = 'topics: { orders: { partitions: 1, config: { compression.type: lz4, preallocate: false } } }'
    writeFileSync(
      join(folder, 'paste.yaml'),
      `version: 1\nname: paste\ncluster:\n  ${given}\n  ${topics}\nclients: { p1: { produce: orders, compression.type: zstd, key.serializer: x }, g1: { consume: orders, group: shop, group.id: shop } }\nrun: { until: 1s }\n`,
    )
    expect(samsa('check', 'paste.yaml').out).toBe(
      'paste.yaml  ok  paste\n  known to Kafka, without effect here: num.io.threads, log.preallocate, compression.type (orders), compression.type (p1), key.serializer (p1)\n',
    )
  })

  it('check refuses what is not', () => expect(samsa('check', 'broken.yaml').code).toBe(2))

  it('list shows scenarios', () =>
    expect(samsa('list', 'quiet.yaml')).toMatchObject({ code: 0, out: 'quiet.yaml  quiet\n' }))

  it.each(['faults', 'operations', 'events', 'measures', 'oracles'])('list %s shows the words', (what) => {
    const { code, out } = samsa('list', what)
    expect(code).toBe(0)
    expect(out.split('\n').length).toBeGreaterThan(8)
  })
})
