import { describe, expect, it } from 'vitest'
import { BrokerLifecycle, type BrokerLifecycleOptions } from '../../../sim/broker/broker-lifecycle.js'
import type { Apis } from '../../../sim/wire/apis.js'
import { Errors } from '../../../sim/wire/errors.js'
import { FakeController } from './fake-controller.js'
import { FakeNode } from './fake-env.js'

type Heartbeat = Apis['BrokerHeartbeat']['response']

const HEARTBEAT: Heartbeat = {
  throttleTimeMs: 0,
  errorCode: Errors.NONE,
  isCaughtUp: false,
  isFenced: true,
  shouldShutDown: false,
}

function registered(brokerEpoch: number): Apis['BrokerRegistration']['response'] {
  return { throttleTimeMs: 0, errorCode: Errors.NONE, brokerEpoch }
}

function refused(errorCode: number): Apis['BrokerRegistration']['response'] {
  return { throttleTimeMs: 0, errorCode, brokerEpoch: -1 }
}

function lifecycle(options: Partial<BrokerLifecycleOptions> = {}) {
  const node = new FakeNode()
  const controller = new FakeController(node)
  const told: string[] = []
  const broker = new BrokerLifecycle(node.env, {
    brokerId: 1,
    clusterId: 'cluster',
    host: 'b1',
    port: 9092,
    rack: null,
    incarnationId: 'incarnation',
    logDirs: ['gCpDJgRlS2CBCpxoP2VMsQ'],
    features: new Map([['metadata.version', { min: 7, max: 27 }]]),
    previousBrokerEpoch: -1,
    heartbeatIntervalMs: 2_000,
    initialRegistrationTimeoutMs: 60_000,
    highestMetadataOffset: () => 42,
    channel: controller,
    listener: {
      onCaughtUp: () => told.push('caught up'),
      onUnfenced: () => told.push('unfenced'),
      onShuttingDown: (reason) => told.push(`shutting down: ${reason}`),
    },
    ...options,
  })
  const heartbeat = (answer: Partial<Heartbeat>): void => {
    controller.last('BrokerHeartbeat').answer({ ...HEARTBEAT, ...answer })
    node.run(0)
  }
  /** Takes the broker to RUNNING. */
  const toRunning = (): void => {
    broker.start()
    controller.last('BrokerRegistration').answer(registered(1_000))
    node.run(0)
    heartbeat({ isCaughtUp: true })
    broker.setReadyToUnfence()
    node.run(0)
    heartbeat({ isCaughtUp: true, isFenced: false })
  }
  return { node, controller, broker, told, heartbeat, toRunning }
}

describe('a broker starting up', () => {
  it('has no epoch and is NOT_RUNNING before it starts', () => {
    const { broker } = lifecycle()
    expect(broker.state).toBe('NOT_RUNNING')
    expect(broker.brokerEpoch).toBe(-1)
  })

  it('registers with its directories, features and the epoch of its last clean shutdown', () => {
    const { broker, controller } = lifecycle({ previousBrokerEpoch: 10, rack: 'r1' })
    broker.start()
    expect(broker.state).toBe('STARTING')
    const body = controller.last('BrokerRegistration').body
    expect(body.previousBrokerEpoch).toBe(10)
    expect(body.logDirs).toEqual(['gCpDJgRlS2CBCpxoP2VMsQ'])
    expect(body.features).toEqual([{ name: 'metadata.version', minSupportedVersion: 7, maxSupportedVersion: 27 }])
    expect(body.listeners).toEqual([{ name: 'PLAINTEXT', host: 'b1', port: 9092, securityProtocol: 0 }])
    expect(body.rack).toBe('r1')
    expect(body.isMigratingZkBroker).toBe(false)
  })

  it('takes its epoch from the registration and sends a heartbeat at once', () => {
    const { node, broker, controller } = lifecycle()
    broker.start()
    controller.last('BrokerRegistration').answer(registered(1_000))
    node.run(0)
    expect(broker.brokerEpoch).toBe(1_000)
    expect(controller.last('BrokerHeartbeat').body).toEqual({
      brokerId: 1,
      brokerEpoch: 1_000,
      currentMetadataOffset: 42,
      wantFence: true,
      wantShutDown: false,
      offlineLogDirs: [],
    })
  })

  it('goes through STARTING, RECOVERY and RUNNING as the controller tells it', () => {
    const { node, broker, told, toRunning } = lifecycle()
    toRunning()
    expect(broker.state).toBe('RUNNING')
    expect(told).toEqual(['caught up', 'unfenced'])
    const states = node.events.filter((event) => event.type === 'broker.state').map((event) => event.data)
    expect(states).toEqual([
      { from: 'NOT_RUNNING', to: 'STARTING', brokerEpoch: -1, reason: 'start' },
      { from: 'STARTING', to: 'RECOVERY', brokerEpoch: 1_000, reason: 'caught-up' },
      { from: 'RECOVERY', to: 'RUNNING', brokerEpoch: 1_000, reason: 'unfenced' },
    ])
  })

  it('asks again 10 ms after each answer while STARTING, and every 2 s from then on', () => {
    const { node, broker, controller, heartbeat } = lifecycle()
    broker.start()
    controller.last('BrokerRegistration').answer(registered(1_000))
    node.run(0)
    heartbeat({})
    node.run(10)
    heartbeat({ isCaughtUp: true })
    node.run(10)
    heartbeat({ isCaughtUp: true })
    node.run(2_000)
    expect(controller.log()).toEqual([
      'BrokerRegistration@0',
      'BrokerHeartbeat@0',
      'BrokerHeartbeat@10',
      'BrokerHeartbeat@20',
      'BrokerHeartbeat@2020',
    ])
  })

  it('stays in RECOVERY for as long as it is fenced', () => {
    const { node, broker, controller, heartbeat, told } = lifecycle()
    broker.start()
    controller.last('BrokerRegistration').answer(registered(1_000))
    node.run(0)
    heartbeat({ isCaughtUp: true })
    broker.setReadyToUnfence()
    node.run(0)
    expect(controller.last('BrokerHeartbeat').body.wantFence).toBe(false)
    heartbeat({ isCaughtUp: true, isFenced: true })
    expect(broker.state).toBe('RECOVERY')
    expect(told).toEqual(['caught up'])
  })

  it('asks to be unfenced right after the answer that it was waiting for when it became ready', () => {
    const { node, broker, controller, heartbeat } = lifecycle()
    broker.start()
    controller.last('BrokerRegistration').answer(registered(1_000))
    node.run(0)
    heartbeat({ isCaughtUp: true })
    node.run(10)
    broker.setReadyToUnfence()
    node.run(5)
    expect(controller.log()).toHaveLength(3)
    heartbeat({ isCaughtUp: true })
    expect(controller.log().at(-1)).toBe('BrokerHeartbeat@15')
    expect(controller.last('BrokerHeartbeat').body.wantFence).toBe(false)
  })
})

describe('a broker that cannot register', () => {
  it('tries again every 2 s and shuts down after 60 s', () => {
    const { node, broker, controller, told } = lifecycle()
    controller.rule = () => refused(Errors.DUPLICATE_BROKER_REGISTRATION)
    broker.start()
    node.run(59_999)
    expect(controller.log().slice(0, 3)).toEqual([
      'BrokerRegistration@0',
      'BrokerRegistration@2000',
      'BrokerRegistration@4000',
    ])
    expect(broker.state).toBe('STARTING')
    node.run(1)
    expect(broker.state).toBe('SHUTTING_DOWN')
    expect(broker.brokerEpoch).toBe(-1)
    expect(told).toEqual(['shutting down: registration-timeout'])
    expect(controller.closed).toBe(true)
  })

  it('does not mind the timeout once it has registered', () => {
    const { node, broker, controller } = lifecycle()
    broker.start()
    controller.last('BrokerRegistration').answer(registered(7))
    node.run(120_000)
    expect(broker.state).toBe('STARTING')
  })

  it('tries again 2 s after a request that timed out', () => {
    const { node, broker, controller } = lifecycle()
    broker.start()
    node.run(500)
    controller.last('BrokerRegistration').timeOut()
    node.run(2_000)
    expect(controller.log()).toEqual(['BrokerRegistration@0', 'BrokerRegistration@2500'])
  })
})

describe('a running broker', () => {
  it('stays RUNNING when the controller fences it', () => {
    const { node, broker, heartbeat, toRunning } = lifecycle()
    toRunning()
    node.run(2_000)
    heartbeat({ isFenced: true })
    expect(broker.state).toBe('RUNNING')
  })

  it('goes on with heartbeats after STALE_BROKER_EPOCH, without registering again', () => {
    const { node, controller, heartbeat, toRunning } = lifecycle()
    toRunning()
    node.run(2_000)
    heartbeat({ errorCode: Errors.STALE_BROKER_EPOCH })
    node.run(2_000)
    expect(controller.last('BrokerHeartbeat').body.brokerEpoch).toBe(1_000)
    expect(controller.log().filter((line) => line.startsWith('BrokerRegistration'))).toHaveLength(1)
  })

  it('registers again, and takes the new epoch, when it is asked to', () => {
    const { node, broker, controller, toRunning } = lifecycle()
    toRunning()
    broker.resendRegistration()
    node.run(0)
    controller.last('BrokerRegistration').answer(registered(1_200))
    node.run(0)
    expect(broker.brokerEpoch).toBe(1_200)
    expect(controller.last('BrokerHeartbeat').body.brokerEpoch).toBe(1_200)
    expect(broker.state).toBe('RUNNING')
  })
})

describe('controlled shutdown', () => {
  it('begins with a heartbeat at once and ends when the controller approves', () => {
    const { node, broker, controller, told, heartbeat, toRunning } = lifecycle()
    toRunning()
    node.run(700)
    broker.beginControlledShutdown()
    node.run(0)
    expect(broker.state).toBe('PENDING_CONTROLLED_SHUTDOWN')
    expect(controller.log().at(-1)).toBe('BrokerHeartbeat@700')
    expect(controller.last('BrokerHeartbeat').body.wantShutDown).toBe(true)
    heartbeat({ shouldShutDown: true })
    expect(broker.state).toBe('SHUTTING_DOWN')
    expect(told.at(-1)).toBe('shutting down: approved')
    expect(controller.closed).toBe(true)
  })

  it('asks again after 50 ms, then every 2 s, until it may go', () => {
    const { node, broker, controller, heartbeat, toRunning } = lifecycle()
    toRunning()
    broker.beginControlledShutdown()
    node.run(0)
    heartbeat({})
    node.run(50)
    heartbeat({})
    node.run(2_000)
    expect(controller.log().slice(-3)).toEqual(['BrokerHeartbeat@0', 'BrokerHeartbeat@50', 'BrokerHeartbeat@2050'])
    expect(broker.state).toBe('PENDING_CONTROLLED_SHUTDOWN')
  })

  it('waits for the answer that is on its way, then asks at once', () => {
    const { node, broker, controller, heartbeat, toRunning } = lifecycle()
    toRunning()
    node.run(2_000)
    broker.beginControlledShutdown()
    node.run(100)
    expect(controller.last('BrokerHeartbeat').body.wantShutDown).toBe(false)
    heartbeat({ isFenced: false })
    expect(controller.last('BrokerHeartbeat').body.wantShutDown).toBe(true)
    expect(controller.last('BrokerHeartbeat').atMs).toBe(2_100)
  })

  it('is skipped by a broker that is not RUNNING', () => {
    const { broker, told } = lifecycle()
    broker.start()
    broker.beginControlledShutdown()
    expect(broker.state).toBe('SHUTTING_DOWN')
    expect(told).toEqual(['shutting down: asked'])
  })

  it('leaves nothing scheduled behind', () => {
    const { node, broker, toRunning } = lifecycle()
    toRunning()
    broker.beginShutdown()
    expect(node.engine.pending).toBe(0)
  })
})
