/**
 * Regular expressions that members subscribe to, resolved by the coordinator (KIP-848; `maybeUpdateRegularExpressions`,
 * `refreshRegularExpressions`).
 *
 * All expressions of a group are resolved together, by a task of its own, with the topics of the moment: when a new expression comes, when topics were created since,
 * when some are not resolved, or after `group.consumer.regex.refresh.interval.ms`; at most every 10 s. An expression must match a topic's whole name.
 * The syntax is RE2's: what RE2 does not have (looking around, references back) is invalid.
 */

import type { MetadataImage } from '../../../kraft/metadata/image.js'
import type { Millis, Offset } from '../../../kernel/units.js'
import { Errors } from '../../../wire/errors.js'
import type { Outcome, ShardHost } from '../../coordinator/coordinator-runtime.js'
import type { Caller } from '../classic-groups.js'
import type { GroupRecord } from '../group-records.js'
import type { GroupConfig } from '../group-settings.js'
import { type ConsumerGroup, countRegex, type ResolvedRegex } from './consumer-group.js'
import type { ConsumerGroupStore } from './consumer-group-store.js'
import { type ConsumerMember, isSameNames, regexOf, sortedNames } from './consumer-member.js'
import { groupEpochRecord, regexRecord } from './consumer-records.js'
import type { TopicHashes } from './metadata-hash.js'
import { METADATA_REFRESH_INTERVAL_MS } from './rebalancer.js'
import { type Refusal, refusal } from './refusal.js'

/** Between two resolutions of a group's expressions (`REGEX_BATCH_REFRESH_MIN_INTERVAL_MS`). */
const MIN_INTERVAL_MS = 10_000

const TASK_DELAY_MS = 1

export class Regexes {
  readonly #host: ShardHost<GroupRecord>
  readonly #config: () => GroupConfig
  readonly #image: () => MetadataImage
  readonly #store: ConsumerGroupStore
  readonly #hashes: TopicHashes
  /** Offset of the last image with new topics. */
  #newTopicsAt: Offset = -1

  constructor(
    host: ShardHost<GroupRecord>,
    config: () => GroupConfig,
    image: () => MetadataImage,
    store: ConsumerGroupStore,
    hashes: TopicHashes,
  ) {
    this.#host = host
    this.#config = config
    this.#image = image
    this.#store = store
    this.#hashes = hashes
  }

  onImage(offset: Offset, hasNewTopics: boolean): void {
    if (hasNewTopics || this.#newTopicsAt === -1) this.#newTopicsAt = offset
  }

  /** Whether the group epoch must grow for the member's expression. */
  update(
    group: ConsumerGroup,
    before: ConsumerMember,
    after: ConsumerMember,
    caller: Caller,
    records: GroupRecord[],
  ): boolean | Refusal {
    const old = regexOf(before)
    const regex = regexOf(after)
    let bumps = false
    let isNew = false
    if (before.topicRegex !== after.topicRegex) {
      if (old !== undefined && group.regexCounts.get(old) === 1) records.push(regexRecord(group.groupId, old, null))
      if (regex !== undefined && !group.regexCounts.has(regex)) {
        if (compileRegex(regex) === undefined) {
          return refusal(
            Errors.INVALID_REGULAR_EXPRESSION,
            `SubscribedTopicRegex \`${regex}\` is not a valid regular expression.`,
          )
        }
        isNew = true
      } else if (regex !== undefined) bumps = group.regexes.has(regex)
    }
    if (isNew || group.regexCounts.size > 0) this.#maybeRefresh(group, before, after, caller, isNew)
    return bumps
  }

  #maybeRefresh(
    group: ConsumerGroup,
    before: ConsumerMember,
    after: ConsumerMember,
    { maySee }: Caller,
    isNew: boolean,
  ): void {
    const key = `regex/${group.groupId}`
    if (this.#host.isScheduled(key)) return
    const nowMs = this.#nowMs()
    const lastMs = group.regexesResolvedMs
    if (nowMs <= lastMs + MIN_INTERVAL_MS) return
    const regexes = [...group.regexCountsWith(before, after).keys()]
    const isDue =
      isNew ||
      regexes.length !== group.regexes.size ||
      group.regexesVersion < this.#newTopicsAt ||
      nowMs > lastMs + this.#config()['group.consumer.regex.refresh.interval.ms']
    if (!isDue || regexes.length === 0) return
    const image = this.#image()
    this.#host.schedule(key, TASK_DELAY_MS, () =>
      this.#resolved(group.groupId, resolveRegexes(regexes, image, nowMs, maySee)),
    )
  }

  #resolved(groupId: string, resolved: ReadonlyMap<string, ResolvedRegex>): Outcome<GroupRecord, undefined> {
    const group = this.#store.find(groupId)
    const records: GroupRecord[] = []
    if (group === undefined) return { records, response: undefined }
    const topics = new Map(group.topicCounts)
    let bumps = false
    for (const [regex, value] of resolved) {
      if (!group.regexCounts.has(regex)) continue
      const before = group.regexes.get(regex)?.topics ?? []
      if (!isSameNames(before, value.topics)) {
        bumps = true
        for (const topic of before) countRegex(topics, topic, -1)
        for (const topic of value.topics) countRegex(topics, topic, 1)
      }
      records.push(regexRecord(groupId, regex, value))
    }
    const hash = this.#hashes.ofGroup(topics.keys(), this.#image())
    if (bumps || hash !== group.metadataHash) {
      const epoch = group.groupEpoch + 1
      records.push(groupEpochRecord(groupId, epoch, hash))
      group.setRefreshDeadline(this.#nowMs() + METADATA_REFRESH_INTERVAL_MS, epoch)
    }
    this.#store.cause = { removal: 'left', reason: 'regular expressions resolved' }
    return { records, response: undefined }
  }

  #nowMs(): Millis {
    return this.#host.env.clock.wallMs()
  }
}

/** The topics that each expression stands for: those that the client whose heartbeat asked for it may see, for the whole group. */
export function resolveRegexes(
  regexes: readonly string[],
  image: MetadataImage,
  nowMs: Millis,
  maySee: Caller['maySee'] = (topics) => new Set(topics),
): ReadonlyMap<string, ResolvedRegex> {
  const names = sortedNames([...image.topicsByName.keys()])
  const matched = new Map(
    regexes.map((regex) => {
      const compiled = compileRegex(regex)
      return [regex, compiled === undefined ? [] : names.filter((name) => compiled.test(name))]
    }),
  )
  const seen = maySee([...new Set([...matched.values()].flat())])
  return new Map(
    [...matched].map(([regex, topics]) => {
      return [regex, { topics: topics.filter((name) => seen.has(name)), version: image.offset, timestamp: nowMs }]
    }),
  )
}

/** What RE2 refuses and JavaScript has: (?= (?! (?<= (?<!, \1, \k<name>. */
const NOT_RE2 = /\(\?(?:[=!]|<[=!])|\\[1-9]|\\k</

/** Undefined for an expression that is not valid. It matches whole names. */
export function compileRegex(regex: string): RegExp | undefined {
  const unescaped = regex.replaceAll('\\\\', '')
  if (NOT_RE2.test(unescaped)) return undefined
  const ignoresCase = regex.startsWith('(?i)')
  const translated = (ignoresCase ? regex.slice('(?i)'.length) : regex)
    .replaceAll(/\\Q(.*?)(?:\\E|$)/g, (_, literal: string) =>
      literal.replaceAll(/[.*+?^${}()|[\]\\-]/g, String.raw`\$&`),
    )
    .replaceAll('(?P<', '(?<')
    .replaceAll(String.raw`\A`, '^')
    .replaceAll(String.raw`\z`, '$')
  try {
    return new RegExp(`^(?:${translated})$`, ignoresCase ? 'i' : '')
  } catch (error) {
    if (error instanceof SyntaxError) return undefined
    throw error
  }
}
