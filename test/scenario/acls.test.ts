/** Permissions in scenarios: how they are written, what is wrong with them, and that they come about. */

import { describe, expect, it } from 'vitest'
import { describeBinding } from '../../sim/client/admin-acls.js'
import { parseAcl, parseRevocation } from '../../sim/cluster/acl-text.js'
import { UsageError } from '../../sim/kernel/errors.js'
import { readYaml } from '../../sim/scenario/load.js'
import { inModes } from '../../sim/scenario/modes.js'
import { Run, runScenario } from '../../sim/scenario/run.js'
import { fingerprintOf } from '../../sim/scenario/token.js'
import { writeYaml } from '../../sim/scenario/write-yaml.js'

const OF_ZOOKEEPER = 'kafka.security.authorizer.AclAuthorizer'
const AUTHORIZER = 'org.apache.kafka.metadata.authorizer.StandardAuthorizer'

function bindings(text: string): string[] {
  const parsed = parseAcl(text)
  return 'wrong' in parsed ? [`${parsed.wrong} (${parsed.mend ?? ''})`] : parsed.bindings.map(describeBinding)
}

/** Problems as `line: message (mend)`. */
function problems(text: string): string[] {
  try {
    readYaml(text, 'x.yaml')
    return []
  } catch (error) {
    if (!(error instanceof UsageError)) throw error
    return error.problems.map(({ message, mend, place }) => `${place?.line}: ${message}${mend ? ` (${mend})` : ''}`)
  }
}

describe('an ACL in words', () => {
  it.each<[string, readonly string[]]>([
    ['allow User:alice read topic orders', ['allow User:alice read topic orders']],
    ['allow alice read topic orders', ['allow User:alice read topic orders']],
    ['deny * all topic *', ['deny User:* all topic *']],
    [
      'allow alice read,write topic orders',
      ['allow User:alice read topic orders', 'allow User:alice write topic orders'],
    ],
    [
      '  allow  alice  read, write   topic orders ',
      ['allow User:alice read topic orders', 'allow User:alice write topic orders'],
    ],
    ['allow alice read topic orders-*', ['allow User:alice read topic orders-…']],
    ['allow Role:team read group g from r1', ['allow Role:team read group g from r1']],
    ['allow alice idempotent-write cluster', ['allow User:alice idempotent-write cluster kafka-cluster']],
    ['allow alice alter cluster from h1', ['allow User:alice alter cluster kafka-cluster from h1']],
    ['allow alice write transactional-id t', ['allow User:alice write transactional-id t']],
  ])('%s', (text, expected) => expect(bindings(text)).toEqual(expected))

  it.each([
    ['alice read topic orders', /expected allow or deny in front/],
    ['allow alice read', /does not say who may do what to which resource \(write it like/],
    ['allow alice read topc orders', /no such resource topc \(did you mean topic\?\)/],
    ['allow alice raed topic orders', /raed is nothing that can be done to a topic \(did you mean read\?\)/],
    ['allow alice write group g', /write is nothing that can be done to a group/],
    ['allow alice read cluster', /read is nothing that can be done to a cluster/],
    ['allow alice read topic', /which topic\? \(write topic NAME, or topic \*\)/],
    ['allow alice read topic orders please', /please after the resource says nothing/],
    ['allow alice any topic orders', /nothing is called any \(write all\)/],
  ])('%s says what is wrong', (text, expected) => {
    expect(bindings(text)).toEqual([expect.stringMatching(expected)])
  })

  it('can be taken back by the same words, or by fewer', () => {
    const topic = { principal: 'User:alice', resourceType: 'topic', resourceName: 'orders', pattern: 'literal' }
    expect(parseRevocation('alice any topic orders')).toEqual({ filters: [topic] })
    expect(parseRevocation('deny alice read,write topic orders from h1')).toEqual({
      filters: ['read', 'write'].map((operation) => ({ ...topic, permission: 'deny', host: 'h1', operation })),
    })
    expect(parseRevocation('alice')).toHaveProperty('wrong')
  })
})

const CLUSTER = `version: 1
name: x
cluster:
  topics: { orders: { partitions: 1 } }
`
const CONFIG = `  config: { authorizer.class.name: ${AUTHORIZER} }\n`

describe('a scenario file', () => {
  it.each([
    [
      'ACLs without an authorizer',
      `${CLUSTER}  acls: [allow alice read topic orders]\n`,
      [`5: ACLs need an authorizer (add authorizer.class.name: ${AUTHORIZER} to cluster.config)`],
    ],
    [
      'steps about ACLs without an authorizer',
      `${CLUSTER}steps:\n  - { allow: alice read topic orders, at: 1s }\n`,
      [`6: ACLs need an authorizer (add authorizer.class.name: ${AUTHORIZER} to cluster.config)`],
    ],
    [
      'what is wrong with each of them',
      `${CLUSTER}${CONFIG}  acls:\n    - allow alice raed topic orders\n    - allow bob read topic orders\n    - bob write topic x\n`,
      [
        '7: raed is nothing that can be done to a topic (did you mean read?)',
        '9: expected allow or deny in front of "bob write topic x" (write allow bob write topic x)',
      ],
    ],
    [
      'what is wrong with a step',
      `${CLUSTER}${CONFIG}steps:\n  - { deny: bob, at: 1s }\n`,
      ['7: "bob" does not say who may do what to which resource (write it like: User:alice read,write topic orders)'],
    ],
    [
      'an authorizer that nobody knows',
      `${CLUSTER}  config: { authorizer.class.name: org.example.Lax }\n`,
      [`5: authorizer.class.name: expected ${AUTHORIZER}, or in ZooKeeper mode ${OF_ZOOKEEPER}`],
    ],
    [
      'the authorizer of the other mode',
      `${CLUSTER}  config: { authorizer.class.name: ${OF_ZOOKEEPER} }\n`,
      [`5: ${OF_ZOOKEEPER} keeps its ACLs in ZooKeeper, which KRaft mode has not (write ${AUTHORIZER})`],
    ],
    [
      'the authorizer of KRaft in ZooKeeper mode',
      `${CLUSTER}  mode: zookeeper\n  config: { authorizer.class.name: ${AUTHORIZER} }\n`,
      [`6: ${AUTHORIZER} keeps its ACLs in the metadata log, which ZooKeeper mode has not (write ${OF_ZOOKEEPER})`],
    ],
    [
      'ACLs without an authorizer in ZooKeeper mode',
      `${CLUSTER}  mode: zookeeper\n  acls: [allow alice read topic orders]\n`,
      [`6: ACLs need an authorizer (add authorizer.class.name: ${OF_ZOOKEEPER} to cluster.config)`],
    ],
    [
      'a super user without a type',
      `${CLUSTER}  config: { super.users: alice }\n`,
      ['5: super.users: alice is no principal, write User:alice'],
    ],
    ['a measure of nobody', `${CLUSTER}expect: { end: { p1.denied: 0 } }\n`, ['5: no such client p1 (known are none)']],
  ])('names %s', (_, text, expected) => {
    expect(problems(text).map((line) => line.replace(/, got .*/, ''))).toEqual(expected)
  })

  it('survives being written back, with principals and ACLs', () => {
    const text = `${CLUSTER}${CONFIG}  acls: ['allow alice read,write topic orders', deny * all group *]
clients:
  p1: { produce: orders, principal: alice }
  r1: { consume: orders, principal: 'Role:reader' }
  g1: { consume: orders, group: g, principal: bob, start: 2s }
steps:
  - { revoke: [alice any topic orders, deny * all group *], at: 1s }
  - { allow: bob read topic orders-*, when: { denied: g1, operation: read } }
expect: { end: { g1.denied: '>= 1' } }
`
    const scenario = readYaml(text, 'x.yaml')
    const again = readYaml(writeYaml(scenario), 'again.yaml')
    const bare = ({ steps, ...rest }: typeof scenario): unknown => ({
      ...rest,
      steps: steps.map(({ line: _line, ...step }) => step),
    })
    expect(bare(again)).toEqual(bare(scenario))
    expect(fingerprintOf(again)).toBe(fingerprintOf(scenario))
  })
})

const STORY = `${CLUSTER.replace('partitions: 1', 'replicas: [[b1]]')}${CONFIG}  brokers: 1
  controllers: 1
  acls: [allow alice write topic orders]
clients:
  p1: { produce: orders, every: 50ms, count: 40, principal: alice }
  r1: { consume: orders, auto.offset.reset: earliest, principal: bob }
steps:
  - { allow: bob read topic orders, when: { denied: r1, operation: describe }, after: 1s }
  - { deny: alice write topic orders, at: 1500ms }
run: { until: 6s }
`

describe('a run', () => {
  it('has its ACLs before its clients start, and changes them as its steps say', () => {
    const { measures, verdict } = runScenario(
      readYaml(`${STORY}expect: { end: { r1.denied: '>= 1', p1.denied: '>= 1' } }\n`, 'x.yaml'),
      {
        seed: 1,
      },
    )
    expect(verdict).toBe('pass')
    const { 'p1.acked': acked, 'p1.failed': failed, 'r1.read': read } = measures
    expect(Number(acked)).toBeGreaterThanOrEqual(28)
    expect(Number(failed)).toBeGreaterThanOrEqual(5)
    expect(Number(acked) + Number(failed)).toBe(40)
    expect(read).toBe(acked)
  })

  it('is the same when every message is encoded and decoded', () => {
    const scenario = readYaml(STORY, 'x.yaml')
    const inBytes = { ...scenario, run: { ...scenario.run, wire: 'bytes' as const } }
    expect(runScenario(inBytes, { seed: 3 }).hash).toBe(runScenario(scenario, { seed: 3 }).hash)
  })

  it('without principals has anonymous clients', () => {
    const scenario = readYaml(STORY.replaceAll(/, principal: (alice|bob)/g, ''), 'x.yaml')
    const run = new Run(scenario, { seed: 1, trace: true })
    expect(run.prepare()).toBe(true)
    run.advance(run.readyAt + 1_000_000)
    const denied = run.events.filter((event) => event.type === 'acl.denied')
    expect(new Set(denied.map(({ data }) => (data as { principal: string }).principal))).toEqual(
      new Set(['User:ANONYMOUS']),
    )
  })
})

describe('one file in both modes', () => {
  const both = (mode: string, authorizer: string): Record<string, unknown> => ({
    version: 1,
    name: 'x',
    cluster: { mode, config: { 'authorizer.class.name': authorizer }, nodes: { b1: { 'authorizer.class.name': '' } } },
  })
  const authorizers = (plain: unknown, asked?: 'kraft' | 'zookeeper'): unknown[] =>
    inModes(plain, asked).map((variant) => {
      const { cluster } = variant as { cluster: { config: Record<string, string> } }
      return cluster.config['authorizer.class.name']
    })

  it('has the authorizer of each', () => {
    for (const authorizer of [AUTHORIZER, OF_ZOOKEEPER]) {
      expect(authorizers(both(['kraft', 'zookeeper'] as never, authorizer))).toEqual([AUTHORIZER, OF_ZOOKEEPER])
    }
    expect(authorizers(both('kraft', AUTHORIZER), 'zookeeper')).toEqual([OF_ZOOKEEPER])
    expect(authorizers(both('zookeeper', OF_ZOOKEEPER), 'kraft')).toEqual([AUTHORIZER])
  })

  it('is not mended where one mode is written', () => {
    expect(authorizers(both('zookeeper', AUTHORIZER))).toEqual([AUTHORIZER])
    expect(authorizers(both('kraft', OF_ZOOKEEPER), 'kraft')).toEqual([OF_ZOOKEEPER])
  })
})
