/**
 * What operators do about groups and transactions: reset-offsets, delete-group, abort-hanging. As Kafka's own tools do it, through the admin client:
 * `kafka-consumer-groups --reset-offsets` and `--delete`, `kafka-transactions abort`.
 */

import { z } from 'zod'
import { nearest } from '../kernel/config-def.js'
import { partition } from './arguments.js'
import type { OperationKind } from './kind.js'
import type { TargetNames } from './target.js'

function group(names: TargetNames): z.ZodType<string> {
  const known = names.groups ?? []
  return z.string().superRefine((raw, context) => {
    if (known.includes(raw)) return
    const near = nearest(raw, known)
    const mend = near ? `did you mean ${near}?` : `known are ${known.join(', ') || 'none'}`
    context.addIssue({ code: 'custom', message: `no such group ${raw}`, params: { mend } })
  })
}

interface ResetOffsets {
  readonly group: string
  readonly partition: string
  readonly to: number | 'earliest' | 'latest'
}

const resetOffsets: OperationKind<ResetOffsets> = {
  type: 'operation',
  doc: '{ group: shop, partition: orders-0, to: earliest }: or latest, or an offset; a group with members is refused (UNKNOWN_MEMBER_ID)',
  schema: (names) =>
    z.strictObject({
      group: group(names),
      partition: partition(names),
      to: z.union([z.literal('earliest'), z.literal('latest'), z.number().int().min(0)]),
    }),
  start: ({ group: name, partition: where, to }, { cluster }, done) => {
    const commit = (offset: number): void =>
      cluster.admin.run(
        (admin, answer) => admin.groups.alterOffsets(name, new Map([[where, { offset }]]), answer),
        done,
      )
    if (typeof to === 'number') commit(to)
    else offsetOf(cluster.admin, where, to, commit, done)
  },
}

type Administrator = Parameters<OperationKind<unknown>['start']>[1]['cluster']['admin']

/** Asks for an offset and goes on with it. */
function offsetOf(
  admin: Administrator,
  where: string,
  spec: 'earliest' | 'latest',
  then: (offset: number) => void,
  done: (outcome: string) => void,
): void {
  let offset: number | undefined
  admin.run(
    (client, answer) =>
      client.listOffsets({ [where]: spec }, (result) => {
        offset = result.values.get(where)?.offset
        answer(result)
      }),
    (outcome) => {
      if (offset === undefined) done(outcome)
      else then(offset)
    },
  )
}

const deleteGroup: OperationKind<string> = {
  type: 'operation',
  doc: 'deletes a group and its offsets: shop; one with members is refused (NON_EMPTY_GROUP)',
  schema: group,
  start: (name, { cluster }, done) => cluster.admin.run((admin, answer) => admin.groups.delete([name], answer), done),
}

interface OpenProducer {
  readonly producerId: number
  readonly producerEpoch: number
  readonly coordinatorEpoch?: number
  readonly transactionStart: number
}

const abortHanging: OperationKind<string> = {
  type: 'operation',
  doc: 'writes an abort marker for the oldest open transaction of a partition, whatever its coordinator knows: orders-0',
  schema: partition,
  start: (where, { cluster }, done) => {
    let oldest: OpenProducer | undefined
    cluster.admin.run(
      (admin, answer) =>
        admin.transactions.describeProducers([where], (result) => {
          for (const { transactionStart, ...producer } of result.values.get(where) ?? []) {
            if (transactionStart === undefined || transactionStart >= (oldest?.transactionStart ?? Infinity)) continue
            oldest = { ...producer, transactionStart }
          }
          answer(result)
        }),
      (outcome) => {
        if (oldest === undefined) return done(outcome === 'ok' ? 'no transaction is open' : outcome)
        const { producerId, producerEpoch, coordinatorEpoch = -1 } = oldest
        const spec = { partition: where, producerId, producerEpoch, coordinatorEpoch }
        cluster.admin.run((admin, answer) => admin.transactions.abort(spec, answer), done)
      },
    )
  },
}

export const GROUP_OPERATIONS = {
  'reset-offsets': resetOffsets,
  'delete-group': deleteGroup,
  'abort-hanging': abortHanging,
}
