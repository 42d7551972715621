/**
 * Every key and what it does: the table that the explorer obeys and that `?` shows. Each key does one thing everywhere; only while a
 * line is being typed do keys mean their letters.
 */

export type Action =
  | 'next'
  | 'previous'
  | 'next-in-lane'
  | 'previous-in-lane'
  | 'next-of-kind'
  | 'previous-of-kind'
  | 'page-down'
  | 'page-up'
  | 'first'
  | 'last'
  | 'next-violation'
  | 'previous-violation'
  | 'next-fault'
  | 'previous-fault'
  | 'next-epoch'
  | 'previous-epoch'
  | 'cause'
  | 'back'
  | 'play'
  | 'faster'
  | 'slower'
  | 'search'
  | 'search-again'
  | 'goto'
  | 'detail'
  | 'pane'
  | 'previous-pane'
  | 'next-node'
  | 'previous-node'
  | 'next-partition'
  | 'previous-partition'
  | 'branch'
  | 'branches'
  | 'rename'
  | 'compare'
  | 'save'
  | 'copy'
  | 'help'
  | 'quit'

export interface Binding {
  /** Names as terminals give them; the first is shown. */
  readonly keys: readonly string[]
  readonly action: Action
  readonly doc: string
}

export interface Group {
  readonly title: string
  readonly bindings: readonly Binding[]
}

const bind = (keys: string, action: Action, doc: string): Binding => ({ keys: keys.split(' '), action, doc })

export const KEY_GROUPS: readonly Group[] = [
  {
    title: 'Through time',
    bindings: [
      bind('l right down j', 'next', 'next event shown'),
      bind('h left up k', 'previous', 'event before'),
      bind('L', 'next-in-lane', 'next event of the same node'),
      bind('H', 'previous-in-lane', 'event before, of the same node'),
      bind('t', 'next-of-kind', 'next event of the same kind'),
      bind('T', 'previous-of-kind', 'event before, of the same kind'),
      bind('pagedown ctrl+d', 'page-down', 'a page on'),
      bind('pageup ctrl+u', 'page-up', 'a page back'),
      bind('g home', 'first', 'to the beginning'),
      bind('G end', 'last', 'to the end'),
      bind('space', 'play', 'play, pause'),
      bind('+ =', 'faster', 'play faster'),
      bind('-', 'slower', 'play slower'),
    ],
  },
  {
    title: 'To what matters',
    bindings: [
      bind('n', 'next-violation', 'next violation'),
      bind('N', 'previous-violation', 'violation before'),
      bind('f', 'next-fault', 'next fault or operation'),
      bind('F', 'previous-fault', 'fault or operation before'),
      bind('e', 'next-epoch', 'next new leader'),
      bind('E', 'previous-epoch', 'new leader before'),
      bind('w', 'cause', 'why: to the event that led to this one'),
      bind('W', 'back', 'back to where w came from'),
      bind('/', 'search', 'search in what events say'),
      bind('*', 'search-again', 'search again'),
      bind(':', 'goto', 'go to a time (2.64, +50ms) or an event (#1207)'),
    ],
  },
  {
    title: 'What is shown',
    bindings: [
      bind('z', 'detail', 'more or less detail: story, messages, everything'),
      bind('tab', 'pane', 'next pane'),
      bind('shift+tab', 'previous-pane', 'pane before'),
      bind('.', 'next-node', 'look at the next node'),
      bind(',', 'previous-node', 'look at the node before'),
      bind(']', 'next-partition', 'look at the next partition'),
      bind('[', 'previous-partition', 'look at the partition before'),
    ],
  },
  {
    title: 'Hands on',
    bindings: [
      bind('b', 'branch', 'inject a fault or an operation here: the run forks'),
      bind('B', 'branches', 'to the next branch'),
      bind('r', 'rename', 'rename the branch'),
      bind('c', 'compare', 'compare the branch with the one it came from'),
      bind('s', 'save', 'save the branch as a scenario file'),
      bind('y', 'copy', 'copy the command that replays it'),
    ],
  },
  {
    title: 'The explorer',
    bindings: [bind('?', 'help', 'this help'), bind('q ctrl+c', 'quit', 'leave')],
  },
]

const ACTIONS: ReadonlyMap<string, Action> = new Map(
  KEY_GROUPS.flatMap(({ bindings }) =>
    bindings.flatMap(({ keys, action }): [string, Action][] => keys.map((key) => [key, action])),
  ),
)

export function actionOf(key: string): Action | undefined {
  return ACTIONS.get(key)
}
