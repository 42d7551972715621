/**
 * Settings of authorisation, for brokers and controllers alike, under Kafka's names.
 *
 * Without `authorizer.class.name` everything is allowed, and requests about ACLs are answered with SECURITY_DISABLED. There is one
 * authorizer for each mode: that of KRaft keeps its ACLs in the cluster's metadata, that of ZooKeeper mode in ZooKeeper.
 */

import { bool, type ConfigOf, type Setting, type Settings } from '../../kernel/config-def.js'
import { type AuthorizerOptions, StandardAuthorizer } from './standard-authorizer.js'

export const STANDARD_AUTHORIZER = 'org.apache.kafka.metadata.authorizer.StandardAuthorizer'
/** Of ZooKeeper mode. */
export const ACL_AUTHORIZER = 'kafka.security.authorizer.AclAuthorizer'

const CLASS_NAME: Setting<string> = {
  default: '',
  doc: 'Who decides what clients may do; empty for nobody',
  parse: (raw) =>
    raw === '' || raw === STANDARD_AUTHORIZER || raw === ACL_AUTHORIZER
      ? { value: raw }
      : { wrong: `expected ${STANDARD_AUTHORIZER}, or in ZooKeeper mode ${ACL_AUTHORIZER}` },
}

const SUPER_USERS: Setting<string> = {
  default: '',
  doc: 'Principals that may do everything, with semicolons between them: User:alice;User:bob',
  parse: (raw) => {
    if (typeof raw !== 'string')
      return { wrong: 'expected principals with semicolons between them, such as User:alice' }
    const stranger = principals(raw).find((name) => !name.includes(':'))
    return stranger === undefined ? { value: raw } : { wrong: `${stranger} is no principal, write User:${stranger}` }
  },
}

export const AUTHORIZER_SETTINGS = {
  'authorizer.class.name': CLASS_NAME,
  'super.users': SUPER_USERS,
  'allow.everyone.if.no.acl.found': bool(false, 'Whether what no ACL is about is allowed to everybody'),
} satisfies Settings

type AuthorizerConfig = ConfigOf<typeof AUTHORIZER_SETTINGS>

/** The authorizer of a node in KRaft mode; undefined when it has none. */
export function makeAuthorizer(config: AuthorizerConfig): StandardAuthorizer | undefined {
  const options = authorizerOptions(config)
  return options && new StandardAuthorizer(options)
}

/** What authorizers of both modes are told; undefined when there is to be none. */
export function authorizerOptions(config: AuthorizerConfig): AuthorizerOptions | undefined {
  if (config['authorizer.class.name'] === '') return undefined
  return {
    superUsers: new Set(principals(config['super.users'])),
    allowEveryoneIfNoAclFound: config['allow.everyone.if.no.acl.found'],
  }
}

function principals(text: string): string[] {
  return text
    .split(';')
    .map((name) => name.trim())
    .filter((name) => name !== '')
}
