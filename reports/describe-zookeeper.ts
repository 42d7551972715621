/**
 * What events of ZooKeeper say, in a few words.
 */

import { ACL_DENY, ACL_OPERATIONS, ACL_PREFIXED, ACL_RESOURCE_TYPES } from '../sim/kernel/acl-names.js'
import type { Events, TraceEvent } from '../sim/kernel/events.js'
import { zookeeperName } from '../sim/kernel/names.js'

/** One line, without time and node; undefined for events of others. */
export function describeZooKeeper(event: TraceEvent): string | undefined {
  switch (event.type) {
    case 'zk.state':
      return `${event.data.to}, epoch ${event.data.epoch} (${event.data.reason})`
    case 'zk.elected':
      return `elects ${zookeeperName(event.data.leader)} at ${zxid(event.data.zxid)}, epoch ${event.data.epoch}, round ${event.data.round}`
    case 'zk.epoch':
      return `${event.data.kind === 'accepted' ? 'accepts' : 'is in'} epoch ${event.data.epoch}`
    case 'zk.leading':
      return `leads the ensemble, epoch ${event.data.epoch}, from ${zxid(event.data.zxid)}, with ${event.data.synced.map(zookeeperName).join(' ')}`
    case 'zk.serving':
      return `serves under ${zookeeperName(event.data.leader)}, epoch ${event.data.epoch}`
    case 'zk.sync':
      return `brings ${zookeeperName(event.data.server)} from ${zxid(event.data.peer)} to ${zxid(event.data.zxid)} by ${event.data.mode}`
    case 'zk.recovered':
      return `database read up to ${zxid(event.data.zxid)}: ${event.data.znodes} znodes, ${event.data.sessions} sessions`
    case 'zk.truncated':
      return `history cut ${zxid(event.data.from)} → ${zxid(event.data.to)}`
    case 'zk.snapshot':
      return `snapshot ${zxid(event.data.zxid)} ${event.data.how}, ${event.data.znodes} znodes`
    case 'zk.propose':
      return `proposes ${event.data.type} ${zxid(event.data.zxid)}`
    case 'zk.logged':
      return `has ${zxid(event.data.zxid)} on disk`
    case 'zk.commit':
      return `commits ${zxid(event.data.zxid)}, logged by ${event.data.acks.map(zookeeperName).join(' ')}`
    case 'zk.apply':
      return `applies ${event.data.type} ${zxid(event.data.zxid)}`
    default:
      return describeController(event) ?? describeSessions(event)
  }
}

/** The controller of ZooKeeper mode, and brokers that refuse one. */
function describeController(event: TraceEvent): string | undefined {
  switch (event.type) {
    case 'zk-controller.elected':
      return `elected controller, epoch ${event.data.epoch}, by ${zxid(event.data.zxid)}`
    case 'zk-controller.write':
      return `controller of epoch ${event.data.epoch} writes ${event.data.path} (${event.data.op}), ${zxid(event.data.zxid)}`
    case 'zk-controller.failed':
      return `controller gives up ${event.data.event}: ${event.data.reason}`
    case 'zk-control.refused': {
      const { api, controller, controllerEpoch, error } = event.data
      return `refuses ${api} of b${controller}, controller epoch ${controllerEpoch}: ${error}`
    }
    default:
      return undefined
  }
}

function describeSessions(event: TraceEvent): string | undefined {
  switch (event.type) {
    case 'zk.znode': {
      const { change, path, owner, version } = event.data
      if (change === 'created')
        return `${path} created${/[1-9a-f]/.test(owner.slice(2)) ? `, ephemeral of ${owner}` : ''}`
      return change === 'deleted'
        ? `${path} deleted`
        : `${path} ${change === 'acl' ? 'ACL' : 'data'} set, version ${version}`
    }
    case 'zk.session':
      return `session ${event.data.session} ${event.data.change}`
    case 'zk.touched':
      return `session ${event.data.session} lives, for ${event.data.timeout} ms more`
    case 'zk.expired':
      return `session ${event.data.session} expires after ${event.data.timeout} ms`
    case 'zk.moved':
      return `session ${event.data.session} goes on at ${zookeeperName(event.data.server)}`
    case 'zk.connected':
      return `session ${event.data.session} of ${event.data.client} established, for ${event.data.timeout} ms`
    case 'zk.watch-set':
      return `${event.data.kind} watch on ${event.data.path} by ${event.data.session}`
    case 'zk.watch':
      return `tells ${event.data.client}: ${event.data.type} ${event.data.path}`
    case 'zk.client':
      return `ZooKeeper session ${event.data.to}${event.data.server === '' ? '' : ` (${event.data.server})`}`
    case 'zk.client-watch':
      return `is told: ${event.data.type} ${event.data.path}`
    default:
      return undefined
  }
}

/** `e3:41`: the 41st transaction of epoch 3. */
function zxid(value: number): string {
  return `e${Math.floor(value / 0x1_0000_0000)}:${value % 0x1_0000_0000}`
}

/** `ACLs of topic orders: allow User:old write` */
export function describeAcls({ resourceType, resourceName, patternType, acls }: Events['acl.known']): string {
  const name = patternType === ACL_PREFIXED ? `${resourceName}*` : resourceName
  const rules = acls.map(({ principal, host, operation, permissionType }) => {
    const rule = `${permissionType === ACL_DENY ? 'deny' : 'allow'} ${principal} ${ACL_OPERATIONS[operation] ?? '?'}`
    return host === '*' ? rule : `${rule} from ${host}`
  })
  return `ACLs of ${ACL_RESOURCE_TYPES[resourceType] ?? '?'} ${name}: ${rules.length === 0 ? 'none' : rules.join(', ')}`
}
