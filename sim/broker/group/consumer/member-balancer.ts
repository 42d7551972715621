/**
 * Picks who gets the next partition and who gives one up, so that the numbers of partitions draw level
 * (`UniformHeterogeneousAssignmentBuilder.MemberAssignmentBalancer`).
 *
 *     partitions           #   members are sorted by their partitions; the least loaded are filled up level by level from the left, the
 *                 <- #######   most loaded are taken down level by level from the right. Members that have nothing to give
 *     ####### ->  ##########   are put behind the end of the right range.
 *     ######################
 *
 * Invariant: within a range all had as many partitions when its level began. Balanced: the two levels differ by one at most.
 */

import { assert } from '../../../kernel/errors.js'

export class MemberBalancer {
  /** Partitions of each member: changed by whoever assigns. */
  readonly #sizes: readonly number[]
  #members: number[] = []
  #leastEnd = 0
  #leastLevel = 0
  #nextLeast = 0
  #mostStart = 0
  #mostEnd = 0
  #mostLevel = 0
  #nextMost = -1

  constructor(sizes: readonly number[]) {
    this.#sizes = sizes
  }

  /** Begins anew with these members. Returns by how much they differ. */
  begin(members: readonly number[]): number {
    assert(members.length > 0, 'balancer: no members', {})
    this.#members = [...members].sort((a, b) => this.#sizeOf(a) - this.#sizeOf(b) || a - b)
    const least = this.#sizeAt(0)
    const most = this.#sizeAt(this.#members.length - 1)
    this.#leastEnd = 0
    this.#leastLevel = least - 1
    this.#nextLeast = 0
    this.#mostStart = this.#members.length
    this.#mostEnd = this.#members.length
    this.#mostLevel = most + 1
    this.#nextMost = this.#members.length - 1
    return most - least
  }

  get isBalanced(): boolean {
    return this.#mostLevel - this.#leastLevel <= 1
  }

  /** Who gets the next partition. */
  nextLeast(): number {
    if (this.#nextLeast >= this.#leastEnd) {
      this.#leastLevel++
      while (this.#leastEnd < this.#members.length && this.#sizeAt(this.#leastEnd) === this.#leastLevel)
        this.#leastEnd++
      this.#nextLeast = 0
    }
    return this.#members[this.#nextLeast++] as number
  }

  /** Who gives up a partition, of those that can; undefined when nobody is left. */
  nextMost(canGive: (member: number) => boolean): number | undefined {
    for (;;) {
      if (this.#nextMost < this.#mostStart) this.#lowerMost()
      if (this.#nextMost < 0) return undefined
      const member = this.#members[this.#nextMost--] as number
      if (canGive(member)) return member
      this.#exclude(this.#nextMost + 1)
    }
  }

  #lowerMost(): void {
    // A range that lost all its members begins anew with the next one, whatever its level.
    const isEmpty = this.#mostEnd <= this.#mostStart && this.#mostStart > 0
    if (isEmpty) this.#mostLevel = this.#sizeAt(this.#mostStart - 1)
    else this.#mostLevel--
    while (this.#mostStart > 0 && this.#sizeAt(this.#mostStart - 1) === this.#mostLevel) this.#mostStart--
    this.#nextMost = this.#mostEnd - 1
  }

  #exclude(at: number): void {
    const last = this.#mostEnd - 1
    const member = this.#members[at] as number
    this.#members[at] = this.#members[last] as number
    this.#members[last] = member
    this.#mostEnd--
  }

  #sizeAt(at: number): number {
    return this.#sizeOf(this.#members[at] as number)
  }

  #sizeOf(member: number): number {
    return this.#sizes[member] as number
  }
}
