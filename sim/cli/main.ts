#!/usr/bin/env node
/**
 * The command line. Commands are loaded only when they are called, so that `samsa --version` is quick.
 */

import { Command, CommanderError, InvalidArgumentError } from 'commander'
import { UsageError } from '../kernel/errors.js'
import { MODES, type Mode } from '../scenario/modes.js'
import { ExitCode } from './exit-code.js'
import { VERSION } from './version.js'

const program = new Command('samsa')
  .description('A deterministic simulator of Kafka clusters.')
  .version(VERSION, '-v, --version')
  .exitOverride()
  .showSuggestionAfterError()
  .configureHelp({ showGlobalOptions: true })

program
  .command('run')
  .description('run scenarios; a verdict each, and the timeline of what failed')
  .argument('[paths...]', 'scenario files and folders (default: scenarios)')
  .option('--seed <number>', 'run this one seed', wholeNumber)
  .option('--seeds <count>', "run seeds 1 to count (default: the scenario's own number)", wholeNumber)
  .option('-j, --jobs <count>', 'worker threads (default: one for each processor)', wholeNumber)
  .option('--shard <part>', 'run one part of the seeds, such as 2/5', shard)
  .option('-g, --grep <pattern>', 'only scenarios whose name or file matches')
  .option('--mode <mode>', 'run everything in this mode, kraft or zookeeper; what cannot be is left out', mode)
  .option('--last-failed', 'only the failures saved under .samsa/failures')
  .option('-x, --exit-first', 'stop at the first failure')
  .option('--timeline', 'show the timeline of runs that passed, too')
  .option('--reporter <name[:file]>', 'json, junit or terminal; may be given several times', collect, [])
  .option('--json', 'the same as --reporter json')
  .option('--verify-determinism', 'run every seed twice, here and in a worker, and compare the hashes')
  .option('--profile', 'tell where the time went')
  .option('--ascii', 'plain characters only')
  .action(async (paths: string[], options) => (await import('./run-command.js')).runCommand(paths, options).then(exit))

program
  .command('replay')
  .description('run a failure again, to the event')
  .argument('<token>', 'a token such as s1-k3f9a-17, or a file under .samsa/failures')
  .argument('[paths...]', 'where to look for its scenario (default: .samsa/failures, scenarios)')
  .option('--json', 'every event, one JSON object a line')
  .option('--ascii', 'plain characters only')
  .action(async (token: string, paths: string[], options) =>
    (await import('./replay-command.js')).replayCommand(token, paths, options).then(exit),
  )

program
  .command('explore')
  .description('play, rewind, look into and break a run by hand')
  .argument('<run>', 'a scenario file, or a token such as s1-k3f9a-17')
  .argument('[paths...]', 'where to look for the scenario of a token (default: .samsa/failures, scenarios)')
  .option('--seed <number>', 'run this seed', wholeNumber)
  .option('--live', 'go on without an end: a cluster with its workload to play with')
  .option('--ascii', 'plain characters only')
  .action(async (run: string, paths: string[], options) =>
    (await import('./explore-command.js')).exploreCommand(run, paths, options).then(exit),
  )

program
  .command('list')
  .description('list scenarios; or faults, operations, events, measures, oracles')
  .argument('[paths...]', 'scenario files and folders, or one of: faults, operations, events, measures, oracles')
  .option('--json', 'one JSON object a line')
  .action(async (paths: string[], options) =>
    (await import('./list-command.js')).listCommand(paths, options).then(exit),
  )

program
  .command('check')
  .description('validate scenario files without running them')
  .argument('[paths...]', 'scenario files and folders (default: scenarios)')
  .action(async (paths: string[]) => (await import('./check-command.js')).checkCommand(paths).then(exit))

// A reader that has seen enough (`| head`) is no failure.
process.stdout.on('error', (error: NodeJS.ErrnoException) => {
  if (error.code !== 'EPIPE') throw error
  process.exit(ExitCode.pass)
})

try {
  await program.parseAsync()
} catch (error) {
  await fail(error)
}

async function fail(error: unknown): Promise<void> {
  if (error instanceof CommanderError) {
    exit(error.exitCode === 0 ? ExitCode.pass : ExitCode.usage)
    return
  }
  const { tellProblems, remark } = await import('./terminal.js')
  if (error instanceof UsageError) {
    tellProblems(error)
    exit(ExitCode.usage)
    return
  }
  remark(`samsa failed, and this is a defect of it: ${error instanceof Error ? error.stack : String(error)}`)
  exit(ExitCode.internal)
}

/** Sets the status and lets what was written drain. */
function exit(code: ExitCode): void {
  process.exitCode = code
}

function wholeNumber(text: string): number {
  const value = Number(text)
  if (!Number.isInteger(value) || value < 0 || value > 0xffff_ffff)
    throw new InvalidArgumentError('expected a whole number.')
  return value
}

function shard(text: string): { index: number; of: number } {
  const match = /^([0-9]+)\/([0-9]+)$/.exec(text)
  const index = Number(match?.[1])
  const of = Number(match?.[2])
  if (!match || index < 1 || index > of) throw new InvalidArgumentError('expected a part such as 2/5.')
  return { index, of }
}

function mode(text: string): Mode {
  const found = MODES.find((each) => each === text)
  if (found === undefined) throw new InvalidArgumentError('expected kraft or zookeeper.')
  return found
}

function collect(value: string, values: readonly string[]): string[] {
  return [...values, value]
}
