/** ACLs in images, deltas and snapshots. The cases are those of Kafka's AclsImageTest and AclsDeltaTest. */

import { describe, expect, it } from 'vitest'
import { EMPTY_IMAGE, type MetadataImage } from '../../../sim/kraft/metadata/image.js'
import { imageToRecords } from '../../../sim/kraft/metadata/image-records.js'
import { MetadataDelta } from '../../../sim/kraft/metadata/metadata-delta.js'
import { aclRecord, featureLevelRecord, type MetadataRecord } from '../../../sim/kraft/metadata/records.js'
import { acl } from './acls.js'

const ACLS = [
  ['QZDDv-R7SyaPgetDPGd0Mw', acl('allow * alter cluster kafka-cluster')],
  ['SdDjEdlbRmy2__WFKe3RMg', acl('allow * read topic foo_…')],
  ['vKRzWMZnTpieHRjaVLRBrA', acl('deny foo read group mygroup')],
  ['sqYvk4x6TaC3tDCDbdjdkA', acl('deny foo read group mygroup…')],
  ['TKaqtDOkQ1uYfFmEmNhUDQ', acl('deny foo read group foo…')],
] as const
const [FIRST, SECOND, THIRD, FOURTH, FIFTH] = ACLS.map(([id, each]) => aclRecord(id, each)) as [
  MetadataRecord,
  MetadataRecord,
  MetadataRecord,
  MetadataRecord,
  MetadataRecord,
]
const VERSION = featureLevelRecord('metadata.version', 27)

function remove(at: number): MetadataRecord {
  return { type: 'RemoveAccessControlEntryRecord', version: 0, id: (ACLS[at] as (typeof ACLS)[number])[0] }
}

function replay(image: MetadataImage, records: readonly MetadataRecord[]): MetadataDelta {
  const delta = new MetadataDelta(image)
  records.forEach((record, offset) => delta.replay(record, image.offset + 1 + offset, 1))
  return delta
}

const IMAGE_1 = replay(EMPTY_IMAGE, [VERSION, FIRST, SECOND, THIRD, FOURTH]).apply()
const IMAGE_2 = replay(IMAGE_1, [remove(0), FIFTH]).apply()

describe('an image', () => {
  it('holds ACLs by id', () => {
    expect([...IMAGE_1.acls]).toEqual(ACLS.slice(0, 4))
    expect([...IMAGE_2.acls]).toEqual(ACLS.slice(1))
  })

  it.each([
    ['the empty one', EMPTY_IMAGE],
    ['one with ACLs', IMAGE_1],
    ['one after a change', IMAGE_2],
  ])('%s goes through a snapshot unchanged', (_, image) => {
    expect(replay(EMPTY_IMAGE, imageToRecords(image)).apply().acls).toEqual(image.acls)
  })

  it('comes out the same whether a change is replayed or the whole', () => {
    const whole = replay(EMPTY_IMAGE, [...imageToRecords(IMAGE_1), remove(0), FIFTH]).apply()
    expect(whole.acls).toEqual(IMAGE_2.acls)
  })

  it('shares its ACLs with the next one that does not touch them', () => {
    expect(replay(IMAGE_1, [VERSION]).apply().acls).toBe(IMAGE_1.acls)
  })
})

describe('a delta', () => {
  it('has no trace of an ACL that came and went', () => {
    const delta = replay(EMPTY_IMAGE, [FIRST, remove(0)])
    expect(delta.changedAcls.size).toBe(0)
  })

  it('says that an ACL of the image is gone', () => {
    expect([...replay(IMAGE_1, [remove(2)]).changedAcls]).toEqual([['vKRzWMZnTpieHRjaVLRBrA', null]])
  })

  it.each([
    ['an empty image', EMPTY_IMAGE],
    ['an image with others', IMAGE_1],
  ])('refuses to remove from %s what is not there', (_, image) => {
    expect(() => replay(image, [remove(4)])).toThrow('removal of an unknown ACL')
  })

  it('of a snapshot says that what the snapshot does not name is gone', () => {
    const delta = replay(IMAGE_1, imageToRecords(IMAGE_2))
    delta.finishSnapshot()
    expect(delta.changedAcls.get('QZDDv-R7SyaPgetDPGd0Mw')).toBeNull()
    expect(delta.apply().acls).toEqual(IMAGE_2.acls)
  })
})
