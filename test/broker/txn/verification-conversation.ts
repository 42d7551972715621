/**
 * Golden conversations with a broker's questions to transaction coordinators before the first append (KIP-890).
 *
 *   verifier                                      t1 and t3 are coordinated by b2, t2 by b3
 *   verify|add t1 10/0 foo-1 foo-2                asked for a produce request
 *   answer b2 t1=NONE t3=ERROR t3/foo-2=ERROR     its oldest request; `answer b2 disconnected`, `answer b2 all=ERROR`
 *   leader t1 b3|none · no topic                  who coordinates
 */

import { coordinatorPartition } from '../../../sim/broker/coordinator/internal-topics.js'
import { TransactionVerifier } from '../../../sim/broker/txn/verification.js'
import type { Apis } from '../../../sim/wire/apis.js'
import { errorName, Errors } from '../../../sim/wire/errors.js'
import type { RequestClient, RpcResult } from '../../../sim/wire/request-client.js'
import { stateImage } from './state-log.js'

const BROKERS = new Map([
  [1, 'b1'],
  [2, 'b2'],
  [3, 'b3'],
])
const PARTITIONS = 2

interface Sent {
  readonly to: string
  readonly body: Apis['AddPartitionsToTxn']['request']
  readonly done: (result: RpcResult<'AddPartitionsToTxn'>) => void
}

export class VerificationConversation {
  #lines: string[] = []
  #sent: Sent[] = []
  #leaders = new Map<string, number>()
  #verifier = this.#begin()

  run(command: string): string[] {
    this.#lines = []
    const [name = '', first = '', second = '', ...rest] = command.split(/\s+/)
    switch (name) {
      case 'verifier':
        this.#verifier = this.#begin()
        break
      case 'verify':
      case 'add':
        this.#ask(name === 'add', first, second, rest)
        break
      case 'answer':
        this.#answer(first, [second, ...rest])
        break
      case 'leader':
        this.#leaders.set(partitionOf(first), second === 'none' ? -1 : Number(second.slice(1)))
        break
      case 'no':
        this.#leaders.clear()
        break
      default:
        throw new Error(`unknown command ${name}`)
    }
    return this.#lines
  }

  #begin(): TransactionVerifier {
    this.#sent = []
    this.#leaders = new Map([
      [partitionOf('t1'), 2],
      [partitionOf('t2'), 3],
    ])
    const requests = { send: (...sent: unknown[]) => this.#send(sent) } as unknown as Pick<RequestClient, 'send'>
    return new TransactionVerifier(() => stateImage(2, this.#leaders, BROKERS, 0), requests)
  }

  #ask(mayAdd: boolean, id: string, identity: string, partitions: readonly string[]): void {
    const [producerId = 0, producerEpoch = 0] = identity.split('/').map(Number)
    this.#verifier.verify(id, { producerId, producerEpoch }, partitions, mayAdd, (errors) => {
      const told = [...errors].map(([partition, error]) => `${partition} ${errorName(error)}`)
      this.#lines.push(`  ${id} ${identity}: ${told.join(', ') || 'go on'}`)
    })
  }

  #send([to, _api, body, done]: unknown[]): void {
    const sent = { to, body, done } as Sent
    this.#sent.push(sent)
    const asked = sent.body.transactions.map(({ transactionalId, producerId, producerEpoch, verifyOnly, topics }) => {
      const partitions = topics.flatMap(({ name, partitions: indexes }) => indexes.map((i) => `${name}-${i}`))
      return `${verifyOnly ? 'verify' : 'add'} ${transactionalId} ${producerId}/${producerEpoch} ${partitions.join(' ')}`
    })
    this.#lines.push(`  AddPartitionsToTxn to ${sent.to}: ${asked.join('; ')}`)
  }

  #answer(from: string, how: readonly string[]): void {
    const at = this.#sent.findIndex(({ to }) => to === from)
    const [sent] = at < 0 ? [] : this.#sent.splice(at, 1)
    if (sent === undefined) return void this.#lines.push(`  ${from} was asked nothing`)
    if (how[0] === 'disconnected') return sent.done({ ok: false, reason: 'disconnected' })
    const given = new Map(how.map((word) => word.split('=') as [string, string]))
    const codeOf = (name: string | undefined): number => Errors[(name ?? 'NONE') as keyof typeof Errors]
    const errorCode = codeOf(given.get('all'))
    const resultsByTransaction = sent.body.transactions.map(({ transactionalId, topics }) => ({
      transactionalId,
      topicResults: topics.map(({ name, partitions }) => ({
        name,
        resultsByPartition: partitions.map((partitionIndex) => ({
          partitionIndex,
          partitionErrorCode: codeOf(
            given.get(`${transactionalId}/${name}-${partitionIndex}`) ?? given.get(transactionalId),
          ),
        })),
      })),
    }))
    const response = { throttleTimeMs: 0, errorCode, resultsByTransaction, resultsByTopicV3AndBelow: [] }
    sent.done({ ok: true, response: errorCode === Errors.NONE ? response : { ...response, resultsByTransaction: [] } })
  }
}

function partitionOf(transactionalId: string): string {
  return `__transaction_state-${coordinatorPartition(transactionalId, PARTITIONS)}`
}
