/**
 * What operators do to permissions: allow, deny, revoke. Through the admin client, who is a super user.
 *
 * ACLs reach a broker with its metadata, a moment after the operation's end.
 */

import { z } from 'zod'
import {
  type AclEntry,
  type AclProblem,
  type AclRevocation,
  parseEntries,
  parseRevocation,
} from '../cluster/acl-text.js'
import type { OperationKind } from './kind.js'

/** One line or a list of lines, each read by `parse`. */
function lines<T>(parse: (text: string) => readonly T[] | AclProblem): z.ZodType<readonly T[]> {
  return z.union([z.string(), z.array(z.string()).min(1)]).transform((raw, context) => {
    const found: T[] = []
    for (const text of typeof raw === 'string' ? [raw] : raw) {
      const parsed = parse(text)
      if ('wrong' in parsed) {
        context.addIssue({ code: 'custom', message: parsed.wrong, params: { mend: parsed.mend } })
      } else found.push(...parsed)
    }
    return found
  })
}

function entries(permission: 'allow' | 'deny', doc: string): OperationKind<readonly AclEntry[]> {
  return {
    type: 'operation',
    doc,
    schema: () =>
      lines((text) => {
        const parsed = parseEntries(permission, text)
        return 'wrong' in parsed ? parsed : parsed.bindings
      }),
    start: (bindings, { cluster }, done) =>
      cluster.admin.run((admin, answer) => admin.acls.create(bindings, answer), done),
  }
}

const revoke: OperationKind<readonly AclRevocation[]> = {
  type: 'operation',
  doc: 'takes ACLs back: alice read topic orders, deny bob any topic orders-*',
  schema: () =>
    lines((text) => {
      const parsed = parseRevocation(text)
      return 'wrong' in parsed ? parsed : parsed.filters
    }),
  start: (filters, { cluster }, done) => cluster.admin.run((admin, answer) => admin.acls.delete(filters, answer), done),
}

export const ACL_OPERATIONS = {
  allow: entries('allow', 'lets a principal do something: alice read,write topic orders'),
  deny: entries('deny', 'forbids a principal something, whatever else allows it: bob write topic orders-*'),
  revoke,
}
