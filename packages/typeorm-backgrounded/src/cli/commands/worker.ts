import { Command, InvalidArgumentError } from 'commander'
import type { DataSource } from 'typeorm'
import { runtimeOf, withDefaultLogger } from '../../plugin/attach'
import { UnsupportedDatabaseError } from '../../errors'
import { milliseconds } from '../../job/duration'
import { after } from '../../concurrency/sleep'
import { errorMessage } from '../../reporting/safe-error'
import { stopAtSignals } from '../../worker/stop-at-signals'
import type { Worker } from '../../worker/worker'
import { connectPatiently } from '../connect-patiently'
import { dataSourceOption, requireOption } from '../flags'
import { loadDataSource, requireModules } from '../load-data-source'
import { terminalLogger, type TerminalLogger } from '../terminal-logger'

interface Flags {
  readonly dataSource: string
  readonly queues?: readonly string[]
  readonly concurrency?: number
  readonly once?: boolean
  readonly pollInterval?: number
  readonly shutdownTimeout?: number
  readonly maxSilence?: number | false
  readonly require: readonly string[]
}

/** How many ms after its deadline a stop may still end. */
const GRACE = 800

export function workerCommand(): Command {
  return new Command('worker')
    .description('Runs background jobs until it is stopped by SIGTERM or SIGINT')
    .addOption(dataSourceOption())
    .option(
      '-q, --queues <names>',
      'queues to claim jobs from, in order of preference, separated by commas (default: all)',
      queueNames,
    )
    .option(
      '-c, --concurrency <number>',
      'how many jobs to run at a time (default: 1 on SQLite, 10 elsewhere)',
      positiveNumber,
    )
    .option('--once', 'run the jobs that are due, print the counts, and exit; the code is 1 if a job failed')
    .option(
      '--poll-interval <time>',
      "how often to look for jobs where the store does not notify workers, in ms or as '5s' (default: 1s)",
      time,
    )
    .option(
      '--shutdown-timeout <time>',
      "how long a stop waits for running jobs, in ms or as '1m' (default: 30s)",
      time,
    )
    .option(
      '--max-silence <time>',
      "end this process when its event loop has been blocked for this long, in ms or as '1h', or never with 'off' (default: 5m)",
      timeOrOff,
    )
    .addOption(requireOption())
    .action(run)
}

async function run(flags: Flags): Promise<void> {
  requireModules(flags.require)
  const log = terminalLogger()
  const dataSource = await loadDataSource(flags.dataSource)
  // A worker never changes the schema, even if the application's options say so.
  dataSource.setOptions({ synchronize: false, migrationsRun: false, dropSchema: false })
  withDefaultLogger(dataSource, log)
  if (flags.once) await dataSource.initialize()
  else await connectPatiently(dataSource, log)
  const { queues, concurrency, pollInterval, shutdownTimeout, maxSilence } = flags
  const runtime = runtimeOf(dataSource)
  const worker = runtime.createWorker({ queues, concurrency, pollInterval, shutdownTimeout, maxSilence }, flags.once)
  const signals = stopAtSignals(worker, log, () => void close(worker, dataSource, log))
  try {
    refuseInMemory(dataSource)
    const finished = worker.run()
    await Promise.race([finished, worker.ready])
    if (!signals.isStopping) log.info(bannerOf(dataSource, worker, flags), flags.once ? 'draining' : 'worker started')
    await finished
  } catch (error) {
    log.fatal({ err: error }, `the worker cannot go on: ${errorMessage(error)}`)
    await dataSource.destroy().catch(() => {})
    return exit(1)
  }
  if (flags.once) console.log(JSON.stringify(worker.counts))
  if (signals.isStopping) return
  await dataSource.destroy()
  exit(flags.once && worker.counts.failed > 0 ? 1 : 0)
}

/** @throws UnsupportedDatabaseError */
function refuseInMemory({ options }: DataSource): void {
  if (options.database === ':memory:' && /sqlite/.test(options.type)) throw UnsupportedDatabaseError.inMemory()
}

async function close(worker: Worker, dataSource: DataSource, log: TerminalLogger): Promise<void> {
  // Exits even if the store does not answer.
  after((worker.stopsAt ?? Date.now()) + GRACE - Date.now(), () => {
    log.warn(
      worker.counts,
      'worker stopped without an answer from the store: jobs whose outcome it did not get run again',
    )
    exit(0)
  })
  await dataSource.destroy().catch((error: unknown) => log.error({ err: error }, 'the data source did not close'))
  log.info(worker.counts, 'worker stopped')
  exit(0)
}

function exit(code: number): void {
  process.exit(code)
}

function bannerOf(dataSource: DataSource, worker: Worker, { queues }: Flags): object {
  const { handler, methods } = runtimeOf(dataSource)
  return {
    dataSource: `${dataSource.options.type} ${String(dataSource.driver.database ?? dataSource.options.database)}`,
    handler: handler.name,
    queues: queues?.join(', ') ?? 'all',
    concurrency: worker.concurrency,
    connections: worker.connections,
    methods: methods.marked.flatMap((entity) => [
      ...[...entity.methods.values()].map((method) => `${entity.name}.${method.name}`),
      ...[...entity.statics.values()].map((method) => `${entity.name}.${method.name} (static)`),
    ]),
  }
}

function queueNames(value: string): string[] {
  const names = value.split(',').map((name) => name.trim())
  if (names.includes('')) throw new InvalidArgumentError('Give queue names, separated by commas.')
  return names
}

function positiveNumber(value: string): number {
  const number = Number(value)
  if (!Number.isInteger(number) || number < 1) throw new InvalidArgumentError('Give a whole number of 1 or more.')
  return number
}

function timeOrOff(text: string): number | false {
  return text === 'off' ? false : time(text)
}

function time(value: string): number {
  try {
    return milliseconds(/^\d+$/.test(value) ? Number(value) : value, 'the time')
  } catch (error) {
    throw new InvalidArgumentError((error as Error).message)
  }
}
