/**
 * DescribeConfigs (`ConfigHelper`): every setting that topics and brokers have here, with its value, where
 * it comes from, and on request its synonyms from the strongest to the weakest. Brokers answer for themselves only.
 * Of `log.retention.*` and `log.roll.*` a topic shows the millisecond form only: with hours alone the source reads as a
 * default, as in Kafka.
 */

import type { ConfigValue, Setting } from '../kernel/config-def.js'
import { AclOperation } from '../kraft/metadata/acl.js'
import type { Requester } from '../kraft/metadata/request-authorizer.js'
import { LOG_SETTINGS, TOPIC_CONFIG_SYNONYMS } from '../log/log-config.js'
import type { Apis } from '../wire/apis.js'
import { type ErrorCode, Errors } from '../wire/errors.js'
import type { ApiContext, ApiHandlers } from './api-context.js'
import { BROKER_SETTINGS, configText, isBrokerSetting } from './broker-config.js'
import { ConfigSource, type ConfigSynonym, configTypeOf, isDynamicSetting } from './broker-dynamic-config.js'
import { isValidTopicName } from './topic-names.js'

/** `ConfigResource.Type`. */
export const ConfigResourceType = { TOPIC: 2, BROKER: 4, BROKER_LOGGER: 8, CLIENT_METRICS: 16, GROUP: 32 } as const

type DescribeRequest = Apis['DescribeConfigs']['request']
type Resource = DescribeRequest['resources'][number]
type Result = Apis['DescribeConfigs']['response']['results'][number]
type Entry = Result['configs'][number]

export function configHandlers(context: ApiContext): ApiHandlers {
  return {
    DescribeConfigs: (request) => {
      const { body } = request
      const stranger = body.resources.some((resource) => !isResourceType(resource.resourceType))
      if (stranger) {
        const results = body.resources.map((resource) => failure(resource, Errors.INVALID_REQUEST, null))
        return request.respond({ throttleTimeMs: 0, results })
      }
      const denials = body.resources.map((resource) => denial(context, request, resource))
      const described = body.resources
        .filter((_, at) => denials[at] === Errors.NONE)
        .map((resource) => describe(context, resource, body))
      const denied = body.resources.flatMap((resource, at) => {
        const error = denials[at] ?? Errors.NONE
        return error === Errors.NONE ? [] : [failure(resource, error, '')]
      })
      request.respond({ throttleTimeMs: 0, results: [...described, ...denied] })
    },
  }
}

/** Why the sender may not see the settings of a resource. */
function denial({ auth }: ApiContext, request: Requester, { resourceType, resourceName }: Resource): ErrorCode {
  const { DESCRIBE_CONFIGS } = AclOperation
  switch (resourceType) {
    case ConfigResourceType.TOPIC:
      return auth.onTopic(request, DESCRIBE_CONFIGS, resourceName) ? Errors.NONE : Errors.TOPIC_AUTHORIZATION_FAILED
    case ConfigResourceType.GROUP:
      return auth.onGroup(request, DESCRIBE_CONFIGS, resourceName) ? Errors.NONE : Errors.GROUP_AUTHORIZATION_FAILED
    default:
      return auth.onCluster(request, DESCRIBE_CONFIGS) ? Errors.NONE : Errors.CLUSTER_AUTHORIZATION_FAILED
  }
}

function isResourceType(type: number): boolean {
  return Object.values(ConfigResourceType).some((known) => known === type)
}

function describe(context: ApiContext, resource: Resource, body: DescribeRequest): Result {
  const wanted = (name: string): boolean =>
    resource.configurationKeys === null ||
    resource.configurationKeys.length === 0 ||
    resource.configurationKeys.includes(name)
  switch (resource.resourceType) {
    case ConfigResourceType.TOPIC:
      if (!isValidTopicName(resource.resourceName))
        return failure(resource, Errors.INVALID_TOPIC_EXCEPTION, 'the name of the topic is invalid')
      if (!context.metadata.hasTopic(resource.resourceName)) {
        return failure(resource, Errors.UNKNOWN_TOPIC_OR_PARTITION, '')
      }
      return success(resource, describeTopic(context, resource.resourceName, wanted, body))
    case ConfigResourceType.BROKER: {
      if (resource.resourceName === '') return success(resource, describeDefaults(context, wanted, body))
      const wrong = wrongBroker(context, resource.resourceName)
      if (wrong !== undefined) return failure(resource, Errors.INVALID_REQUEST, wrong)
      return success(resource, describeBroker(context, wanted, body))
    }
    default:
      return success(resource, [])
  }
}

/** Why `name` is not this broker; undefined when it is. */
export function wrongBroker(context: ApiContext, name: string): string | undefined {
  if (!/^-?[0-9]+$/.test(name)) return `${name} is no broker id`
  if (Number(name) === context.brokerId) return undefined
  return `this is broker ${context.brokerId}, not ${name}`
}

function describeTopic(
  context: ApiContext,
  topic: string,
  wanted: (name: string) => boolean,
  body: DescribeRequest,
): readonly Entry[] {
  const config = context.config.topicConfig(topic)
  const own = context.metadata.image.configs.get(`topic:${topic}`)
  const entries: Entry[] = []
  for (const [name, setting] of Object.entries(LOG_SETTINGS)) {
    if (name.startsWith('internal.') || !wanted(name)) continue
    const value = configText(config[name as keyof typeof LOG_SETTINGS])
    const brokerSynonym = TOPIC_CONFIG_SYNONYMS[name]?.[0]
    const synonyms = brokerSynonym === undefined ? [] : context.config.synonyms(brokerSynonym).slice()
    if (own?.has(name)) synonyms.unshift({ name, value, source: ConfigSource.TOPIC_CONFIG })
    entries.push(entry(name, value, setting, synonyms, false, body))
  }
  return entries
}

function describeBroker(
  context: ApiContext,
  wanted: (name: string) => boolean,
  body: DescribeRequest,
): readonly Entry[] {
  const { config } = context
  const entries: Entry[] = []
  for (const [name, setting] of Object.entries(BROKER_SETTINGS)) {
    if (!wanted(name) || !isBrokerSetting(name)) continue
    const value = configText(config.current[name])
    entries.push(entry(name, value, setting, config.synonyms(name), !isDynamicSetting(name), body))
  }
  return entries
}

/** The cluster-wide defaults that were set dynamically. */
function describeDefaults(
  context: ApiContext,
  wanted: (name: string) => boolean,
  body: DescribeRequest,
): readonly Entry[] {
  const { config } = context
  const entries: Entry[] = []
  for (const [name, value] of config.dynamicDefaults) {
    if (!wanted(name)) continue
    const synonyms = config
      .synonyms(name)
      .filter((synonym) => synonym.source === ConfigSource.DYNAMIC_DEFAULT_BROKER_CONFIG)
    const setting = isBrokerSetting(name) ? BROKER_SETTINGS[name] : undefined
    entries.push(entry(name, value, setting, synonyms, !isDynamicSetting(name), body))
  }
  return entries
}

function entry(
  name: string,
  value: string | null,
  setting: Setting<ConfigValue> | undefined,
  synonyms: readonly ConfigSynonym[],
  readOnly: boolean,
  body: DescribeRequest,
): Entry {
  return {
    name,
    value,
    readOnly,
    configSource: synonyms[0]?.source ?? ConfigSource.DEFAULT_CONFIG,
    isSensitive: false,
    synonyms: body.includeSynonyms ? synonyms : [],
    configType: setting === undefined ? 0 : configTypeOf(setting),
    documentation: body.includeDocumentation ? (setting?.doc ?? null) : null,
  }
}

function success(resource: Resource, configs: readonly Entry[]): Result {
  const { resourceType, resourceName } = resource
  return { errorCode: Errors.NONE, errorMessage: '', resourceType, resourceName, configs }
}

function failure(resource: Resource, errorCode: ErrorCode, errorMessage: string | null): Result {
  const { resourceType, resourceName } = resource
  return { errorCode, errorMessage, resourceType, resourceName, configs: [] }
}
