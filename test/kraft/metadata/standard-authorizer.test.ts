/** Who may do what. The cases are those of Kafka's StandardAuthorizerTest, and of AuthorizerIntegrationTest on resource types. */

import { describe, expect, it } from 'vitest'
import type { Problem } from '../../../sim/kernel/errors.js'
import { parseConfig } from '../../../sim/kernel/config-def.js'
import { AclOperation, AclPermission, PatternType, ResourceType } from '../../../sim/kraft/metadata/acl.js'
import {
  AUTHORIZER_SETTINGS,
  makeAuthorizer,
  STANDARD_AUTHORIZER,
} from '../../../sim/kraft/metadata/authorizer-config.js'
import { supportedOperations } from '../../../sim/kraft/metadata/standard-authorizer.js'
import { Random } from '../../../sim/kernel/random.js'
import { acl, authorizerOf, may } from './acls.js'

/** Each question with its answer. */
function expectAnswers(acls: readonly string[], answers: Readonly<Record<string, boolean>>): void {
  const authorizer = authorizerOf(acls)
  const found = Object.keys(answers).map((question) => [question, may(authorizer, question)])
  expect(Object.fromEntries(found)).toEqual(answers)
}

describe('an operation', () => {
  it.each(['read', 'write', 'delete', 'alter', 'describe', 'all'])(
    '%s, when allowed, allows to describe',
    (operation) => {
      expectAnswers([`allow bob ${operation} topic foo_…`], { 'bob describe topic foo_bar': true })
    },
  )

  it('create does not', () => {
    expectAnswers(['allow bob create topic foo_…'], { 'bob describe topic foo_bar': false })
  })

  it.each(['describe-configs', 'alter-configs'])('%s, when allowed, allows to describe configs', (operation) => {
    expectAnswers([`allow bob ${operation} topic foo_…`], { 'bob describe-configs topic foo_bar': true })
  })

  it('that is denied implies nothing', () => {
    const denied = ['read', 'write', 'delete', 'alter', 'alter-configs'].map((each) => `deny bob ${each} topic foo_…`)
    expectAnswers(['allow bob describe topic foo_…', 'allow bob describe-configs topic foo_…', ...denied], {
      'bob describe topic foo_bar': true,
      'bob describe-configs topic foo_bar': true,
      'bob alter-configs topic foo_bar': false,
    })
  })

  it('that is denied itself is denied', () => {
    expectAnswers(['allow bob all topic foo_…', 'deny bob describe topic foo_…'], {
      'bob describe topic foo_bar': false,
      'bob read topic foo_bar': true,
    })
  })
})

describe('an ACL', () => {
  it('is about its principal, or about everybody', () => {
    expectAnswers(['allow bob read topic foo_…', 'allow * read group bar'], {
      'bob read topic foo_bar': true,
      'alice read topic foo_bar': false,
      'alice read group bar': true,
    })
  })

  it('is about its host, or about all', () => {
    expectAnswers(
      [
        'deny alice read topic foo from h1',
        'allow alice read topic foo',
        'allow bob read topic bar from h2',
        'allow * describe topic bar from h0',
      ],
      {
        'alice read topic foo from h0': true,
        'alice read topic bar from h0': false,
        'alice describe topic bar from h0': true,
        'alice read topic foo from h1': false,
        'alice describe topic bar from h1': false,
        'alice read topic foo from h2': true,
        'bob read topic bar from h0': false,
        'bob describe topic bar from h0': true,
        'bob read topic bar from h1': false,
        'bob read topic bar from h2': true,
        'bob describe topic bar from h2': true,
      },
    )
  })

  it('with a prefix is about every name that begins with it', () => {
    expectAnswers(['allow alice all topic fooa…', 'allow bob all topic foobar', 'allow bob all topic f…'], {
      'bob write topic foobarr': true,
      'bob read topic goobar': false,
      'bob read topic fooa': true,
      'alice describe topic fooa': true,
      'alice write topic bar': false,
      'alice read topic baz': false,
    })
  })

  it('with a name is about no longer name', () => {
    expectAnswers(['allow bob read topic foo'], { 'bob read topic foobar': false, 'bob read topic fo': false })
  })

  it('with the name * is about all of its type only', () => {
    expectAnswers(['allow bob write group *'], {
      'bob write group arbitrary': true,
      'bob write topic arbitrary': false,
    })
  })

  it('for all operations allows each of them', () => {
    expectAnswers(['allow * all topic foo', 'allow alice all topic bar…', 'allow bob all topic baz'], {
      'alice write topic foo': true,
      'alice describe-configs topic bar': true,
      'alice describe topic baz': false,
      'bob write topic foo': true,
      'bob read topic bar': false,
      'bob describe topic baz': true,
      'malory describe topic foo': true,
      'malory write topic bar': false,
      'malory read topic baz': false,
    })
  })

  it('that denies beats any that allows, also one for all operations', () => {
    expectAnswers(
      [
        'deny alice all topic foo',
        'allow alice read topic foo…',
        'deny * all topic foo',
        'allow * describe topic foo…',
      ],
      {
        'alice write topic foo': false,
        'alice read topic foo': false,
        'alice describe topic foo': false,
        'alice read topic foobar': true,
        'bob describe topic foo': false,
        'bob describe topic foobaz': true,
        'bob read topic foobaz': false,
      },
    )
  })

  it('is found among many', () => {
    expectAnswers(
      [
        'allow * read topic green2',
        'allow bob read topic green…',
        'allow bob read topic betamax4',
        'allow bob read topic betamax',
        'allow * read topic beta…',
        'allow * read topic alpha…',
        'deny bob read topic alp…',
        'allow bob write group *',
        'deny * write group wheel',
      ],
      {
        'bob read topic green1': true,
        'bob write group wheel': false,
        'bob read topic alpha': false,
        'bob write group arbitrary': true,
        'bob read topic ala': false,
        'alice read topic betamax': true,
        'alice read topic alpha': true,
      },
    )
  })
})

describe('without an ACL about the resource', () => {
  const acls = ['allow Alice read topic topic1']

  it('nothing is allowed', () => expectAnswers(acls, { 'Bob read topic topic2': false }))

  it('everything is, when so configured; what some ACL is about is still denied', () => {
    const authorizer = authorizerOf(acls, { allowEveryoneIfNoAclFound: true })
    expect(may(authorizer, 'Bob read topic topic2')).toBe(true)
    expect(may(authorizer, 'Bob read topic topic1')).toBe(false)
  })
})

describe('a super user', () => {
  it('may do what is denied to everybody', () => {
    expectAnswers(['deny * all topic *', 'deny superman all topic foo'], { 'superman write topic foo': true })
  })

  it('is judged before ACLs are known, and nobody else', () => {
    const authorizer = makeAuthorizer({
      'authorizer.class.name': STANDARD_AUTHORIZER,
      'super.users': 'User:superman',
      'allow.everyone.if.no.acl.found': true,
    })
    expect(authorizer?.canJudge('User:superman')).toBe(true)
    expect(authorizer?.canJudge('User:bob')).toBe(false)
    authorizer?.setAcls(new Map())
    expect(authorizer?.canJudge('User:bob')).toBe(true)
  })
})

describe('an authorizer', () => {
  it('forgets what it worked out when the ACLs change', () => {
    const authorizer = authorizerOf(['allow bob read topic foo'])
    expect(may(authorizer, 'bob read topic foo')).toBe(true)
    authorizer.setAcls(new Map([[new Random('other').uuid(), acl('deny bob read topic foo')]]))
    expect(may(authorizer, 'bob read topic foo')).toBe(false)
    authorizer.setAcls(new Map())
    expect(may(authorizer, 'bob read topic foo')).toBe(false)
  })

  it('lists ACLs by filter, also those that would apply to a name', () => {
    const authorizer = authorizerOf([
      'allow bob read topic foo',
      'allow bob read topic f…',
      'allow * all topic *',
      'deny bob read group foo',
    ])
    const any = {
      principalFilter: null,
      hostFilter: null,
      operation: AclOperation.ANY,
      permissionType: AclPermission.ANY,
    }
    const named = (patternTypeFilter: number, name: string | null) =>
      authorizer
        .acls({ ...any, resourceTypeFilter: ResourceType.TOPIC, resourceNameFilter: name, patternTypeFilter })
        .map((each) => each.resourceName)
    expect(named(PatternType.ANY, null)).toEqual(['foo', 'f', '*'])
    expect(named(PatternType.LITERAL, 'foo')).toEqual(['foo'])
    expect(named(PatternType.PREFIXED, 'f')).toEqual(['f'])
    expect(named(PatternType.ANY, 'foo')).toEqual(['foo'])
    expect(named(PatternType.MATCH, 'foo')).toEqual(['foo', 'f', '*'])
    expect(named(PatternType.MATCH, 'bar')).toEqual(['*'])
    const denied = {
      ...any,
      permissionType: AclPermission.DENY,
      resourceTypeFilter: ResourceType.ANY,
      resourceNameFilter: null,
    }
    expect(authorizer.acls({ ...denied, patternTypeFilter: PatternType.ANY })).toEqual([acl('deny bob read group foo')])
  })
})

describe('any resource of a type', () => {
  const cases: readonly (readonly [string, readonly string[], boolean])[] = [
    ['none is allowed without ACLs', [], false],
    ['one that is allowed is enough', ['allow bob write topic foo'], true],
    ['one for everybody counts', ['allow * write topic foo'], true],
    ['one for another host does not', ['allow bob write topic foo from h9'], false],
    [
      'one for another operation does not, whatever it implies',
      ['allow bob read topic foo', 'allow bob describe topic bar'],
      false,
    ],
    ['one of another type does not', ['allow bob write group foo'], false],
    ['one that is denied does not', ['allow bob write topic foo', 'deny bob write topic foo'], false],
    ['one that others are denied does', ['allow bob write topic foo', 'deny alice write topic foo'], true],
    ['another that is denied takes nothing away', ['allow bob write topic foo', 'deny bob write topic bar'], true],
    ['one denied by its prefix does not', ['deny bob write topic f…', 'allow bob write topic foo'], false],
    ['a prefix within a denied one does not', ['deny bob write topic f…', 'allow bob write topic foo…'], false],
    ['a prefix around a denied one does', ['allow bob write topic f…', 'deny bob write topic foo…'], true],
    [
      'all denied beats everything',
      ['allow bob write topic f…', 'allow bob write topic foo', 'deny bob write topic *'],
      false,
    ],
    ['all allowed is enough', ['allow bob all topic *', 'deny bob write topic foo…'], true],
  ]
  it.each(cases)('%s', (_, acls, answer) => {
    expect(authorizerOf(acls).authorizeByResourceType('User:bob', 'h0', AclOperation.WRITE, ResourceType.TOPIC)).toBe(
      answer,
    )
  })
})

describe('settings', () => {
  function parse(given: Readonly<Record<string, unknown>>) {
    const problems: Problem[] = []
    return {
      config: parseConfig(AUTHORIZER_SETTINGS, given, problems),
      problems: problems.map(({ message }) => message),
    }
  }

  it('name no authorizer by default', () => expect(makeAuthorizer(parse({}).config)).toBeUndefined())

  it.each(['', ' ', 'User:bob;User:alice ', ';  User:bob  ;  User:alice '])('take super users as %j', (text) => {
    const { config, problems } = parse({ 'authorizer.class.name': STANDARD_AUTHORIZER, 'super.users': text })
    expect(problems).toEqual([])
    const authorizer = makeAuthorizer(config)
    expect(['User:bob', 'User:alice'].map((name) => authorizer?.isSuperUser(name))).toEqual(
      text.trim() === '' ? [false, false] : [true, true],
    )
  })

  it('refuse a super user without a type, and an authorizer that is not there', () => {
    expect(parse({ 'super.users': 'bob;User:alice' }).problems).toEqual([
      expect.stringContaining('bob is no principal'),
    ])
    expect(parse({ 'authorizer.class.name': 'com.acme.Authorizer' }).problems).toHaveLength(1)
  })
})

it('tells the operations that a resource knows as Kafka does', () => {
  expect(supportedOperations(ResourceType.TOPIC)).toBe(3_576)
  expect(supportedOperations(ResourceType.GROUP)).toBe(3_400)
  expect(supportedOperations(ResourceType.CLUSTER)).toBe(8_096)
  expect(supportedOperations(ResourceType.TRANSACTIONAL_ID)).toBe(33_040)
})
