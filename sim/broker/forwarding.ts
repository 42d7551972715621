/**
 * Passing a client's request on to the active controller, in an Envelope (`ForwardingManager`, KIP-590).
 *
 * The envelope holds the request as the client sent it, header and body, and who the client is. The controller's answer goes
 * back under the client's own correlation id. When no controller answered within 60 s the client gets REQUEST_TIMED_OUT; when
 * the envelope itself was refused, UNKNOWN_SERVER_ERROR; when the controller does not speak the version, no answer: the
 * connection is closed (`done(undefined)`).
 */

import type { NodeName } from '../kernel/names.js'
import { type ApiName, type Apis, type ForwardableApi, maxVersion } from '../wire/apis.js'
import { errorResponse } from '../wire/error-response.js'
import { Errors } from '../wire/errors.js'
import { BytesFrame, openResponse, RequestFrame } from '../wire/frame.js'
import { encodeAddress, encodePrincipal } from '../wire/principal.js'
import type { ControllerSender } from './controller-channel.js'
import type { ClusterAdministration } from './membership.js'

/** The request on whose behalf something is forwarded: an IncomingRequest is one. */
export interface RequestOrigin {
  readonly api: ApiName
  readonly principal: string
  readonly from: NodeName
  readonly version: number
  readonly correlationId: number
  readonly clientId: string
}

export class Forwarding implements ClusterAdministration {
  readonly #channel: ControllerSender

  /** @param channel to the controller; its retry timeout is that of forwarding. */
  constructor(channel: ControllerSender) {
    this.#channel = channel
  }

  /** Sends `body` in the broker's own name. `done` comes once, by a later event. */
  send<A extends ForwardableApi>(api: A, body: Apis[A]['request'], done: () => void): void {
    this.#channel.send(api, body, done)
  }

  forward<A extends ForwardableApi>(
    api: A,
    body: Apis[A]['request'],
    origin: RequestOrigin,
    done: (response: Apis[A]['response'] | undefined) => void,
  ): void {
    const version = origin.api === api ? origin.version : maxVersion(api)
    const envelope: Apis['Envelope']['request'] = {
      requestData: new RequestFrame(api, version, origin.correlationId, origin.clientId, body).encode(),
      requestPrincipal: encodePrincipal(origin.principal),
      clientHostAddress: encodeAddress(origin.from),
    }
    this.#channel.send('Envelope', envelope, (result) => {
      if (!result.ok) return done(errorResponse(api, body, { error: Errors.REQUEST_TIMED_OUT, message: null }))
      const { errorCode, responseData } = result.response
      if (errorCode === Errors.UNSUPPORTED_VERSION) return done(undefined)
      if (errorCode !== Errors.NONE || responseData === null) {
        return done(errorResponse(api, body, { error: Errors.UNKNOWN_SERVER_ERROR, message: null }))
      }
      done(openResponse(new BytesFrame(responseData), api, version).message as Apis[A]['response'])
    })
  }
}
