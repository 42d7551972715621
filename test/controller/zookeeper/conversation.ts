/**
 * Golden conversations with controllers of ZooKeeper mode: a text of commands, each followed by what it led to.
 *
 *   start 1 2 3 [setting=value …]            brokers with their controllers, one after the other
 *   topic t 0:1,2,3 1:2,3,1 [setting=value]  somebody writes a topic's znode
 *   die 2 · restart 2                        a process dies, its session with it; it comes back
 *   bounce 2                                 it dies and is back before anybody looked: a new czxid
 *   remove /path · put /path {json}          somebody else's hand in ZooKeeper
 *   expire 1 · expire-unseen 1               a session is over, and its client is told, or not yet
 *   deaf 1                                   its watches are not heard any more
 *   isr t-0 1,2 [from=1] [e=0] [v=0] [epoch=…] [topic=id] [recovering] [member-epochs=…]   AlterPartition to the active controller (or `to=1`)
 *   cas t-0 1,2 v=0                          a leader before 2.7 changes its ISR by itself
 *   shutdown 2 · reassign t-0 3,2|cancel · elect preferred|unclean t-0 · delete t
 *   hold StopReplica b2 [from=1] · release   requests to a broker stay under way, and arrive
 *   trace +reads -requests …                 what is shown: reads, writes, requests, answers, events
 *   run ms · state t-0 · show /path
 *
 * Lines are those of the node that does it: reads and writes in ZooKeeper with their outcome, `→` requests to brokers with their answers, and events.
 */

import type { Hosted, MembershipHost } from '../../../sim/broker/membership.js'
import { ControlRequests } from '../../../sim/broker/zookeeper/control-requests.js'
import type { NodeId } from '../../../sim/kernel/units.js'
import type { Apis } from '../../../sim/wire/apis.js'
import { errorName } from '../../../sim/wire/errors.js'
import type { Op } from '../../../sim/zookeeper/api.js'
import { decodeText, Path, topicPartition } from '../../../sim/zookeeper/kafka/znodes.js'
import { describeEvent } from '../../../reports/describe-event.js'
import { ControllerLab, type Sent } from './controller-lab.js'

type Kind = 'reads' | 'writes' | 'requests' | 'events' | 'answers'

const EVENTS: ReadonlySet<string> = new Set([
  'zk-controller.elected',
  'zk-controller.failed',
  'zk-control.refused',
  'controller.resigned',
  'controller.broker',
])

/** What a broker does with what it is told: it hosts what it is given. */
class PlayedBroker {
  readonly control: ControlRequests
  readonly #hosted = new Map<string, Hosted>()

  constructor(lab: ControllerLab, id: NodeId) {
    const broker = lab.broker(id)
    const host: Partial<MembershipHost> = {
      setImage: () => {},
      onTopicsDeleted: () => {},
      hosted: (topic, index) => this.#hosted.get(`${topic}-${index}`) ?? { kind: 'none' },
      changeRoles: (leaders, followers) => {
        for (const { topic, topicId, partition, image } of [...leaders, ...followers]) {
          this.#hosted.set(`${topic}-${partition}`, { kind: 'online', topicId, leaderEpoch: image.leaderEpoch })
        }
        return new Set()
      },
      stopReplicas: (stopped) => {
        for (const { topic, index } of stopped) this.#hosted.delete(`${topic}-${index}`)
      },
    }
    this.control = new ControlRequests(lab.env(`b${id}`), {
      brokerId: id,
      brokerEpoch: () => broker.brokerEpoch,
      host: host as MembershipHost,
      metadata: broker.metadata,
      // oxlint-disable-next-line require-yield
      readTopicConfigs: function* () {},
      onMetadata: () => {},
    })
  }
}

export class Conversation {
  readonly #lab = new ControllerLab()
  readonly #played = new Map<NodeId, PlayedBroker>()
  readonly #shown = new Set<Kind>(['writes', 'requests', 'events', 'answers'])
  #config: Record<string, unknown> = {}
  #lines: string[] = []
  #hold: { readonly api: string; readonly to: string; readonly from: unknown } | undefined
  #held: Sent[] = []

  constructor() {
    const { ensemble } = this.#lab
    ensemble.onCall = (node, op, path, outcome, ops) => this.#called(node, op, path, outcome, ops)
    this.#lab.onEvent = (event) => {
      if (EVENTS.has(event.type)) this.#tell('events', `${event.node} ${describeEvent(event)}`)
    }
    this.#lab.answer = (sent) => this.#answer(sent)
  }

  run(command: string): string[] {
    this.#lines = []
    const [verb = '', ...words] = command.split(' ')
    const action = this.#actions[verb]
    if (action === undefined) throw new Error(`no such command: ${command}`)
    action(words)
    this.#lab.run(verb === 'run' ? Number(words[0]) : 100)
    return this.#lines.map((line) => `  ${line}`)
  }

  #tell(kind: Kind, line: string): void {
    if (this.#shown.has(kind)) this.#lines.push(line)
  }

  // ── commands ──────────────────────────────────────────────────────────────────────────────────────────────────────

  readonly #actions: Readonly<Record<string, (words: readonly string[]) => void>> = {
    start: (words) => {
      const { given, rest } = options(words)
      this.#config = { ...this.#config, ...given }
      for (const id of rest.map(Number)) {
        this.#lab.start([id], this.#config)
      }
    },
    topic: ([name = '', ...words]) => {
      const { given, rest } = options(words)
      const assignment = Object.fromEntries(
        rest.map((word) => [Number(word.split(':')[0]), numbers(word.split(':')[1])]),
      )
      this.#lab.topic(name, assignment, Object.keys(given).length > 0 ? (given as Record<string, string>) : undefined)
    },
    die: ([id]) => void this.#lab.die(Number(id)),
    restart: ([id]) => {
      this.#played.delete(Number(id))
      this.#lab.start([Number(id)], this.#config)
    },
    bounce: ([id]) => {
      this.#played.delete(Number(id))
      this.#lab.bounce(Number(id))
    },
    remove: ([path = '']) => this.#lab.ensemble.remove(path),
    put: ([path = '', ...json]) => this.#lab.ensemble.put(path, json.length === 0 ? null : JSON.parse(json.join(' '))),
    expire: ([id]) => this.#lab.broker(Number(id)).session.expire(),
    'expire-unseen': ([id]) => this.#lab.broker(Number(id)).session.expire(false),
    'tell-expired': ([id]) => this.#lab.broker(Number(id)).session.tellExpired(),
    deaf: ([id]) => {
      this.#lab.broker(Number(id)).session.fire = () => {}
    },
    isr: (words) => this.#alterPartition(words),
    cas: (words) => this.#compareAndSet(words),
    shutdown: ([id]) => {
      const { brokerEpoch } = this.#lab.broker(Number(id))
      this.#lab.controller.controlledShutdown({ brokerId: Number(id), brokerEpoch }, (response) => {
        const left = response.remainingPartitions.map(
          ({ topicName, partitionIndex }) => `${topicName}-${partitionIndex}`,
        )
        this.#tell(
          'answers',
          `b${id} ControlledShutdown: ${errorName(response.errorCode)}, ${left.join(' ') || 'nothing'} left`,
        )
      })
    },
    reassign: (words) => this.#reassign(words),
    elect: ([type = '', partition = '']) => this.#elect(type, partition),
    delete: ([topic = '']) => this.#lab.ensemble.put(Path.deleteTopic(topic), null),
    hold: (words) => {
      const { given, rest } = options(words)
      const [api = '', to = ''] = rest
      this.#hold = { api, to, from: given['from'] }
    },
    release: () => {
      this.#hold = undefined
      for (const sent of this.#held.splice(0)) this.#deliver(sent)
    },
    trace: (words) => {
      for (const word of words) {
        if (word.startsWith('-')) this.#shown.delete(word.slice(1) as Kind)
        else this.#shown.add(word.slice(1) as Kind)
      }
    },
    run: () => {},
    state: ([partition = '']) => {
      const { topic, index } = parse(partition)
      this.#lines.push(`${partition}: ${this.#lab.state(topic, index)}`)
    },
    show: ([path = '']) => {
      const node = this.#lab.ensemble.znodes.get(path)
      const children = this.#lab.ensemble.children(path)
      if (node === undefined) return void this.#lines.push(`${path}: none`)
      const text = this.#lab.ensemble.text(path) ?? ''
      const words = [text, ...(children.length > 0 ? [`[${children.join(' ')}]`] : []), `v${node.stat.version}`]
      this.#lines.push(`${path}: ${words.filter((word) => word !== '').join(' ')}`)
    },
  }

  #alterPartition([name = '', isr = '', ...words]: readonly string[]): void {
    const { given } = options(words)
    const { topic, index } = parse(name)
    const [leader = '', epoch = '', , version = ''] = this.#lab.state(topic, index).split(' ')
    const from = Number(given['from'] ?? leader)
    const to = given['to'] === undefined ? this.#lab.controller : this.#lab.broker(Number(given['to'])).server
    const memberEpochs = String(given['member-epochs'] ?? '')
      .split(',')
      .filter((word) => word !== '')
      .map(Number)
    const body: Apis['AlterPartition']['request'] = {
      brokerId: from,
      brokerEpoch: Number(given['epoch'] ?? this.#lab.broker(from)?.brokerEpoch ?? -1),
      topics: [
        {
          topicId: String(given['topic'] ?? `${topic}-id`.padEnd(22, 'A').slice(0, 22)),
          partitions: [
            {
              partitionIndex: index,
              leaderEpoch: Number(given['e'] ?? (epoch.slice(1) || 0)),
              newIsr: [],
              newIsrWithEpochs: numbers(isr).map((brokerId, at) => ({ brokerId, brokerEpoch: memberEpochs[at] ?? -1 })),
              leaderRecoveryState: given['recovering'] === undefined ? 0 : 1,
              partitionEpoch: Number(given['v'] ?? (version.slice(1) || 0)),
            },
          ],
        },
      ],
    }
    to.alterPartition(body, 3, ({ errorCode, topics }) => {
      const [one] = topics[0]?.partitions ?? []
      const answer =
        one === undefined
          ? errorName(errorCode)
          : one.errorCode !== 0
            ? errorName(one.errorCode)
            : `leader ${one.leaderId} e${one.leaderEpoch} ISR ${one.isr.join(',')} v${one.partitionEpoch}`
      this.#tell('answers', `b${from} AlterPartition ${name} to ${isr}: ${answer}`)
    })
  }

  #compareAndSet([name = '', isr = '', ...words]: readonly string[]): void {
    const { given } = options(words)
    const { topic, index } = parse(name)
    const [leader = '', epoch = '', , version = ''] = this.#lab.state(topic, index).split(' ')
    const broker = this.#lab.broker(Number(leader))
    const { control } = this.#player(Number(leader))
    const changes = this.#lab.isrChanges(broker, () => control.decidedBy(name))
    const wanted = {
      leader: Number(leader),
      leaderEpoch: Number(epoch.slice(1)),
      isr: numbers(isr).map((brokerId) => ({ brokerId, brokerEpoch: -1 })),
      leaderRecoveryState: 0,
      partitionEpoch: Number(given['v'] ?? version.slice(1)),
    } as const
    changes.submit({ topic, topicId: '', index }, wanted, (result) => {
      this.#tell(
        'answers',
        `b${leader} ISR of ${name} to ${isr}: ${result.ok ? `v${result.partitionEpoch}` : errorName(result.error)}`,
      )
    })
  }

  #reassign(words: readonly string[]): void {
    const { given, rest } = options(words)
    const [name = '', replicas = ''] = rest
    const to = given['to'] === undefined ? this.#lab.controller : this.#lab.broker(Number(given['to'])).server
    const { topic, index } = parse(name)
    const target = replicas === 'cancel' ? null : numbers(replicas)
    const topics = [{ name: topic, partitions: [{ partitionIndex: index, replicas: target }] }]
    const body = { timeoutMs: 1_000, allowReplicationFactorChange: true, topics }
    to.handle('AlterPartitionReassignments', body, undefined, (response) => {
      const errors = response?.responses.flatMap(({ partitions }) =>
        partitions.map(({ errorCode }) => errorName(errorCode)),
      )
      this.#tell('answers', `AlterPartitionReassignments: ${errors?.join(' ')}`)
    })
  }

  #elect(type: string, name: string): void {
    const { topic, index } = parse(name)
    const topicPartitions = [{ topic, partitions: [index] }]
    const body = { electionType: type === 'preferred' ? 0 : 1, topicPartitions, timeoutMs: 1_000 }
    this.#lab.controller.handle('ElectLeaders', body, undefined, (response) => {
      const results = response?.replicaElectionResults.flatMap(({ partitionResult }) => partitionResult)
      this.#tell(
        'answers',
        `ElectLeaders ${type} ${name}: ${results?.map(({ errorCode }) => errorName(errorCode)).join(' ')}`,
      )
    })
  }

  /** A process that has just started hosts nothing. */
  #player(id: NodeId): PlayedBroker {
    const player = this.#played.get(id) ?? new PlayedBroker(this.#lab, id)
    this.#played.set(id, player)
    return player
  }

  // ── what is told ──────────────────────────────────────────────────────────────────────────────────────────────────

  #called(node: string, op: string, path: string, outcome: string, ops: readonly Op[]): void {
    if (op === 'exists' || op === 'getData' || op === 'getChildren') {
      const words = { exists: 'looks for', getData: 'reads', getChildren: 'lists' }
      return this.#tell('reads', `${node} ${words[op]} ${path}${outcome === 'OK' ? '' : ` ${outcome}`}`)
    }
    const guard = ops.find((one) => one.op === 'check')
    const rest = ops.filter((one) => one !== guard).map(describeOp)
    const refusal = outcome === 'OK' ? '' : ` → ${outcome}`
    const checked = guard?.op === 'check' ? ` if ${guard.path} v${guard.version}` : ''
    this.#tell('writes', `${node} ${rest.join('; ')}${checked}${refusal}`)
  }

  #answer(sent: Sent): object | undefined {
    const isFrom = this.#hold?.from === undefined || Number(this.#hold.from) === sent.from
    if (this.#hold?.api === sent.api && this.#hold.to === sent.to && isFrom) {
      this.#tell('requests', `${describeRequest(sent)}, under way`)
      this.#held.push(sent)
      return undefined
    }
    return this.#deliver(sent)
  }

  #deliver(sent: Sent): object | undefined {
    this.#tell('requests', describeRequest(sent))
    const { control } = this.#player(Number(sent.to.slice(1)))
    let answer: object | undefined
    const handle = control.handlers[sent.api] as ((request: object) => void) | undefined
    handle?.({ api: sent.api, body: sent.body, respond: (response: object) => (answer = response) })
    return answer ?? this.#lab.wellDone(sent)
  }
}

function describeOp(op: Op): string {
  if (op.op === 'check') return `checks ${op.path} v${op.version}`
  if (op.op === 'delete') return `deletes ${op.path}`
  const data =
    op.data === null ? '' : ` ${decodeText(op.data).replaceAll(/"(timestamp|endpoints)":("[^"]*"|\[[^\]]*\]),?/g, '')}`
  if (op.op === 'create')
    return `creates ${op.path}${op.mode === 'PERSISTENT' ? '' : ` (${op.mode.toLowerCase().replaceAll('_', ' ')})`}${data}`
  return `writes ${op.path}${op.version < 0 ? '' : ` v${op.version}`}${data}`
}

function describeRequest({ from, to, api, body }: Sent): string {
  const head = `b${from} → ${to} ${api}, controller epoch ${body.controllerEpoch}, broker epoch ${body.brokerEpoch}`
  const partitions = body.topicStates.flatMap((topic) =>
    topic.partitionStates.map((state) => `${topic.topicName}-${state.partitionIndex} ${describeState(state as never)}`),
  )
  const live = 'liveBrokers' in body ? [`alive ${body.liveBrokers.map(({ id }) => id).join(',')}`] : []
  return [head, ...live, ...partitions].join('; ')
}

interface State {
  readonly leader?: number
  readonly leaderEpoch: number
  readonly isr?: readonly number[]
  readonly replicas?: readonly number[]
  readonly partitionEpoch?: number
  readonly zkVersion?: number
  readonly isNew?: boolean
  readonly deletePartition?: boolean
  readonly offlineReplicas?: readonly number[]
  readonly addingReplicas?: readonly number[]
  readonly removingReplicas?: readonly number[]
  readonly leaderRecoveryState?: number
}

function describeState(state: State): string {
  if (state.deletePartition !== undefined) return `e${state.leaderEpoch}${state.deletePartition ? ', delete' : ''}`
  const lists: readonly (readonly [string, readonly number[] | undefined])[] = [
    ['replicas', state.replicas],
    ['adding', state.addingReplicas],
    ['removing', state.removingReplicas],
    ['offline', state.offlineReplicas],
  ]
  const version = state.partitionEpoch ?? state.zkVersion
  const words = [`leader ${state.leader} e${state.leaderEpoch} ISR ${state.isr?.join(',')} v${version}`]
  for (const [word, list] of lists) if (list !== undefined && list.length > 0) words.push(`${word} ${list.join(',')}`)
  if (state.isNew === true) words.push('new')
  if (state.leaderRecoveryState === 1) words.push('recovering')
  return words.join(' ')
}

function options(words: readonly string[]): { given: Record<string, unknown>; rest: readonly string[] } {
  const given: Record<string, unknown> = {}
  const rest: string[] = []
  for (const word of words) {
    const at = word.indexOf('=')
    if (at > 0) given[word.slice(0, at)] = word.slice(at + 1)
    else if (word === 'recovering') given[word] = true
    else rest.push(word)
  }
  return { given, rest }
}

function numbers(text = ''): number[] {
  return text
    .split(',')
    .filter((word) => word !== '')
    .map(Number)
}

function parse(name: string): { topic: string; index: number } {
  const dash = name.lastIndexOf('-')
  return topicPartition(name.slice(0, dash), Number(name.slice(dash + 1)))
}
