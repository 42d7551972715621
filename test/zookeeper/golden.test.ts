/** Conversations with an ensemble, compared with test/zookeeper/golden/*.txt; UPDATE=1 rewrites them. */

import { goldenConversations } from '../golden-conversations.js'
import { Conversation } from './conversation.js'

goldenConversations('conversations with an ensemble', new URL('golden/', import.meta.url), () => new Conversation())
