/**
 * The cluster's own administrator: an admin client on a node of its own, for ACLs and topics of the specification and operations of scenarios.
 *
 * It asks over the wire like anybody else. What it is asked before its process runs waits; an operation that was under way when
 * the process ended is answered with `CLIENT_ENDED`.
 */

import type { AclBinding } from '../client/admin-acls.js'
import { Admin, type NewTopic } from '../client/admin.js'
import { parseAdminConfig } from '../client/admin-config.js'
import type { AdminResult } from '../client/admin-operation.js'
import type { Env, Program } from '../kernel/env.js'
import { assert } from '../kernel/errors.js'
import type { NodeName } from '../kernel/names.js'
import type { WireMode } from '../wire/frame.js'
import { parseAcl } from './acl-text.js'
import type { ClusterSpec, TopicSpec } from './cluster-spec.js'

/** Creating the topics of a cluster that is still starting is tried again after this. */
const RETRY_MS = 100

export class AdminNode {
  readonly #wire: WireMode
  readonly #bootstrap: readonly NodeName[]
  #env: Env | undefined
  #admin: Admin | undefined
  #acls: readonly AclBinding[] = []
  #aclCount = 0
  #topics: readonly NewTopic[] = []
  #trouble: string | undefined
  /** So many brokers must be there before topics are made. */
  #awaited = 0

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

  /** ACLs that were asked for, each once. */
  get aclCount(): number {
    return this.#aclCount
  }

  /** Every ACL and every topic that was asked for exists. */
  get done(): boolean {
    return this.#acls.length === 0 && this.#topics.length === 0
  }

  /** Why topics do not exist yet, if the cluster refused them. */
  get trouble(): string | undefined {
    return this.#trouble
  }

  /**
   * Creates the ACLs and then the topics of a specification once there are enough brokers, trying until it works. The quorum refuses replicas on
   * brokers that it does not know; in ZooKeeper mode they are taken, and led by who is there, so all brokers are waited for.
   */
  prepare({ acls = [], topics, brokers, mode }: Pick<ClusterSpec, 'acls' | 'topics' | 'brokers' | 'mode'>): void {
    this.#awaited = mode === 'zookeeper' ? brokers : 0
    this.#acls = acls.flatMap(bindingsOf)
    this.#aclCount = new Set(this.#acls.map((acl) => JSON.stringify(acl))).size
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
    if (this.#acls.length > 0) {
      this.#admin?.acls.create(this.#acls, ({ outcome }) => {
        if (outcome === 'ok') this.#acls = []
        else {
          this.#trouble = `ACLs: ${outcome}`
          this.#env?.after(RETRY_MS, () => this.#create())
        }
        if (outcome === 'ok') this.#create()
      })
      return
    }
    if (this.#topics.length === 0) return
    if (this.#awaited > 0) {
      this.#awaitBrokers()
      return
    }
    const names = this.#topics.map((topic) => topic.name)
    this.#admin?.createTopics(this.#topics, ({ errors }) => {
      this.#topics = this.#topics.filter(({ name }) => errors.has(name) && errors.get(name) !== 'TOPIC_ALREADY_EXISTS')
      if (this.#topics.length === 0) return
      this.#trouble = `topics ${names.join(', ')}: ${[...errors.values()].join(', ')}`
      this.#env?.after(RETRY_MS, () => this.#create())
    })
  }

  #awaitBrokers(): void {
    this.#admin?.describeCluster(({ values }) => {
      const known = [...values.values()][0]?.brokers.length ?? 0
      if (known >= this.#awaited) {
        this.#awaited = 0
        this.#create()
      } else {
        this.#trouble = `${known} of ${this.#awaited} brokers are there`
        this.#env?.after(RETRY_MS, () => this.#create())
      }
    })
  }
}

/** An ACL of the specification, which was checked when it was read. */
function bindingsOf(text: string): readonly AclBinding[] {
  const parsed = parseAcl(text)
  assert('bindings' in parsed, 'cluster: ACL', { text })
  return parsed.bindings
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
