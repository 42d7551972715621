/**
 * Who may do what to a znode: ACLs of the schemes `world` and `digest`.
 *
 * A session shows identities (`digest`, `user:password`), which count as `user:base64(sha1(user:password))`. `auth` in an ACL that is set stands
 * for all that the session has shown. An ACL allows when one of its entries has a bit of the permission and its identity is everybody's
 * or shown. Source: `ZooKeeperServer.checkACL`, `PrepRequestProcessor.fixupACL`, `DigestAuthenticationProvider`.
 */

import { PERMS, type Acl } from '../api.js'
import { base64, sha1 } from '../checksums.js'

/** What a session has shown, as it stands in ACLs: `user:base64(sha1(user:password))`. */
export type Identities = readonly string[]

export const NOBODY: Identities = []

export function digestIdentity(user: string, password: string): string {
  return `${user}:${base64(sha1(new TextEncoder().encode(`${user}:${password}`)))}`
}

export function allows(acl: readonly Acl[], permission: number, identities: Identities): boolean {
  if (acl.length === 0) return true
  for (const { perms, scheme, id } of acl) {
    if ((perms & permission) === 0) continue
    if (scheme === 'world' && id === 'anyone') return true
    if (scheme === 'digest' && identities.includes(id)) return true
  }
  return false
}

/** The ACL as it is kept, duplicates and `auth` resolved; undefined when it is no valid ACL. */
export function resolveAcl(acl: readonly Acl[], identities: Identities): readonly Acl[] | undefined {
  const resolved: Acl[] = []
  for (const entry of acl) {
    if (entry.perms < 0 || entry.perms > PERMS.ALL) return undefined
    if (entry.scheme === 'world') {
      if (entry.id !== 'anyone') return undefined
      add(resolved, entry)
    } else if (entry.scheme === 'auth') {
      if (identities.length === 0) return undefined
      for (const id of identities) add(resolved, { perms: entry.perms, scheme: 'digest', id })
    } else {
      if (entry.id.split(':').length !== 2) return undefined
      add(resolved, entry)
    }
  }
  return resolved.length === 0 ? undefined : resolved
}

/** What somebody without ADMIN is shown: hashes of passwords are hidden. */
export function concealed(acl: readonly Acl[]): readonly Acl[] {
  return acl.map((entry) => (entry.scheme === 'digest' ? { ...entry, id: entry.id.replace(/:.*/, ':x') } : entry))
}

function add(acl: Acl[], entry: Acl): void {
  if (!acl.some(({ perms, scheme, id }) => perms === entry.perms && scheme === entry.scheme && id === entry.id)) {
    acl.push(entry)
  }
}
