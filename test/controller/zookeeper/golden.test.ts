/** Conversations with controllers of ZooKeeper mode, compared with golden/*.txt; UPDATE=1 rewrites them. */

import { goldenConversations } from '../../golden-conversations.js'
import { Conversation } from './conversation.js'

goldenConversations(
  'conversations with a controller in ZooKeeper mode',
  new URL('golden/', import.meta.url),
  () => new Conversation(),
)
