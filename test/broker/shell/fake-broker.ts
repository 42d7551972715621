/** The request handlers of a broker over fakes: no data plane, a played controller, an image that the test sets. */

import type { ApiContext } from '../../../sim/broker/api-context.js'
import { brokerHandlers, dispatch } from '../../../sim/broker/api-handlers.js'
import { parseBrokerConfig } from '../../../sim/broker/broker-config.js'
import { BrokerDynamicConfig } from '../../../sim/broker/broker-dynamic-config.js'
import { Forwarding } from '../../../sim/broker/forwarding.js'
import { MetadataCache } from '../../../sim/broker/metadata-cache.js'
import { ProducerIdManager } from '../../../sim/broker/producer-id-manager.js'
import { TopicAutoCreation } from '../../../sim/broker/topic-auto-creation.js'
import { ANONYMOUS } from '../../../sim/kernel/env.js'
import { makeAuthorizer } from '../../../sim/kraft/metadata/authorizer-config.js'
import type { MetadataImage } from '../../../sim/kraft/metadata/image.js'
import { RequestAuthorizer } from '../../../sim/kraft/metadata/request-authorizer.js'
import type { StandardAuthorizer } from '../../../sim/kraft/metadata/standard-authorizer.js'
import { type ApiName, type Apis, maxVersion } from '../../../sim/wire/apis.js'
import { BytesFrame, openRequest, type RequestFrame, ResponseFrame } from '../../../sim/wire/frame.js'
import type { IncomingRequest } from '../../../sim/wire/request-server.js'
import { FakeController } from './fake-controller.js'
import { FakeNode } from './fake-env.js'

/** What became of a request. */
export interface Answer<A extends ApiName> {
  response: Apis[A]['response'] | undefined
  closed: boolean
}

export class FakeBroker {
  readonly node = new FakeNode()
  readonly controller = new FakeController(this.node)
  readonly metadata: MetadataCache
  readonly config: BrokerDynamicConfig
  readonly auth: RequestAuthorizer
  readonly authorizer: StandardAuthorizer | undefined
  /** Who asks. */
  principal = ANONYMOUS
  readonly #handlers

  constructor(given: Record<string, unknown> = {}) {
    const { node, controller } = this
    const forwarding = new Forwarding(controller)
    this.metadata = new MetadataCache(node.env.random)
    this.config = new BrokerDynamicConfig(1, parseBrokerConfig(given))
    this.authorizer = makeAuthorizer(this.config.current)
    this.auth = new RequestAuthorizer(node.env, this.authorizer)
    const absent = undefined as never
    const context: ApiContext = {
      env: node.env,
      auth: this.auth,
      brokerId: 1,
      clusterId: 'cluster',
      config: this.config,
      metadata: this.metadata,
      forwarding,
      autoCreation: new TopicAutoCreation(forwarding, {
        numPartitions: () => this.config.current['num.partitions'],
        defaultReplicationFactor: () => this.config.current['default.replication.factor'],
        requestTimeoutMs: this.config.current['request.timeout.ms'],
        internal: () => undefined,
      }),
      producerIds: new ProducerIdManager(1, () => 5, node.env.clock, controller),
      replicas: absent,
      logs: absent,
      groups: absent,
      transactions: absent,
      verifier: absent,
      kraftVersion: () => 1,
    }
    this.#handlers = brokerHandlers(context)
  }

  setImage(image: MetadataImage): void {
    this.metadata.setImage(image)
    this.config.apply(image)
    this.authorizer?.setAcls(image.acls)
  }

  /** Gives the broker a request; the answer fills in when it comes. */
  ask<A extends ApiName>(api: A, body: Apis[A]['request'], version = maxVersion(api)): Answer<A> {
    const answer: Answer<A> = { response: undefined, closed: false }
    const request = {
      api,
      version,
      correlationId: 17,
      clientId: 'client-1',
      from: 'p1',
      principal: this.principal,
      connectionId: 1,
      body,
      connected: true,
      respond: (response: Apis[A]['response']) => void (answer.response = response),
      respondNothing: () => undefined,
      closeConnection: () => void (answer.closed = true),
    }
    dispatch(this.#handlers, request as unknown as IncomingRequest)
    return answer
  }

  /** The request in the latest envelope. */
  forwarded(): RequestFrame {
    return openRequest(new BytesFrame(this.controller.last('Envelope').body.requestData))
  }

  /** Answers the latest envelope with a response of the API that it holds. */
  answerForwarded<A extends ApiName>(api: A, response: Apis[A]['response']): void {
    const { version, correlationId } = this.forwarded()
    const responseData = new ResponseFrame(api, version, correlationId, response, '').encode()
    this.controller.last('Envelope').answer({ errorCode: 0, responseData })
    this.node.run(0)
  }
}
