/**
 * DeleteTopics (key 20). Deletes topics, by name or, from version 6, by id (KIP-516).
 */

import { defineApi } from '../define-api.js'

export interface DeleteTopicsRequest {
  readonly topics: readonly DeleteTopicState[]
  readonly topicNames: readonly string[]
  readonly timeoutMs: number
}

export interface DeleteTopicState {
  readonly name: string | null
  readonly topicId: string
}

export interface DeleteTopicsResponse {
  readonly throttleTimeMs: number
  readonly responses: readonly DeletableTopicResult[]
}

export interface DeletableTopicResult {
  readonly name: string | null
  readonly topicId: string
  readonly errorCode: number
  readonly errorMessage: string | null
}

export const deleteTopicsApi = defineApi<DeleteTopicsRequest, DeleteTopicsResponse>({
  name: 'DeleteTopics',
  key: 20,
  versions: '1-6',
  flexible: '4+',
  request: `
    topics: []struct 6+
      name: string 6+ null = null
      topicId: uuid 6+
    topicNames: []string 0-5 ignorable
    timeoutMs: int32
  `,
  response: `
    throttleTimeMs: int32 1+ ignorable
    responses: []struct
      name: string null 6+
      topicId: uuid 6+ ignorable
      errorCode: int16
      errorMessage: string 5+ null = null ignorable
  `,
})
