/** What a broker said and heard, and what became of it, a line each: for golden files. */

import type { TraceEvent } from '../../../sim/kernel/events.js'
import type { NodeName } from '../../../sim/kernel/names.js'

/** Fields of messages worth a look; the others are left out. */
const SHOWN = [
  'errorCode',
  'currentMetadataOffset',
  'wantFence',
  'isCaughtUp',
  'isFenced',
  'brokerEpoch',
  'previousBrokerEpoch',
]

export function conversation(events: readonly TraceEvent[], node: NodeName): string {
  const lines = events.filter((event) => event.node === node).flatMap((event) => describe(event))
  return `${lines.join('\n')}\n`
}

function describe(event: TraceEvent): string[] {
  const time = (event.time / 1_000).toFixed(3).padStart(9)
  const line = (text: string): string[] => [`${time} ${event.node} ${text}`]
  switch (event.type) {
    case 'request.send':
      return line(`→ ${event.data.to} ${event.data.api} v${event.data.version}${fields(event.data.body)}`)
    case 'response.receive': {
      const error = event.data.error === '' ? '' : ` ${event.data.error}`
      return line(`← ${event.data.from} ${event.data.api}${error}${fields(event.data.body)}`)
    }
    case 'broker.state':
      return line(`is ${event.data.to}: ${event.data.reason}`)
    case 'quorum.state':
      return line(`raft ${event.data.to}, epoch ${event.data.epoch}, leader ${event.data.leader}: ${event.data.reason}`)
    case 'quorum.hw':
      return line(`metadata committed to ${event.data.to}`)
    case 'metadata.replay':
      return line(`replays ${event.data.baseOffset} to ${event.data.lastOffset}: ${typesOf(event.data.records)}`)
    case 'net.connect':
      return line(`connects to ${event.data.to}`)
    case 'node.start':
      return line('starts')
    default:
      return []
  }
}

function fields(body: unknown): string {
  const values = body as Readonly<Record<string, unknown>>
  const shown = SHOWN.filter((name) => values[name] !== undefined && values[name] !== 0)
  return shown.map((name) => ` ${name}=${String(values[name])}`).join('')
}

function typesOf(records: readonly unknown[]): string {
  const types = records.map((record) => (record as { type: string }).type.replace(/Record$/, ''))
  return [...new Set(types)].join(', ')
}
