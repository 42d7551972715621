/**
 * ApiVersions (`DefaultApiVersionManager`, KIP-511, KIP-584): the APIs that this broker serves with their versions, the feature
 * levels that it supports, and those that the cluster has finalised. Asked in a version below 4, it leaves out supported features
 * that begin at 0, which old clients cannot read (KAFKA-17492).
 */

import { KRAFT_FEATURE, SUPPORTED_FEATURES } from '../kraft/metadata/metadata-version.js'
import { API_TABLE, type ApiName, type Apis } from '../wire/apis.js'
import { Errors } from '../wire/errors.js'
import type { IncomingRequestOf } from '../wire/request-server.js'
import type { ApiContext, ApiHandler } from './api-context.js'

const SOFTWARE_PATTERN = /^[a-zA-Z0-9](?:[a-zA-Z0-9\-.]*[a-zA-Z0-9])?$/

type ApiVersionsResponse = Apis['ApiVersions']['response']

/** `served` gives the APIs that the broker has handlers for. */
export function apiVersionsHandler(context: ApiContext, served: () => ReadonlySet<ApiName>): ApiHandler<'ApiVersions'> {
  let apiKeys: ApiVersionsResponse['apiKeys'] | undefined
  return (request) => {
    if (!isValid(request)) return request.respond(response({ errorCode: Errors.INVALID_REQUEST }))
    apiKeys ??= versionsOf(served())
    const { features, offset } = context.metadata.image
    const kraftVersion = context.kraftVersion()
    // Without a quorum there are no features: ZooKeeper mode has a protocol generation instead.
    const hasFeatures = kraftVersion > 0
    const finalized = hasFeatures ? new Map(features).set(KRAFT_FEATURE, kraftVersion) : new Map<string, number>()
    request.respond(
      response({
        apiKeys,
        supportedFeatures: [...(hasFeatures ? SUPPORTED_FEATURES : [])]
          .filter(([, range]) => request.version >= 4 || range.min > 0)
          .map(([name, range]) => ({ name, minVersion: range.min, maxVersion: range.max })),
        finalizedFeaturesEpoch: offset,
        finalizedFeatures: [...finalized].map(([name, level]) => ({
          name,
          maxVersionLevel: level,
          minVersionLevel: level,
        })),
      }),
    )
  }
}

function isValid(request: IncomingRequestOf<'ApiVersions'>): boolean {
  if (request.version < 3) return true
  const { clientSoftwareName, clientSoftwareVersion } = request.body
  return SOFTWARE_PATTERN.test(clientSoftwareName) && SOFTWARE_PATTERN.test(clientSoftwareVersion)
}

function versionsOf(served: ReadonlySet<ApiName>): ApiVersionsResponse['apiKeys'] {
  return Object.values(API_TABLE)
    .filter((api) => served.has(api.name as ApiName))
    .map((api) => ({ apiKey: api.key, minVersion: api.minVersion, maxVersion: api.maxVersion }))
}

function response(fields: Partial<ApiVersionsResponse>): ApiVersionsResponse {
  return {
    errorCode: Errors.NONE,
    apiKeys: [],
    throttleTimeMs: 0,
    supportedFeatures: [],
    finalizedFeaturesEpoch: -1,
    finalizedFeatures: [],
    zkMigrationReady: false,
    ...fields,
  }
}
