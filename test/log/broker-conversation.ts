/**
 * Golden conversations with the logs of a broker and its cleaner's threads.
 *
 *   broker [setting=value …]                        a broker without logs; topics are compacted
 *   topic orders [setting=value …]                  a partition of it
 *   fill orders a b | a c | d                       a closed segment for each group, all replicated; `fill orders` alone does nothing
 *   write orders a b · hw orders 3 · pass 5s
 *   until-writing orders                            a cleaning of it is under way
 *   truncate orders 3 · begin orders 100 · delete orders · set orders cleanup.policy=delete · broker-set log.cleaner.threads=2
 *   corrupt orders 0                                a segment rots, unseen, over a restart
 *   keys orders · checkpoint · state orders · uncleanable · deletable · delete-records orders 3 · restart
 */

import { parseConfig } from '../../sim/kernel/config-def.js'
import type { TraceEvent } from '../../sim/kernel/events.js'
import { parseDuration } from '../../sim/kernel/quantity.js'
import { LOG_BROKER_SETTINGS, type LogBrokerConfig } from '../../sim/log/log-config.js'
import { LogManager } from '../../sim/log/log-manager.js'
import type { PartitionLog } from '../../sim/log/partition-log.js'
import { batchWords } from './batch-words.js'
import { keyed } from './cleaning-lab.js'
import { batches, LogHost } from './harness.js'

type Words = ReadonlyMap<string, string>

const CHECKPOINT = 'cleaner-offset-checkpoint'

export class BrokerConversation {
  #lines: string[] = []
  #host = new LogHost()
  #topics = new Map<string, Record<string, unknown>>()
  #settings: Record<string, unknown> = {}
  #manager = this.#boot()

  run(command: string): string[] {
    this.#lines = []
    const [name = '', ...words] = command.split(/\s+/)
    const named = new Map(words.filter((word) => word.includes('=')).map((word) => word.split('=') as [string, string]))
    this.#execute(
      name,
      words.filter((word) => !word.includes('=')),
      named,
    )
    return this.#lines
  }

  #execute(name: string, [topic = '', ...words]: readonly string[], named: Words): void {
    const manager = this.#manager
    switch (name) {
      case 'broker':
        this.#host = new LogHost()
        this.#topics = new Map()
        this.#settings = Object.fromEntries(named)
        this.#host.engine.trace.watch(['log.cleaned', 'log.uncleanable', 'log.segment-deleted'], (event) => {
          this.#tell(event)
        })
        this.#manager = this.#boot()
        return
      case 'topic':
        this.#topics.set(topic, Object.fromEntries(named))
        return void this.#log(topic)
      case 'fill':
        return this.#fill(topic, words)
      case 'write':
        return void this.#log(topic).appendAsLeader([keyed(words.join(' '), {}, this.#host.wallMs)], 0)
      case 'hw':
        return void this.#log(topic).setHighWatermark(Number(words[0]))
      case 'pass':
        return this.#host.run((parseDuration(topic) ?? 0) / 1_000)
      case 'until-writing':
        for (let i = 0; i < 5_000 && !this.#isWriting(topic); i++) this.#host.run(1)
        return
      case 'truncate':
        return manager.truncateTo(`${topic}-0`, Number(words[0]), 'diverging')
      case 'begin':
        return manager.truncateFullyAndStartAt(`${topic}-0`, Number(words[0]), 'out-of-range')
      case 'delete-records':
        return void this.#log(topic).advanceLogStartOffset(Number(words[0]), 'delete-records')
      case 'delete':
        return manager.asyncDelete([`${topic}-0`])
      case 'set':
        this.#topics.set(topic, { ...this.#topics.get(topic), ...Object.fromEntries(named) })
        return manager.topicConfigChanged(topic)
      case 'broker-set':
        this.#settings = { ...this.#settings, ...Object.fromEntries(named) }
        return manager.updateBrokerConfig(this.#config())
      case 'corrupt':
        return this.#corrupt(topic, Number(words[0]))
      default:
        this.#look(name, topic)
    }
  }

  #look(name: string, topic: string): void {
    const cleaner = this.#manager.cleaner?.manager
    switch (name) {
      case 'keys':
        for (const batch of batches(this.#log(topic))) this.#say(batchWords(batch))
        return
      case 'checkpoint': {
        const [, , ...entries] = this.#host.disk.exists(CHECKPOINT) ? this.#host.text(CHECKPOINT).split('\n') : []
        return this.#say(entries.filter((line) => line !== '').join(', ') || 'empty')
      }
      case 'state':
        return this.#say(cleaner?.stateOf(`${topic}-0`)?.toString() ?? 'idle')
      case 'uncleanable':
        return this.#say([...(cleaner?.uncleanable ?? [])].join(' ') || 'none')
      case 'deletable':
        return this.#say(
          cleaner
            ?.deletable()
            .map((log) => log.partition)
            .join(' ') || 'none',
        )
      case 'restart':
        this.#host.reboot()
        this.#manager = this.#boot()
        for (const known of this.#topics.keys()) this.#log(known)
        for (const log of this.#manager.logs) log.setHighWatermark(log.logEndOffset)
        return
      default:
        throw new Error(`unknown command ${name}`)
    }
  }

  #isWriting(topic: string): boolean {
    return this.#host.disk.list(`${topic}-0/`).some((path) => path.endsWith('.cleaned'))
  }

  #say(line: string): void {
    this.#lines.push(`  ${line}`)
  }

  #tell({ type, data, time }: TraceEvent): void {
    const at = `${(time / 1_000_000).toFixed(3)}s`
    if (type === 'log.cleaned') {
      const { partition, from, to, bound, bytesBefore, bytesAfter } = data
      this.#say(`${at} ${partition} is cleaned, [${from}, ${to}) below ${bound}: ${bytesBefore} → ${bytesAfter} bytes`)
    } else if (type === 'log.uncleanable') this.#say(`${at} ${data.partition} is uncleanable: ${data.reason}`)
    else if (type === 'log.segment-deleted')
      this.#say(`${at} ${data.partition} loses [${data.baseOffset}, …): ${data.reason}`)
  }

  #config(): LogBrokerConfig {
    return parseConfig(LOG_BROKER_SETTINGS, { 'log.cleaner.backoff.ms': 1_000, ...this.#settings }, [])
  }

  #boot(): LogManager {
    const manager = new LogManager(this.#host.env, {
      config: this.#config(),
      topicConfig: (topic) => ({ 'cleanup.policy': 'compact', ...this.#topics.get(topic) }),
    })
    manager.startup()
    return manager
  }

  #log(topic: string): PartitionLog {
    const log = this.#manager.getOrCreate(topic, 0, undefined)
    if ('error' in log) throw new Error(log.message)
    return log
  }

  #fill(topic: string, words: readonly string[]): void {
    const log = this.#log(topic)
    for (const keys of words.join(' ').split('|')) {
      for (const key of keys.trim().split(' ')) log.appendAsLeader([keyed(key, {}, this.#host.wallMs)], 0)
      log.roll()
    }
    log.setHighWatermark(log.logEndOffset)
  }

  /** The length of the segment's first batch rots; the start after that does not look at it. */
  #corrupt(topic: string, segment: number): void {
    const file = `${topic}-0/${String(segment).padStart(20, '0')}.log`
    for (const log of this.#manager.logs) log.flush()
    this.#host.run(900)
    this.#host.reboot()
    this.#host.simDisk.corrupt((path) => path.endsWith(file), 8, 4)
    this.#host.write('.kafka_cleanshutdown', '{"version":0,"brokerEpoch":1}')
    this.#manager = this.#boot()
    for (const known of this.#topics.keys()) this.#log(known).setHighWatermark(this.#log(known).logEndOffset)
  }
}
