/** Who an envelope is from. The bytes are those of Kafka's DefaultPrincipalData, spelt out by hand. */

import { describe, expect, it } from 'vitest'
import { MalformedBytes } from '../../sim/wire/primitives.js'
import { decodeAddress, decodePrincipal, encodeAddress, encodePrincipal } from '../../sim/wire/principal.js'

describe('a principal', () => {
  it('is its type, its name, and that no token stands behind it', () => {
    const hex = Buffer.from(encodePrincipal('User:alice')).toString('hex')
    expect(hex).toBe('0000' + '05' + '55736572' + '06' + '616c696365' + '00' + '00')
  })

  it.each(['User:alice', 'User:ANONYMOUS', 'User:CN=b1,OU=a:b', 'Role:ünïque', 'User:'])(
    '%s comes back',
    (principal) => {
      expect(decodePrincipal(encodePrincipal(principal))).toBe(principal)
    },
  )

  it('of a version that is not known is refused', () => {
    expect(() => decodePrincipal(Uint8Array.of(0, 1, 1, 1, 0, 0))).toThrow(MalformedBytes)
  })
})

it('takes the name of a host for its address', () => expect(decodeAddress(encodeAddress('p1'))).toBe('p1'))
