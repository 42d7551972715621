/**
 * Golden conversations with the group coordinator: a text of commands, each followed by what it led to: answers, records written to
 * `__consumer_offsets`, states. Every line tells the time in seconds. The group is `shop` unless `group=` says otherwise.
 *
 *   coordinator [setting=value …]      a new one; `topics foo:6 bar:3` tells the topics that there are
 *   join A [as=ID] [instance=i1] [protocols=range,sticky] [topics=foo,bar] [owned=foo:0,1] [raw=m] [type=consumer] [session=5000] [rebalance=10000] [v=9]
 *   sync A [gen=1] [A=foo:0,1 B=foo:2] [protocol=range] [type=consumer]       what the leader assigns
 *   heartbeat A [gen=1] · leave A B/i2 /i3 [v=5] · stable A B/i2              a whole classic group in one go
 *   beat A [epoch=0] [topics=foo] [regex=f.*] [owned=foo:0] [instance=i1] [assignor=range] [rack=r1] [rebalance=5000] [client=c]    KIP-848
 *   reconciled A B/i2 [topics=foo]     a whole KIP-848 group in one go
 *   commit A foo-0=5[:metadata] … [gen=1] [instance=i1] [retention=1000] [producer=7] [id=zar] [v=9] · fetch [A] foo-0 … | all [stable] [epoch=1] [id=zar]
 *   transaction commit|abort 7 · delete · delete-offsets foo-0 · describe [v=6] · describe-consumer · list [states=] [types=]
 *   pass MS [alive=A,B]                time passes; those members send heartbeats each second, of which nothing is shown
 *   fail ERROR [times]                 what the next appends come to
 *   hold · release                     the high watermark stands still
 *   move · resign · elect              another broker takes over, with the bytes of the log
 *   limit 2 · hide bar · show bar      group.max.size from now on; topics that clients may not see
 *   older-metadata 1                   a coordinator of Kafka 4.0 wrote epoch 1 of the KIP-848 group, with partition metadata in place of a hash
 *
 * A client's name stands for the member id that it was given last: its second one is told as A2. Without `as=` it sends what it has.
 */

import type { TraceEvent } from '../../../sim/kernel/events.js'
import { writeAssignment } from '../../../sim/broker/group/consumer-protocol.js'
import type { ConsumerGroupHeartbeatResponse } from '../../../sim/wire/messages/consumer-group-heartbeat.js'
import type { JoinGroupResponse } from '../../../sim/wire/messages/join-group.js'
import { type ErrorCode, Errors } from '../../../sim/wire/errors.js'
import { parsePartition } from '../../../sim/kernel/names.js'
import { idOf, partitions } from './consumer/assignment-text.js'
import {
  beatText,
  describeConsumerText,
  type DescribedClassic,
  describeText,
  fetchText,
  joinText,
  leaveText,
  type TopicErrors,
} from './answer-text.js'
import { subscriptionBytes } from './consumer/subscription-bytes.js'
import { groupEpochRecord } from '../../../sim/broker/group/consumer/consumer-records.js'
import { CoordinatorLab, type Written } from './coordinator-lab.js'
import { nameOf } from './group-bench.js'
import { assignmentText, partitionsText, recordText } from './record-text.js'

/** What a client knows of itself. */
interface Client {
  memberId: string
  generation: number
  epoch: number
  owned: string
}

type Options = ReadonlyMap<string, string>

const HEARTBEAT_MS = 1_000
/** An id that a coordinator made. */
const GENERATED = /[\w-]{22}$/

export class Conversation {
  #lab: CoordinatorLab | undefined
  #lines: string[] = []
  #isQuiet = false
  /** Who sent the last request that may bring a new member. */
  #asker = ''
  readonly #clients = new Map<string, Client>()
  /** Member id → what it is called. */
  readonly #names = new Map<string, string>()

  get lab(): CoordinatorLab {
    if (this.#lab === undefined) throw new Error('a conversation begins with `coordinator`')
    return this.#lab
  }

  run(command: string): string[] {
    this.#lines = []
    const [name = '', ...words] = command.split(/\s+/)
    const options = new Map<string, string>()
    const plain: string[] = []
    for (const word of words) {
      const [, key, value] = /^([^=]+)=(.*)$/.exec(word) ?? []
      if (key === undefined || value === undefined || /-\d+$/.test(key)) plain.push(word)
      else options.set(key, value)
    }
    this.#execute(name, plain, options)
    return this.#lines
  }

  #execute(name: string, words: readonly string[], options: Options): void {
    const [first = ''] = words
    switch (name) {
      case 'coordinator':
        return this.#make(options)
      case 'topics':
        this.lab.setTopics([...options].map(([topic, count]) => `${topic}:${count}`).join(' ') || words.join(' '))
        return
      case 'join':
        return this.#join(first, options)
      case 'sync':
        return this.#sync(first, options)
      case 'heartbeat':
        return this.#heartbeat(first, options)
      case 'leave':
        return this.#leave(words, options)
      case 'stable':
        return this.#stable(words, options)
      case 'beat':
        return this.#beat(first, options)
      case 'reconciled':
        return this.#reconciled(words, options)
      case 'commit':
        return this.#commit(words, options)
      case 'fetch':
        return this.#fetch(words, options)
      case 'transaction':
        return this.lab.endTransaction(Number(words[1]), first === 'commit', (error) => this.#tell(name, nameOf(error)))
      case 'pass':
        return this.#pass(Number(first), options)
      case 'fail':
        for (let i = 0; i < Number(words[1] ?? 1); i++) this.lab.fates.push(Errors[first as keyof typeof Errors])
        return
      case 'hold':
        this.lab.log.holds = true
        return
      case 'release':
        this.lab.log.release()
        return this.lab.run(0)
      case 'limit':
        this.lab.config = { ...this.lab.config, 'group.max.size': Number(first) }
        return
      case 'hide':
        return void this.lab.hidden.add(first)
      case 'show':
        return void this.lab.hidden.delete(first)
      case 'older-metadata':
        return this.lab.inject([
          groupEpochRecord('shop', Number(first), 0n),
          { type: 'ConsumerGroupPartitionMetadata', key: { groupId: 'shop' }, value: { topics: [] } },
        ])
      case 'resign':
      case 'move':
        this.lab.resign()
        this.lab.run(0)
        if (name === 'resign') return
        this.lab.copyLog()
        return this.#boot()
      case 'elect':
        return this.#boot()
      default:
        return this.#administer(name, words, options)
    }
  }

  // ── the broker ────────────────────────────────────────────────────────────────────────────────────────────────────

  #make(options: Options): void {
    const lab = new CoordinatorLab(Object.fromEntries(options))
    this.#lab = lab
    this.#clients.clear()
    this.#names.clear()
    lab.onEvent = (event) => this.#event(event)
    lab.onWritten = (written) => this.#written(written)
    this.#isQuiet = true
    this.#boot()
    this.#isQuiet = false
  }

  #boot(): void {
    this.lab.boot()
    this.lab.run(0)
  }

  #written({ offset, record, batch }: Written): void {
    if (record?.type === 'ConsumerGroupMemberMetadata') this.#name(this.#asker, record.key.memberId)
    const inTransaction = batch.isTransactional ? ` in the transaction of ${batch.producerId}` : ''
    const what = record === undefined ? 'marker' : recordText(record, batch.maxTimestamp)
    this.#line(`log ${offset}: ${what}${inTransaction}`)
  }

  #event(event: TraceEvent): void {
    if (event.type === 'group.state') {
      const { group, from, to, generation, members, reason, protocol } = event.data
      this.#line(
        `${protocol} group ${group}: ${from} → ${to}, generation ${generation}, members ${members} (${reason})`,
      )
    } else if (event.type === 'group.member') {
      const { member, change } = event.data
      if (change === 'joined' || change === 'replaced') this.#name(this.#asker, member)
      this.#line(`member ${member} ${change}`)
    }
    if (event.type === 'group.loaded') this.#line(`loaded ${event.data.groups} groups, ${event.data.offsets} offsets`)
    else if (event.type === 'group.unloaded') this.#line('unloaded')
  }

  #tell(who: string, what: string): void {
    this.#line(`${who}: ${what}`)
  }

  #line(text: string): void {
    if (this.#isQuiet) return
    this.#lines.push(`  ${(this.lab.nowMs / 1_000).toFixed(3)} ${this.#plain(text)}`)
  }

  /** Member ids that the coordinator made, as what they are called. */
  #plain(text: string): string {
    let plain = text
    for (const [id, name] of this.#names) plain = plain.replaceAll(id, name)
    return plain
  }

  #pass(ms: number, options: Options): void {
    const alive = options.get('alive')?.split(',') ?? []
    for (let left = ms; left > 0; left -= HEARTBEAT_MS) {
      for (const name of alive) this.#keepAlive(name, options)
      this.lab.run(Math.min(left, HEARTBEAT_MS))
    }
  }

  #keepAlive(name: string, options: Options): void {
    const { epoch } = this.#client(name)
    if (epoch > 0) {
      this.lab.ask('ConsumerGroupHeartbeat', this.#beatBody(name, new Map()), (answer) => this.#learn(name, answer), {
        version: 1,
      })
    } else this.#heartbeat(name, options, () => undefined)
  }

  // ── members of the classic protocol ───────────────────────────────────────────────────────────────────────────────

  #client(name: string): Client {
    let client = this.#clients.get(name)
    if (client === undefined) {
      this.#clients.set(name, (client = { memberId: '', generation: -1, epoch: 0, owned: '' }))
    }
    return client
  }

  /** `as=new`: none; `as=A` and `as=A2`: that of the client; anything else is an id itself. */
  #idOf(name: string, options: Options): string {
    const as = options.get('as')
    if (as === undefined) return this.#client(name).memberId
    if (as === 'new') return ''
    return [...this.#names].find(([, called]) => called === as)?.[0] ?? as
  }

  #call(name: string, memberId: string): void {
    this.#client(name).memberId = memberId
    this.#name(name, memberId)
  }

  #name(name: string, memberId: string): void {
    if (!GENERATED.test(memberId) || this.#names.has(memberId)) return
    const used = new Set(this.#names.values())
    let called = name
    for (let i = 2; used.has(called); i++) called = `${name}${i}`
    this.#names.set(memberId, called)
  }

  #join(name: string, options: Options, done: (response: JoinGroupResponse) => void = () => undefined): void {
    const topics = options.get('topics')?.split(',') ?? ['foo']
    const owned = options.get('owned')?.split(';') ?? []
    const raw = options.get('raw')
    const metadata = raw === undefined ? subscriptionBytes(topics, owned) : new TextEncoder().encode(raw)
    const names = options.get('protocols')?.split(',') ?? ['range']
    const body = {
      groupId: options.get('group') ?? 'shop',
      sessionTimeoutMs: Number(options.get('session') ?? 5_000),
      rebalanceTimeoutMs: Number(options.get('rebalance') ?? 10_000),
      memberId: this.#idOf(name, options),
      groupInstanceId: options.get('instance') ?? null,
      protocolType: options.get('type') ?? 'consumer',
      protocols: names.filter((one) => one !== '').map((one) => ({ name: one, metadata })),
      reason: null,
    }
    const version = Number(options.get('v') ?? 9)
    const answered = (response: JoinGroupResponse): void => {
      const isGiven = response.errorCode === Errors.NONE || response.errorCode === Errors.MEMBER_ID_REQUIRED
      if (isGiven) this.#call(name, response.memberId)
      if (response.errorCode === Errors.NONE) this.#client(name).generation = response.generationId
      this.#tell(`join ${name}`, joinText(response))
      done(response)
    }
    this.#asker = name
    this.lab.ask('JoinGroup', body, answered, { version, clientId: name })
  }

  #sync(name: string, options: Options): void {
    const { generation } = this.#client(name)
    const assignments = [...options]
      .filter(([key]) => this.#clients.has(key))
      .map(([key, given]) => ({ memberId: this.#client(key).memberId, assignment: assignmentBytes(given) }))
    const protocol = options.get('protocol') ?? 'range'
    const type = options.get('type') ?? 'consumer'
    const body = {
      groupId: options.get('group') ?? 'shop',
      generationId: Number(options.get('gen') ?? generation),
      memberId: this.#idOf(name, options),
      groupInstanceId: options.get('instance') ?? null,
      protocolType: type === 'none' ? null : type,
      protocolName: protocol === 'none' ? null : protocol,
      assignments,
    }
    this.lab.ask('SyncGroup', body, ({ errorCode, assignment, protocolType, protocolName }) => {
      const given = `${assignmentText(assignment)} (${protocolType}/${protocolName})`
      this.#tell(`sync ${name}`, errorCode === Errors.NONE ? given : nameOf(errorCode))
    })
  }

  #heartbeat(
    name: string,
    options: Options,
    done = ({ errorCode }: { readonly errorCode: ErrorCode }): void =>
      this.#tell(`heartbeat ${name}`, nameOf(errorCode)),
  ): void {
    const body = {
      groupId: options.get('group') ?? 'shop',
      generationId: Number(options.get('gen') ?? this.#client(name).generation),
      memberId: this.#idOf(name, options),
      groupInstanceId: options.get('instance') ?? null,
    }
    this.lab.ask('Heartbeat', body, done)
  }

  /** `A`, `A/i1`: with its instance; `/i1`: an administrator names the instance. */
  #leave(words: readonly string[], options: Options): void {
    const members = words.map((word) => {
      const [name = '', instance] = word.split('/')
      const memberId = name === '' ? '' : this.#client(name).memberId || name
      return { memberId, groupInstanceId: instance ?? null, reason: null }
    })
    const version = Number(options.get('v') ?? 5)
    const [only] = members
    const body = { groupId: options.get('group') ?? 'shop', memberId: only?.memberId ?? '', members }
    this.lab.ask('LeaveGroup', body, (response) => this.#tell('leave', leaveText(response)), { version })
  }

  /** All join, and share the partitions of `foo` one by one. */
  #stable(words: readonly string[], options: Options): void {
    this.#isQuiet = true
    const all = words.map((word) => word.split('/') as [string, string?])
    for (const [name, instance] of all) {
      const own = new Map([...options, ...(instance === undefined ? [] : [['instance', instance] as const])])
      this.#join(name, own)
      if (instance === undefined) this.#join(name, own)
    }
    this.lab.run(2 * this.lab.config['group.initial.rebalance.delay.ms'])
    const [protocol = 'range'] = options.get('protocols')?.split(',') ?? []
    const given = new Map(all.map(([name], at) => [name, `foo:${at}`]))
    all.forEach(([name, instance], at) => {
      const own = instance === undefined ? [] : [['instance', instance] as const]
      this.#sync(name, new Map([...(at === 0 ? given : []), ...own, ['protocol', protocol]]))
    })
    this.#isQuiet = false
    this.#administer('describe', [], new Map())
  }

  // ── KIP-848 ───────────────────────────────────────────────────────────────────────────────────────────────────────

  #beatBody(name: string, options: Options) {
    const epoch = Number(options.get('epoch') ?? this.#client(name).epoch)
    const isJoining = epoch === 0
    const owned = options.get('owned')
    return {
      groupId: options.get('group') ?? 'shop',
      memberId: options.get('as') ?? (this.#client(name).memberId || name),
      memberEpoch: epoch,
      instanceId: options.get('instance') ?? null,
      rackId: options.get('rack') ?? null,
      rebalanceTimeoutMs: Number(options.get('rebalance') ?? (isJoining ? 5_000 : -1)),
      subscribedTopicNames:
        options
          .get('topics')
          ?.split(',')
          .filter((one) => one !== '') ?? null,
      subscribedTopicRegex: options.get('regex') ?? null,
      serverAssignor: options.get('assignor') ?? null,
      topicPartitions: owned === undefined ? (isJoining ? [] : null) : partitions(owned.replaceAll(';', ' ')),
    }
  }

  #beat(name: string, options: Options): void {
    const version = Number(options.get('v') ?? 1)
    const clientId = options.get('client') ?? 'client'
    const answered = (response: ConsumerGroupHeartbeatResponse): void => {
      this.#learn(name, response)
      this.#tell(`beat ${name}`, beatText(response))
    }
    this.#asker = name
    this.lab.ask('ConsumerGroupHeartbeat', this.#beatBody(name, options), answered, { version, clientId })
  }

  #learn(name: string, { errorCode, memberEpoch, assignment, memberId }: ConsumerGroupHeartbeatResponse): void {
    if (memberId !== null) this.#name(name, memberId)
    if (errorCode !== Errors.NONE) return
    const client = this.#client(name)
    if (memberId !== null && memberId !== name) this.#call(name, memberId)
    client.epoch = memberEpoch
    client.generation = memberEpoch
    if (assignment !== null) client.owned = partitionsText(assignment.topicPartitions)
  }

  #reconciled(words: readonly string[], options: Options): void {
    this.#isQuiet = true
    const all = words.map((word) => word.split('/') as [string, string?])
    const beat = ([name, instance]: [string, string?], more: readonly (readonly [string, string])[]): void =>
      this.#beat(name, new Map([...(instance === undefined ? [] : [['instance', instance] as const]), ...more]))
    for (const one of all) beat(one, [['topics', 'foo'], ...options])
    for (let round = 0; round < 4; round++) {
      for (const one of all) {
        const { owned } = this.#client(one[0])
        beat(one, [['owned', owned === '-' ? '' : owned.replaceAll(' ', ';')]])
      }
    }
    this.#isQuiet = false
    this.#administer('describe-consumer', [], new Map())
  }

  // ── offsets ───────────────────────────────────────────────────────────────────────────────────────────────────────

  #commit(words: readonly string[], options: Options): void {
    const [, name = ''] = /^([^=]+)$/.exec(words[0] ?? '') ?? []
    const topics = words
      .filter((word) => word.includes('='))
      .map((word) => {
        const [partition = '', told = ''] = word.split('=')
        const { topic, index } = parsePartition(partition) ?? { topic: partition, index: 0 }
        const [offset, metadata] = told.split(':')
        const one = {
          partitionIndex: index,
          committedOffset: Number(offset),
          committedLeaderEpoch: Number(options.get('leaderEpoch') ?? -1),
          committedMetadata: metadata ?? null,
        }
        return { name: topic, topicId: idOf(options.get('id') ?? topic), partitions: [one] }
      })
    const generation = Number(options.get('gen') ?? (name === '' ? -1 : this.#client(name).generation))
    const memberId =
      name === '' ? '' : options.has('as') ? this.#idOf(name, options) : this.#client(name).memberId || name
    const groupId = options.get('group') ?? 'shop'
    const groupInstanceId = options.get('instance') ?? null
    const producer = options.get('producer')
    const answered = (response: { readonly topics: readonly TopicErrors[] }): void => {
      const all = response.topics.flatMap(({ name: topic, partitions: codes }, at) =>
        codes.map(({ partitionIndex, errorCode }) => {
          return `${topic || topics[at]?.name}-${partitionIndex} ${nameOf(errorCode)}`
        }),
      )
      this.#tell(name === '' ? 'commit' : `commit ${name}`, all.join(', '))
    }
    if (producer !== undefined) {
      const body = {
        transactionalId: 'tx',
        groupId,
        producerId: Number(producer),
        producerEpoch: 0,
        generationId: generation,
      }
      return this.lab.ask('TxnOffsetCommit', { ...body, memberId, groupInstanceId, topics }, answered, { version: 5 })
    }
    const version = Number(options.get('v') ?? (options.has('id') ? 10 : 9))
    const retentionTimeMs = Number(options.get('retention') ?? -1)
    const body = { groupId, generationIdOrMemberEpoch: generation, memberId, groupInstanceId, retentionTimeMs, topics }
    this.lab.ask('OffsetCommit', body, answered, { version })
  }

  #fetch(words: readonly string[], options: Options): void {
    const asked = words.filter((word) => /-\d+$/.test(word))
    const name = words.find((word) => !asked.includes(word) && word !== 'all' && word !== 'stable')
    const byTopic = new Map<string, number[]>()
    for (const word of asked) {
      const { topic, index } = parsePartition(word) ?? { topic: word, index: 0 }
      byTopic.set(topic, [...(byTopic.get(topic) ?? []), index])
    }
    const topics = [...byTopic].map(([topic, partitionIndexes]) => {
      return { name: topic, topicId: idOf(options.get('id') ?? topic), partitionIndexes }
    })
    const memberId = name === undefined ? null : (options.get('as') ?? (this.#client(name).memberId || name))
    const memberEpoch = Number(options.get('epoch') ?? (name === undefined ? -1 : this.#client(name).epoch))
    const groupId = options.get('group') ?? 'shop'
    const group = { groupId, memberId, memberEpoch, topics: words.includes('all') ? null : topics }
    const body = { groupId: '', topics: null, groups: [group], requireStable: words.includes('stable') }
    const version = options.has('id') ? 10 : 9
    this.lab.ask('OffsetFetch', body, (response) => this.#tell('fetch', fetchText(response, options.has('id'))), {
      version,
    })
  }

  // ── administration ────────────────────────────────────────────────────────────────────────────────────────────────

  #administer(name: string, words: readonly string[], options: Options): void {
    const groupId = options.get('group') ?? 'shop'
    const includeAuthorizedOperations = false
    switch (name) {
      case 'delete':
        return this.lab.ask('DeleteGroups', { groupsNames: [groupId] }, ({ results }) => {
          this.#tell(name, results.map(({ errorCode }) => nameOf(errorCode)).join())
        })
      case 'delete-offsets': {
        const topics = words.map((word) => {
          const { topic, index } = parsePartition(word) ?? { topic: word, index: 0 }
          return { name: topic, partitions: [{ partitionIndex: index }] }
        })
        return this.lab.ask('OffsetDelete', { groupId, topics }, ({ errorCode, topics: answered }) => {
          const each = answered.flatMap(({ name: topic, partitions: codes }) =>
            codes.map(({ partitionIndex, errorCode: code }) => `${topic}-${partitionIndex} ${nameOf(code)}`),
          )
          this.#tell(name, errorCode === Errors.NONE ? each.join(', ') : nameOf(errorCode))
        })
      }
      case 'describe': {
        const version = Number(options.get('v') ?? 6)
        const body = { groups: [groupId], includeAuthorizedOperations }
        const answered = ({ groups }: { readonly groups: readonly DescribedClassic[] }): void => {
          for (const group of groups) this.#tell(`describe ${groupId}`, describeText(group))
        }
        return this.lab.ask('DescribeGroups', body, answered, { version })
      }
      case 'describe-consumer':
        return this.lab.ask(
          'ConsumerGroupDescribe',
          { groupIds: [groupId], includeAuthorizedOperations },
          ({ groups }) => {
            for (const group of groups) this.#tell(`describe ${groupId}`, describeConsumerText(group))
          },
        )
      case 'list': {
        const filter = (key: string): string[] => options.get(key)?.split(',') ?? []
        const body = { statesFilter: filter('states'), typesFilter: filter('types') }
        return this.lab.ask('ListGroups', body, ({ groups }) => {
          const each = groups.map(
            (group) => `${group.groupId} (${group.groupType}, ${group.groupState}, ${group.protocolType || '-'})`,
          )
          this.#tell(name, each.join(', ') || 'none')
        })
      }
      default:
        throw new Error(`unknown command ${name}`)
    }
  }
}

/** `foo:0,1;bar:2` */
function assignmentBytes(text: string): Uint8Array {
  const given = text
    .split(';')
    .filter((word) => word !== '')
    .map((word) => {
      const [topic = '', indexes = ''] = word.split(':')
      return { topic, partitions: indexes.split(',').map(Number) }
    })
  return writeAssignment(given, 1)
}
