/** Conversations with a quorum, compared with test/kraft/golden/*.txt; UPDATE=1 rewrites them. */

import { goldenConversations } from '../golden-conversations.js'
import { Conversation } from './conversation.js'

goldenConversations('conversations with a quorum', new URL('golden/', import.meta.url), () => new Conversation())
