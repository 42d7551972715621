/**
 * Golden conversations with one log: what is written by producers and transactions, what is stable, and what compaction makes of it.
 *
 *   log [setting=value …] [slots=8] [buffer=64] [load=0.9] [verification=off|on] [expiration=1h]   a new host, an empty compacted log
 *   write a b! -=x …           one batch; `!` is a tombstone, `-` a record without key; `each a b` one batch for each
 *   replicate @20 a b          a batch at an offset, as a follower has it
 *   produce 7/0 [seq=3] [plain] [guard=g] a b …      a batch of a producer: of its transaction unless `plain`
 *   commit|abort 7/0 [coordinator=2]                 a marker
 *   verify 7/0 seq=0 [v2] as=g                       a verification is begun, and its guard kept as g
 *   roll · hw 12 · pass 5s · truncate 5 · begin-at 9 · delete-records 3 · reopen [kill|power-loss] · expire
 *   lso · aborted [from=0] [to=9] · producers · late
 *   range [checkpoint=3] · clean [to=9] · clean-all [to=9] · steps 3|to-sync · kill · power-loss · drop
 *   show · files · rename 0.log.cleaned 0.log.swap
 */

import type { Millis, Offset } from '../../sim/kernel/units.js'
import { parseDuration } from '../../sim/kernel/quantity.js'
import { isRefused, type AppendResult } from '../../sim/log/append-result.js'
import { type Cleaning, Uncleanable } from '../../sim/log/cleaner.js'
import { DEFAULT_PRODUCER_STATE } from '../../sim/log/partition-log-options.js'
import { cleanableOffsets, logToClean } from '../../sim/log/log-to-clean.js'
import type { VerificationState } from '../../sim/log/producer-state.js'
import { errorName } from '../../sim/wire/errors.js'
import { RecordBatch, type BatchOptions } from '../../sim/wire/record-batch.js'
import { batchWords } from './batch-words.js'
import { CleaningLab, keyed } from './cleaning-lab.js'
import { marker, TP } from './harness.js'

type Words = ReadonlyMap<string, string>

export class LogConversation {
  #lines: string[] = []
  #lab = new CleaningLab()
  #steps: Cleaning | undefined
  readonly #guards = new Map<string, VerificationState | undefined>()
  readonly #sequences = new Map<string, number>()

  run(command: string): string[] {
    this.#lines = []
    const [name = '', ...words] = command.split(/\s+/)
    const isNamed = (word: string): boolean => word.includes('=') && !word.startsWith('-')
    const named = new Map(words.filter(isNamed).map((word) => word.split('=') as [string, string]))
    const plain = words.filter((word) => !isNamed(word))
    this.#execute(name, plain, named)
    return folded(this.#lines)
  }

  #say(line: string): void {
    this.#lines.push(`  ${line}`)
  }

  #execute(name: string, words: readonly string[], named: Words): void {
    const lab = this.#lab
    const { log } = lab
    switch (name) {
      case 'log':
        return this.#make(named)
      case 'write':
        return this.#appended(log.appendAsLeader([this.#batch(words)], 0))
      case 'each':
        for (const word of words) this.#appended(log.appendAsLeader([this.#batch([word])], 0))
        return
      case 'replicate': {
        const [at = '', ...rest] = words
        return this.#appended(log.appendAsFollower([this.#batch(rest).withOffsets(Number(at.slice(1)), 0)], 0))
      }
      case 'produce':
        return this.#produce(words, named)
      case 'commit':
      case 'abort':
        return this.#end(name === 'commit', words, named)
      case 'verify':
        return this.#verify(words, named)
      case 'roll':
        return log.roll()
      case 'pass':
        return lab.host.run(durationMs(words[0]))
      case 'steps':
        return this.#walk(words[0] === 'to-sync' ? NaN : Number(words[0]))
      case 'clean':
      case 'clean-all':
        if (name === 'clean-all') lab.dirty = 0
        return this.#clean(named.has('to') ? Number(named.get('to')) : undefined)
      case 'drop':
        this.#steps?.return(0)
        this.#steps = undefined
        return
      case 'kill':
      case 'power-loss':
      case 'reopen':
        return this.#reopen(name === 'reopen' ? (words[0] ?? '') : name)
      case 'rename':
        return this.#rename(words[0] ?? '', words[1] ?? '')
      default:
        this.#change(name, words, named)
    }
  }

  #change(name: string, [first = '']: readonly string[], named: Words): void {
    const { log } = this.#lab
    switch (name) {
      case 'hw':
        return void log.setHighWatermark(first === 'all' ? log.logEndOffset : Number(first))
      case 'truncate':
        return void log.truncateTo(Number(first), 'diverging')
      case 'begin-at':
        return log.truncateFullyAndStartAt(Number(first), 'out-of-range')
      case 'delete-records':
        return void log.advanceLogStartOffset(Number(first), 'delete-records')
      case 'delete-old':
        return this.#say(`${log.deleteOldSegments()} segments go`)
      case 'expire':
        return log.producers.removeExpired(this.#lab.host.wallMs)
      case 'lso':
        return this.#say(`last stable offset ${log.lastStableOffset}, high watermark ${log.highWatermark}`)
      case 'aborted':
        return this.#aborted(named)
      case 'producers':
        return this.#producers()
      case 'late':
        return this.#say(log.producers.hasLateTransaction(this.#lab.host.wallMs) ? 'yes' : 'no')
      case 'range':
        return this.#range(named)
      case 'show':
        return this.#show()
      case 'files':
        return this.#say(this.#files().join(' '))
      default:
        throw new Error(`unknown command ${name}`)
    }
  }

  #make(named: Words): void {
    const { slots, buffer, load, verification = 'off', expiration, ...config } = Object.fromEntries(named)
    this.#lab = new CleaningLab({
      config,
      ...(slots !== undefined && { slots: Number(slots) }),
      ...(buffer !== undefined && { bufferBytes: Number(buffer) }),
      ...(load !== undefined && { loadFactor: Number(load) }),
      producers: {
        ...DEFAULT_PRODUCER_STATE,
        transactionVerification: verification === 'on',
        ...(expiration !== undefined && { expirationMs: durationMs(expiration) }),
      },
    })
    this.#steps = undefined
    this.#guards.clear()
    this.#sequences.clear()
  }

  // ── writing ───────────────────────────────────────────────────────────────────────────────────────────────────────

  #batch(words: readonly string[], options: BatchOptions = {}): RecordBatch {
    const { wallMs } = this.#lab.host
    const made = keyed(words.join(' '), options, wallMs)
    if (!words.some((word) => word.startsWith('-'))) return made
    const records = made.records().map((record, at) => (words[at]?.startsWith('-') ? { ...record, key: null } : record))
    return RecordBatch.build(options, records)
  }

  #appended(result: AppendResult): void {
    if (isRefused(result)) this.#say(errorName(result.error))
    else if (result.duplicate === true) this.#say(`${result.firstOffset}–${result.lastOffset} again`)
    else this.#say(`${result.firstOffset}–${result.lastOffset}`)
  }

  #produce([identity = '', ...words]: readonly string[], named: Words): void {
    const isTransactional = !words.includes('plain')
    const keys = words.filter((word) => word !== 'plain')
    const { producerId, producerEpoch } = identityOf(identity)
    const baseSequence = Number(named.get('seq') ?? this.#sequences.get(identity) ?? 0)
    const verification = this.#guards.get(named.get('guard') ?? '')
    const batch = this.#batch(keys, { producerId, producerEpoch, baseSequence, isTransactional })
    const result = this.#lab.log.appendAsLeader([batch], 0, { origin: 'client', verification })
    if (!isRefused(result) && result.duplicate !== true) this.#sequences.set(identity, baseSequence + keys.length)
    this.#appended(result)
  }

  #end(isCommit: boolean, [identity = '']: readonly string[], named: Words): void {
    const { producerId, producerEpoch } = identityOf(identity)
    const coordinatorEpoch = Number(named.get('coordinator') ?? 0)
    const given = marker(producerId, producerEpoch, isCommit, coordinatorEpoch, this.#lab.host.wallMs)
    this.#appended(this.#lab.log.appendAsLeader([given], 0, { origin: 'coordinator' }))
  }

  #verify([identity = '', version]: readonly string[], named: Words): void {
    const { producerId, producerEpoch } = identityOf(identity)
    const sequence = Number(named.get('seq') ?? 0)
    const started = this.#lab.log.startTransactionVerification(producerId, sequence, producerEpoch, version === 'v2')
    if (started !== undefined && 'error' in started) return this.#say(errorName(started.error))
    if (started === undefined) return this.#say('is open already')
    const known = [...this.#guards].find(([, guard]) => guard === started)?.[0]
    this.#guards.set(named.get('as') ?? 'g', started)
    this.#say(
      `${known === undefined ? 'begun' : `the same as ${known}`}, lowest sequence ${started.lowestSequence} of epoch ${started.epoch}`,
    )
  }

  // ── cleaning, and what stops it ───────────────────────────────────────────────────────────────────────────────────

  #clean(bound: Offset | undefined): void {
    try {
      this.#say(`clean up to ${this.#lab.clean(this.#lab.host.wallMs, bound)}`)
    } catch (error) {
      if (!(error instanceof Uncleanable)) throw error
      this.#say(`not to be cleaned: ${error.message}`)
    }
  }

  /** So many steps, or up to the first sync, which is done. */
  #walk(count: number): void {
    const lab = this.#lab
    this.#steps ??= lab.steps(lab.host.wallMs)
    for (let i = 0; i < count || Number.isNaN(count); i++) {
      const step = this.#steps.next()
      if (step.done === true) {
        this.#steps = undefined
        return this.#say(`clean up to ${step.value}`)
      }
      this.#say('bytes' in step.value ? `${step.value.bytes} bytes` : `syncs segment ${step.value.sync.baseOffset}`)
      lab.perform(step.value)
      if ('sync' in step.value && Number.isNaN(count)) return
    }
  }

  #reopen(how: string): void {
    const lab = this.#lab
    this.#steps = undefined
    if (how === '') return lab.reload()
    lab.host.reboot(how === 'kill' ? 'kill' : 'power-loss')
    lab.reload({ isCrash: true })
  }

  /** Names without their zeros: `0.log.cleaned`. */
  #files(): string[] {
    return this.#lab.host
      .files()
      .filter((file) => /^\d{20}\./.test(file))
      .map((file) => file.replace(/^0*(?=\d)/, ''))
  }

  #rename(from: string, to: string): void {
    const path = (name: string): string => {
      const [base = '', ...rest] = name.split('.')
      return `${TP}/${base.padStart(20, '0')}.${rest.join('.')}`
    }
    this.#lab.host.disk.rename(path(from), path(to))
  }

  // ── what is there ─────────────────────────────────────────────────────────────────────────────────────────────────

  #show(): void {
    const { log } = this.#lab
    for (const segment of log.segments) {
      this.#say(`segment ${segment.baseOffset}, ${segment.size} bytes`)
      segment.scan((batch) => {
        this.#say(`  ${batchWords(batch)}`)
        return true
      })
    }
    this.#say(`log [${log.logStartOffset}, ${log.logEndOffset})`)
  }

  #aborted(named: Words): void {
    const { log } = this.#lab
    const to = Number(named.get('to') ?? log.logEndOffset)
    const found = log.collectAbortedTransactions(Number(named.get('from') ?? 0), to)
    for (const { producerId, firstOffset, lastOffset, lastStableOffset } of found) {
      this.#say(`producer ${producerId}, ${firstOffset} to ${lastOffset}, stable then up to ${lastStableOffset}`)
    }
    if (found.length === 0) this.#say('none')
  }

  #producers(): void {
    const { producers } = this.#lab.log.producers
    for (const [producerId, entry] of producers) {
      const { producerEpoch, firstSequence, lastSequence, lastDataOffset, currentTxnFirstOffset, coordinatorEpoch } =
        entry
      const sequences = entry.isEmpty
        ? 'no batch'
        : `sequences ${firstSequence} to ${lastSequence}, last at ${lastDataOffset}`
      const open = currentTxnFirstOffset < 0 ? '' : `, transaction open since ${currentTxnFirstOffset}`
      const coordinator = coordinatorEpoch < 0 ? '' : `, coordinator epoch ${coordinatorEpoch}`
      this.#say(`${producerId}/${producerEpoch}: ${sequences}${open}${coordinator}`)
    }
    if (producers.size === 0) this.#say('none')
  }

  #range(named: Words): void {
    const { log, host } = this.#lab
    const given = named.get('checkpoint')
    const offsets = cleanableOffsets(log.cleanable, given === undefined ? undefined : Number(given), host.wallMs)
    const found = logToClean(log.cleanable, offsets, host.wallMs)
    const { firstDirty, firstUncleanable, resetsCheckpoint } = offsets
    const { cleanBytes, cleanableBytes, ratio, isOverdue } = found
    this.#say(
      `dirty from ${firstDirty}, not cleanable from ${firstUncleanable}${resetsCheckpoint ? ', the checkpoint is reset' : ''}`,
    )
    this.#say(
      `cleanable up to segment ${found.firstUncleanable}: ${cleanBytes} bytes clean, ${cleanableBytes} dirty, ratio ${ratio.toFixed(2)}${isOverdue ? ', overdue' : ''}`,
    )
  }
}

/** Lines that come several times in a row, once. */
function folded(lines: readonly string[]): string[] {
  const kept: string[] = []
  for (let i = 0; i < lines.length;) {
    let count = 1
    while (lines[i + count] === lines[i]) count++
    kept.push(count === 1 ? (lines[i] as string) : `${lines[i]}, ${count} times`)
    i += count
  }
  return kept
}

function identityOf(text: string): { producerId: number; producerEpoch: number } {
  const [producerId = 0, producerEpoch = 0] = text.split('/').map(Number)
  return { producerId, producerEpoch }
}

function durationMs(text = ''): Millis {
  const micros = parseDuration(text)
  if (micros === undefined) throw new Error(`not a duration: ${text}`)
  return micros / 1_000
}
