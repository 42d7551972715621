/**
 * The ACLs of the cluster as the controller keeps them (Kafka's `AclControlManager`, KIP-801).
 *
 * Creating an entry that exists, or the same twice, is a success without a record. A filter that finds nothing is one too. Each entry and
 * each filter succeeds or fails by itself; all their records are written together.
 */

import { assert } from '../kernel/errors.js'
import type { Random } from '../kernel/random.js'
import type { Acl, AclFilter } from '../kraft/metadata/acl.js'
import { aclKey, isUnknownFilter, matchesFilter, problemOfAcl } from '../kraft/metadata/acl.js'
import { aclFromRecord } from '../kraft/metadata/image.js'
import type { AccessControlEntryRecord, MetadataRecord, Uuid } from '../kraft/metadata/records.js'
import { aclRecord } from '../kraft/metadata/records.js'
import type { ApiError } from '../wire/error-response.js'
import { Errors } from '../wire/errors.js'
import type { ControllerResult, Decision } from './controller-result.js'
import { apiError, decided, NO_ERROR, refused } from './controller-result.js'

/** Entries that one request may delete (`QuorumController.MAX_RECORDS_PER_USER_OP`). */
export const DELETIONS_MAX = 10_000

/** What a filter of DeleteAcls came to. */
export interface Deletion {
  readonly error: ApiError
  readonly deleted: readonly Acl[]
}

export class AclControl {
  readonly #random: Random
  readonly #acls = new Map<Uuid, Acl>()
  /** The keys of `acls`, to know what exists. */
  readonly #existing = new Set<string>()

  /** `random` gives ids. */
  constructor(random: Random) {
    this.#random = random
  }

  get acls(): ReadonlyMap<Uuid, Acl> {
    return this.#acls
  }

  createAcls(acls: readonly Acl[]): ControllerResult<readonly ApiError[]> {
    const records: MetadataRecord[] = []
    const created = new Set<string>()
    const results = acls.map((acl) => {
      const problem = problemOfAcl(acl)
      if (problem !== undefined) return apiError(Errors.INVALID_REQUEST, problem)
      const key = aclKey(acl)
      if (!this.#existing.has(key) && !created.has(key)) {
        created.add(key)
        records.push(aclRecord(this.#newId(), acl))
      }
      return NO_ERROR
    })
    return decided('create-acls', records, results, true)
  }

  deleteAcls(filters: readonly AclFilter[]): Decision<readonly Deletion[]> {
    const ids = new Set<Uuid>()
    const results: Deletion[] = []
    for (const filter of filters) {
      if (isUnknownFilter(filter)) {
        results.push({ error: apiError(Errors.INVALID_REQUEST, 'the filter names something unknown'), deleted: [] })
        continue
      }
      const deleted: Acl[] = []
      for (const [id, acl] of this.#acls) {
        if (!matchesFilter(filter, acl)) continue
        if (ids.size >= DELETIONS_MAX) {
          return refused(Errors.INVALID_REQUEST, `more than ${DELETIONS_MAX} ACLs cannot be deleted at once`)
        }
        ids.add(id)
        deleted.push(acl)
      }
      results.push({ error: NO_ERROR, deleted })
    }
    const records = [...ids].map((id): MetadataRecord => ({ type: 'RemoveAccessControlEntryRecord', version: 0, id }))
    return decided('delete-acls', records, results, true)
  }

  replay(record: AccessControlEntryRecord): void {
    const acl = aclFromRecord(record)
    this.#acls.set(record.id, acl)
    this.#existing.add(aclKey(acl))
  }

  replayRemove(id: Uuid): void {
    const acl = this.#acls.get(id)
    assert(acl !== undefined, 'controller: removal of an unknown ACL', { id })
    this.#acls.delete(id)
    this.#existing.delete(aclKey(acl))
  }

  reset(acls: ReadonlyMap<Uuid, Acl>): void {
    this.#acls.clear()
    this.#existing.clear()
    for (const [id, acl] of acls) {
      this.#acls.set(id, acl)
      this.#existing.add(aclKey(acl))
    }
  }

  #newId(): Uuid {
    let id = this.#random.uuid()
    while (this.#acls.has(id)) id = this.#random.uuid()
    return id
  }
}
