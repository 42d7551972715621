import { it } from 'vitest'
import { makeCluster, produced, fetched } from '/work/main/test/broker/replication/harness.js'
it('x', () => {
  const c = makeCluster({ minIsr: 2 })
  c.pass(100)
  const p = c.produce(1, ['a', 'b'])
  c.pass(100)
  console.log(c.events.filter(e => !e.type.startsWith('net') && !e.type.startsWith('disk')).map((e)=> e.type+' '+e.node+' '+e.time+' '+JSON.stringify({...e.data, body: undefined, batch: undefined})).join('\n'))
  console.log(produced(p))
})
