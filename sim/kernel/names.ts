/**
 * How nodes are named and numbered.
 *
 * Brokers are b1, b2, … with `node.id` 1, 2, …; KRaft controllers are c1, c2, … with ids 3001, 3002, …; ZooKeeper
 * servers are z1, z2, …. Clients carry the names that the scenario gives them. A node's name is also its host name.
 */

import type { NodeId } from './units.js'

export type NodeName = string

/** The first controller is FIRST_CONTROLLER_ID; everything below is a broker. */
export const FIRST_CONTROLLER_ID: NodeId = 3001

/** The name of a broker or controller by its `node.id`; `none` for Kafka's -1. */
export function nodeName(id: NodeId): NodeName {
  if (id < 0) return 'none'
  return id >= FIRST_CONTROLLER_ID ? `c${id - FIRST_CONTROLLER_ID + 1}` : `b${id}`
}

/** The `node.id` of a broker or controller name, or undefined for any other name. */
export function nodeId(name: NodeName): NodeId | undefined {
  const match = /^([bc])([1-9][0-9]*)$/.exec(name)
  if (!match) return undefined
  const number = Number(match[2])
  return match[1] === 'c' ? FIRST_CONTROLLER_ID + number - 1 : number
}

/** The name of a ZooKeeper server by its `myid`. */
export function zookeeperName(sid: NodeId): NodeName {
  return `z${sid}`
}

/** The `myid` of a ZooKeeper server by its name; undefined for any other name. */
export function zookeeperId(name: NodeName): NodeId | undefined {
  const match = /^z([1-9][0-9]*)$/.exec(name)
  return match === null ? undefined : Number(match[1])
}

/** `orders-0`: how a partition is written everywhere. */
export function partitionName(topic: string, index: number): string {
  return `${topic}-${index}`
}

/** The topic and index of `orders-0`; undefined when the text is no partition name. */
export function parsePartition(name: string): { topic: string; index: number } | undefined {
  const dash = name.lastIndexOf('-')
  if (dash <= 0) return undefined
  const digits = name.slice(dash + 1)
  if (!/^(0|[1-9][0-9]*)$/.test(digits)) return undefined
  return { topic: name.slice(0, dash), index: Number(digits) }
}
