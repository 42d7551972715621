/** ACLs in words, for tests: `allow alice read topic foo`, with `foo…` for all that begins so, `from h1` for one host. */

import { type Acl, AclOperation, AclPermission, PatternType, ResourceType } from '../../../sim/kraft/metadata/acl.js'
import type { AuthorizerOptions } from '../../../sim/kraft/metadata/standard-authorizer.js'
import { StandardAuthorizer } from '../../../sim/kraft/metadata/standard-authorizer.js'
import { Random } from '../../../sim/kernel/random.js'

export function acl(text: string): Acl {
  const [permission = '', who = '', operation = '', type = '', name = '', , host = '*'] = text.split(' ')
  return {
    resourceType: codeOf(ResourceType, type),
    resourceName: name.replace('…', ''),
    patternType: name.endsWith('…') ? PatternType.PREFIXED : PatternType.LITERAL,
    principal: `User:${who}`,
    host,
    operation: codeOf(AclOperation, operation),
    permissionType: codeOf(AclPermission, permission),
  }
}

export function codeOf(codes: Readonly<Record<string, number>>, word: string): number {
  const code = codes[word.toUpperCase().replaceAll('-', '_')]
  if (code === undefined) throw new Error(`no such word: ${word}`)
  return code
}

export function authorizerOf(texts: readonly string[], options: Partial<AuthorizerOptions> = {}): StandardAuthorizer {
  const ids = new Random('acls')
  const authorizer = new StandardAuthorizer({
    superUsers: new Set(['User:superman']),
    allowEveryoneIfNoAclFound: false,
    ...options,
  })
  authorizer.setAcls(new Map(texts.map((text) => [ids.uuid(), acl(text)])))
  return authorizer
}

/** `bob read topic foo`, with `from h1` for a host: whether it is allowed. */
export function may(authorizer: StandardAuthorizer, question: string): boolean {
  const [who = '', operation = '', type = '', name = '', , host = 'h0'] = question.split(' ')
  return authorizer.authorize(`User:${who}`, host, codeOf(AclOperation, operation), codeOf(ResourceType, type), name)
}
