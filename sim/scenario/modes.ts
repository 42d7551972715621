/**
 * One file, both modes: `cluster: { mode: [kraft, zookeeper] }` is the same scenario twice, and a mode may be asked for from outside.
 *
 * What belongs to one mode only (`controllers` and `features` of KRaft, `zookeeper`) counts in that mode only, and an authorizer is that of the
 * mode. The name of each of two ends in its mode.
 */

import { ACL_AUTHORIZER, STANDARD_AUTHORIZER } from '../kraft/metadata/authorizer-config.js'

export type Mode = 'kraft' | 'zookeeper'

export const MODES: readonly Mode[] = ['kraft', 'zookeeper']

const KEYS_OF: Readonly<Record<Mode, readonly string[]>> = {
  kraft: ['controllers', 'features'],
  zookeeper: ['zookeeper'],
}

const AUTHORIZER = 'authorizer.class.name'
const AUTHORIZERS: Readonly<Record<Mode, string>> = { kraft: STANDARD_AUTHORIZER, zookeeper: ACL_AUTHORIZER }

/** The plain scenarios that a file's plain object stands for; `asked`: in that mode, whatever the file says. */
export function inModes(plain: unknown, asked?: Mode): readonly unknown[] {
  if (!isObject(plain) || !(plain['cluster'] === undefined || isObject(plain['cluster']))) return [plain]
  const cluster = plain['cluster'] ?? {}
  const { mode } = cluster
  const isList = Array.isArray(mode) && mode.length > 0 && mode.every((each) => MODES.includes(each as Mode))
  if (asked === undefined && !isList) return [plain]
  const modes = asked === undefined ? (mode as Mode[]) : [asked]
  return [...new Set(modes)].map((each) => {
    const others = MODES.filter((other) => other !== each).flatMap((other) => KEYS_OF[other])
    const kept = Object.fromEntries(Object.entries(cluster).filter(([key]) => !others.includes(key)))
    const name = isList && typeof plain['name'] === 'string' ? `${plain['name']} (${each})` : plain['name']
    const own = isList || each !== (mode ?? 'kraft') ? withAuthorizerOf(each, kept) : kept
    return { ...plain, name, cluster: { ...own, mode: each } }
  })
}

/** The settings of all and of single nodes, with the authorizer of another mode replaced. */
function withAuthorizerOf(mode: Mode, cluster: Readonly<Record<string, unknown>>): Readonly<Record<string, unknown>> {
  const others = Object.values(AUTHORIZERS).filter((name) => name !== AUTHORIZERS[mode])
  const replaced = (config: unknown): unknown =>
    isObject(config) && others.includes(config[AUTHORIZER] as string)
      ? { ...config, [AUTHORIZER]: AUTHORIZERS[mode] }
      : config
  const { config, nodes } = cluster
  return {
    ...cluster,
    ...(config !== undefined && { config: replaced(config) }),
    ...(isObject(nodes) && {
      nodes: Object.fromEntries(Object.entries(nodes).map(([node, own]) => [node, replaced(own)])),
    }),
  }
}

function isObject(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}
