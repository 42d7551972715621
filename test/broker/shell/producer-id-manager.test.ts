import { describe, expect, it } from 'vitest'
import { ProducerIdManager } from '../../../sim/broker/producer-id-manager.js'
import { Errors } from '../../../sim/wire/errors.js'
import { FakeController } from './fake-controller.js'
import { FakeNode } from './fake-env.js'

function manager() {
  const node = new FakeNode()
  const controller = new FakeController(node)
  const ids = new ProducerIdManager(1, () => 7, node.env.clock, controller)
  const grant = (producerIdStart: number, producerIdLen: number, errorCode: number = Errors.NONE): void => {
    controller.last('AllocateProducerIds').answer({ throttleTimeMs: 0, errorCode, producerIdStart, producerIdLen })
    node.run(0)
  }
  return { node, controller, ids, grant }
}

const WAIT = { error: Errors.COORDINATOR_LOAD_IN_PROGRESS }
const id = (producerId: number) => ({ error: Errors.NONE, producerId })

describe('producer ids', () => {
  it('are not there before the first block, which is asked for', () => {
    const { controller, ids } = manager()
    expect(ids.generate()).toEqual(WAIT)
    expect(controller.last('AllocateProducerIds').body).toEqual({ brokerId: 1, brokerEpoch: 7 })
  })

  it('are asked for once, however many producers wait', () => {
    const { controller, ids } = manager()
    for (let i = 0; i < 5; i++) ids.generate()
    expect(controller.asked).toHaveLength(1)
  })

  it('come in order from the block', () => {
    const { ids, grant } = manager()
    ids.generate()
    grant(2_000, 1_000)
    expect([ids.generate(), ids.generate(), ids.generate()]).toEqual([id(2_000), id(2_001), id(2_002)])
  })

  it('go on with the next block, fetched when 90 % of this one is used', () => {
    const { controller, ids, grant } = manager()
    ids.generate()
    grant(0, 10)
    for (let i = 0; i < 9; i++) expect(ids.generate()).toEqual(id(i))
    expect(controller.asked).toHaveLength(1)
    expect(ids.generate()).toEqual(id(9))
    expect(controller.asked).toHaveLength(2)
    grant(10, 10)
    expect(ids.generate()).toEqual(id(10))
  })

  it('make the producer wait when the next block is late', () => {
    const { ids, grant } = manager()
    ids.generate()
    grant(0, 1)
    expect(ids.generate()).toEqual(id(0))
    expect(ids.generate()).toEqual(WAIT)
    grant(1_000, 1)
    expect(ids.generate()).toEqual(id(1_000))
  })

  it.each([
    Errors.UNKNOWN_SERVER_ERROR,
    Errors.INVALID_REQUEST,
    Errors.STALE_BROKER_EPOCH,
    Errors.BROKER_ID_NOT_REGISTERED,
  ])('are asked for again 50 ms after error %i, not before', (error) => {
    const { node, controller, ids, grant } = manager()
    ids.generate()
    grant(0, 0, error)
    node.run(49)
    expect(ids.generate()).toEqual(WAIT)
    expect(controller.asked).toHaveLength(1)
    node.run(1)
    expect(ids.generate()).toEqual(WAIT)
    expect(controller.asked).toHaveLength(2)
    grant(0, 10)
    expect(ids.generate()).toEqual(id(0))
  })

  it('are asked for again at once after a timeout', () => {
    const { node, controller, ids } = manager()
    ids.generate()
    controller.last('AllocateProducerIds').timeOut()
    node.run(0)
    ids.generate()
    expect(controller.asked).toHaveLength(2)
  })

  it.each([
    ['goes backwards', 500, 10],
    ['begins below zero', -1, 10],
    ['has a negative length', 2_000, -1],
    ['runs over', Number.MAX_SAFE_INTEGER - 1, 10],
  ])('are not taken from a block that %s', (_what, start, length) => {
    const { ids, grant } = manager()
    ids.generate()
    grant(1_000, 2)
    ids.generate()
    ids.generate()
    grant(start, length)
    expect(ids.generate()).toEqual(WAIT)
  })
})
