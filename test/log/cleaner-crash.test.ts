/** A swap of segments that is interrupted: what the loader makes of `.cleaned`, `.swap` and `.deleted` (LogCleanerTest.testRecoveryAfterCrash). */
import { describe, expect, it } from 'vitest'
import { CleaningLab } from './cleaning-lab.js'
import { LogHost, TP } from './harness.js'

describe('a crash in the middle', () => {
  const CONTENT = '0=a 1=b 2=a 3=c 4=a'
  const CLEANED = '1=b 3=c 4=a'

  function written(host = new LogHost()): CleaningLab {
    const lab = new CleaningLab({ host })
    for (const keys of ['a b', 'a c', 'a']) {
      lab.each(keys)
      lab.log.roll()
    }
    lab.log.flush()
    host.run()
    return lab
  }

  const base = `${TP}/00000000000000000000`

  it('while it writes leaves the log as it was', () => {
    const lab = written()
    const steps = lab.steps()
    for (let i = 0; i < 6; i++) lab.perform(steps.next().value as never)
    expect(lab.host.disk.exists(`${base}.log.cleaned`)).toBe(true)
    lab.host.reboot()
    const after = new CleaningLab({ host: lab.host })
    expect(after.records).toBe(CONTENT)
    expect(lab.host.files().filter((path) => path.endsWith('.cleaned'))).toEqual([])
  })

  it('after some files were renamed to .swap, but not all, throws the cleaned segment away', () => {
    const lab = cleanedBeside()
    const { disk } = lab.host
    disk.rename(`${base}.log.cleaned`, `${base}.log.swap`)
    expect(new CleaningLab({ host: lab.host }).records).toBe(CONTENT)
  })

  it('after all were renamed to .swap ends the swap', () => {
    const lab = cleanedBeside()
    const { disk } = lab.host
    for (const suffix of ['log', 'index', 'timeindex']) {
      disk.rename(`${base}.${suffix}.cleaned`, `${base}.${suffix}.swap`)
    }
    expect(new CleaningLab({ host: lab.host }).records).toBe(CLEANED)
    expect(lab.host.files().filter((path) => path.endsWith('.swap'))).toEqual([])
  })

  it('while old files are marked deleted ends the swap', () => {
    const lab = cleanedBeside()
    const { disk } = lab.host
    for (const suffix of ['log', 'index', 'timeindex']) {
      disk.rename(`${base}.${suffix}.cleaned`, `${base}.${suffix}.swap`)
    }
    disk.rename(`${base}.log`, `${base}.log.deleted`)
    expect(new CleaningLab({ host: lab.host }).records).toBe(CLEANED)
  })

  it('while .swap is renamed ends with the cleaned segment', () => {
    const lab = cleanedBeside()
    const { disk } = lab.host
    for (const suffix of ['log', 'index', 'timeindex']) {
      disk.rename(`${base}.${suffix}.cleaned`, `${base}.${suffix}.swap`)
    }
    for (const offset of ['0', '2', '4']) {
      const old = `${TP}/${offset.padStart(20, '0')}`
      for (const suffix of ['log', 'index', 'timeindex']) disk.rename(`${old}.${suffix}`, `${old}.${suffix}.deleted`)
    }
    disk.rename(`${base}.log.swap`, `${base}.log`)
    expect(new CleaningLab({ host: lab.host }).records).toBe(CLEANED)
  })

  /** A log with its cleaned segment beside it, on disk; the process is gone. */
  function cleanedBeside(): CleaningLab {
    const lab = written()
    const steps = lab.steps()
    for (;;) {
      const step = steps.next().value as never
      lab.perform(step)
      if (Object.hasOwn(step, 'sync')) break
    }
    expect(lab.host.disk.exists(`${base}.log.cleaned`)).toBe(true)
    lab.host.reboot()
    return lab
  }

  it('by power loss at any moment leaves the old segments or the new one', () => {
    const found = new Set<string>()
    for (let seed = 0; seed < 60; seed++) {
      const lab = written(new LogHost(`power-${seed}`))
      const steps = lab.steps()
      const count = 4 + (seed % 14)
      for (let i = 0; i < count; i++) {
        const step = steps.next()
        if (step.done === true) break
        if (i < count - 1) lab.perform(step.value)
      }
      lab.host.reboot('power-loss')
      const after = new CleaningLab({ host: lab.host })
      const { records } = after
      found.add(records)
      expect([CONTENT, CLEANED]).toContain(records)
      expect(after.log.logEndOffset).toBe(5)
    }
    expect([...found].sort()).toEqual([CONTENT, CLEANED].sort())
  })

  it('dropped on purpose takes its files along', () => {
    const lab = written()
    const steps = lab.steps()
    for (let i = 0; i < 6; i++) lab.perform(steps.next().value as never)
    steps.return(0)
    expect(lab.host.files().filter((path) => path.endsWith('.cleaned'))).toEqual([])
    expect(lab.records).toBe(CONTENT)
  })
})
