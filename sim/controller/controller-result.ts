/**
 * What a decision of the controller gives: records to write and the answer to send once they are committed.
 *
 * Managers decide purely and answer with values: a refusal of the whole request is an `ApiError`, never an exception. Records of an
 * atomic result go into one batch.
 */

import type { MetadataRecord } from '../kraft/metadata/records.js'
import type { ApiError } from '../wire/error-response.js'
import type { ErrorCode } from '../wire/errors.js'
import { Errors } from '../wire/errors.js'

export const NO_ERROR: ApiError = { error: Errors.NONE, message: null }

export function apiError(error: ErrorCode, message: string | null = null): ApiError {
  return { error, message }
}

export interface ControllerResult<T> {
  readonly records: readonly MetadataRecord[]
  readonly response: T
  readonly atomic: boolean
  /** Why, for the trace: `alter-partition`, `broker-fenced`, … */
  readonly reason: string
}

/** A result, or the error that refuses the request as a whole. */
export type Decision<T> = ControllerResult<T> | { readonly refused: ApiError }

export function decided<T>(
  reason: string,
  records: readonly MetadataRecord[],
  response: T,
  atomic = false,
): ControllerResult<T> {
  return { records, response, atomic, reason }
}

export function refused(error: ErrorCode, message: string | null = null): { readonly refused: ApiError } {
  return { refused: apiError(error, message) }
}
