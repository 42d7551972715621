import { describe, expect, it } from 'vitest'
import { BrokerMetadataPublisher } from '../../../sim/broker/metadata-publisher.js'
import type { MetadataImage } from '../../../sim/kraft/metadata/image.js'
import { EMPTY_IMAGE } from '../../../sim/kraft/metadata/image.js'
import { MetadataDelta } from '../../../sim/kraft/metadata/metadata-delta.js'

function publisher() {
  const log: string[] = []
  let opened: () => void = () => undefined
  const made = new BrokerMetadataPublisher({
    setImage: (image) => log.push(`image ${image.offset}`),
    startManagers: (image, done) => {
      log.push(`open logs with ${image.offset}`)
      opened = done
    },
    applyDelta: (_delta, image) => log.push(`apply ${image.offset}`),
    onFirstPublish: () => log.push('published'),
  })
  const update = (offset: number): void => {
    const image: MetadataImage = { ...EMPTY_IMAGE, offset }
    made.onMetadataUpdate(new MetadataDelta(EMPTY_IMAGE), image)
  }
  return { made, log, update, open: () => opened() }
}

describe('new metadata at a broker', () => {
  it('first opens the logs, then reaches the replicas', () => {
    const { log, update, open } = publisher()
    update(10)
    expect(log).toEqual(['image 10', 'open logs with 10'])
    open()
    expect(log.slice(2)).toEqual(['apply 10', 'published'])
  })

  it('waits in line while the logs recover, and the reported offset stands still', () => {
    const { made, log, update, open } = publisher()
    expect(made.lastAppliedOffset).toBe(-1)
    update(10)
    update(11)
    update(12)
    expect(made.lastAppliedOffset).toBe(10)
    open()
    expect(log.slice(2)).toEqual(['apply 10', 'published', 'image 11', 'apply 11', 'image 12', 'apply 12'])
    expect(made.lastAppliedOffset).toBe(12)
  })

  it('is ignored once the broker shuts down', () => {
    const { made, log, update, open } = publisher()
    update(10)
    made.close()
    open()
    update(11)
    expect(log).toEqual(['image 10', 'open logs with 10'])
  })
})
