/** What holds for every partition after any sequence of fencing, restarts, ISR changes, elections and reassignments. */

import { describe, expect, it } from 'vitest'
import { Random } from '../../sim/kernel/random.js'
import type { PartitionImage } from '../../sim/kraft/metadata/image.js'
import { EMPTY_IMAGE } from '../../sim/kraft/metadata/image.js'
import { MetadataDelta } from '../../sim/kraft/metadata/metadata-delta.js'
import { imageToRecords } from '../../sim/kraft/metadata/image-records.js'
import { RESOURCE_TOPIC } from '../../sim/kraft/metadata/records.js'
import { balanceLeaders, electUncleanLeaders } from '../../sim/controller/leader-elections.js'
import type { TopicState } from '../../sim/controller/topic-state.js'
import { TopicState as FreshTopics } from '../../sim/controller/topic-state.js'
import { StateLab } from './state-lab.js'

const BROKERS = [1, 2, 3, 4, 5]
const PARTITIONS = ['a-0', 'a-1', 'b-0']
const MIN_ISR = 2
const STEPS = 300

/** What is wrong after a step. */
function violations(lab: StateLab, before: ReadonlyMap<string, PartitionImage>, elr: boolean): string[] {
  const found: string[] = []
  for (const name of PARTITIONS) {
    const partition = lab.partition(name)
    const { leader, isr, replicas, leaderEpoch, partitionEpoch } = partition
    const must = (holds: boolean, what: string): void => {
      if (!holds) found.push(`${what}: ${name} ${lab.show(name)}`)
    }
    must(leader === -1 || isr.includes(leader), 'the leader is in sync')
    must(
      isr.every((member) => replicas.includes(member)),
      'the ISR is of the replicas',
    )
    must(new Set(isr).size === isr.length, 'nobody is in sync twice')
    must(!isr.some((member) => partition.elr.includes(member)), 'ISR and ELR have nobody in common')
    must(isr.length < MIN_ISR || partition.elr.length === 0, 'no ELR beside a large enough ISR')
    must(elr || (partition.elr.length === 0 && isr.length > 0), 'without ELR somebody is always in sync')
    const old = before.get(name)
    if (old === undefined || old === partition) continue
    must(partitionEpoch > old.partitionEpoch, 'the partition epoch grows')
    must(leaderEpoch >= old.leaderEpoch, 'the leader epoch never falls')
    must(leader === old.leader || leaderEpoch > old.leaderEpoch, 'another leader has another epoch')
  }
  return found
}

/** The indexes as they would be built from nothing. */
function indexes(topics: TopicState): unknown {
  const isrs = [-1, ...BROKERS].map((broker) => [
    broker,
    sorted(topics.isrs.partitionsOf(broker)),
    topics.isrs.hasLeaderships(broker),
  ])
  const elrs = BROKERS.map((broker) => [broker, sorted(topics.elrs.partitionsOf(broker))])
  const reassigning = [...topics.byId.keys()].map((id) => topics.reassigning(id).toSorted((a, b) => a - b))
  return { isrs, elrs, reassigning, imbalanced: sorted(topics.imbalanced) }
}

function sorted(partitions: readonly { topicId: string; partition: number }[]): string[] {
  return partitions.map(({ topicId, partition }) => `${topicId}-${partition}`).sort()
}

function step(lab: StateLab, random: Random): void {
  const broker = random.pick(BROKERS)
  const name = random.pick(PARTITIONS)
  const partition = lab.partition(name)
  switch (random.int(11)) {
    case 0:
    case 1:
      return lab.fence(broker)
    case 2:
    case 3:
    case 4:
      return lab.unfence(broker)
    case 5: {
      lab.restart(broker, random.chance(0.5) ? 'clean' : 'unclean')
      return
    }
    case 6: {
      if (partition.leader < 0) return
      const others = random.shuffle(partition.replicas.filter((replica) => replica !== partition.leader))
      lab.alterIsr(name, [partition.leader, ...others.slice(0, random.int(others.length + 1))])
      return
    }
    case 7: {
      lab.reassign(name, random.chance(0.3) ? null : random.sample(BROKERS, 3))
      return
    }
    case 8: {
      lab.elect(random.chance(0.5) ? 'preferred' : 'unclean', name)
      return
    }
    case 9: {
      lab.decide(random.chance(0.5) ? balanceLeaders(lab.state) : electUncleanLeaders(lab.state))
      return
    }
    default: {
      const reply = lab.heartbeat(broker, { wantShutDown: true })
      if (typeof reply !== 'string' && reply.shouldShutDown) lab.restart(broker, 'clean')
    }
  }
}

describe('whatever happens to brokers and partitions', () => {
  for (const elr of [true, false]) {
    for (let seed = 1; seed <= 12; seed++) {
      it(`the invariants hold ${elr ? 'with' : 'without'} ELR, seed ${seed}`, () => {
        const random = new Random(`properties/${elr}/${seed}`)
        const lab = new StateLab({ elr, seed: String(seed) })
        lab.start(...BROKERS)
        const configs = {
          'min.insync.replicas': String(MIN_ISR),
          'unclean.leader.election.enable': String(seed % 3 === 0),
        }
        lab.create(
          'a',
          [
            [1, 2, 3],
            [2, 3, 4],
          ],
          configs,
        )
        lab.create('b', [[5, 1, 2]], configs)
        for (let i = 0; i < STEPS; i++) {
          const before = new Map(PARTITIONS.map((name) => [name, lab.partition(name)]))
          step(lab, random)
          const wrong = violations(lab, before, elr)
          if (wrong.length > 0) expect(wrong, `after step ${i}`).toEqual([])
        }
        for (const name of ['a', 'b']) {
          const topic = lab.image.topicsByName.get(name)
          expect(new Map(lab.state.topics.byName.get(name)?.partitions)).toEqual(new Map(topic?.partitions))
        }
        expect(new Map(lab.state.cluster.brokers)).toEqual(new Map(lab.image.brokers))
        const rebuilt = new FreshTopics()
        rebuilt.reset(lab.image)
        expect(indexes(lab.state.topics)).toEqual(indexes(rebuilt))
        const again = new MetadataDelta(EMPTY_IMAGE)
        for (const record of imageToRecords(lab.image)) again.replay(record, lab.image.offset, lab.image.epoch)
        expect(again.apply()).toEqual(lab.image)
        expect(lab.setConfig(RESOURCE_TOPIC, 'a', 'min.insync.replicas', '1')).toBe('NONE')
        expect(PARTITIONS.slice(0, 2).every((name) => lab.partition(name).elr.length === 0)).toBe(true)
      })
    }
  }
})
