/**
 * Paths of znodes: absolute, `/` between names, none empty, no `.` or `..`, no control characters. Source: `PathUtils`.
 */

export const ROOT = '/'
/** Nobody may delete what ZooKeeper keeps for itself. */
export const SPECIAL_PATHS: readonly string[] = ['/', '/zookeeper', '/zookeeper/quota', '/zookeeper/config']

export function isValidPath(path: string): boolean {
  if (path === ROOT) return true
  if (!path.startsWith('/') || path.endsWith('/')) return false
  for (const name of path.slice(1).split('/')) if (name === '' || name === '.' || name === '..') return false
  for (let i = 0; i < path.length; i++) {
    const code = path.charCodeAt(i)
    if (code <= 0x1f || (code >= 0x7f && code <= 0x9f) || (code >= 0xd800 && code <= 0xf8ff) || code >= 0xfff0)
      return false
  }
  return true
}

/** The path of the parent; undefined where there is no slash. */
export function parentOf(path: string): string | undefined {
  const slash = path.lastIndexOf('/')
  if (slash < 0) return undefined
  return slash === 0 ? ROOT : path.slice(0, slash)
}

export function nameOf(path: string): string {
  return path.slice(path.lastIndexOf('/') + 1)
}

export function childPath(parent: string, name: string): string {
  return parent === ROOT ? `/${name}` : `${parent}/${name}`
}
