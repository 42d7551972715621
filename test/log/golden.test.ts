/** Conversations with a log and with a broker's cleaner, compared with test/log/golden/conversations/*.txt; UPDATE=1 rewrites them. */

import { goldenConversations } from '../golden-conversations.js'
import { BrokerConversation } from './broker-conversation.js'
import { LogConversation } from './conversation.js'

goldenConversations('conversations with a log', new URL('golden/conversations/', import.meta.url), (text) =>
  text.includes('\n> broker') ? new BrokerConversation() : new LogConversation(),
)
