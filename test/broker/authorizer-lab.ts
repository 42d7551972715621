/**
 * One broker and one controller with an authorizer, and clients that send single requests: `alice`, `mallory`, `root` (a super user).
 *
 * A request is given by what differs from the API's defaults.
 */

import { parseAcl, parseRevocation } from '../../sim/cluster/acl-text.js'
import { Cluster, CLUSTER_PRINCIPAL } from '../../sim/cluster/cluster.js'
import type { RawConfig } from '../../sim/cluster/cluster-spec.js'
import { Engine } from '../../sim/kernel/engine.js'
import type { Env } from '../../sim/kernel/env.js'
import type { EventOf } from '../../sim/kernel/events.js'
import type { NodeName } from '../../sim/kernel/names.js'
import { millis } from '../../sim/kernel/units.js'
import { STANDARD_AUTHORIZER } from '../../sim/kraft/metadata/authorizer-config.js'
import { apiOf, type ApiName, type Apis, maxVersion } from '../../sim/wire/apis.js'
import { errorName } from '../../sim/wire/errors.js'
import type { WireMode } from '../../sim/wire/frame.js'
import { RequestClient } from '../../sim/wire/request-client.js'

export const AUTHORIZER = { 'authorizer.class.name': STANDARD_AUTHORIZER }

const CLIENTS: Readonly<Record<string, string>> = {
  alice: 'User:alice',
  mallory: 'User:mallory',
  root: CLUSTER_PRINCIPAL,
}

export interface LabOptions {
  readonly config?: RawConfig
  readonly topics?: readonly string[]
  readonly wire?: WireMode
}

export interface AskOptions {
  readonly from?: NodeName
  readonly to?: NodeName
  readonly version?: number
}

export class AuthorizerLab {
  readonly engine = new Engine('authorizer')
  readonly denied: EventOf<'acl.denied'>['data'][] = []
  readonly cluster: Cluster
  readonly topicIds = new Map<string, string>()
  readonly #clients = new Map<NodeName, RequestClient>()

  constructor({ config = AUTHORIZER, topics = ['orders', 'logs'], wire = 'reference' }: LabOptions = {}) {
    this.engine.trace.watch(['acl.denied', 'controller.topic'], (event) => {
      if (event.type === 'acl.denied') this.denied.push(event.data)
      else if (event.type === 'controller.topic') this.topicIds.set(event.data.topic, event.data.id)
    })
    const one = { partitions: 1, replicationFactor: 1, config: {} }
    const spec = {
      mode: 'kraft' as const,
      brokers: 1,
      controllers: 1,
      config: {
        'auto.create.topics.enable': false,
        'offsets.topic.num.partitions': 1,
        'offsets.topic.replication.factor': 1,
        'transaction.state.log.num.partitions': 1,
        'transaction.state.log.replication.factor': 1,
        'transaction.state.log.min.isr': 1,
        'group.initial.rebalance.delay.ms': 0,
        ...config,
      },
      nodes: {},
      racks: {},
      zookeeper: { servers: 0, config: {} },
      topics: Object.fromEntries(topics.map((name) => [name, one])),
      features: {},
      network: {},
    }
    this.cluster = new Cluster(this.engine, spec, wire)
    for (const [name, principal] of Object.entries(CLIENTS)) {
      this.cluster.addClient(
        name,
        (env) => {
          this.#clients.set(name, new RequestClient(env, { clientId: name, requestTimeoutMs: 30_000, wire }))
          return { stop: (done) => done() }
        },
        principal,
      )
    }
    this.cluster.startAll()
    this.cluster.admin.prepare(spec)
    for (const name of Object.keys(CLIENTS)) this.cluster.start(name)
    this.until(() => this.cluster.admin.done)
    for (const keyType of [0, 1]) {
      const found = (): number =>
        this.ask('FindCoordinator', { keyType, coordinatorKeys: ['any'] }, { from: 'root' }).coordinators[0]?.nodeId ??
        -1
      while (found() < 0) this.run(50)
    }
    this.run(500)
  }

  /** A node of its own for a program that `make` makes; it starts at once. */
  client<T>(name: NodeName, principal: string, make: (env: Env) => T): T {
    let made: T | undefined
    const boot = (env: Env) => {
      made = make(env)
      return { stop: (done: () => void) => done() }
    }
    this.cluster.addClient(name, boot, principal)
    this.cluster.start(name)
    if (made === undefined) throw new Error(`${name} did not start`)
    return made
  }

  run(ms: number): void {
    this.engine.run(this.engine.now + millis(ms))
  }

  until(condition: () => boolean): void {
    for (let left = 2_000; !condition(); left--) {
      if (left === 0) throw new Error('this never happens')
      this.run(10)
    }
  }

  /** The answer to a request of alice's, unless somebody else asks. */
  ask<A extends ApiName>(api: A, body: Partial<Apis[A]['request']>, options: AskOptions = {}): Apis[A]['response'] {
    const { from = 'alice', to = 'b1', version = maxVersion(api) } = options
    const full: Apis[A]['request'] = Object.assign({}, apiOf(api).request.defaults, body)
    let response: Apis[A]['response'] | undefined
    let isOver = false
    this.#clients.get(from)?.send(
      to,
      api,
      full,
      (result) => {
        isOver = true
        if (result.ok) response = result.response
      },
      { version },
    )
    this.until(() => isOver)
    if (response === undefined) throw new Error(`${api} was not answered`)
    return response
  }

  /** The first error in the answer, anywhere. */
  errorOf<A extends ApiName>(api: A, body: Partial<Apis[A]['request']>, options: AskOptions = {}): string {
    return errorName(apiOf(api).response.firstError(this.ask(api, body, options)))
  }

  /** Adds ACLs, `allow alice read topic orders`, and waits until the broker knows them. */
  acls(...texts: readonly string[]): void {
    this.#administer((done) => {
      const bindings = texts.flatMap((text) => {
        const parsed = parseAcl(text)
        if ('wrong' in parsed) throw new Error(parsed.wrong)
        return parsed.bindings
      })
      this.cluster.admin.run((admin, answer) => admin.acls.create(bindings, answer), done)
    })
  }

  revoke(text: string): void {
    const parsed = parseRevocation(text)
    if ('wrong' in parsed) throw new Error(parsed.wrong)
    this.#administer((done) =>
      this.cluster.admin.run((admin, answer) => admin.acls.delete(parsed.filters, answer), done),
    )
  }

  revokeAll(): void {
    this.#administer((done) => this.cluster.admin.run((admin, answer) => admin.acls.delete([{}], answer), done))
  }

  #administer(operate: (done: (outcome: string) => void) => void): void {
    let outcome: string | undefined
    operate((found) => (outcome = found))
    this.until(() => outcome !== undefined)
    if (outcome !== 'ok') throw new Error(`ACLs: ${outcome}`)
    this.run(100)
  }
}
