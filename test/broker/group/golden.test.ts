/** Conversations with the group coordinator, compared to the letter with golden/*.txt; UPDATE=1 rewrites them. */

import { goldenConversations } from '../../golden-conversations.js'
import { Conversation } from './conversation.js'

goldenConversations(
  'conversations with the group coordinator',
  new URL('golden/', import.meta.url),
  () => new Conversation(),
)
