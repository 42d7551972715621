/**
 * Every fault and operation that a step can be, by the name that scenarios use.
 */

import { ACL_OPERATIONS } from './acl-operations.js'
import { DISK_FAULTS } from './disk-faults.js'
import { GROUP_OPERATIONS } from './group-operations.js'
import type { StepKind } from './kind.js'
import { NETWORK_FAULTS } from './network-faults.js'
import { OPERATIONS } from './operations.js'
import { PROCESS_FAULTS } from './process-faults.js'

export const STEP_KINDS: Readonly<Record<string, StepKind>> = {
  ...NETWORK_FAULTS,
  ...PROCESS_FAULTS,
  ...DISK_FAULTS,
  ...OPERATIONS,
  ...GROUP_OPERATIONS,
  ...ACL_OPERATIONS,
}
