/** ACLs in ZooKeeper: the cases of Kafka 3.9's AclAuthorizerTest and ZkNodeChangeNotificationListenerTest that concern them. */

import { beforeEach, describe, expect, it } from 'vitest'
import { AclAuthorizer } from '../../../sim/broker/zookeeper/acl-authorizer.js'
import { type AclFilter, AclOperation, PatternType, ResourceType } from '../../../sim/kraft/metadata/acl.js'
import type { AuthorizerOptions } from '../../../sim/kraft/metadata/standard-authorizer.js'
import { Errors } from '../../../sim/wire/errors.js'
import { KafkaZkClient } from '../../../sim/zookeeper/kafka/kafka-zk-client.js'
import { runTask } from '../../../sim/zookeeper/kafka/task.js'
import { FakeEnsemble, type FakeSession } from '../../controller/zookeeper/fake-ensemble.js'
import { acl, codeOf } from '../../kraft/metadata/acls.js'
import { FakeNode } from '../shell/fake-env.js'

let node: FakeNode
let ensemble: FakeEnsemble
let sessions: FakeSession[]
let first: AclAuthorizer
let second: AclAuthorizer

function start(options: Partial<AuthorizerOptions> = {}): AclAuthorizer {
  const at = sessions.length
  const authorizer = new AclAuthorizer(node.env, {
    superUsers: new Set(['User:root']),
    allowEveryoneIfNoAclFound: false,
    connect: () => new KafkaZkClient({ connect: (listener) => (sessions[at] = ensemble.connect(node.env, listener)) }),
    ...options,
  })
  sessions.push(undefined as never)
  let isReady = false
  runTask(authorizer.configure(1_000), (ready) => (isReady = ready))
  node.run(100)
  expect(isReady).toBe(true)
  return authorizer
}

beforeEach(() => {
  node = new FakeNode()
  ensemble = new FakeEnsemble()
  ensemble.wallMs = () => node.env.clock.wallMs()
  sessions = []
  first = start()
  second = start()
})

function create(authorizer: AclAuthorizer, ...texts: readonly string[]): number[] {
  let errors: number[] = [-99]
  runTask(authorizer.createAcls(texts.map(acl)), (results) => (errors = results.map(({ error }) => error)))
  node.run(20)
  return errors
}

/** `alice read topic orders`; `any` for the operation, `match` in front for pattern type MATCH, `?` for any name. */
function filter(text: string): AclFilter {
  const words = text.split(' ')
  const isMatch = words[0] === 'match'
  const [who = '', operation = '', type = '', name = ''] = isMatch ? words.slice(1) : words
  const exact = name.endsWith('…') ? PatternType.PREFIXED : PatternType.LITERAL
  return {
    resourceTypeFilter: codeOf(ResourceType, type),
    resourceNameFilter: name === '?' ? null : name.replace('…', ''),
    patternTypeFilter: isMatch ? PatternType.MATCH : name === '?' ? PatternType.ANY : exact,
    principalFilter: who === '?' ? null : `User:${who}`,
    hostFilter: null,
    operation: codeOf(AclOperation, operation),
    permissionType: 1,
  }
}

function remove(authorizer: AclAuthorizer, ...texts: readonly string[]): string[][] {
  let found: string[][] = [['nothing yet']]
  runTask(authorizer.deleteAcls(texts.map(filter)), (results) => {
    found = results.map(({ matching }) =>
      matching.map((one) => `${one.acl.principal} ${one.acl.operation} ${one.error}`),
    )
  })
  node.run(20)
  return found
}

/** `bob read topic orders`. */
function may(authorizer: AclAuthorizer, text: string): boolean {
  const [who = '', operation = '', type = '', name = ''] = text.split(' ')
  return authorizer.authorize(`User:${who}`, 'h', codeOf(AclOperation, operation), codeOf(ResourceType, type), name)
}

const ORDERS = '/kafka-acl/Topic/orders'
const changes = (): string[] => ensemble.children('/kafka-acl-changes')

describe('ACLs in ZooKeeper', () => {
  it('have a znode for each resource, those of prefixes apart', () => {
    create(first, 'allow alice read topic orders', 'allow bob write topic orders', 'deny bob all group g…')
    expect(ensemble.json(ORDERS)).toEqual({
      version: 1,
      acls: [
        { principal: 'User:alice', permissionType: 'Allow', operation: 'Read', host: '*' },
        { principal: 'User:bob', permissionType: 'Allow', operation: 'Write', host: '*' },
      ],
    })
    expect(ensemble.json('/kafka-acl-extended/prefixed/Group/g')).toEqual({
      version: 1,
      acls: [{ principal: 'User:bob', permissionType: 'Deny', operation: 'All', host: '*' }],
    })
    expect(ensemble.children('/kafka-acl')).toEqual([
      'Cluster',
      'DelegationToken',
      'Group',
      'Topic',
      'TransactionalId',
      'User',
    ])
  })

  it('are told of by a change: the resource as text, or for prefixes as JSON', () => {
    create(first, 'allow alice read topic orders', 'allow alice describe-configs transactional-id t…')
    expect(changes()).toEqual(['acl_changes_0000000000'])
    expect(ensemble.text('/kafka-acl-changes/acl_changes_0000000000')).toBe('TOPIC:orders')
    expect(ensemble.json('/kafka-acl-extended-changes/acl_changes_0000000000')).toEqual({
      version: 1,
      resourceType: 'TRANSACTIONAL_ID',
      name: 't',
      patternType: 'PREFIXED',
    })
  })

  it('that exist are written again, and told to nobody', () => {
    create(first, 'allow alice read topic orders')
    expect(create(first, 'allow alice read topic orders')).toEqual([Errors.NONE])
    expect(ensemble.znodes.get(ORDERS)?.stat.version).toBe(1)
    expect(changes()).toHaveLength(1)
  })

  it('are read by a broker that starts', () => {
    create(first, 'allow alice read topic orders', 'allow alice write topic pay…')
    const third = start()
    expect(may(third, 'alice read topic orders')).toBe(true)
    expect(may(third, 'alice write topic payments')).toBe(true)
    expect(may(third, 'alice write topic orders')).toBe(false)
  })

  it('are known to who wrote them at once, and to the others when they have read them', () => {
    create(first, 'allow alice read topic orders')
    expect([first, second].map((one) => may(one, 'alice read topic orders'))).toEqual([true, true])
    sessions[1]?.disconnect()
    create(first, 'allow alice write topic orders')
    expect([first, second].map((one) => may(one, 'alice write topic orders'))).toEqual([true, false])
    sessions[1]?.open()
    node.run(20)
    expect(may(second, 'alice write topic orders')).toBe(true)
  })

  it('are looked for again in a new session', () => {
    sessions[1]?.expire(false)
    create(first, 'allow alice read topic orders')
    expect(may(second, 'alice read topic orders')).toBe(false)
    sessions[1]?.tellExpired()
    node.run(20)
    expect(may(second, 'alice read topic orders')).toBe(true)
  })

  it('that cannot be read when they are told of are not read before the next change', () => {
    create(first, 'allow alice read topic orders')
    ensemble.fault = (op, path) => (op === 'getData' && path === ORDERS ? 'SESSIONEXPIRED' : undefined)
    create(first, 'allow alice write topic orders')
    ensemble.fault = () => undefined
    create(first, 'allow alice read topic refunds')
    expect(may(second, 'alice read topic refunds')).toBe(true)
    expect(may(second, 'alice write topic orders')).toBe(false)
    create(first, 'allow alice delete topic orders')
    expect(may(second, 'alice write topic orders')).toBe(true)
  })

  it('are written over the version that is known: two brokers at once lose nothing', () => {
    create(first, 'allow alice read topic orders')
    const errors: number[] = []
    for (const [authorizer, text] of [
      [first, 'allow bob read topic orders'],
      [second, 'allow carol read topic orders'],
    ] as const) {
      runTask(authorizer.createAcls([acl(text)]), (results) => errors.push(...results.map(({ error }) => error)))
    }
    node.run(1_000)
    expect(errors).toEqual([Errors.NONE, Errors.NONE])
    expect(ensemble.calls.filter((call) => call === `setData ${ORDERS} BADVERSION`)).toHaveLength(1)
    const written = ensemble.json(ORDERS)?.['acls'] as { principal: string }[]
    const principals = written.map(({ principal }) => principal).sort()
    expect(principals).toEqual(['User:alice', 'User:bob', 'User:carol'])
    for (const one of [first, second]) expect(may(one, 'carol read topic orders')).toBe(true)
  })

  it('are given up after ten more tries', () => {
    ensemble.put(ORDERS, { version: 1, acls: [] })
    let tries = 0
    ensemble.fault = (op, path) => {
      if (op !== 'setData' || path !== ORDERS) return undefined
      tries++
      return 'BADVERSION'
    }
    let errors: number[] = []
    runTask(first.createAcls([acl('allow alice read topic orders')]), (results) => {
      errors = results.map(({ error }) => error)
    })
    node.run(10_000)
    expect(errors).toEqual([Errors.UNKNOWN_SERVER_ERROR])
    expect(tries).toBe(11)
  })

  it('whose resource fails do not keep others from being written', () => {
    ensemble.fault = (op, path) => (op === 'create' && path === ORDERS ? 'SESSIONEXPIRED' : undefined)
    expect(create(first, 'allow alice read topic orders', 'allow alice read topic refunds')).toEqual([
      Errors.UNKNOWN_SERVER_ERROR,
      Errors.NONE,
    ])
    expect(may(first, 'alice read topic refunds')).toBe(true)
  })

  it('about a name that is no part of a path are refused', () => {
    expect(create(first, 'allow alice read topic a/b', 'allow alice read topic ab')).toEqual([
      Errors.INVALID_REQUEST,
      Errors.NONE,
    ])
  })
})

describe('a deletion of ACLs', () => {
  beforeEach(() => {
    create(first, 'allow alice read topic orders', 'allow bob write topic orders', 'allow alice write topic ord…')
  })

  it('takes what the filter finds, and the znode with the last of them', () => {
    expect(remove(second, 'alice any topic orders')).toEqual([['User:alice 3 0']])
    expect(ensemble.json(ORDERS)?.['acls']).toHaveLength(1)
    expect(remove(second, '? any topic orders')).toEqual([['User:bob 4 0']])
    expect(ensemble.znodes.has(ORDERS)).toBe(false)
    expect(may(first, 'bob write topic orders')).toBe(false)
  })

  it('by pattern type MATCH takes all that apply to the name, an entry once for the first filter', () => {
    expect(remove(first, 'match alice any topic orders', '? any topic ?')).toEqual([
      ['User:alice 3 0', 'User:alice 4 0'],
      ['User:bob 4 0'],
    ])
    expect(ensemble.children('/kafka-acl-extended/prefixed/Topic')).toEqual([])
  })

  it('of nothing is a success', () =>
    expect(remove(first, 'alice any topic nowhere', 'zoe any topic orders')).toEqual([[], []]))

  it('of a resource that this broker has not heard of is made all the same, when it is named', () => {
    sessions[1]?.disconnect()
    create(first, 'allow carol read topic refunds')
    const [, session] = ensemble.sessions
    // It answers again, and tells nothing of what it missed.
    if (session !== undefined) session.state = 'CONNECTED'
    expect(may(second, 'carol read topic refunds')).toBe(false)
    expect(remove(second, 'carol any topic refunds')).toEqual([['User:carol 3 0']])
  })

  it('describes in the order of types, patterns and names, the last name first', () => {
    create(first, 'allow alice read group g', 'allow alice read topic apples')
    const all = first.acls({ ...filter('? any topic ?'), resourceTypeFilter: ResourceType.ANY })
    expect(
      all.map(({ resourceType, patternType, resourceName }) => `${resourceType} ${patternType} ${resourceName}`),
    ).toEqual(['2 3 orders', '2 3 orders', '2 3 apples', '2 4 ord', '3 3 g'])
  })
})

describe('changes of ACLs', () => {
  it('are deleted after 15 minutes, by whoever is told of another', () => {
    create(first, 'allow alice read topic orders')
    node.run(899_000)
    create(first, 'allow alice write topic orders')
    expect(changes()).toEqual(['acl_changes_0000000000', 'acl_changes_0000000001'])
    node.run(2_000)
    create(first, 'allow alice delete topic orders')
    expect(changes()).toEqual(['acl_changes_0000000001', 'acl_changes_0000000002'])
  })
})

describe('any resource of a type', () => {
  const any = (authorizer: AclAuthorizer, who: string): boolean =>
    authorizer.authorizeByResourceType(`User:${who}`, 'h', AclOperation.WRITE, ResourceType.TOPIC)

  it('is allowed where no ACL is found, unless all of them are denied', () => {
    const lax = start({ allowEveryoneIfNoAclFound: true })
    expect(any(lax, 'zoe')).toBe(true)
    create(lax, 'deny zoe write topic *')
    expect(any(lax, 'zoe')).toBe(false)
    expect(any(lax, 'root')).toBe(true)
  })

  it('is allowed by an entry that no other takes away as a whole', () => {
    expect(any(first, 'zoe')).toBe(false)
    create(first, 'allow zoe write topic orders', 'deny zoe write topic ord…')
    expect(any(first, 'zoe')).toBe(false)
    create(first, 'allow zoe write topic pay…')
    expect(any(first, 'zoe')).toBe(true)
  })
})
