/**
 * ACLs by number, as snapshots refer to them. Equal ACLs share one; numbers are given out in order and never again.
 * Source: `ReferenceCountedACLCache` (without the counting: an ACL that nobody uses stays).
 */

import { OPEN_ACL, type Acl } from '../api.js'

/** `OPEN_UNSAFE_ACL_ID`. */
export const OPEN_ACL_ID = -1

export class AclTable {
  readonly byId = new Map<number, readonly Acl[]>()
  readonly #ids = new Map<string, number>()
  #lastId = 0

  idOf(acl: readonly Acl[]): number {
    const key = keyOf(acl)
    if (key === OPEN_KEY) return OPEN_ACL_ID
    const known = this.#ids.get(key)
    if (known !== undefined) return known
    this.restore(this.#lastId + 1, acl)
    return this.#lastId
  }

  get(id: number): readonly Acl[] {
    return id === OPEN_ACL_ID ? OPEN_ACL : (this.byId.get(id) ?? OPEN_ACL)
  }

  restore(id: number, acl: readonly Acl[]): void {
    this.#lastId = Math.max(this.#lastId, id)
    this.byId.set(id, acl)
    this.#ids.set(keyOf(acl), id)
  }
}

function keyOf(acl: readonly Acl[]): string {
  return acl.map(({ perms, scheme, id }) => `${perms} ${scheme} ${id}`).join('\n')
}

const OPEN_KEY = keyOf(OPEN_ACL)
