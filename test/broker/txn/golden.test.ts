/** Conversations with a transaction coordinator, compared with test/broker/txn/golden/*.txt; UPDATE=1 rewrites them. */

import { goldenConversations } from '../../golden-conversations.js'
import { Conversation } from './conversation.js'
import { VerificationConversation } from './verification-conversation.js'

goldenConversations('conversations with a transaction coordinator', new URL('golden/', import.meta.url), (text) =>
  text.includes('\n> verifier') ? new VerificationConversation() : new Conversation(),
)
