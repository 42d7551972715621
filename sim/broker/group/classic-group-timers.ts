/** The names of a classic group's timers. */

import type { ClassicGroup } from './classic-group.js'

export function joinKey({ groupId }: ClassicGroup): string {
  return `join/${groupId}`
}

export function syncKey({ groupId }: ClassicGroup): string {
  return `sync/${groupId}`
}

export function heartbeatKey({ groupId }: ClassicGroup, memberId: string): string {
  return `heartbeat/${groupId}/${memberId}`
}
