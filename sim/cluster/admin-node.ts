/**
 * The cluster's own administrator: an admin client on a node of its own, for topics of the specification and operations of scenarios.
 *
 * It asks over the wire like anybody else. What it is asked before its process runs waits; an operation that was under way when
 * the process ended is answered with `CLIENT_ENDED`.
 */

import { Admin, type NewTopic } from '../client/admin.js'
import { parseAdminConfig } from '../client/admin-config.js'
import type { AdminResult } from '../client/admin-operation.js'
import type { Env, Program } from '../kernel/env.js'
import type { NodeName } from '../kernel/names.js'
import type { WireMode } from '../wire/frame.js'
import type { TopicSpec } from './cluster-spec.js'

/** Creating the topics of a cluster that is still starting is tried again after this. */
const RETRY_MS = 100

export class AdminNode {
  readonly #wire: WireMode
  readonly #bootstrap: readonly NodeName[]
  #env: Env | undefined
  #admin: Admin | undefined
  #topics: readonly NewTopic[] = []
  #trouble: string | undefined

  constructor(wire: WireMode, bootstrap: readonly NodeName[]) {
    this.#wire = wire
    this.#bootstrap = bootstrap
  }

  /** The program of the admin node. */
  readonly boot = (env: Env): Program => {
    this.#env = env
    this.#admin = new Admin(env, parseAdminConfig({}), this.#bootstrap, { wire: this.#wire })
    this.#create()
    return { stop: (done) => done() }
  }

  /** Every topic that was asked for exists. */
  get done(): boolean {
    return this.#topics.length === 0
  }

  /** Why topics do not exist yet, if the cluster refused them. */
  get trouble(): string | undefined {
    return this.#trouble
  }

  /** Creates the topics of a specification once there are enough brokers, trying until it works. */
  createTopics(topics: Readonly<Record<string, TopicSpec>>, brokers: number): void {
    this.#topics = Object.entries(topics).map(([name, topic]) => newTopic(name, topic, brokers))
    if (this.#admin !== undefined) this.#create()
  }

  /** Runs an operation; `done` gets `ok` or Kafka's error name. */
  run(
    operation: (admin: Admin, done: (result: AdminResult<unknown>) => void) => void,
    done: (outcome: string) => void,
  ): void {
    if (this.#admin === undefined) done('CLIENT_ENDED')
    else operation(this.#admin, (result) => done(result.outcome))
  }

  #create(): void {
    if (this.#topics.length === 0) return
    const names = this.#topics.map((topic) => topic.name)
    this.#admin?.createTopics(this.#topics, ({ errors }) => {
      this.#topics = this.#topics.filter(({ name }) => errors.has(name) && errors.get(name) !== 'TOPIC_ALREADY_EXISTS')
      if (this.#topics.length === 0) return
      this.#trouble = `topics ${names.join(', ')}: ${[...errors.values()].join(', ')}`
      this.#env?.after(RETRY_MS, () => this.#create())
    })
  }
}

/** A topic of the specification as the admin client takes it. Three replicas, or all brokers, when it does not say. */
export function newTopic(name: string, topic: TopicSpec, brokers: number): NewTopic {
  const configs = Object.fromEntries(Object.entries(topic.config).map(([key, value]) => [key, String(value)]))
  if (topic.replicas !== undefined) return { name, assignments: topic.replicas, configs }
  return {
    name,
    partitions: topic.partitions ?? 1,
    replicationFactor: topic.replicationFactor ?? Math.min(3, brokers),
    configs,
  }
}
