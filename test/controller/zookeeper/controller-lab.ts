/** Controllers of ZooKeeper mode on an ensemble in memory; brokers that note what they are told, and answer that all is well. */

import { parseZooKeeperControllerConfig } from '../../../sim/controller/zookeeper/zk-controller-config.js'
import { ZkControllerServer } from '../../../sim/controller/zookeeper/zk-controller-server.js'
import { Engine } from '../../../sim/kernel/engine.js'
import type { Env } from '../../../sim/kernel/env.js'
import { InvariantError } from '../../../sim/kernel/errors.js'
import type { TraceEvent } from '../../../sim/kernel/events.js'
import { millis, type NodeId } from '../../../sim/kernel/units.js'
import type { Authorizer } from '../../../sim/kraft/metadata/authorizer.js'
import type { MetadataImage } from '../../../sim/kraft/metadata/image.js'
import { RequestAuthorizer } from '../../../sim/kraft/metadata/request-authorizer.js'
import { defaultsOf } from '../../../sim/kernel/config-def.js'
import { LOG_SETTINGS } from '../../../sim/log/log-config.js'
import type { Apis } from '../../../sim/wire/apis.js'
import type { RequestClient } from '../../../sim/wire/request-client.js'
import { ZkIsrChanges } from '../../../sim/broker/zookeeper/zk-isr-changes.js'
import { ZkMetadata } from '../../../sim/broker/zookeeper/zk-metadata.js'
import { KafkaZkClient } from '../../../sim/zookeeper/kafka/kafka-zk-client.js'
import { BrokerIdZnode, Path, PERSISTENT_PATHS } from '../../../sim/zookeeper/kafka/znodes.js'
import { FakeEnsemble, type FakeSession } from './fake-ensemble.js'

type ControlApi = 'LeaderAndIsr' | 'StopReplica' | 'UpdateMetadata'

export interface Sent {
  readonly from: NodeId
  readonly to: string
  readonly api: ControlApi
  readonly body: Apis[ControlApi]['request']
}

export class ControllerLab {
  readonly engine = new Engine('controller-lab')
  readonly ensemble = new FakeEnsemble()
  readonly events: TraceEvent[] = []
  readonly sent: Sent[] = []
  /** Of brokers that are started from now on. */
  authorizer: Authorizer | undefined
  onEvent: (event: TraceEvent) => void = () => {}
  readonly #nodes = new Map<NodeId, LabBroker>()
  /** Answers by default that all is well; undefined: never. */
  answer: (sent: Sent) => object | undefined = wellDone

  constructor() {
    this.engine.trace.watch('all', (event) => {
      this.events.push(event)
      this.onEvent(event)
    })
    for (const path of PERSISTENT_PATHS) this.ensemble.put(path, null)
  }

  /** Starts brokers with their controllers; the first one is elected. */
  start(ids: readonly NodeId[], config: Readonly<Record<string, unknown>> = {}): this {
    for (const id of ids) {
      const broker = new LabBroker(this, id, config)
      this.#nodes.set(id, broker)
      broker.start()
      this.run()
    }
    return this
  }

  broker(id: NodeId): LabBroker {
    return this.#nodes.get(id) as LabBroker
  }

  get active(): NodeId {
    return [...this.#nodes].find(([, { server, isDead }]) => server.isActive && !isDead)?.[0] ?? -1
  }

  get controller(): ZkControllerServer {
    return this.broker(this.active).server
  }

  /** Until nothing happens any more, at most for `ms`. */
  run(ms = 100): this {
    this.engine.run(this.engine.now + millis(ms))
    return this
  }

  topic(name: string, assignment: Readonly<Record<number, readonly NodeId[]>>, config?: Record<string, string>): this {
    if (config !== undefined) this.ensemble.put(Path.config('topics', name), { version: 1, config })
    const id = `${name}-id`.padEnd(22, 'A').slice(0, 22)
    const body = { version: 3, topic_id: id, partitions: assignment, adding_replicas: {}, removing_replicas: {} }
    this.ensemble.put(Path.topic(name), body)
    return this.run()
  }

  /** The broker's process dies: its session ends at once. */
  die(id: NodeId): this {
    this.broker(id).die()
    return this.run()
  }

  /** Dies, and is back before anybody looked: its znode is another. */
  bounce(id: NodeId): this {
    const { ensemble } = this
    const path = Path.brokerId(id)
    const node = ensemble.znodes.get(path)
    if (node === undefined) throw new Error(`lab: no broker ${id}`)
    ensemble.zxid++
    node.stat = { ...node.stat, czxid: ensemble.zxid }
    this.broker(id).brokerEpoch = ensemble.zxid
    ensemble.touchChildren(Path.brokerIds)
    return this.run()
  }

  /** A leader's own changes of the ISR, before 2.7. */
  isrChanges(broker: LabBroker, decidedBy: () => number): ZkIsrChanges {
    return new ZkIsrChanges(this.env(`b${broker.id}`), { zk: broker.zk, decidedBy })
  }

  wellDone(sent: Sent): object {
    return wellDone(sent)
  }

  /** `1 e0 [1,2] v0`: leader, leader epoch, ISR, version. */
  state(topic = 't', index = 0): string {
    const path = Path.state(topic, index)
    const json = this.ensemble.json(path) as { leader: number; leader_epoch: number; isr: number[] } | undefined
    if (json === undefined) return 'none'
    const version = this.ensemble.znodes.get(path)?.stat.version
    return `${json.leader} e${json.leader_epoch} [${json.isr.join(',')}] v${version}`
  }

  /** Requests since the last look: `LeaderAndIsr→b1 t-0`. */
  took(api?: ControlApi): string[] {
    const taken = this.sent.splice(0)
    return taken
      .filter((one) => api === undefined || one.api === api)
      .map((one) => `${one.api}→${one.to} ${partitionsOf(one.body).join(' ')}`.trim())
  }

  emitted(type: string): TraceEvent[] {
    return this.events.filter((event) => event.type === type)
  }

  env(node: string): Env {
    const { engine } = this
    const absent = (what: string): never => {
      throw new InvariantError(`lab: no ${what}`)
    }
    const nowMs = (): number => Math.floor(engine.now / 1_000)
    return {
      node,
      clock: { monotonicMs: nowMs, wallMs: () => 1_700_000_000_000 + nowMs() },
      random: engine.random.fork(node),
      get network() {
        return absent('network')
      },
      get disk() {
        return absent('disk')
      },
      after: (delay, fire) => {
        const timer = engine.schedule(engine.now + millis(delay), () => fire(), undefined)
        return { cancel: () => engine.cancel(timer) }
      },
      atWall: () => absent('atWall'),
      soon: (fire) => void engine.schedule(engine.now, fire, undefined),
      emit: (type, data) => engine.trace.emit(node, type, data),
      watched: (type) => engine.trace.watched(type),
      halt: (reason) => absent(`halt: ${reason}`),
    }
  }
}

export class LabBroker {
  readonly id: NodeId
  readonly server: ZkControllerServer
  readonly zk: KafkaZkClient
  readonly metadata = new ZkMetadata()
  session!: FakeSession
  brokerEpoch = -1
  readonly #lab: ControllerLab
  readonly #env: Env
  isDead = false

  constructor(lab: ControllerLab, id: NodeId, config: Readonly<Record<string, unknown>>) {
    this.id = id
    this.#lab = lab
    this.#env = lab.env(`b${id}`)
    this.zk = new KafkaZkClient({ connect: (listener) => (this.session = lab.ensemble.connect(this.#env, listener)) })
    const { register, zk } = this
    this.server = new ZkControllerServer(
      {
        env: this.#env,
        brokerId: id,
        zk,
        auth: new RequestAuthorizer(this.#env, this.#lab.authorizer),
        image: (): MetadataImage => this.metadata.image,
        topicDefaults: () => defaultsOf(LOG_SETTINGS),
        requests: () => this.#requests(),
        registerBroker: register,
      },
      parseZooKeeperControllerConfig(config, []),
    )
  }

  readonly register = function* (this: LabBroker) {
    const data = BrokerIdZnode.encode({ host: `b${this.id}`, port: 9092, rack: null }, 0)
    const stat = yield* this.zk.createCheckedEphemeral(Path.brokerId(this.id), data)
    this.brokerEpoch = stat.czxid
  }.bind(this)

  start(): void {
    this.#lab.run()
    this.#lab.ensemble.put(
      Path.brokerId(this.id),
      new TextDecoder().decode(BrokerIdZnode.encode({ host: `b${this.id}`, port: 9092, rack: null }, 0)),
    )
    const node = this.#lab.ensemble.znodes.get(Path.brokerId(this.id))
    if (node !== undefined) node.stat = { ...node.stat, ephemeralOwner: this.session.sessionId }
    this.brokerEpoch = node?.stat.czxid ?? -1
    this.server.start()
  }

  die(): void {
    this.isDead = true
    this.session.expire(false)
  }

  #requests(): RequestClient {
    const fake = {
      send: (to: string, api: ControlApi, body: never, done: (result: object) => void): void => {
        const sent: Sent = { from: this.id, to, api, body }
        if (this.isDead) return
        this.#lab.sent.push(sent)
        const broker = this.#lab.broker(Number(to.slice(1)))
        if (api === 'UpdateMetadata') broker?.metadata.update(body)
        const response = this.#lab.answer(sent)
        this.#env.soon(() => {
          if (api === 'UpdateMetadata') broker?.server.onMetadata()
          if (response !== undefined) done({ ok: true, response })
        })
      },
      disconnect: () => {},
      close: () => {},
    }
    return fake as unknown as RequestClient
  }
}

export function partitionsOf(body: Apis[ControlApi]['request']): string[] {
  return body.topicStates.flatMap(({ topicName, partitionStates }) =>
    partitionStates.map((state) => `${topicName}-${state.partitionIndex}`),
  )
}

function wellDone({ api, body }: Sent): object {
  if (api === 'UpdateMetadata') return { errorCode: 0 }
  if (api === 'LeaderAndIsr') return { errorCode: 0, topics: [] }
  const partitionErrors = (body as Apis['StopReplica']['request']).topicStates.flatMap(
    ({ topicName, partitionStates }) =>
      partitionStates.map(({ partitionIndex }) => ({ topicName, partitionIndex, errorCode: 0 })),
  )
  return { errorCode: 0, partitionErrors }
}

/** A leader asks for another ISR of t-0. */
export function alterIsr(
  isr: readonly number[],
  leaderEpoch: number,
  partitionEpoch: number,
  brokerEpoch: number,
  brokerId = 1,
  topicId = 't-idAAAAAAAAAAAAAAAAAA',
): Apis['AlterPartition']['request'] {
  const newIsrWithEpochs = isr.map((id) => ({ brokerId: id, brokerEpoch: -1 }))
  const partition = {
    partitionIndex: 0,
    leaderEpoch,
    newIsr: [],
    newIsrWithEpochs,
    leaderRecoveryState: 0,
    partitionEpoch,
  }
  return { brokerId, brokerEpoch, topics: [{ topicId, partitions: [partition] }] }
}
