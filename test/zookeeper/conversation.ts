/**
 * Golden conversations with an ensemble: a text of commands, each followed by what it led to.
 *
 *   ensemble servers=3 observers=0 seed=x [setting=value …]   a new one, nothing started
 *   history z1 accepted=2 current=1 e1:1-3 e2:1               what a server's disk holds: epochs, and a create of /e1-3 for each transaction
 *   start|kill|power-loss|stop|pause|resume <servers>         `all`, `leader` or names
 *   partition z1 | z2 z3 · partition z1 | others · heal       the network
 *   slow|hang|fail|lie <server> [ms] · mend                   the disk
 *   remove z1 version-2/snapshot.0 · rot z1 <path> <position> · cut z1 <path> <bytes>   its files
 *   client k1 [timeout=6000] [at=z1]                          a session
 *   k1 create /a [data] [ephemeral] [sequential] · k1 set|get|list|exists|delete|sync /a … · k1 watch /a (data) · k1 watch-children /a
 *   k1 multi create /a; set /b x; delete /c; check /d 1 · k1 close · k1 open
 *   tell k1 <call>                                            asks without waiting; the answer shows when it comes
 *   run <ms> · until settled|leader|answered                  virtual time
 *   trace +apply -session …                                   what is shown: state elected epoch leading sync log commit apply znode session watch client node
 *   show                                                      every server's state, last transaction and znodes
 */

import type { TraceEvent } from '../../sim/kernel/events.js'
import { OPEN_ACL, type Op } from '../../sim/zookeeper/api.js'
import type { ZooKeeperClient } from '../../sim/zookeeper/client/zookeeper-client.js'
import { EpochFiles } from '../../sim/zookeeper/storage/epoch-files.js'
import { imageOf } from '../../sim/zookeeper/storage/snapshot-file.js'
import { TxnEntry } from '../../sim/zookeeper/storage/txn.js'
import { TxnLog } from '../../sim/zookeeper/storage/txn-log.js'
import { DataTree } from '../../sim/zookeeper/tree/data-tree.js'
import { makeZxid } from '../../sim/zookeeper/zxid.js'
import { describeZooKeeper } from '../../reports/describe-zookeeper.js'
import { bytes, Ensemble, textOf } from './lab.js'

const KINDS: Readonly<Record<string, string>> = {
  'zk.state': 'state',
  'zk.elected': 'elected',
  'zk.epoch': 'epoch',
  'zk.leading': 'leading',
  'zk.serving': 'leading',
  'zk.sync': 'sync',
  'zk.truncated': 'sync',
  'zk.snapshot': 'snapshot',
  'zk.recovered': 'recovered',
  'zk.propose': 'log',
  'zk.logged': 'log',
  'zk.commit': 'commit',
  'zk.apply': 'apply',
  'zk.znode': 'znode',
  'zk.session': 'session',
  'zk.touched': 'touch',
  'zk.expired': 'expired',
  'zk.moved': 'session',
  'zk.connected': 'session',
  'zk.watch-set': 'watch',
  'zk.watch': 'watch',
  'zk.client': 'client',
  'zk.client-watch': 'client',
  'node.down': 'node',
  'disk.power-loss': 'node',
}

export class Conversation {
  #ensemble: Ensemble | undefined
  #lines: string[] = []
  #shown = new Set(['state', 'elected', 'leading', 'sync', 'node'])
  #faults: { remove(): void }[] = []
  #open = 0
  /** Sessions are told as s1, s2, … in order of appearance. */
  readonly #sessions = new Map<string, string>()

  get ensemble(): Ensemble {
    if (this.#ensemble === undefined) throw new Error('a conversation begins with `ensemble`')
    return this.#ensemble
  }

  run(command: string): string[] {
    this.#lines = []
    const [name = '', ...words] = command.split(/\s+/)
    this.#execute(name, words)
    return this.#lines
  }

  #execute(name: string, words: string[]): void {
    if (name === 'ensemble') return this.#make(words)
    const { ensemble } = this
    const { world } = ensemble
    const [first = ''] = words
    const node = first === 'leader' ? (ensemble.leader ?? 'none') : first
    switch (name) {
      case 'history':
        return this.#history(words)
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
      case 'partition': {
        const groups = words.join(' ').split('|')
        const told = groups.flatMap((group) => this.#nodes(group.trim().split(/\s+/)))
        const others = world.nodes.map((each) => each.name).filter((each) => !told.includes(each))
        const names = groups.map((group) =>
          group.trim() === 'others' ? others : this.#nodes(group.trim().split(/\s+/)),
        )
        this.#faults.push(world.network.partition(names))
        return
      }
      case 'heal':
      case 'mend':
        for (const fault of this.#faults.splice(0)) fault.remove()
        return
      case 'slow':
        this.#faults.push(world.node(node).disk.slow({ addedMicros: Number(words[1]) * 1_000 }))
        return
      case 'hang':
      case 'fail':
        this.#faults.push(world.node(node).disk[name]())
        return
      case 'lie':
        world.node(node).disk.lie()
        return
      case 'remove':
        world
          .node(node)
          .mount()
          .remove(words[1] as string)
        return world.node(node).disk.settle()
      case 'cut': {
        const file = world
          .node(node)
          .mount()
          .open(words[1] as string)
        file.truncate(file.size - Number(words[2]))
        return world.node(node).disk.settle()
      }
      case 'rot':
        world.node(node).disk.corrupt((path) => path === words[1], Number(words[2]))
        return
      case 'client':
        return this.#client(words)
      case 'trace':
        for (const word of words) {
          if (word.startsWith('+')) this.#shown.add(word.slice(1))
          else this.#shown.delete(word.slice(1))
        }
        return
      case 'run':
        return ensemble.run(Number(first))
      case 'until':
        return this.#until(first)
      case 'show':
        return this.#show()
      case 'tell':
        return this.#ask(first, words.slice(1), false)
      default:
        return this.#ask(name, words, true)
    }
  }

  #make(words: string[]): void {
    const given = words.map((word) => word.split('=') as [string, string])
    const { servers = '3', observers = '0', seed = 'golden', ...config } = Object.fromEntries(given)
    this.#ensemble = new Ensemble({ servers: Number(servers), observers: Number(observers), seed, config })
    this.#ensemble.engine.trace.watch('all', (event) => this.#tell(event))
  }

  #history(words: string[]): void {
    const [node = '', ...rest] = words
    const host = this.ensemble.world.node(node)
    const disk = host.mount()
    disk.replaceFile('version-2/snapshot.0', imageOf(new DataTree(), new Map()), () => undefined)
    const log = new TxnLog(disk)
    const epochs = new EpochFiles(disk, 0)
    for (const word of rest) {
      if (word.startsWith('accepted=')) epochs.accept(Number(word.slice(9)), () => undefined)
      else if (word.startsWith('current=')) epochs.makeCurrent(Number(word.slice(8)), () => undefined)
      else {
        const [, epoch, from, to] = /^e(\d+):(\d+)(?:-(\d+))?$/.exec(word) as RegExpExecArray
        for (let i = Number(from); i <= Number(to ?? from); i++) log.append(entryOf(Number(epoch), i))
      }
    }
    host.disk.settle()
  }

  #nodes(words: string[]): readonly string[] {
    if (words[0] === 'all') return this.ensemble.names
    return words.map((word) => (word === 'leader' ? (this.ensemble.leader ?? 'none') : word))
  }

  #client(words: string[]): void {
    const [name = '', ...rest] = words
    const options = new Map(rest.map((word) => word.split('=') as [string, string]))
    const at = options.get('at')
    const client = this.ensemble.client(
      name,
      Number(options.get('timeout') ?? 6_000),
      at?.split(',') ?? this.ensemble.names,
    )
    client.onTold = (what) => this.#lines.push(`  ${this.#time()} ${name} is told: ${what}`)
  }

  #ask(name: string, words: string[], wait: boolean): void {
    const client = this.ensemble.clients.get(name)
    if (client === undefined) throw new Error(`no client ${name}`)
    const [call = '', ...rest] = words
    if (call === 'open') return client.open()
    let isDone = false
    this.#open++
    const done = (result: { ok: boolean }): void => {
      isDone = true
      this.#open--
      this.#lines.push(`  ${this.#time()} ${name} ${call}: ${this.#plain(textOf(result))}`)
    }
    ask(client.zk, call, rest, done)
    if (wait && !this.ensemble.runUntil(() => isDone, 60_000)) this.#lines.push('  no answer')
  }

  #until(what: string): void {
    const { ensemble } = this
    const reached = ensemble.runUntil(() => {
      if (what === 'answered') return this.#open === 0
      return what === 'leader' ? ensemble.leader !== undefined : ensemble.isSettled
    }, 120_000)
    if (!reached) this.#lines.push('  in vain')
  }

  #show(): void {
    for (const [name, state] of this.ensemble.summary()) this.#lines.push(`  ${name} ${state}`)
  }

  #time(): string {
    return (this.ensemble.engine.now / 1_000_000).toFixed(3)
  }

  #tell(event: TraceEvent): void {
    const kind = KINDS[event.type]
    if (kind === undefined || !this.#shown.has(kind)) return
    const what =
      event.type === 'node.down'
        ? `is down (${event.data.how}${event.data.how === 'halt' ? `: ${event.data.reason}` : ''})`
        : event.type === 'disk.power-loss'
          ? `loses ${event.data.lostBytes} bytes`
          : (describeZooKeeper(event) ?? '')
    this.#lines.push(`  ${this.#time()} ${event.node} ${this.#plain(what)}`)
  }

  #plain(text: string): string {
    return text.replaceAll(/0x[0-9a-f]{16}/g, (id) => {
      let name = this.#sessions.get(id)
      if (name === undefined) this.#sessions.set(id, (name = `s${this.#sessions.size + 1}`))
      return name
    })
  }
}

function entryOf(epoch: number, counter: number): TxnEntry {
  const header = { session: '0x0000000000000001', cxid: 0, zxid: makeZxid(epoch, counter), time: 0 }
  const path = `/e${epoch}-${counter}`
  return TxnEntry.of(header, {
    type: 'create',
    path,
    data: null,
    acl: OPEN_ACL,
    ephemeral: false,
    parentCVersion: epoch * 100 + counter,
  })
}

function ask(zk: ZooKeeperClient, call: string, words: string[], done: (result: { ok: boolean }) => void): void {
  const [path = '', ...rest] = words
  const version = Number(rest.find((word) => /^v-?\d+$/.test(word))?.slice(1) ?? -1)
  const data = rest.find((word) => !/^v-?\d+$/.test(word) && word !== 'ephemeral' && word !== 'sequential')
  switch (call) {
    case 'create': {
      const kind = rest.includes('ephemeral') ? 'EPHEMERAL' : 'PERSISTENT'
      const mode = rest.includes('sequential') ? (`${kind}_SEQUENTIAL` as const) : kind
      return zk.create(path, data === undefined ? null : bytes(data), mode, done)
    }
    case 'delete':
      return zk.delete(path, version, done)
    case 'set':
      return zk.setData(path, bytes(data ?? ''), version, done)
    case 'get':
      return zk.getData(path, false, done)
    case 'list':
      return zk.getChildren(path, false, done)
    case 'exists':
      return zk.exists(path, false, done)
    case 'watch':
      return zk.exists(path, true, done)
    case 'watch-data':
      return zk.getData(path, true, done)
    case 'watch-children':
      return zk.getChildren(path, true, done)
    case 'sync':
      return zk.sync(path, done)
    case 'close':
      return zk.close(() => done({ ok: true }))
    case 'multi':
      return zk.multi(
        words
          .join(' ')
          .split(';')
          .map((op) => opOf(op.trim().split(/\s+/))),
        done,
      )
    default:
      throw new Error(`unknown call ${call}`)
  }
}

function opOf([op = '', path = '', word = '']: string[]): Op {
  if (op === 'create') return { op, path, data: word === '' ? null : bytes(word), mode: 'PERSISTENT' }
  if (op === 'set') return { op: 'setData', path, data: bytes(word), version: -1 }
  if (op === 'delete') return { op, path, version: -1 }
  if (op === 'check') return { op, path, version: Number(word) }
  throw new Error(`unknown operation ${op}`)
}
