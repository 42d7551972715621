/**
 * IncrementalAlterConfigs and AlterConfigs (`ConfigAdminManager`, KIP-339): the broker checks what only it can check, asks the
 * controller to persist the rest, and puts the two answers together in the order of the request.
 *
 * Refused here: a resource named twice, a setting named twice, a value missing, and changes of broker settings that are
 * another broker's, cannot be made while it runs, or do not parse. Topics are checked by the controller.
 */

import { AclOperation } from '../kraft/metadata/acl.js'
import type { Requester } from '../kraft/metadata/request-authorizer.js'
import type { Apis } from '../wire/apis.js'
import { type ErrorCode, Errors } from '../wire/errors.js'
import type { IncomingRequestOf } from '../wire/request-server.js'
import { ConfigResourceType } from './api-configs.js'
import type { ApiContext, ApiHandlers } from './api-context.js'
import { BROKER_SETTINGS, isBrokerSetting } from './broker-config.js'

/** `AlterConfigOp.OpType`. */
const SET = 0
const DELETE = 1
const APPEND = 2
const SUBTRACT = 3

interface Change {
  readonly name: string
  readonly operation: number
  readonly value: string | null
}

interface Resource {
  readonly resourceType: number
  readonly resourceName: string
  readonly changes: readonly Change[]
}

interface Verdict {
  readonly errorCode: ErrorCode
  readonly errorMessage: string | null
}

type AlterApi = 'IncrementalAlterConfigs' | 'AlterConfigs'

export function alterConfigHandlers(context: ApiContext): ApiHandlers {
  return {
    IncrementalAlterConfigs: (request) => {
      const resources = request.body.resources.map((resource): Resource => {
        const changes = resource.configs.map(({ name, configOperation, value }) => ({
          name,
          operation: configOperation,
          value,
        }))
        return { resourceType: resource.resourceType, resourceName: resource.resourceName, changes }
      })
      alter(context, request, resources, true)
    },
    AlterConfigs: (request) => {
      const resources = request.body.resources.map((resource): Resource => {
        const changes = resource.configs.map(({ name, value }) => ({ name, operation: SET, value }))
        return { resourceType: resource.resourceType, resourceName: resource.resourceName, changes }
      })
      alter(context, request, resources, false)
    },
  }
}

function alter<A extends AlterApi>(
  context: ApiContext,
  request: IncomingRequestOf<A>,
  resources: readonly Resource[],
  incremental: boolean,
): void {
  const verdicts = resources.map((resource, at) =>
    appearsTwice(resources, at)
      ? invalid('the resource is named twice')
      : preprocess(context, request, resource, incremental),
  )
  const body = request.body as Apis[AlterApi]['request']
  const remaining = { ...body, resources: body.resources.filter((_, at) => verdicts[at] === undefined) }
  const answer = (persisted: Apis[AlterApi]['response']['responses']): void => {
    const responses = resources.map(({ resourceType, resourceName }, at) => {
      const verdict: Verdict = verdicts[at] ??
        persisted.find((one) => one.resourceType === resourceType && one.resourceName === resourceName) ?? {
          errorCode: Errors.UNKNOWN_SERVER_ERROR,
          errorMessage: null,
        }
      return { errorCode: verdict.errorCode, errorMessage: verdict.errorMessage, resourceType, resourceName }
    })
    request.respond({ throttleTimeMs: 0, responses } as Apis[A]['response'])
  }
  if (remaining.resources.length === 0) return answer([])
  context.forwarding.forward(request.api, remaining as Apis[A]['request'], request, (response) => {
    if (response === undefined) request.closeConnection()
    else answer((response as Apis[AlterApi]['response']).responses)
  })
}

function appearsTwice(resources: readonly Resource[], at: number): boolean {
  const one = resources[at] as Resource
  return resources.some(
    (other, index) =>
      index !== at && other.resourceType === one.resourceType && other.resourceName === one.resourceName,
  )
}

/** The verdict on a resource that needs no controller; undefined when the controller decides. */
function preprocess(
  context: ApiContext,
  request: Requester,
  resource: Resource,
  incremental: boolean,
): Verdict | undefined {
  const names = new Set(resource.changes.map((change) => change.name))
  if (names.size < resource.changes.length) return invalid('a setting is named twice')
  const missing = resource.changes.filter((change) => change.operation !== DELETE && change.value === null)
  if (missing.length > 0) {
    return invalid(`no value for ${missing.map((change) => change.name).join(', ')}`)
  }
  switch (resource.resourceType) {
    case ConfigResourceType.TOPIC:
    case ConfigResourceType.CLIENT_METRICS:
    case ConfigResourceType.GROUP:
      return undefined
    case ConfigResourceType.BROKER:
      return preprocessBroker(context, resource, incremental)
    case ConfigResourceType.BROKER_LOGGER:
      if (!incremental) break
      if (context.auth.onCluster(request, AclOperation.ALTER_CONFIGS)) {
        return { errorCode: Errors.NONE, errorMessage: null }
      }
      return { errorCode: Errors.CLUSTER_AUTHORIZATION_FAILED, errorMessage: null }
    default:
      break
  }
  return invalid(`resource type ${resource.resourceType} is not known`)
}

function preprocessBroker(context: ApiContext, resource: Resource, incremental: boolean): Verdict | undefined {
  const { resourceName } = resource
  const perBroker = resourceName !== ''
  if (perBroker && !/^-?[0-9]+$/.test(resourceName)) {
    return invalid(`${resourceName} is no broker id`)
  }
  if (perBroker && Number(resourceName) !== context.brokerId) {
    return invalid(`this is broker ${context.brokerId}, not ${resourceName}`)
  }
  const values = new Map(incremental ? context.metadata.image.configs.get(`broker:${resourceName}`) : [])
  for (const change of resource.changes) {
    const refused = applyChange(values, change)
    if (refused !== undefined) return refused
  }
  const wrong = context.config.validate(values, perBroker)
  return wrong === undefined ? undefined : invalid(wrong)
}

function applyChange(values: Map<string, string>, change: Change): Verdict | undefined {
  const { name, operation } = change
  const value = change.value ?? ''
  if (operation === SET) values.set(name, value)
  else if (operation === DELETE) values.delete(name)
  else if (operation === APPEND || operation === SUBTRACT) {
    const verb = operation === APPEND ? 'append' : 'subtract'
    const byDefault = isBrokerSetting(name) ? BROKER_SETTINGS[name].default : null
    if (!Array.isArray(byDefault)) {
      const errorMessage = `can't ${verb}: ${name} is no list`
      return { errorCode: Errors.INVALID_CONFIG, errorMessage }
    }
    const items = (values.get(name) ?? byDefault.join(',')).split(',').filter((item) => item !== '')
    const given = value.split(',')
    const changed =
      operation === APPEND
        ? [...items, ...given.filter((item) => !items.includes(item))]
        : items.filter((item) => !given.includes(item))
    values.set(name, changed.join(','))
  } else return invalid(`operation ${operation} is not known`)
  return undefined
}

function invalid(errorMessage: string): Verdict {
  return { errorCode: Errors.INVALID_REQUEST, errorMessage }
}
