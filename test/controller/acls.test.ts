/** ACLs as the controller creates and deletes them. The cases are those of Kafka's AclControlManagerTest. */

import { describe, expect, it } from 'vitest'
import { DELETIONS_MAX, type Deletion } from '../../sim/controller/acl-control.js'
import {
  type Acl,
  type AclFilter,
  AclOperation,
  AclPermission,
  PatternType,
  ResourceType,
} from '../../sim/kraft/metadata/acl.js'
import type { ApiError } from '../../sim/wire/error-response.js'
import { errorName, Errors } from '../../sim/wire/errors.js'
import { acl } from '../kraft/metadata/acls.js'
import { StateLab } from './state-lab.js'

const ANY: AclFilter = {
  resourceTypeFilter: ResourceType.ANY,
  resourceNameFilter: null,
  patternTypeFilter: PatternType.ANY,
  principalFilter: null,
  hostFilter: null,
  operation: AclOperation.ANY,
  permissionType: AclPermission.ANY,
}

const ACLS = [
  'allow * alter cluster kafka-cluster',
  'allow * read topic foo_…',
  'deny foo read group mygroup',
  'deny foo read group mygroup…',
].map(acl)
const VALID = acl('allow * alter topic *')

class AclLab extends StateLab {
  createAcls(...acls: readonly Acl[]): string[] {
    return (this.decide(this.state.acls.createAcls(acls)) as readonly ApiError[]).map(({ error }) => errorName(error))
  }

  deleteAcls(...filters: readonly AclFilter[]): readonly Deletion[] | string {
    return this.decide(this.state.acls.deleteAcls(filters))
  }

  /** What the controller and those who replay the log agree on. */
  get acls(): readonly Acl[] {
    expect([...this.image.acls]).toEqual([...this.state.acls.acls])
    return [...this.state.acls.acls.values()]
  }
}

describe('creating an ACL', () => {
  it('takes one with the name *', () => expect(new AclLab().createAcls(VALID)).toEqual(['NONE']))

  it.each<[string, Partial<Acl>]>([
    ['pattern type', { patternType: PatternType.UNKNOWN }],
    ['pattern type for filters', { patternType: PatternType.MATCH }],
    ['resource type', { resourceType: ResourceType.UNKNOWN }],
    ['resource type for filters', { resourceType: ResourceType.ANY }],
    ['resource type that nobody knows', { resourceType: 99 }],
    ['operation', { operation: AclOperation.UNKNOWN }],
    ['operation for filters', { operation: AclOperation.ANY }],
    ['permission', { permissionType: AclPermission.UNKNOWN }],
    ['permission for filters', { permissionType: AclPermission.ANY }],
    ['resource name', { resourceName: '' }],
    ['principal without a type', { principal: 'invalid' }],
    ['principal', { principal: '' }],
  ])('refuses an unknown %s, and takes the others of the request', (_, wrong) => {
    const lab = new AclLab()
    expect(lab.createAcls({ ...VALID, ...wrong }, VALID)).toEqual(['INVALID_REQUEST', 'NONE'])
    expect(lab.acls).toEqual([VALID])
  })

  it('writes one record for what is given twice, and none for what exists', () => {
    const lab = new AclLab()
    const once = acl('allow user all topic topic-1 from 10.0.0.1')
    expect(lab.createAcls(once, once)).toEqual(['NONE', 'NONE'])
    expect(lab.records).toHaveLength(1)
    expect(lab.createAcls(once)).toEqual(['NONE'])
    expect(lab.records).toEqual([])
    expect(lab.acls).toEqual([once])
  })

  it('gives every one an id of its own', () => {
    const lab = new AclLab()
    lab.createAcls(...ACLS)
    expect(new Set(lab.state.acls.acls.keys()).size).toBe(ACLS.length)
  })

  it('can be done again once it was deleted', () => {
    const lab = new AclLab()
    lab.createAcls(VALID)
    lab.deleteAcls(ANY)
    expect(lab.acls).toEqual([])
    lab.createAcls(VALID)
    expect(lab.records).toHaveLength(1)
  })
})

describe('deleting ACLs', () => {
  it('takes those that a filter finds, and says which', () => {
    const lab = new AclLab()
    lab.createAcls(...ACLS)
    const literal = { ...ANY, patternTypeFilter: PatternType.LITERAL }
    const unknown = { ...literal, resourceTypeFilter: ResourceType.UNKNOWN }
    const [found, refused] = lab.deleteAcls(literal, unknown) as readonly Deletion[]
    expect(found?.deleted).toEqual([ACLS[0], ACLS[2]])
    expect(refused?.error.error).toBe(Errors.INVALID_REQUEST)
    expect(refused?.deleted).toEqual([])
    expect(lab.acls).toEqual([ACLS[1], ACLS[3]])
  })

  it.each<[string, Partial<AclFilter>]>([
    ['resource type', { resourceTypeFilter: ResourceType.UNKNOWN }],
    ['pattern type', { patternTypeFilter: PatternType.UNKNOWN }],
    ['operation', { operation: AclOperation.UNKNOWN }],
    ['permission', { permissionType: AclPermission.UNKNOWN }],
  ])('refuses a filter with an unknown %s', (_, wrong) => {
    const lab = new AclLab()
    lab.createAcls(...ACLS)
    const [refused] = lab.deleteAcls({ ...ANY, ...wrong }) as readonly Deletion[]
    expect(refused?.error.error).toBe(Errors.INVALID_REQUEST)
    expect(lab.acls).toEqual(ACLS)
  })

  it('tells what several filters find to each of them, and removes it once', () => {
    const lab = new AclLab()
    lab.createAcls(VALID)
    const exact = { ...ANY, resourceNameFilter: '*', principalFilter: 'User:*' }
    const results = lab.deleteAcls(ANY, exact) as readonly Deletion[]
    expect(results.map(({ deleted }) => deleted)).toEqual([[VALID], [VALID]])
    expect(lab.records).toHaveLength(1)
  })

  it('is a success when nothing is found', () => {
    const lab = new AclLab()
    lab.createAcls(...ACLS)
    const [result] = lab.deleteAcls({ ...ANY, principalFilter: 'User:nobody' }) as readonly Deletion[]
    expect(result).toEqual({ error: { error: Errors.NONE, message: null }, deleted: [] })
    expect(lab.records).toEqual([])
  })

  it('refuses more at once than one batch of records takes, and deletes none', () => {
    const lab = new AclLab()
    const many = Array.from({ length: DELETIONS_MAX + 2 }, (_, i) => acl(`allow alice read topic mytopic_${i}`))
    lab.createAcls(...many.slice(0, 6_000))
    lab.createAcls(...many.slice(6_000))
    expect(lab.deleteAcls(ANY)).toBe('INVALID_REQUEST')
    expect(lab.state.acls.acls.size).toBe(DELETIONS_MAX + 2)
    lab.deleteAcls({ ...ANY, resourceNameFilter: 'mytopic_7' })
    lab.deleteAcls({ ...ANY, resourceNameFilter: 'mytopic_8' })
    lab.deleteAcls(ANY)
    expect(lab.acls).toEqual([])
  })
})

describe('a controller that loses its leadership', () => {
  it('takes back what was not committed', () => {
    const lab = new AclLab()
    lab.createAcls(...ACLS.slice(0, 2))
    const committed = lab.image
    lab.createAcls(...ACLS.slice(2))
    lab.state.reset(committed)
    expect([...lab.state.acls.acls]).toEqual([...committed.acls])
    expect(lab.state.acls.createAcls(ACLS).records).toHaveLength(2)
  })
})
