/**
 * Fake brokers, a real ensemble of one server (z1), and old consumers in group `shop` whose ids are `shop_` and their node's name.
 *
 * `story` writes down what became of the group's znodes, as z1 applied it, and what consumers told.
 */

import { existsSync, readFileSync, writeFileSync } from 'node:fs'
import { expect } from 'vitest'
import type { MessageStream } from '../../../sim/client/zookeeper-consumer/message-stream.js'
import { parseZookeeperConsumerConfig } from '../../../sim/client/zookeeper-consumer/zookeeper-consumer-config.js'
import {
  type StreamsError,
  ZookeeperConsumerConnector,
} from '../../../sim/client/zookeeper-consumer/zookeeper-consumer-connector.js'
import type { Env } from '../../../sim/kernel/env.js'
import type { TraceEvent } from '../../../sim/kernel/events.js'
import type { CreateMode, SessionClient } from '../../../sim/zookeeper/api.js'
import { ZooKeeperClient } from '../../../sim/zookeeper/client/zookeeper-client.js'
import { BrokerIdZnode, encodeText, TopicZnode } from '../../../sim/zookeeper/kafka/znodes.js'
import { writeMyId } from '../../../sim/zookeeper/storage/epoch-files.js'
import { bootZooKeeper } from '../../../sim/zookeeper/zookeeper-server.js'
import type { FaultHandle } from '../../../sim/world/fault-rule.js'
import { Lab } from '../lab.js'

const SERVER = 'z1'

/** A member of the group: an application that takes whatever comes, at once. */
export interface Member {
  readonly connector: ZookeeperConsumerConnector
  /** `orders-0@3`, in the order in which they were handed over. */
  readonly got: string[]
  outcome: StreamsError | 'reading' | 'creating' | 'ended'
}

export class OldLab extends Lab {
  #operator: SessionClient | undefined
  #told = 0

  constructor(partitions: number, brokers = 1, leaders: readonly number[] = []) {
    super(brokers, 'old-consumer')
    const boot = bootZooKeeper({ config: {}, members: [{ sid: 1, node: SERVER, role: 'participant' }] })
    writeMyId(this.world.addNode(SERVER, boot).mount(), 1)
    this.world.node(SERVER).disk.settle()
    this.world.start(SERVER)
    this.client('operator', (env) => {
      const listener = { onConnected() {}, onDisconnected() {}, onExpired() {}, onWatch() {} }
      this.#operator = new ZooKeeperClient(env, { servers: [SERVER], sessionTimeoutMs: 40_000 }, listener)
    })
    this.after(3_000)
    for (const path of ['/consumers', '/brokers', '/brokers/ids', '/brokers/topics']) this.create(path, '')
    for (const host of this.brokers) {
      const data = BrokerIdZnode.encode({ host, port: 9092, rack: null }, 0)
      this.create(`/brokers/ids/${host.slice(1)}`, data)
    }
    this.topic('orders', partitions, leaders)
    this.create('/brokers/topics/orders', this.#topicData(partitions))
    this.after(2_000)
    this.#told = this.events.length
  }

  get zookeeper(): SessionClient {
    return this.#operator as SessionClient
  }

  create(path: string, data: string | Uint8Array, mode: CreateMode = 'PERSISTENT'): void {
    this.zookeeper.create(path, typeof data === 'string' ? encodeText(data) : data, mode, () => undefined)
  }

  /** As the controller does when partitions are added. */
  addPartitions(count: number): void {
    const leaders = this.topics.get('orders')?.partitions.map(({ leader }) => leader) ?? []
    const kept = this.topics.get('orders')?.partitions ?? []
    this.topic('orders', count, leaders).partitions.splice(0, kept.length, ...kept)
    this.zookeeper.setData('/brokers/topics/orders', this.#topicData(count), -1, () => undefined)
  }

  /** What is in a znode now. */
  read(path: string): string | undefined {
    let text: string | undefined
    this.zookeeper.getData(path, false, (answer) => {
      if (answer.ok) text = new TextDecoder().decode(answer.data ?? new Uint8Array())
    })
    this.after(20)
    return text
  }

  /** Starts a member on node `name`; one that is idle never takes anything. */
  member(name: string, config: Readonly<Record<string, unknown>> = {}, isIdle = false): Member {
    let member: Member | undefined
    const parsed = parseZookeeperConsumerConfig({ 'group.id': 'shop', 'auto.offset.reset': 'smallest', ...config })
    this.client(name, (env: Env) => {
      const connector = new ZookeeperConsumerConnector(env, parsed, [SERVER], { consumerId: `shop_${name}` })
      const made: Member = { connector, got: [], outcome: 'creating' }
      connector.createMessageStreams(new Map([['orders', 1]]), (result) => {
        made.outcome = typeof result === 'string' ? result : 'reading'
        if (typeof result !== 'string' && !isIdle)
          for (const stream of result.get('orders') ?? []) takeAll(made, stream)
      })
      member = made
      return made
    })
    return member as Member
  }

  /** Znodes of the group and what its members told since the last call, as lines. */
  story(): string[] {
    const lines = this.events.slice(this.#told).flatMap((event) => {
      const text = lineOf(event)
      return text === undefined ? [] : [`${(event.time / 1_000_000).toFixed(3)} ${text}`]
    })
    this.#told = this.events.length
    return lines
  }

  /** Cuts a member off from the ensemble, not from the brokers. */
  cutOff(name: string): FaultHandle {
    return this.world.network.partition([[name], [SERVER]])
  }

  #topicData(partitions: number): Uint8Array {
    const one = { replicas: [1], adding: [], removing: [] }
    const assignment = new Map(Array.from({ length: partitions }, (_, index) => [index, one] as const))
    return TopicZnode.encode({ topicId: undefined, assignment })
  }
}

function takeAll(member: Member, stream: MessageStream): void {
  for (let taken = stream.take(Infinity); ; taken = stream.take(Infinity)) {
    if (taken.type === 'records') {
      for (const { topic, index, offset } of taken.records) member.got.push(`${topic}-${index}@${offset}`)
    } else {
      if (taken.type === 'nothing') stream.onMore(() => takeAll(member, stream))
      else member.outcome = 'ended'
      return
    }
  }
}

function lineOf(event: TraceEvent): string | undefined {
  const { node } = event
  switch (event.type) {
    case 'zk.znode': {
      const { path, change, owner } = event.data
      if (!path.startsWith('/consumers/')) return undefined
      return `${node}   ${change} ${path}${change === 'created' && !/^0x0+$/.test(owner) ? ' (ephemeral)' : ''}`
    }
    case 'zk.client':
      return node.startsWith('g') ? `${node}   session ${event.data.to}` : undefined
    case 'consumer.member':
      return `${node}   ${event.data.from} → ${event.data.to}: ${event.data.reason}`
    case 'consumer.assigned':
      return `${node}   owns ${event.data.owned.join(' ') || 'nothing'}`
    case 'consumer.revoked':
      return `${node}   ${event.data.how} ${event.data.partitions.join(' ')}`
    case 'consume.position':
      return `${node}   position ${event.data.partition} ${event.data.from} to ${event.data.to} ${event.data.reason}`
    case 'consume.polled':
      return `${node}   reads ${event.data.partition}@${event.data.offsets.join(' ')}`
    case 'consume.failed':
      return `${node}   failed ${event.data.partition} ${event.data.error}`
    case 'consumer.commit':
      return `${node}   commits ${event.data.partitions.map((p, i) => `${p}@${event.data.offsets[i]}`).join(' ')} (${event.data.how})`
    case 'consumer.committed':
      return `${node}   commit ${event.data.outcome}`
    default:
      return undefined
  }
}

/** Conversations are compared to the letter with golden/*.txt; UPDATE=1 rewrites them. */
export class OldStory {
  readonly lines: string[] = []
  readonly #lab: OldLab

  constructor(lab: OldLab) {
    this.#lab = lab
  }

  /** What went on so far, then what the script does next. */
  does(what: string): void {
    this.lines.push(...this.#lab.story(), `# ${what}`)
  }

  /** A znode's content, as it is now. */
  shows(path: string): void {
    this.lines.push(...this.#lab.story(), `${path} holds ${this.#lab.read(path) ?? 'nothing'}`)
  }

  is(name: string): void {
    const text = `${[...this.lines, ...this.#lab.story()].join('\n')}\n`
    const file = new URL(`golden/${name}.txt`, import.meta.url)
    if (process.env['UPDATE'] === '1') writeFileSync(file, text)
    expect(existsSync(file), `${file.pathname} is missing: run with UPDATE=1`).toBe(true)
    expect(text).toBe(readFileSync(file, 'utf8'))
  }
}
