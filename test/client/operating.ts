/**
 * An administrator in the lab, with coordinators that are where the test says.
 */

import { Admin } from '../../sim/client/admin.js'
import { parseAdminConfig } from '../../sim/client/admin-config.js'
import type { AdminResult } from '../../sim/client/admin-operation.js'
import type { ApiName } from '../../sim/wire/apis.js'
import { Errors } from '../../sim/wire/errors.js'
import { Lab, must } from './lab.js'
import { foundCoordinators } from './transactional.js'

/** A lab of three brokers, an admin client, and coordinators by key (broker 1 unless said otherwise). */
export function operating(coordinators: Record<string, number> = {}) {
  const lab = new Lab(3)
  lab.topic('orders', 2)
  const admin = lab.client('admin', (env) => new Admin(env, parseAdminConfig({}), lab.brokers))
  lab.always('FindCoordinator', (r) => {
    const found = r.body.coordinatorKeys.map((key) => foundCoordinators([key], Errors.NONE, coordinators[key] ?? 1))
    r.respond({ ...must(found[0]), coordinators: found.flatMap((each) => each.coordinators) })
  })
  return { lab, admin, coordinators }
}

/** What an operation came to, once it is there. */
export function outcomeOf<T>(
  lab: Lab,
  run: (done: (result: AdminResult<T>) => void) => void,
  ms = 3_000,
): AdminResult<T> {
  let result: AdminResult<T> | undefined
  run((given) => {
    if (result !== undefined) throw new Error('answered twice')
    result = given
  })
  lab.after(ms)
  return must(result)
}

export const sentTo = (lab: Lab, api: ApiName): string[] => lab.sent(api).map(({ to }) => to)
export const errors = (result: AdminResult<unknown>): Record<string, string> => Object.fromEntries(result.errors)
