/**
 * What is asked of an authorizer (Kafka's `Authorizer`): may this principal, asking from this host, do that.
 *
 * There are two: `StandardAuthorizer` reads the metadata log, `AclAuthorizer` of ZooKeeper mode keeps its ACLs in ZooKeeper.
 */

import type { Acl, AclFilter } from './acl.js'

export interface Authorizer {
  /** Its ACLs are there: until then only super users can be judged. */
  canJudge(principal: string): boolean
  authorize(principal: string, host: string, operation: number, resourceType: number, name: string): boolean
  /** A bit for each operation that is allowed, by its code. */
  operations(principal: string, host: string, resourceType: number, name: string): number
  /** Whether there is any resource of the type on which the operation is allowed (KIP-679). */
  authorizeByResourceType(principal: string, host: string, operation: number, resourceType: number): boolean
  acls(filter: AclFilter): Acl[]
}
