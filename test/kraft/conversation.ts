/**
 * Golden conversations with a quorum: a text of commands, each followed by what it led to.
 *
 *   cluster voters=3 observers=1 seed=x [setting=value …]   a new quorum, nothing started
 *   start|kill|power-loss|stop|pause|resume <nodes>         operations; `all`, `leader` or names
 *   isolate <node> · partition c1 c2 | c3 · heal            the network
 *   lie <node> · slow <node> <ms>                           the disk
 *   append <node> <records…> · resign <node> · snapshot <node> · clean <node>
 *   run <ms> · until leader|caught-up                       virtual time
 *   trace +append -hw …                                     what is shown: state vote hw append truncate snapshot request node
 *   show                                                    every node's state
 */

import type { TraceEvent } from '../../sim/kernel/events.js'
import { nodeName } from '../../sim/kernel/names.js'
import type { EndQuorumEpochRequest } from '../../sim/wire/messages/end-quorum-epoch.js'
import type { FaultHandle } from '../../sim/world/fault-rule.js'
import { RaftCluster } from './raft-cluster.js'

type Kind = 'state' | 'vote' | 'hw' | 'append' | 'truncate' | 'snapshot' | 'request' | 'node'

export class Conversation {
  #cluster: RaftCluster | undefined
  #lines: string[] = []
  #shown = new Set<Kind>(['state', 'vote', 'hw', 'truncate', 'snapshot', 'request', 'node'])
  #faults: FaultHandle[] = []

  get cluster(): RaftCluster {
    if (this.#cluster === undefined) throw new Error('a conversation begins with `cluster`')
    return this.#cluster
  }

  run(command: string): string[] {
    this.#lines = []
    const [name = '', ...words] = command.split(/\s+/)
    this.#execute(name, words)
    return this.#lines
  }

  #execute(name: string, words: string[]): void {
    if (name === 'cluster') return this.#make(words)
    if (name === 'trace') return this.#choose(words)
    if (name === 'partition') return this.#partition(words)
    const { cluster } = this
    const { world } = cluster
    const [first = ''] = words
    const node = first === 'leader' ? (cluster.leader ?? 'none') : first
    switch (name) {
      case 'start':
      case 'kill':
      case 'stop':
      case 'pause':
      case 'resume':
        for (const each of this.#nodes(words)) world[name](each)
        return
      case 'power-loss':
        for (const each of this.#nodes(words)) world.powerLoss(each)
        return
      case 'isolate':
        this.#faults.push(world.network.partition([[node], cluster.names.filter((other) => other !== node)]))
        return
      case 'heal':
        for (const fault of this.#faults.splice(0)) fault.remove()
        return
      case 'lie':
        world.node(node).disk.lie()
        return
      case 'slow':
        this.#faults.push(world.node(node).disk.slow({ addedMicros: Number(words[1]) * 1_000 }))
        return
      case 'append': {
        const last = cluster.append(node, ...words.slice(1))
        this.#lines.push(`  ${node} answers ${last}`)
        return
      }
      case 'resign':
        return cluster.client(node).resign(cluster.client(node).leader.epoch)
      case 'snapshot': {
        const machine = cluster.machine(node)
        const id = { offset: machine.nextOffset, epoch: machine.epoch, lastContainedLogTimestamp: 0 }
        cluster.client(node).createSnapshot(id, machine.image())
        return cluster.run(20)
      }
      case 'clean':
        return cluster.client(node).log?.clean(world.node(node).clock.wallMs())
      case 'run':
        return cluster.run(Number(first))
      case 'until':
        return this.#until(first)
      case 'show':
        return this.#show()
      default:
        throw new Error(`unknown command ${name}`)
    }
  }

  #make(words: string[]): void {
    const given = new Map(words.map((word) => word.split('=') as [string, string]))
    const { voters = '3', observers = '0', seed = 'golden', ...config } = Object.fromEntries(given)
    this.#cluster = new RaftCluster({ voters: Number(voters), observers: Number(observers), seed, config })
    this.#cluster.engine.trace.watch('all', (event) => {
      const told = tell(event)
      if (told === undefined || !this.#shown.has(told[0])) return
      this.#lines.push(`  ${(event.time / 1_000_000).toFixed(3)} ${event.node} ${told[1]}`)
    })
  }

  #choose(words: string[]): void {
    for (const word of words) {
      const kind = word.slice(1) as Kind
      if (word.startsWith('+')) this.#shown.add(kind)
      else this.#shown.delete(kind)
    }
  }

  #partition(words: string[]): void {
    const groups = words.join(' ').split('|')
    this.#faults.push(this.cluster.world.network.partition(groups.map((group) => group.trim().split(/\s+/))))
  }

  #nodes(words: string[]): readonly string[] {
    if (words[0] === 'all') return this.cluster.names
    return words.map((word) => (word === 'leader' ? (this.cluster.leader ?? 'none') : word))
  }

  #until(what: string): void {
    const { cluster } = this
    const reached = cluster.runUntil(() => {
      const { leader } = cluster
      if (leader === undefined || !cluster.hasConsistentLeader) return false
      return what === 'leader' || cluster.allReached(cluster.client(leader).logEndOffset)
    })
    if (!reached) this.#lines.push('  in vain')
  }

  #show(): void {
    const { cluster } = this
    for (const name of cluster.names) {
      const running = cluster.running.get(name)
      if (running === undefined) {
        this.#lines.push(`  ${name} down`)
        continue
      }
      const { client, machine } = running
      const { log } = client
      const { leaderId, epoch } = client.leader
      const role = client.isLeader ? 'leads' : `follows ${nodeName(leaderId)}`
      const snapshot = client.latestSnapshotId
      const extent = `log [${log?.startOffset}, ${client.logEndOffset}), high watermark ${client.highWatermark}`
      const values = [...machine.values.values()].slice(-6).join(' ')
      const last =
        snapshot === undefined || snapshot.offset === 0 ? '' : `, snapshot ${snapshot.offset}-${snapshot.epoch}`
      this.#lines.push(`  ${name} ${role} at epoch ${epoch}, ${extent}${last}, has [${values}]`)
    }
  }
}

/** One line of an event that is shown, with its kind. */
function tell(event: TraceEvent): [Kind, string] | undefined {
  switch (event.type) {
    case 'quorum.state': {
      const { from, to, epoch, leader, reason } = event.data
      return ['state', `${from} → ${to}, epoch ${epoch}, leader ${nodeName(leader)} (${reason})`]
    }
    case 'quorum.vote': {
      const { granted, preVote, candidate, epoch, reason } = event.data
      const what = `${granted ? 'grants' : 'denies'} ${nodeName(candidate)} ${preVote ? 'a pre-vote' : 'its vote'}`
      return ['vote', `${what} at epoch ${epoch} (${reason})`]
    }
    case 'quorum.hw':
      return ['hw', `high watermark ${event.data.from} → ${event.data.to}`]
    case 'quorum.snapshot':
      return ['snapshot', `snapshot ${event.data.endOffset}-${event.data.epoch} ${event.data.how}`]
    case 'log.append': {
      const { baseOffset, lastOffset, leaderEpoch } = event.data
      return ['append', `appends ${baseOffset}–${lastOffset} of epoch ${leaderEpoch}`]
    }
    case 'log.truncate':
      return ['truncate', `truncates ${event.data.from} → ${event.data.to} (${event.data.reason})`]
    case 'log.start-offset':
      return ['truncate', `log starts at ${event.data.to}, before at ${event.data.from} (${event.data.reason})`]
    case 'fetch.diverging':
      return ['truncate', `tells that epoch ${event.data.epoch} ends at ${event.data.endOffset}`]
    case 'disk.power-loss':
      return ['node', `loses ${event.data.lostBytes} bytes`]
    case 'node.down':
      return ['node', `is down (${event.data.how}${event.data.how === 'halt' ? `: ${event.data.reason}` : ''})`]
    case 'request.send': {
      if (event.data.api === 'FetchSnapshot') return ['request', `FetchSnapshot to ${event.data.to}`]
      if (event.data.api !== 'EndQuorumEpoch') return undefined
      const partition = (event.data.body as EndQuorumEpochRequest).topics[0]?.partitions[0]
      const successors = partition?.preferredCandidates.map(({ candidateId }) => nodeName(candidateId)) ?? []
      return ['request', `EndQuorumEpoch to ${event.data.to}, successors ${successors.join(' ') || 'none'}`]
    }
    default:
      return undefined
  }
}
