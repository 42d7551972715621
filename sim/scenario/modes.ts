/**
 * One file, both modes: `cluster: { mode: [kraft, zookeeper] }` is the same scenario twice, and a mode may be asked for from outside.
 *
 * What belongs to one mode only (`controllers` and `features` of KRaft, `zookeeper`) counts in that mode only. The name of each of two
 * ends in its mode.
 */

export type Mode = 'kraft' | 'zookeeper'

export const MODES: readonly Mode[] = ['kraft', 'zookeeper']

const KEYS_OF: Readonly<Record<Mode, readonly string[]>> = {
  kraft: ['controllers', 'features'],
  zookeeper: ['zookeeper'],
}

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
    return { ...plain, name, cluster: { ...kept, mode: each } }
  })
}

function isObject(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}
