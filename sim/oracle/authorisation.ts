/**
 * `access-as-granted`: nobody without permission writes to a topic or reads from it, and nobody who has it is refused.
 *
 * What counts is what the node had replayed of the metadata when the request came: ACLs reach nodes one after the other, as in Kafka.
 *
 *   write     a batch that came in a request of a principal who might not write is not appended by that leader
 *   read      what a broker serves to a client was permitted when a fetch came that is not answered yet
 *   refusal   `acl.denied` is about something that the node's ACLs do not allow
 *
 * ACLs are read from the records of `metadata.replay`, by Kafka's field names, and in ZooKeeper mode from `acl.known`: there each broker has its
 * own. Who a client is, and who may do everything, is configured. Without an authorizer nothing is watched.
 */

import { ACL_DENY, ACL_OPERATIONS, ACL_PREFIXED, ACL_RESOURCE_TYPES } from '../kernel/acl-names.js'
import type { EventOf, EventType, TraceEvent } from '../kernel/events.js'
import { type NodeName, parsePartition } from '../kernel/names.js'
import type { Offset } from '../kernel/units.js'
import { Findings } from './findings.js'
import type { AccessPromises, Oracle, OracleReport } from './oracle.js'

/** What allows DESCRIBE and DESCRIBE_CONFIGS besides themselves. */
const IMPLYING: Readonly<Record<string, readonly string[]>> = {
  describe: ['read', 'write', 'delete', 'alter'],
  'describe-configs': ['alter-configs'],
}
/** Exchanges of one connection have ids from its own multiple of this on. */
const IDS_PER_CONNECTION = 0x400_0000

interface Acl {
  readonly resourceType: number
  readonly resourceName: string
  readonly patternType: number
  readonly principal: string
  readonly host: string
  readonly operation: number
  readonly permissionType: number
}

/** The ACLs as they stand from an offset of the metadata log on; in ZooKeeper mode as one broker has them. */
interface Version {
  readonly offset: Offset
  readonly acls: ReadonlyMap<string, Acl>
}

interface OpenFetch {
  readonly node: NodeName
  readonly client: NodeName
  readonly acls: Version
  readonly seq: number
}

export class Authorisation implements Oracle {
  readonly name = 'access-as-granted'
  readonly watches: readonly EventType[]
  readonly #findings = new Findings(this.name)
  readonly #access: AccessPromises
  /** Ascending by offset. */
  readonly #versions: Version[] = [{ offset: -1, acls: new Map() }]
  /** Node → offset up to which it has replayed. */
  readonly #replayed = new Map<NodeName, Offset>()
  /** In ZooKeeper mode: broker → what it knows. */
  readonly #known = new Map<NodeName, Version>()
  readonly #topicNames = new Map<string, string>()
  /** Exchange → a fetch that is not answered. */
  readonly #fetches = new Map<number, OpenFetch>()
  /** Broker, partition and CRC of batches that came and were not appended → 0 when they might be, else the request's sequence. */
  readonly #batches = new Map<string, number>()

  constructor(access: AccessPromises | undefined) {
    this.#access = access ?? { principals: new Map(), superUsers: new Set(), everyoneWhereNone: true }
    this.watches =
      access === undefined
        ? []
        : [
            'metadata.replay',
            'acl.known',
            'quorum.snapshot',
            'controller.topic',
            'request.receive',
            'response.send',
            'net.close',
            'node.down',
            'log.append',
            'fetch.served',
            'acl.denied',
          ]
  }

  observe(event: TraceEvent): void {
    switch (event.type) {
      case 'metadata.replay':
        this.#replay(event)
        break
      case 'acl.known':
        this.#knows(event)
        break
      case 'quorum.snapshot':
        if (event.data.how === 'loaded') this.#replayed.set(event.node, event.data.endOffset - 1)
        break
      case 'controller.topic':
        this.#topicNames.set(event.data.id, event.data.topic)
        break
      case 'request.receive':
        this.#receive(event)
        break
      case 'response.send':
        if (event.data.api === 'Fetch') this.#fetches.delete(event.data.id)
        break
      case 'net.close':
        this.#forget((_, id) => Math.floor(id / IDS_PER_CONNECTION) === event.data.connection)
        break
      case 'node.down':
        this.#replayed.delete(event.node)
        this.#known.delete(event.node)
        this.#forget(({ node }) => node === event.node)
        break
      case 'log.append':
        this.#append(event)
        break
      case 'fetch.served':
        this.#served(event)
        break
      case 'acl.denied':
        this.#denied(event)
        break
      default:
        break
    }
  }

  finish(): OracleReport {
    return this.#findings.report()
  }

  // ── what nodes know ───────────────────────────────────────────────────────────────────────────────────────────────

  #replay(event: EventOf<'metadata.replay'>): void {
    const { lastOffset, records } = event.data
    this.#replayed.set(event.node, lastOffset)
    const newest = this.#versions[this.#versions.length - 1] as Version
    if (lastOffset <= newest.offset) return
    let acls: Map<string, Acl> | undefined
    for (const record of records) {
      const { type, id } = record as { readonly type: string; readonly id: string }
      if (type === 'AccessControlEntryRecord') (acls ??= new Map(newest.acls)).set(id, record as Acl)
      else if (type === 'RemoveAccessControlEntryRecord') (acls ??= new Map(newest.acls)).delete(id)
    }
    if (acls !== undefined) this.#versions.push({ offset: lastOffset, acls })
  }

  #knows({ node, data }: EventOf<'acl.known'>): void {
    const { resourceType, resourceName, patternType } = data
    const resource = { resourceType, resourceName, patternType }
    const acls = new Map<string, Acl>()
    for (const [key, acl] of this.#known.get(node)?.acls ?? []) {
      if (acl.resourceType !== resourceType || acl.patternType !== patternType || acl.resourceName !== resourceName) {
        acls.set(key, acl)
      }
    }
    data.acls.forEach((entry, at) =>
      acls.set(`${resourceType} ${patternType} ${at} ${resourceName}`, { ...resource, ...entry }),
    )
    this.#known.set(node, { offset: -1, acls })
  }

  #versionAt(node: NodeName): Version {
    const known = this.#known.get(node)
    if (known !== undefined) return known
    const offset = this.#replayed.get(node) ?? -1
    let at = this.#versions.length - 1
    while (at > 0 && (this.#versions[at] as Version).offset > offset) at--
    return this.#versions[at] as Version
  }

  // ── requests ──────────────────────────────────────────────────────────────────────────────────────────────────────

  #receive(event: EventOf<'request.receive'>): void {
    const { api, from, id, body } = event.data
    if (!this.#access.principals.has(from)) return
    if (api === 'Fetch') {
      this.#fetches.set(id, { node: event.node, client: from, acls: this.#versionAt(event.node), seq: event.seq })
    } else if (api === 'Produce') this.#produce(event, body as ProduceBody)
  }

  #produce({ node, seq, data }: EventOf<'request.receive'>, { topicData, transactionalId }: ProduceBody): void {
    const version = this.#versionAt(node)
    const may = (operation: string, type: string, name: string): boolean =>
      this.#allows(version, data.from, operation, type, name)
    for (const { name, topicId, partitionData } of topicData) {
      const topic = name === '' ? this.#topicNames.get(topicId) : name
      if (topic === undefined) continue
      const mayWrite = may('write', 'topic', topic)
      for (const { index, records } of partitionData) {
        for (const batch of records ?? []) {
          const isPermitted =
            mayWrite && (!batch.isTransactional || may('write', 'transactional-id', transactionalId ?? ''))
          const key = `${node} ${topic}-${index} ${batch.crc}`
          if (isPermitted) this.#batches.set(key, 0)
          else if (!this.#batches.has(key)) this.#batches.set(key, seq)
        }
      }
    }
  }

  #append(event: EventOf<'log.append'>): void {
    if (event.data.role !== 'leader') return
    const { partition, crc, baseOffset } = event.data
    const key = `${event.node} ${partition} ${crc}`
    const came = this.#batches.get(key)
    if (came === undefined) return
    this.#batches.delete(key)
    this.#findings.checks++
    if (came === 0) return
    const subject = `${partition}@${baseOffset}`
    this.#findings.add(subject, `${event.node} appended ${subject} for somebody who may not write there`, event.time, [
      came,
      event.seq,
    ])
  }

  #served(event: EventOf<'fetch.served'>): void {
    const { to, partition, from } = event.data
    const topic = parsePartition(partition)?.topic ?? partition
    let latest = 0
    for (const { node, client, acls, seq } of this.#fetches.values()) {
      if (node !== event.node || client !== to) continue
      latest = seq
      if (!this.#allows(acls, to, 'read', 'topic', topic)) continue
      this.#findings.checks++
      return
    }
    // A reader that nobody told us of.
    if (latest === 0) return
    this.#findings.checks++
    const message = `${event.node} served ${partition}@${from} to ${to}, who may not read it`
    this.#findings.add(`${partition}@${from}`, message, event.time, [latest, event.seq])
  }

  #denied(event: EventOf<'acl.denied'>): void {
    const { from, operation, resource, principal } = event.data
    if (!this.#access.principals.has(from)) return
    this.#findings.checks++
    const space = resource.indexOf(' ')
    const [type, name] = [resource.slice(0, space), resource.slice(space + 1)]
    if (!this.#allows(this.#versionAt(event.node), from, operation, type, name)) return
    const message = `${event.node} refused ${operation} on ${resource} to ${principal} on ${from}, who may do it`
    this.#findings.add(resource, message, event.time, [event.seq])
  }

  #forget(isGone: (fetch: OpenFetch, id: number) => boolean): void {
    for (const [id, fetch] of this.#fetches) if (isGone(fetch, id)) this.#fetches.delete(id)
  }

  // ── Kafka's rules, once more ──────────────────────────────────────────────────────────────────────────────────────

  #allows({ acls }: Version, client: NodeName, operation: string, type: string, name: string): boolean {
    const principal = this.#access.principals.get(client) as string
    if (this.#access.superUsers.has(principal)) return true
    const accepted = ['all', operation, ...(IMPLYING[operation] ?? [])]
    let isKnown = false
    let isAllowed = false
    for (const acl of acls.values()) {
      if (ACL_RESOURCE_TYPES[acl.resourceType] !== type || !isAbout(acl, name)) continue
      isKnown = true
      if (acl.principal !== principal && acl.principal !== 'User:*') continue
      if (acl.host !== client && acl.host !== '*') continue
      const what = ACL_OPERATIONS[acl.operation] ?? ''
      if (acl.permissionType === ACL_DENY && (what === 'all' || what === operation)) return false
      if (acl.permissionType !== ACL_DENY && accepted.includes(what)) isAllowed = true
    }
    return isKnown ? isAllowed : this.#access.everyoneWhereNone
  }
}

/** What is read of a Produce request. */
interface ProduceBody {
  readonly transactionalId: string | null
  readonly topicData: readonly {
    readonly name: string
    readonly topicId: string
    readonly partitionData: readonly {
      readonly index: number
      readonly records: readonly { readonly crc: number; readonly isTransactional: boolean }[] | null
    }[]
  }[]
}

function isAbout({ patternType, resourceName }: Acl, name: string): boolean {
  if (patternType === ACL_PREFIXED) return name.startsWith(resourceName)
  return resourceName === name || resourceName === '*'
}
