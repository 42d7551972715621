/** Registration, sessions and the states of a broker. Cases of Kafka's ClusterControlManagerTest and BrokerHeartbeatManagerTest. */

import { describe, expect, it } from 'vitest'
import { fenceOneStaleBroker } from '../../sim/controller/broker-transitions.js'
import { BrokerHeartbeats } from '../../sim/controller/broker-heartbeats.js'
import { LONG_MAX } from '../../sim/kernel/units.js'
import { LOST_DIRECTORY, MIGRATING_DIRECTORY, UNASSIGNED_DIRECTORY } from '../../sim/kraft/metadata/records.js'
import { CLUSTER_ID, directoryOf, StateLab } from './state-lab.js'

describe('a broker that registers', () => {
  it('gets the next write offset as its epoch and is fenced', () => {
    const lab = new StateLab()
    const offset = lab.nextOffset
    expect(lab.register(1)).toBe(offset)
    expect(lab.state.cluster.brokers.get(1)).toMatchObject({ epoch: offset, fenced: true, inControlledShutdown: false })
    expect(lab.state.cluster.registrationOffset(1)).toBe(offset)
  })

  it('must be of this cluster', () => {
    const lab = new StateLab()
    const result = lab.state.cluster.registerBroker(
      {
        brokerId: 1,
        clusterId: 'pjvUwj3ZTEeSVQmUiH3IJw',
        incarnationId: 'AAAAAAAAAAAAAAAAAAAABw',
        listeners: [],
        features: [],
        rack: null,
        isMigratingZkBroker: false,
        logDirs: [],
        previousBrokerEpoch: -1,
      },
      0,
      true,
      () => {},
    )
    expect(CLUSTER_ID).not.toBe('pjvUwj3ZTEeSVQmUiH3IJw')
    expect(lab.decide(result)).toBe('INCONSISTENT_CLUSTER_ID')
  })

  it('is refused while another run of it has a live session', () => {
    const lab = new StateLab()
    lab.register(1, { incarnation: 'FieldCMGQTirDlkJyStHAA' })
    lab.heartbeat(1)
    expect(lab.register(1)).toBe('DUPLICATE_BROKER_REGISTRATION')
    lab.nowMs += 9_000
    expect(lab.register(1)).toBe('DUPLICATE_BROKER_REGISTRATION')
    lab.nowMs += 1
    const offset = lab.nextOffset
    expect(lab.register(1)).toBe(offset)
  })

  it('may come back at once when it never sent a heartbeat', () => {
    const lab = new StateLab()
    lab.register(1)
    expect(lab.register(1)).not.toBe('DUPLICATE_BROKER_REGISTRATION')
  })

  it('keeps epoch and state when it registers the same run again', () => {
    const lab = new StateLab()
    const epoch = lab.register(1, { incarnation: 'FieldCMGQTirDlkJyStHAA' })
    lab.unfence(1)
    expect(lab.register(1, { incarnation: 'FieldCMGQTirDlkJyStHAA', rack: 'r2' })).toBe(epoch)
    expect(lab.state.cluster.brokers.get(1)).toMatchObject({ epoch, fenced: false, rack: 'r2' })
    expect(lab.state.cluster.registrationOffset(1)).toBeGreaterThan(epoch as number)
  })

  it('gets as its epoch the offset of the first record, although the registration comes last', () => {
    const lab = new StateLab({ elr: false })
    lab.start(1, 2)
    lab.create('foo', [[1, 2]])
    const offset = lab.nextOffset
    expect(lab.restart(1, 'unclean')).toBe(offset)
    expect(lab.records.map((record) => record.type)).toEqual(['PartitionChangeRecord', 'RegisterBrokerRecord'])
    expect(lab.state.cluster.registrationOffset(1)).toBe(offset + 1)
  })

  it('must name directories: some, not reserved, not twice, nobody else’s', () => {
    const lab = new StateLab()
    lab.register(1)
    const cases = [[], [UNASSIGNED_DIRECTORY], [directoryOf(2), directoryOf(2)], [directoryOf(1)]]
    for (const logDirs of cases) expect(lab.register(2, { logDirs })).toBe('INVALID_REGISTRATION')
    expect(typeof lab.register(2)).toBe('number')
  })

  it('must support what the cluster has finalised', () => {
    const lab = new StateLab({ version: '3.5' })
    const register = (min: number, max: number): unknown =>
      lab.decide(
        lab.state.cluster.registerBroker(
          {
            brokerId: 1,
            clusterId: CLUSTER_ID,
            incarnationId: 'FieldCMGQTirDlkJyStHAA',
            listeners: [],
            features: [
              { name: 'metadata.version', minSupportedVersion: min, maxSupportedVersion: max },
              { name: 'kraft.version', minSupportedVersion: 0, maxSupportedVersion: 1 },
            ],
            rack: null,
            isMigratingZkBroker: false,
            logDirs: [],
            previousBrokerEpoch: -1,
          },
          lab.nextOffset,
          true,
          () => {},
        ),
      )
    expect(register(7, 10)).toBe('UNSUPPORTED_VERSION')
    expect(register(12, 27)).toBe('UNSUPPORTED_VERSION')
    expect(typeof register(7, 11)).toBe('number')
    expect(lab.records).toEqual([expect.objectContaining({ type: 'RegisterBrokerRecord', version: 2, logDirs: [] })])
  })
})

describe('a replica’s directory', () => {
  it('is online when the broker names it, or when it is not known yet', () => {
    const lab = new StateLab()
    lab.register(1, { logDirs: [directoryOf(1), directoryOf(11)] })
    const { cluster } = lab.state
    expect(
      [directoryOf(1), UNASSIGNED_DIRECTORY, MIGRATING_DIRECTORY].map((id) => cluster.hasOnlineDirectory(1, id)),
    ).toEqual([true, true, true])
    expect([directoryOf(2), LOST_DIRECTORY].map((id) => cluster.hasOnlineDirectory(1, id))).toEqual([false, false])
    expect(cluster.hasOnlineDirectory(9, directoryOf(1))).toBe(false)
  })

  it('is the broker’s only one by default', () => {
    const lab = new StateLab()
    lab.register(1)
    lab.register(2, { logDirs: [directoryOf(2), directoryOf(12)] })
    const { cluster } = lab.state
    expect(cluster.defaultDirectory(1)).toBe(directoryOf(1))
    expect(cluster.defaultDirectory(2)).toBe(UNASSIGNED_DIRECTORY)
    expect(cluster.defaultDirectory(3)).toBe(UNASSIGNED_DIRECTORY)
  })
})

describe('heartbeats', () => {
  let nowMs = 0
  const clock = { wallMs: () => nowMs, monotonicMs: () => nowMs }
  const wish = (currentMetadataOffset: number, wantFence: boolean, wantShutDown: boolean) => ({
    currentMetadataOffset,
    wantFence,
    wantShutDown,
  })

  it('lead from state to state as Kafka’s do', () => {
    const beats = new BrokerHeartbeats(clock, 10)
    const next = (broker: number, of: ReturnType<typeof wish>, leads: boolean): string =>
      beats.nextState(broker, of, 100, () => leads)
    for (const broker of [0, 1, 2, 3, 4, 5]) beats.register(broker, true)
    beats.touch(1, false, 98)
    beats.touch(2, false, 100)
    beats.touch(3, false, 100)
    beats.touch(4, false, 100)
    beats.touch(5, false, 99)
    beats.setControlledShutdownOffset(5, 99)

    expect(beats.currentState(0)).toBe('FENCED')
    expect(next(0, wish(100, false, true), false)).toBe('SHUTDOWN_NOW')
    expect(next(0, wish(101, true, false), false)).toBe('FENCED')
    expect(next(0, wish(99, false, false), false)).toBe('FENCED')
    expect(next(0, wish(100, false, false), false)).toBe('UNFENCED')
    expect(beats.currentState(1)).toBe('UNFENCED')
    expect(next(1, wish(100, false, false), false)).toBe('UNFENCED')
    expect(next(1, wish(100, true, false), false)).toBe('FENCED')
    expect(next(1, wish(100, true, true), false)).toBe('SHUTDOWN_NOW')
    expect(next(1, wish(100, false, true), true)).toBe('CONTROLLED_SHUTDOWN')
    expect(next(1, wish(100, false, true), false)).toBe('SHUTDOWN_NOW')
    expect(beats.currentState(5)).toBe('CONTROLLED_SHUTDOWN')
    expect(next(5, wish(99, true, true), true)).toBe('CONTROLLED_SHUTDOWN')
    expect(next(5, wish(99, false, true), false)).toBe('CONTROLLED_SHUTDOWN')
    beats.fence(1)
    expect(next(5, wish(99, false, true), false)).toBe('SHUTDOWN_NOW')
  })

  it('end a controlled shutdown at once when no other broker is active', () => {
    const beats = new BrokerHeartbeats(clock, 10)
    beats.register(0, false)
    beats.touch(0, false, 5)
    expect(beats.lowestActiveOffset()).toBe(5)
    beats.setControlledShutdownOffset(0, 10)
    beats.setControlledShutdownOffset(0, 12)
    expect(beats.controlledShutdownOffset(0)).toBe(10)
    expect(beats.lowestActiveOffset()).toBe(LONG_MAX)
    expect(beats.nextState(0, wish(5, false, true), 0, () => false)).toBe('SHUTDOWN_NOW')
  })

  it('keep a session alive for its timeout, by broker epoch', () => {
    nowMs = 1_000
    const beats = new BrokerHeartbeats(clock, 10)
    beats.contact(1, 100)
    expect([beats.hasValidSession(1, 100), beats.hasValidSession(1, 101), beats.hasValidSession(2, 100)]).toEqual([
      true,
      false,
      false,
    ])
    nowMs = 1_010
    expect(beats.hasValidSession(1, 100)).toBe(true)
    beats.contact(1, 101)
    nowMs = 1_011
    expect(beats.removeExpired()).toEqual({ id: 1, epoch: 100 })
    expect(beats.removeExpired()).toBeUndefined()
    expect(beats.hasValidSession(1, 101)).toBe(true)
  })

  it('of a broker whose registration changed count as far behind until the next', () => {
    const beats = new BrokerHeartbeats(clock, 10)
    beats.register(1, true)
    beats.touch(1, false, 50)
    beats.register(1, false)
    expect(beats.lowestActiveOffset()).toBe(-1)
  })

  it('of an earlier run that end do not fence the run of now', () => {
    const lab = new StateLab()
    lab.start(1)
    lab.restart(1, 'clean')
    lab.unfence(1)
    expect(lab.decide(fenceOneStaleBroker(lab.state))).toBe(true)
    expect(lab.records).toEqual([])
    expect(lab.decide(fenceOneStaleBroker(lab.state))).toBe(false)
    expect(lab.state.cluster.brokers.get(1)?.fenced).toBe(false)
  })

  it('before the registration is caught up with leave the broker fenced', () => {
    const lab = new StateLab()
    const epoch = lab.register(1) as number
    expect(lab.heartbeat(1, { offset: epoch - 1 })).toMatchObject({ isCaughtUp: false, isFenced: true })
    expect(lab.heartbeat(1, { offset: epoch })).toMatchObject({ isCaughtUp: true, isFenced: false })
  })
})
